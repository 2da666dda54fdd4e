//! Which crate may know which: the arrows of the architecture.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

const STAGES: [&str; 4] = ["ingest", "detector", "job-runner", "results"];
/// What every stage may know.
const BELOW_STAGES: [&str; 4] = ["contracts", "catalog", "bus", "runtime"];
/// What else the binary is made of.
const WIRED: [&str; 9] =
    ["schema-diff", "kafka-config", "kafka", "kafka-admin", "catalog-log", "client", "bench", "settings", "tools"];
/// These may know everything.
const ABOVE_ALL: [&str; 2] = ["tests", "compare"];
/// Of use to the tests of anybody, and knows nothing of ours.
const FOR_TESTS: &str = "broker";
/// Libraries that only these may know: the engines of the bus, and the store of results.
const ENGINES: [(&str, &[&str]); 2] = [("rusqlite", &["bus", "results"]), ("rdkafka", &["kafka", "kafka-admin"])];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(tests::root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// The crates of ours that may be known, by crate; tests may know everything.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let below: BTreeSet<_> = BELOW_STAGES.into();
    let tools = below.iter().copied().chain(STAGES).chain(WIRED).chain(["expressions"]);
    let tools = tools.filter(|name| *name != "tools").collect();
    let mut arrows = BTreeMap::from([
        ("contracts", BTreeSet::new()),
        ("expressions", BTreeSet::from(["contracts"])),
        ("schema-diff", BTreeSet::from(["contracts"])),
        ("catalog", BTreeSet::from(["contracts", "expressions"])),
        ("bus", BTreeSet::from(["contracts"])),
        ("kafka-config", BTreeSet::from(["contracts", "bus"])),
        ("kafka", BTreeSet::from(["contracts", "bus", "kafka-config"])),
        ("kafka-admin", BTreeSet::from(["contracts", "bus", "kafka", "runtime"])),
        ("runtime", BTreeSet::from(["contracts"])),
        (FOR_TESTS, BTreeSet::new()),
        ("catalog-log", BTreeSet::from(["contracts", "catalog", "bus"])),
        ("client", BTreeSet::from(["contracts", "runtime"])),
        ("bench", BTreeSet::from(["contracts", "catalog", "runtime", "client"])),
        ("settings", below.iter().copied().chain(STAGES).chain(["kafka-config", "client"]).collect()),
        ("tools", tools),
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

/// The packages that the binary is made of, with these features.
fn packages(features: &[&str]) -> Vec<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.current_dir(tests::root()).args(["tree", "--package=herald", "--edges=normal,build", "--prefix=none"]);
    let told = tree.args(["--format={p}", "--locked", "--offline"]).args(features).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let lines = String::from_utf8(told.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn a_binary_without_kafka_is_built_without_its_client_and_what_that_needs() {
    const KAFKA: [&str; 5] = ["kafka", "kafka-admin", "rdkafka-sys", "openssl-sys", "zstd-sys"];
    let built = |features: &[&str]| -> Vec<&str> {
        let packages = packages(features);
        KAFKA.into_iter().filter(|name| packages.iter().any(|built| built == name)).collect()
    };
    assert_eq!(built(&[]), KAFKA);
    assert!(built(&["--no-default-features"]).is_empty());
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
