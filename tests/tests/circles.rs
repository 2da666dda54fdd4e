//! Modules that know each other in a circle can only be understood together: no circle has more than two files.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A module's path within its crate.
type Module = Vec<String>;

/// The modules of a crate with their texts, tests left out.
fn modules(folder: &Path, path: &Module, out: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let within = |name: &str| path.iter().cloned().chain([name.to_owned()]).collect::<Module>();
        if entry.path().is_dir() {
            modules(&entry.path(), &within(&name), out);
        } else if let Some(name) = name.strip_suffix(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap();
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            match name {
                "tests" => {}
                "lib" | "main" | "mod" => drop(out.insert(path.clone(), text)),
                name => drop(out.insert(within(name), text)),
            }
        }
    }
}

/// What a tree of names as in `a::{b, c::d}` names.
fn expanded(tree: &str, before: &Module, out: &mut Vec<Module>) {
    let tree = tree.trim();
    if let Some(inner) = tree.strip_prefix('{').and_then(|tree| tree.strip_suffix('}')) {
        let (mut depth, mut start) = (0, 0);
        for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if c == ',' && depth == 0 {
                expanded(&inner[start..at], before, out);
                start = at + 1;
            }
        }
    } else if let Some((name, rest)) = tree.split_once("::") {
        expanded(rest, &before.iter().cloned().chain([name.to_owned()]).collect(), out);
    } else if !tree.is_empty() {
        out.push(before.iter().cloned().chain([tree.to_owned()]).collect());
    }
}

/// The modules that a module's `use` lines name.
fn known(here: &Module, text: &str, all: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let mut named = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let is_statement = text[line..at].split_whitespace().all(|word| word.starts_with("pub"));
        if is_statement && let Some(tree) = text[at + 4..].split(';').next() {
            expanded(tree, &Vec::new(), &mut named);
        }
    }
    let resolved = named.into_iter().filter_map(|path| {
        let (mut base, mut rest) = (here.clone(), &path[..]);
        match path.first().map(String::as_str) {
            Some("crate") => (base, rest) = (Vec::new(), &path[1..]),
            Some("self") => rest = &path[1..],
            Some("super") => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            _ => return None,
        }
        for name in rest {
            base.push(name.clone());
            if !all.contains_key(&base) {
                base.pop();
                break;
            }
        }
        Some(base).filter(|found| found != here)
    });
    resolved.collect()
}

fn reached(from: &Module, graph: &BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(next) = open.pop() {
        for known in graph.get(&next).into_iter().flatten() {
            if found.insert(known.clone()) {
                open.push(known.clone());
            }
        }
    }
    found
}

#[test]
fn no_circle_of_modules_has_more_than_two_files() {
    let mut crates = 0;
    for entry in fs::read_dir(tests::root()).unwrap().map(Result::unwrap) {
        let sources = entry.path().join("src");
        if !sources.is_dir() {
            continue;
        }
        crates += 1;
        let mut all = BTreeMap::new();
        modules(&sources, &Vec::new(), &mut all);
        let graph = all.iter().map(|(module, text)| (module, known(module, text, &all))).collect();
        for module in all.keys() {
            let back = |other: &Module| reached(other, &graph).contains(module);
            let circle: Vec<_> =
                reached(module, &graph).into_iter().filter(back).map(|module| module.join("::")).collect();
            assert!(circle.len() <= 2, "{}: these know each other: {}", entry.path().display(), circle.join(", "));
        }
    }
    assert!(crates > 10, "{crates} crates were found");
}

#[test]
fn what_use_lines_name_is_found() {
    let all = BTreeMap::from(["", "a", "a::b", "c"].map(|module| {
        let path: Module = module.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        (path, String::new())
    }));
    let text = "use crate::{\n    a::{b::Thing, Other},\n    c,\n};\npub(crate) use super::Root;\nuse std::fs;\n";
    let found = known(&vec!["c".to_owned()], text, &all);
    let found: Vec<_> = found.iter().map(|module| module.join("::")).collect();
    assert_eq!(found, ["", "a", "a::b"]);
}
