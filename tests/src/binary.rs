//! The binary under test: built once per test process, so that it is never a stale one.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package has a folder of its own in the workspace")
}

/// The path of an up-to-date `herald`, in the profile and target folder of the running test. Cargo's lock makes it safe to
/// ask from several processes at once; where nothing has changed it takes a moment.
pub fn herald() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build)
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    let profile = test.parent().and_then(Path::parent).and_then(Path::file_name).and_then(|name| name.to_str());
    let profile = match profile.expect("tests are built into <target>/<profile>/deps") {
        "debug" => "dev",
        other => other,
    };
    // Cargo marks its target folder, which may be anywhere.
    let target = test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let target = target.unwrap_or_else(|| panic!("{} is in no target folder of cargo", test.display()));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "-p",
        "herald",
        "--bin",
        "herald",
        "--profile",
        profile,
        "--message-format",
        "json",
    ]);
    cargo.arg("--target-dir").arg(target).current_dir(root()).stdin(Stdio::null());
    // What cargo tells a test about its package would look like a change to build scripts.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|own| text.starts_with(own)) {
            cargo.env_remove(&name);
        }
    }
    let output = cargo.output().unwrap_or_else(|error| panic!("cannot run {}: {error}", env!("CARGO")));
    let messages: Vec<Value> =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert!(
        output.status.success(),
        "herald does not build:\n{}{}",
        String::from_utf8_lossy(&output.stderr),
        said(&messages)
    );
    let built = messages
        .iter()
        .filter(|message| message["target"]["name"] == "herald")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.expect("cargo names the executable that it built")
}

fn said(messages: &[Value]) -> String {
    messages.iter().filter_map(|message| message["message"]["rendered"].as_str()).collect()
}
