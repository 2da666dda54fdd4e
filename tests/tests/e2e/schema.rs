//! What a change of a schema breaks: folders, revisions of git, files, and a running Herald.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tests::Herald;

/// An event with a closed schema of these properties.
fn event(properties: &Value, required: &[&str]) -> String {
    let schema =
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    format!("from: {{ table: things }}\ndata: {{ id: new.id }}\nsample: {{ id: 7 }}\nschema: {schema}\n")
}

fn plain() -> String {
    event(&json!({ "id": { "type": "integer" } }), &[])
}

fn run(folder: &Path, program: &Path, arguments: &[&str], code: i32) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).env("NO_COLOR", "1").output().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    told
}

fn diff(folder: &Path, arguments: &[&str], code: i32) -> String {
    run(folder, tests::binary(), &[&["schema", "diff"], arguments].concat(), code)
}

fn commit(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join("shop/events")).unwrap();
    fs::write(folder.join("shop/events/thing.made.yaml"), text).unwrap();
    let git = |arguments: &[&str]| run(folder, "git".as_ref(), arguments, 0);
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "a"]);
}

#[test]
fn revisions_of_git_are_compared_with_a_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    commit(folder, &event(&json!({ "id": { "type": "integer", "maximum": 9 } }), &[]));
    commit(folder, &plain());
    assert_eq!(diff(folder, &["main:shop", "shop"], 0), "main:shop → shop\n✅ no breaking changes (full)\n");
    fs::write(folder.join("shop/events/thing.made.yaml"), event(&json!({ "id": { "type": "number" } }), &["id"]))
        .unwrap();
    fs::write(folder.join("shop/events/thing.sold.yaml"), plain()).unwrap();
    let told = diff(folder, &["main:shop", "shop"], 1);
    for text in [
        "thing.made   events/thing.made.yaml",
        "❌ #/properties/id REQUIRED_ATTRIBUTE_ADDED\n     the new schema requires it, the old one does not: who reads by the new",
        "❌ #/properties/id/type TYPE_NARROWED\n     the old schema takes fewer types than were written (\"integer\" → \"number\"): who still reads by the old",
        "❌ 2 breaking changes, 3 changes that break nobody (--all lists them) (full)",
    ] {
        assert!(told.contains(text), "{text}\n{told}");
    }
    assert!(diff(folder, &["main:shop", "shop", "--mode", "backward", "--all"], 1).contains("thing.sold"));
    let github = diff(folder, &["main:shop", "shop", "--mode", "forward", "--format", "github"], 1);
    assert!(
        github.starts_with("::error file=events/thing.made.yaml::thing.made: #/properties/id/type TYPE_NARROWED"),
        "{github}"
    );
    // Of the states before, one had a maximum.
    let before = diff(folder, &["main:shop", "main:shop", "--mode", "forward-transitive"], 1);
    assert!(before.contains("MAXIMUM_ADDED") && before.contains("1 breaking change"), "{before}");
    assert!(diff(folder, &["main:shop", "main:shop", "--mode", "backward-transitive"], 0).contains("✅"));
    // As seen from within the folder.
    assert!(diff(&folder.join("shop"), &["HEAD~1:.", "HEAD:."], 1).contains("MAXIMUM_ADDED"));
}

#[test]
fn what_cannot_be_read_is_said() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    commit(folder, &plain());
    for (arguments, code, text) in [
        (["nowhere", "shop"], 2, "no folder of a catalog"),
        (["main:nowhere", "shop"], 1, "no files of a catalog in nowhere"),
        (["branch:shop", "shop"], 1, "git ls-tree"),
        (["--upload-pack=x:shop", "shop"], 2, ""),
        (["http://127.0.0.1:1", "shop"], 3, "127.0.0.1:1"),
    ] {
        let told = diff(folder, &arguments, code);
        assert!(told.contains(text), "{arguments:?}: {told}");
    }
    let told = diff(folder, &["shop", "shop", "--mode", "full-transitive"], 2);
    assert!(told.contains("has no earlier states"), "{told}");
    fs::write(folder.join("shop/events/bad.yaml"), "whn: true\n").unwrap();
    assert!(diff(folder, &["main:shop", "shop"], 1).contains("no catalog that can be read"));
}

#[test]
fn files_with_schemas_are_compared() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, schema: Value| fs::write(home.path().join(name), schema.to_string()).unwrap();
    write("one.json", json!({ "type": "string" }));
    write("other.json", json!({ "type": "string", "maxLength": 5 }));
    write("many.json", json!({ "$defs": { "a": { "type": "string" }, "b": true } }));
    write("fewer.json", json!({ "$defs": { "a": { "type": "string", "maxLength": 5 } } }));
    let told: Value =
        serde_json::from_str(&diff(home.path(), &["one.json", "other.json", "--format", "json"], 1)).unwrap();
    assert_eq!(told["breaking"], 1);
    let change = &told["compared"][0]["events"][0]["what"]["changed"][0];
    assert_eq!((&change["kind"], &change["place"]), (&json!("MAX_LENGTH_ADDED"), &json!("#/maxLength")));
    let told = diff(home.path(), &["many.json", "fewer.json"], 1);
    assert!(told.contains("MAX_LENGTH_ADDED") && told.contains("b   many.json\n   ❌ nobody publishes it"), "{told}");
}

#[tokio::test]
async fn a_running_herald_is_compared_with_a_folder() {
    let herald = Herald::build().event("thing.made", &plain()).start().await;
    let folder = herald.catalog().display().to_string();
    let api = format!("http://{}", herald.api());
    herald.tool(&["schema", "diff", &api, &folder]).output().await.expect(0).has(&["✅ no breaking changes (full)"]);
    herald.apply("events/thing.made.yaml", &event(&json!({ "id": { "type": "number" } }), &[])).await;
    let new = tempfile::tempdir().unwrap();
    fs::create_dir(new.path().join("events")).unwrap();
    fs::write(new.path().join("events/thing.made.yaml"), plain()).unwrap();
    let new = new.path().display().to_string();
    let told = herald.tool(&["schema", "diff", &api, &new, "--mode", "backward-transitive"]).output().await.expect(1);
    told.has(&["version 2 of http://", "TYPE_NARROWED", "❌ 1 breaking change"]);
    assert!(!told.stdout.contains("version 1 of"), "{}", told.stdout);
}
