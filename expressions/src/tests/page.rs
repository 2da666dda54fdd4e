//! The page of the language: each of its examples is evaluated, and each function has one.

use contracts::hasura::ChangeParts;

use super::{
    super::{comment, functions::FUNCTIONS, functions::MACROS, names},
    *,
};

const PAGE: &str = include_str!("../../../docs/language.md");

fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let open = format!("```{language}\n");
    PAGE.split("\n\n").filter_map(move |part| part.strip_prefix(open.as_str())?.split("\n```").next())
}

/// An expression and what the page says that it is.
fn examples() -> Vec<(&'static str, &'static str)> {
    let lines = blocks("cel").flat_map(str::lines).filter(|line| !line.trim().is_empty());
    let split = |line: &'static str| {
        let (expression, told) = line.split_at(comment(line).unwrap_or_else(|| panic!("{line} has no value")));
        (expression.trim(), told.trim_start_matches('/').trim())
    };
    lines.map(split).collect()
}

#[test]
fn each_example_of_the_page_has_the_value_that_it_says() {
    let body: Json = serde_json::from_str(blocks("json").next().expect("the change")).expect("JSON");
    let received = "2026-07-02T06:30:00Z".parse().expect("a timestamp");
    let change = Change::new(ChangeParts { body: &body, source: "default", received }).expect("a change");
    let bindings = Bindings { change: Some(&change), ..Bindings::default() };
    let mut wrong = Vec::new();
    for (expression, told) in examples() {
        let compiled =
            Expression::compile(expression, Scope::Change).unwrap_or_else(|errors| panic!("{expression}: {errors:?}"));
        let found = match compiled.value(&bindings, &Room::new(ROOM)) {
            Ok(value) => value.to_string(),
            Err(stop @ Stop::Absent(_)) => format!("absent: {}", compiled.describe(&stop)),
            Err(stop) => format!("fails: {}", compiled.describe(&stop)),
        };
        let expected = serde_json::from_str::<Json>(told).map_or_else(|_| told.to_owned(), |value| value.to_string());
        let is_as_told = match expected.strip_prefix("fails: ") {
            Some(part) => found.starts_with("fails: ") && found.contains(part),
            None => found == expected,
        };
        if !is_as_told {
            wrong.push(format!("{expression}: {found}, and the page says {told}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_function_variable_and_type_is_on_the_page() {
    let written: String = examples().iter().map(|(expression, _)| format!("{expression}\n")).collect();
    for name in FUNCTIONS.iter().map(|known| known.name).chain(MACROS.iter().copied()) {
        assert!(written.contains(&format!("{name}(")), "{name} has no example on the page");
    }
    for name in names::variables(Scope::Key).map(|(name, _)| name).chain(names::TYPES) {
        let is_there = PAGE.contains(&format!("`{name}`")) || PAGE.contains(&format!("`{name}."));
        assert!(is_there || name == "type", "{name} is not on the page");
    }
}
