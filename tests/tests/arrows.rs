//! Which crate may know which: the arrows of the architecture.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

const STAGES: [&str; 4] = ["ingest", "detector", "job-runner", "results"];
/// What every stage may know.
const BELOW_STAGES: [&str; 4] = ["contracts", "catalog", "bus", "runtime"];
/// What else the binary is made of.
const WIRED: [&str; 7] = ["kafka", "kafka-admin", "catalog-log", "client", "bench", "settings", "tools"];
/// These may know everything.
const ABOVE_ALL: [&str; 2] = ["tests", "compare"];
/// Of use to the tests of anybody, and knows nothing of ours.
const FOR_TESTS: &str = "broker";
/// Libraries that only these may know: the engines of the bus, and the store of results.
const ENGINES: [(&str, &[&str]); 2] = [("rusqlite", &["bus", "results"]), ("rdkafka", &["kafka", "kafka-admin"])];

/// Crates of which no more than two files know each other in a circle. Whoever ends the circles of another adds it.
const WITHOUT_CIRCLES: [&str; 3] = ["contracts", "expressions", "runtime"];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(tests::root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// The crates of ours that may be known, by crate; tests may know everything.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let below: BTreeSet<_> = BELOW_STAGES.into();
    let mut arrows = BTreeMap::from([
        ("contracts", BTreeSet::new()),
        ("expressions", BTreeSet::from(["contracts"])),
        ("catalog", BTreeSet::from(["contracts", "expressions"])),
        ("bus", BTreeSet::from(["contracts"])),
        ("kafka", BTreeSet::from(["contracts", "bus"])),
        ("kafka-admin", BTreeSet::from(["contracts", "bus", "kafka"])),
        ("runtime", BTreeSet::new()),
        (FOR_TESTS, BTreeSet::new()),
        ("catalog-log", BTreeSet::from(["contracts", "catalog", "bus"])),
        ("client", BTreeSet::from(["contracts", "runtime"])),
        ("bench", BTreeSet::from(["contracts", "catalog", "runtime", "client"])),
        ("settings", below.iter().copied().chain(STAGES).chain(["kafka", "client"]).collect()),
        ("tools", below.iter().copied().chain(STAGES).chain(WIRED).filter(|name| *name != "tools").collect()),
        ("herald", below.iter().copied().chain(STAGES).chain(WIRED).collect()),
    ]);
    arrows.extend(STAGES.map(|stage| (stage, below.clone())));
    arrows
}

fn known<'a>(package: &'a Package, ours: &BTreeSet<&str>) -> Vec<&'a str> {
    let for_tests =
        |dependency: &Dependency| dependency.name == FOR_TESTS && dependency.kind == DependencyKind::Development;
    let counted = package.dependencies.iter().filter(|dependency| !for_tests(dependency));
    counted.map(|dependency| dependency.name.as_str()).filter(|name| ours.contains(name)).collect()
}

#[test]
fn the_arrows_between_crates_hold() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let allowed = allowed();
    let listed: BTreeSet<&str> = allowed.keys().copied().chain(ABOVE_ALL).collect();
    assert_eq!(ours, listed, "a crate that is new has its place in the architecture, and here");
    for package in metadata.packages.iter().filter(|package| !ABOVE_ALL.contains(&package.name.as_str())) {
        let allowed = &allowed[package.name.as_str()];
        for name in known(package, &ours) {
            assert!(allowed.contains(name), "`{}` knows `{name}`, which is not below it", package.name);
        }
    }
}

#[test]
fn only_the_bus_knows_its_engines() {
    for package in &metadata().packages {
        for dependency in
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
        {
            if let Some((_, may)) = ENGINES.iter().find(|(engine, _)| *engine == dependency.name) {
                assert!(may.contains(&package.name.as_str()), "`{}` knows `{}`", package.name, dependency.name);
            }
        }
    }
}

#[test]
fn every_version_is_declared_once_in_the_workspace() {
    for package in &metadata().packages {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        let mut table = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                table = line.to_owned();
            } else if table.ends_with("dependencies]") {
                let inherits = line.contains(".workspace = true") || line.contains("workspace = true");
                assert!(inherits, "{}: `{line}` is declared outside the workspace's Cargo.toml", package.manifest_path);
            }
        }
    }
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
}

/// What a file names of its crate: what follows `crate::`, or where that is a list, what each entry begins with; and what
/// the root takes out of its modules.
fn named(text: &str) -> BTreeSet<&str> {
    let uses = text.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("use "));
    let mut names: BTreeSet<&str> = uses.map(first_word).collect();
    for rest in text.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(first_word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, sign) in list.char_indices() {
            match sign {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                '}' | ',' if depth == 0 => {
                    names.insert(first_word(&list[start..at]));
                    start = at + 1;
                }
                _ => {}
            }
            if sign == '}' && depth == 0 && start > at {
                break;
            }
        }
    }
    names
}

#[test]
fn few_files_know_each_other_in_a_circle() {
    for name in WITHOUT_CIRCLES {
        let code = |path: &Path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
        };
        let codes: BTreeMap<String, String> = std::fs::read_dir(tests::root().join(name).join("src"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "rs"))
            .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), code(&path)))
            .collect();
        // In the root, what is no module is another crate; elsewhere it is an item of the root.
        let of = |by: &str, name: &str| match codes.get_key_value(name) {
            Some((module, _)) => Some(module.as_str()),
            None => (by != "lib" && name.starts_with(char::is_uppercase)).then_some("lib"),
        };
        let mut knows: BTreeMap<&str, BTreeSet<&str>> = codes
            .iter()
            .map(|(module, code)| {
                (module.as_str(), named(code).into_iter().filter_map(|name| of(module, name)).collect())
            })
            .collect();
        for _ in 0..codes.len() {
            let further =
                |known: &BTreeSet<&str>| known.iter().flat_map(|name| knows[name].clone()).collect::<Vec<_>>();
            let found: Vec<_> = knows.iter().map(|(module, known)| (*module, further(known))).collect();
            found.into_iter().for_each(|(module, found)| knows.get_mut(module).unwrap().extend(found));
        }
        for module in codes.keys().map(String::as_str) {
            let circle: Vec<_> = knows[module].iter().filter(|other| knows[*other].contains(module)).collect();
            assert!(circle.len() <= 2, "{name}: {circle:?} know each other");
        }
    }
}
