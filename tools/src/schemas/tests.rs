//! The schemas of files, held against what reads the files.

use std::{collections::BTreeMap, fs, path::Path};

use catalog::{Catalog, Severity, Sources, json_of_yaml, schema::FILES};
use job_runner::{Config, Registry};
use jsonschema::Validator;
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What the schema of a folder's files takes. They refer to one another as files; here the one of jobs is a part of each.
fn schemas() -> BTreeMap<&'static str, Validator> {
    let part = "#/definitions/jobFile/";
    let (.., job) = FILES.iter().find(|(_, name, _)| *name == "job.json").expect("there is one");
    let job: Value = serde_json::from_str(&job.replace("\"#/", &format!("\"{part}"))).expect("JSON");
    let validator = |(folder, _, text): (&'static str, _, &str)| {
        let mut schema: Value = serde_json::from_str(&text.replace("job.json#/", part)).expect("JSON");
        schema["definitions"]["jobFile"] = job.clone();
        (folder, jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{folder}: {error}")))
    };
    FILES.map(validator).into_iter().collect()
}

/// Whether the reader takes a file of a folder, beside a shared job and a table.
fn is_read(folder: &str, text: &str) -> Result<(), String> {
    let name = if folder == "tables" { "public.moves" } else { "a" };
    let path = format!("{folder}/{name}.yaml");
    let files = [(path.as_str(), text), ("jobs/shared.yaml", "log: {}\n"), ("events/b.yaml", "sample: {}\n")];
    let outcome = Catalog::compile(&Sources::new(files), &Registry::standard(&Config::default()));
    let errors: Vec<String> = outcome
        .report
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

fn takes(schema: &Validator, text: &str) -> Result<(), String> {
    let json = json_of_yaml(text).expect("YAML");
    schema.validate(&json).map_err(|error| format!("{}: {error}", error.instance_path()))
}

fn yaml_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => yaml_files(&path, found),
            path if path.extension().is_some_and(|end| end == "yaml") => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn all_examples_and_all_files_of_the_docs_are_taken() {
    let schemas = schemas();
    let mut files: Vec<(String, String)> = Vec::new();
    for catalog in ["examples/moves", "examples/parcels", "examples/hasura/catalog", "tools/src/init/example"] {
        for folder in schemas.keys() {
            let mut found = Vec::new();
            yaml_files(&Path::new(ROOT).join(catalog).join(folder), &mut found);
            files
                .extend(found.iter().map(|path| ((*folder).to_owned(), fs::read_to_string(path).expect("it is read"))));
        }
    }
    let examples = files.len();
    for page in ["README.md", "docs/catalog.md", "docs/kept-commands.md"] {
        let page = fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
        for block in page.split("```yaml\n# ").skip(1) {
            let folder = block.split('/').next().expect("a folder").to_owned();
            files.push((
                folder,
                block.split("```").next().and_then(|text| text.split_once('\n')).expect("a file").1.to_owned(),
            ));
        }
    }
    assert!(examples >= 9 && files.len() >= examples + 4, "{} of {}", examples, files.len());
    for (folder, text) in &files {
        takes(&schemas[folder.as_str()], text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn whatever_is_read_is_taken() {
    let values = [
        "",
        "~",
        "true",
        "5",
        "0",
        "1.5",
        "-1",
        "x",
        "''",
        "3s",
        "1h 30m",
        "none",
        "key",
        "insert",
        "[]",
        "{}",
        "[5]",
        "[x]",
        "[x, y]",
        "[~]",
        "[insert, Update]",
        "{ x: 1 }",
        "{ table: moves }",
        "{ table: [moves, a.b], operations: insert, source: 5, trigger: t }",
        "{ table: \"*\" }",
        "{ scheduled: nightly, source: shop }",
        "{ scheduled: 5 }",
        "{ action: placeOrder }",
        "{ run: [a, 5], env: { A: 1 }, dir: ~ }",
        "{ run: [a], keep: true }",
        "{ run: [a], keep: { idle: 5m, memory: 512MiB } }",
        "{ x: What it is, y: ~, z: { description: 5, default: [1] } }",
        "[{ use: shared }]",
        "[{ use: shared, with: {} }, { use: other }]",
        "[a, \"${data.x}\", 5, true]",
        "{ message: 5 }",
        "{ delay: \"${data.x}\", failureRate: \"${data.y}\" }",
        "{ delay: 3s, message: x, failureRate: 1 }",
        "b",
        "{ event: b, data: { x: [data.x, 5, ~], y: \"'text'\" }, key: [data.x, 5], mayRepeat: true }",
        "{ event: b, data: data, key: true }",
        "{ initial: 1s, factor: 2.5, max: 5m }",
        "{ quiet: 30s, most: 5m, by: [data.x, event.id], deliver: last }",
        "{ quiet: 30s, most: ~, by: ~, deliver: ~ }",
        "{ quiet: 30s, by: 5 }",
        "10/s",
        "{ limit: 100 / m, by: data.x, burst: 5 }",
        "{ limit: 2, by: data.x, total: 8 }",
        "off",
        "{ failures: 3, pause: 1s, most: 1m }",
        "https://a.example/${data.x}",
        "\"${data.url}\"",
        "{ url: http://a, method: Put, headers: { a: 1, b: { secret: k, prefix: \"K \" } }, body: [1], sign: { secret: k } }",
        "{ url: { secret: k }, auth: { bearer: { secret: k } }, format: data, tls: { ca: a, cert: b, key: { secret: k } } }",
        "{ url: https://a, auth: { basic: { user: 5, password: { secret: k } } }, sign: [{ secret: k }], method: ~, tls: ~ }",
        "{ url: \"https://${data.h}/\", allowPrivate: [10.0.0.0/8, \"*.svc\"] }",
        "[shared]",
        "[{ id: b, log: {} }]",
        "[{ id: b, command: [x], timeout: 3s, order: none, attempts: 1, concurrency: 2 }]",
        "[{ name: 5, change: { op: Insert, new: 5, session: x, table: ~, received: ~ }, expect: [1] }]",
        "[{ name: x, change: { op: manual, old: {}, source: 5, received: \"2026-01-31T12:00:00Z\" }, expect: failed }]",
        "{ x: integer }",
        "{ x: { type: 5, nullable: false } }",
        "{ x: { type: mood, values: [a, \"1\"], description: 5 } }",
    ];
    let schemas = schemas();
    let mut read = BTreeMap::new();
    for (folder, name, text) in FILES {
        let schema: Value = serde_json::from_str(text).expect("JSON");
        for key in schema["properties"].as_object().expect("a map").keys() {
            for value in values {
                let beside = match (folder, key.as_str()) {
                    ("events", "when" | "key" | "data") => "from: { table: moves }\n",
                    ("events", "answer" | "otherwise") => "from: { action: a }\n",
                    ("jobs", "command" | "http" | "log" | "publish" | "simulate") => "",
                    ("jobs", _) => "log: {}\n",
                    ("tables", "columns") => "",
                    ("tables", _) => "columns: { x: text }\n",
                    _ => "",
                };
                let file = format!("{beside}{key}: {value}\n");
                if is_read(folder, &file).is_ok() {
                    takes(&schemas[folder], &file).unwrap_or_else(|error| panic!("{error}\n{file}"));
                    *read.entry((name, key.clone())).or_insert(0) += 1;
                }
            }
            assert!(read.contains_key(&(name, key.clone())), "nothing is ever read as `{key}` of {name}");
        }
    }
}

#[test]
fn what_is_of_another_shape_is_refused_by_both() {
    let schemas = schemas();
    for (folder, file) in [
        ("events", "form: { table: moves }\n"),
        ("events", "from: {}\n"),
        ("events", "from: moves\n"),
        ("events", "from: { scheduled: \"\" }\n"),
        ("events", "from: { scheduled: ~ }\n"),
        ("events", "from: { action: a, table: b }\n"),
        ("events", "from: { action: a }\notherwise: { mesage: x }\n"),
        ("events", "from: { action: a }\notherwise: [x]\n"),
        ("events", "from: { action: a }\ntests: [{ name: x, action: { inptu: 1 }, expect: none }]\n"),
        ("events", "from: { scheduled: [a] }\n"),
        ("events", "from: { scheduled: a, table: b }\n"),
        ("events", "from: { scheduled: a, operations: insert }\n"),
        ("events", "from: { scheduled: a }\ntests: [{ name: x, expect: none }]\n"),
        ("events", "from: { scheduled: a }\ntests: [{ name: x, scheduled: { pyload: 1 }, expect: none }]\n"),
        ("events", "tests: [{ name: x, scheduled: {}, change: { op: insert }, expect: none }]\n"),
        ("events", "from: { table: moves, opertions: [insert] }\n"),
        ("events", "from: { table: moves, operations: [upsert] }\n"),
        ("events", "from: { table: moves, operations: [] }\n"),
        ("events", "from: { table: moves, operations: [insert, insert] }\n"),
        ("events", "from: { table: moves, source: a b }\n"),
        ("events", "from: { table: moves }\nwhen: 1\n"),
        ("events", "jobs: [{ id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, log: {} }]\n"),
        ("events", "jobs: [{ id: b, log: {}, timeout: 0s }]\n"),
        ("tables", "source: a b\ncolumns: { x: text }\n"),
        ("jobs", "log: {}\ntimeout: 0m 0s\n"),
        ("events", "from: { table: {} }\n"),
        ("events", "from: { table: moves }\nwhen: [true]\n"),
        ("events", "from: { table: moves }\nwhen:\n"),
        ("events", "from: { table: moves }\nkey: []\n"),
        ("events", "description: [x]\n"),
        ("events", "schema: 5\n"),
        ("events", "jobs: shared\n"),
        ("events", "jobs: [[shared]]\n"),
        ("events", "jobs: [{ log: {} }]\n"),
        ("events", "jobs: [{ with: {} }]\n"),
        ("events", "jobs: [{ use: shared, with: [x] }]\n"),
        ("events", "jobs: [{ use: shared, timeout: 3s }]\n"),
        ("events", "jobs: [{ id: b, log: {}, parameters: { x: y } }]\n"),
        ("events", "jobs: [{ id: b }]\n"),
        ("events", "jobs: [{ id: b, log: {}, simulate: {} }]\n"),
        ("events", "jobs: [{ id: b, log: {}, timout: 3s }]\n"),
        ("events", "tests: { name: x }\n"),
        ("events", "tests: [{ name: x, change: { op: insert } }]\n"),
        ("events", "tests: [{ name: x, change: { op: upsert }, expect: none }]\n"),
        ("events", "tests: [{ name: x, change: { op: insert, row: {} }, expect: none }]\n"),
        ("events", "tests: [{ name: x, change: { op: insert }, expect: nothing }]\n"),
        ("jobs", "id: a\nlog: {}\n"),
        ("jobs", "description: it does nothing\n"),
        ("jobs", "log: {}\ntimeout: 3\n"),
        ("jobs", "log: {}\ntimeout: soon\n"),
        ("jobs", "log: {}\nattempts: 0\n"),
        ("jobs", "log: {}\nattempts: 5000\n"),
        ("jobs", "log: {}\norder: random\n"),
        ("jobs", "log: {}\nfinalExitCodes: [0]\n"),
        ("jobs", "log: {}\nbackoff: { initail: 1s }\n"),
        ("jobs", "log: {}\ndebounce: {}\n"),
        ("jobs", "log: {}\ndebounce: 30s\n"),
        ("jobs", "log: {}\ndebounce: { quiet: 0s }\n"),
        ("jobs", "log: {}\ndebounce: { quiet: 1s, most: 0s }\n"),
        ("jobs", "log: {}\ndebounce: { quiet: 1s, deliver: first }\n"),
        ("jobs", "log: {}\ndebounce: { quiet: 1s, by: [] }\n"),
        ("jobs", "log: {}\ndebounce: { quiet: 1s, fot: 2s }\n"),
        ("jobs", "log: {}\nrate: 10\n"),
        ("jobs", "log: {}\nrate: 0/s\n"),
        ("jobs", "log: {}\nrate: 10/d\n"),
        ("jobs", "log: {}\nrate: { by: data.x }\n"),
        ("jobs", "log: {}\nrate: { limit: 10/s, burst: 0 }\n"),
        ("jobs", "log: {}\nconcurrency: { limit: 2 }\n"),
        ("jobs", "log: {}\ncircuit: maybe\n"),
        ("jobs", "log: {}\ncircuit: { failures: 0 }\n"),
        ("jobs", "log: {}\ncircuit: { pause: 0s }\n"),
        ("jobs", "log: { mesage: x }\n"),
        ("jobs", "log: hello\n"),
        ("jobs", "publish: { evnt: b }\n"),
        ("jobs", "publish: { data: {} }\n"),
        ("jobs", "publish: [b]\n"),
        ("jobs", "publish: { event: b, key: {} }\n"),
        ("jobs", "publish: { event: b, mayRepeat: maybe }\n"),
        ("jobs", "simulate: { delay: 3 }\n"),
        ("jobs", "simulate: { failureRate: 2 }\n"),
        ("jobs", "command: notify --now\n"),
        ("jobs", "command: []\n"),
        ("jobs", "command: { env: {} }\n"),
        ("jobs", "command: { run: [a], keep: yes }\n"),
        ("jobs", "command: { run: [a], keep: { idle: 5 } }\n"),
        ("jobs", "command: { run: [a], keep: { memory: much } }\n"),
        ("jobs", "command: { run: [a], keep: { max: 3 } }\n"),
        ("jobs", "log: {}\nparameters: [x]\n"),
        ("jobs", "log: {}\nparameters: { a-b: x }\n"),
        ("jobs", "log: {}\nparameters: { a: { typ: x } }\n"),
        ("jobs", "http: {}\n"),
        ("jobs", "http: a.example\n"),
        ("jobs", "http: { url: https://a, verb: GET }\n"),
        ("jobs", "http: { url: https://a, method: FETCH }\n"),
        ("jobs", "http: { url: https://a, format: binary }\n"),
        ("jobs", "http: { url: https://a, headers: { a: { env: X } } }\n"),
        ("jobs", "http: { url: https://a, auth: { bearer: hunter2 } }\n"),
        ("jobs", "http: { url: https://a, sign: [] }\n"),
        ("jobs", "http: { url: https://a, tls: { verify: false } }\n"),
        ("jobs", "http: { url: \"${data.u}\", allowPrivate: 10.0.0.0/8 }\n"),
        ("tables", "columns: {}\n"),
        ("tables", "colums: { x: text }\n"),
        ("tables", "columns: [x]\n"),
        ("tables", "columns: { x: { nullable: true } }\n"),
        ("tables", "columns: { x: { type: text, nulable: true } }\n"),
        ("tables", "columns: { x: { type: text, nullable: maybe } }\n"),
        ("tables", "columns: { x: { type: text, values: [] } }\n"),
        ("tables", "columns: { x: { type: text, values: [1] } }\n"),
        ("tables", "columns: { x: { type: text, values: [a, a] } }\n"),
        ("tables", "columns: { x: ~ }\n"),
    ] {
        assert!(is_read(folder, file).is_err(), "it is read:\n{file}");
        assert!(takes(&schemas[folder], file).is_err(), "the schema takes it:\n{file}");
    }
}
