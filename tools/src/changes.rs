//! What two versions of a catalog say differently, as lines for people.

use catalog::{Changed, Changes, Key, shown};
use client::print::{BOLD, DIM, cut};
use serde_json::Value;

/// How much of a value a line has, in characters.
const VALUE: usize = 400;

/// A line for each event and job, and below it one for each key of those that say something else.
pub(crate) fn lines(changes: &Changes) -> Vec<String> {
    let width = changes.changed.iter().map(|one| one.title().chars().count()).max().unwrap_or(0).min(40);
    let mut lines = Vec::new();
    for one in &changes.changed {
        lines.push(head(one, width));
        lines.extend(one.keys.iter().flat_map(key));
    }
    lines
        .extend(changes.form.iter().map(|file| format!("{DIM}  {} says the same in another form{DIM:#}", shown(file))));
    lines
}

fn head(one: &Changed, width: usize) -> String {
    let title = shown(&one.title());
    let pad = width.saturating_sub(title.chars().count());
    format!("{BOLD}{title}{BOLD:#}{:pad$}   {DIM}{}{DIM:#}", "", shown(&one.file))
}

pub(crate) fn key(key: &Key) -> Vec<String> {
    let path = if key.path.is_empty() { "the file, which is no YAML" } else { &key.path };
    let path = shown(path);
    // `7` and `"7"` are told apart.
    let is_text = |value: &Option<Value>| value.as_ref().is_none_or(Value::is_string);
    let as_json = is_text(&key.before) != is_text(&key.after);
    let said = |value: &Option<Value>| value.as_ref().map(|value| value_of(value, as_json));
    match (said(&key.before), said(&key.after)) {
        (Some(before), Some(after)) if before.len() + after.len() + path.len() <= 60 => {
            vec![format!("    {path}: {before} → {after}")]
        }
        (before, after) => {
            let mut lines = vec![format!("    {path}")];
            lines.extend(before.map(|before| format!("      - {before}")));
            lines.extend(after.map(|after| format!("      + {after}")));
            lines
        }
    }
}

/// A text as it was written unless JSON is wanted, anything else as JSON.
fn value_of(value: &Value, as_json: bool) -> String {
    let text = value.as_str().filter(|_| !as_json).map_or_else(|| value.to_string(), str::to_owned);
    cut(&shown(text.trim_end()).replace('\n', " ⏎ "), VALUE)
}

#[cfg(test)]
mod tests {
    use catalog::Sources;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_and_its_text_are_told_apart() {
        let of = |before, after| key(&Key { path: "a".into(), before: Some(before), after: Some(after) });
        assert_eq!(of(json!(7), json!("7")), ["    a: 7 → \"7\""]);
        assert_eq!(of(json!("x"), json!("y")), ["    a: x → y"]);
    }

    #[test]
    fn a_change_is_told_by_event_and_key() {
        let before =
            Sources::new([("events/a.paid.yaml", "when: changed(\"x\")\njobs: [mail]\n"), ("events/b.yaml", "a: 1")]);
        let long = "when: |\n  changed(\"status\")\n  && new.status in [\"shipped\", \"delivered\", \"returned\"]\njobs: [mail, audit]\n";
        let after = Sources::new([("events/a.paid.yaml", long), ("jobs/mail.yaml", "log: {}")]);
        let told = lines(&Changes::between(&before, &after)).join("\n");
        let expected = "\
~ a.paid     events/a.paid.yaml
    jobs[audit]
      + audit
    when
      - changed(\"x\")
      + changed(\"status\") ⏎ && new.status in [\"shipped\", \"delivered\", \"returned\"]
- b          events/b.yaml
+ job mail   jobs/mail.yaml";
        assert_eq!(anstream::adapter::strip_str(&told).to_string(), expected);
    }
}
