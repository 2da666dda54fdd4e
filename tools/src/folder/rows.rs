//! A change that is given as its rows.

use std::fmt;

use clap::Args;
use client::exit::Usage;
use contracts::hasura;
use serde_json::{Map, Value, json};

/// See the module.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Rows {
    /// Instead of a payload: the table that changes, `orders` or `shop.orders`
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// What happens to the row: insert, update, delete or manual; else what the rows that are given say
    #[arg(long, value_name = "OPERATION", value_parser = ["insert", "update", "delete", "manual"], ignore_case = true)]
    pub(crate) op: Option<String>,
    /// The row before, as JSON
    #[arg(long, value_name = "JSON", value_parser = row)]
    pub(crate) old: Option<Value>,
    /// The row after, as JSON
    #[arg(long, value_name = "JSON", value_parser = row)]
    pub(crate) new: Option<Value>,
    /// A column, as in new.status=shipped; without `new.` or `old.` of every row that there is. What is JSON is read as such, and
    /// all else is a text. May be repeated
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = set)]
    pub(crate) set: Vec<Set>,
}

/// One column of one row, or of both.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Set {
    /// `old` or `new`; none of every row that there is.
    row: Option<&'static str>,
    /// The column, and the way to what is within it.
    path: Vec<String>,
    value: Value,
}

fn row(text: &str) -> Result<Value, String> {
    match hasura::parse(text.as_bytes()) {
        Ok(row @ Value::Object(_)) => Ok(row),
        Ok(_) => Err("a row is a JSON object, as in {\"id\": 1}".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

fn set(text: &str) -> Result<Set, String> {
    let wanted = || "write a column and its value, as in new.status=shipped".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(wanted)?;
    let row = ["old", "new"].into_iter().find(|row| name.strip_prefix(row).is_some_and(|rest| rest.starts_with('.')));
    let path: Vec<String> = name.split('.').skip(row.iter().len()).map(str::to_owned).collect();
    if path.iter().any(String::is_empty) || name == "old" || name == "new" {
        return Err(wanted());
    }
    let value = hasura::parse(value.as_bytes()).unwrap_or_else(|_| value.into());
    Ok(Set { row, path, value })
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row.map(|row| format!("{row}.")).unwrap_or_default();
        write!(f, "{row}{}", self.path.join("."))
    }
}

impl Set {
    fn put(&self, row: &mut Value) {
        let Some((last, way)) = self.path.split_last() else { return };
        let mut at = row;
        for name in way {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            at = &mut at[name.as_str()];
        }
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at[last.as_str()] = self.value.clone();
    }
}

/// Sets a column of a body's rows, as `--set` does.
///
/// # Errors
/// It is not written as a column and its value, or the body has no such row.
pub(super) fn set_in(body: &mut Value, text: &str) -> Result<(), String> {
    let set = set(text)?;
    let mut found = false;
    for name in ["old", "new"].into_iter().filter(|row| set.row.is_none_or(|wanted| wanted == *row)) {
        if let Some(row) = body.pointer_mut(&format!("/event/data/{name}")).filter(|row| row.is_object()) {
            set.put(row);
            found = true;
        }
    }
    let row = set.row.map(|row| format!("{row} row")).unwrap_or_else(|| "row".to_owned());
    if found { Ok(()) } else { Err(format!("the change has no {row}")) }
}

/// What a change has that none of its operation has, if anything.
pub(super) fn contradiction(body: &Value) -> Option<String> {
    let event = hasura::unwrap(body).get("event")?;
    let op = event.get("op")?.as_str()?;
    let (unwanted, wanted) = match op {
        "INSERT" => ("old", "new"),
        "DELETE" => ("new", "old"),
        _ => return None,
    };
    let row = event.get("data")?.get(unwanted).filter(|row| !row.is_null());
    row.map(|_| format!("Hasura sends no `{unwanted}` row of {op}: it has `{wanted}` alone, and UPDATE has both"))
}

impl Rows {
    /// Whether a row or an operation is given.
    pub(super) fn has_rows(&self) -> bool {
        self.op.is_some() || self.old.is_some() || self.new.is_some() || !self.set.is_empty()
    }

    /// What Hasura would send.
    ///
    /// # Errors
    /// Rows are given that the operation does not have, or two values for one place.
    pub(crate) fn body(&self) -> Result<Value, Usage> {
        if let Some((one, other)) = self.twice() {
            return Err(Usage(format!(
                "--set {one} and --set {other} are about the same place, which has one value: leave one out"
            )));
        }
        let body = self.made();
        contradiction(&body).map_or(Ok(body), |odd| Err(Usage(odd)))
    }

    /// Two columns of which one is the other, or within it.
    fn twice(&self) -> Option<(&Set, &Set)> {
        let is_same_row = |a: &Set, b: &Set| a.row.is_none() || b.row.is_none() || a.row == b.row;
        let is_same = |a: &Set, b: &Set| a.path.iter().zip(&b.path).all(|(a, b)| a == b) && is_same_row(a, b);
        let mut each = self.set.iter().enumerate();
        each.find_map(|(at, one)| self.set[at + 1..].iter().find(|other| is_same(one, other)).map(|other| (one, other)))
    }

    fn made(&self) -> Value {
        let has = |row: &str| self.set.iter().any(|set| set.row == Some(row));
        let (has_old, has_new) = (self.old.is_some() || has("old"), self.new.is_some() || has("new"));
        let op = match (&self.op, has_old, has_new) {
            (Some(op), ..) => op.to_uppercase(),
            (None, true, true) => "UPDATE".to_owned(),
            (None, true, false) => "DELETE".to_owned(),
            (None, false, true) => "INSERT".to_owned(),
            (None, false, false) if self.set.is_empty() => "MANUAL".to_owned(),
            (None, false, false) => "INSERT".to_owned(),
        };
        let is_set = !self.set.is_empty();
        let mut old =
            self.old.clone().or_else(|| (has_old || is_set && matches!(&*op, "UPDATE" | "DELETE")).then(empty));
        let mut new = self.new.clone().or_else(|| (has_new || is_set && op != "DELETE").then(empty));
        for set in &self.set {
            for (name, row) in [("old", &mut old), ("new", &mut new)] {
                if let Some(row) = row.as_mut().filter(|_| set.row.is_none_or(|wanted| wanted == name)) {
                    set.put(row);
                }
            }
        }
        let table = self.table.as_deref().unwrap_or("row");
        let (schema, name) = table.split_once('.').unwrap_or(("public", table));
        json!({
            "id": "",
            "created_at": "",
            "table": { "schema": schema, "name": name },
            "event": { "op": op, "data": { "old": old, "new": new }, "session_variables": null },
        })
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_the_operation_does_not_have_is_told() {
        let odd = |op: &str, old: Value, new: Value| {
            contradiction(&json!({ "event": { "op": op, "data": { "old": old, "new": new } } }))
        };
        assert!(odd("INSERT", json!({}), json!({})).is_some_and(|told| told.contains("no `old` row of INSERT")));
        assert!(odd("DELETE", json!({}), json!({})).is_some_and(|told| told.contains("no `new` row of DELETE")));
        for (op, old, new) in
            [("INSERT", json!(null), json!({})), ("UPDATE", json!({}), json!({})), ("MANUAL", json!({}), json!({}))]
        {
            assert_eq!(odd(op, old, new), None, "{op}");
        }
    }

    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        rows: Rows,
    }

    fn event(arguments: &[&str]) -> String {
        let Alone { rows } = clap::Parser::parse_from([&["x", "--table", "orders"], arguments].concat());
        let event = &rows.body().expect("a body")["event"];
        format!("{} {} {}", event["op"].as_str().unwrap_or_default(), event["data"]["old"], event["data"]["new"])
    }

    #[test]
    fn rows_are_made_of_json_and_of_single_columns() {
        for (arguments, told) in [
            (
                &["--set", "new.status=shipped", "--set", "new.n=1.10"][..],
                r#"INSERT null {"n":1.10,"status":"shipped"}"#,
            ),
            (&["--set", "id=7"], r#"INSERT null {"id":7}"#),
            (&["--op", "delete", "--set", "id=7"], r#"DELETE {"id":7} null"#),
            (
                &["--set", "old.status=a", "--set", "new.status=b", "--set", "id=7"],
                r#"UPDATE {"id":7,"status":"a"} {"id":7,"status":"b"}"#,
            ),
            (&["--op", "UPDATE", "--set", "new.a=x y=z"], r#"UPDATE {} {"a":"x y=z"}"#),
            (
                &["--old", r#"{"a":1}"#, "--new", r#"{"a":2,"o":{"k":1}}"#, "--set", "new.o.e=true"],
                r#"UPDATE {"a":1} {"a":2,"o":{"e":true,"k":1}}"#,
            ),
            (&["--new", r#"{"a":2}"#, "--set", "new.a.b=null"], r#"INSERT null {"a":{"b":null}}"#),
            (&["--set", "new.t=\"7\"", "--set", "new.e="], r#"INSERT null {"e":"","t":"7"}"#),
            (&[], "MANUAL null null"),
        ] {
            assert_eq!(event(arguments), told, "{arguments:?}");
        }
    }

    #[test]
    fn rows_that_contradict_one_another_are_refused() {
        let refused = |arguments: &[&str]| {
            let Alone { rows } = clap::Parser::parse_from([&["x", "--table", "orders"], arguments].concat());
            rows.body().expect_err("refused").to_string()
        };
        assert!(refused(&["--op", "delete", "--set", "new.id=7"]).contains("no `new` row of DELETE"));
        assert!(refused(&["--op", "insert", "--set", "old.id=1"]).contains("no `old` row of INSERT"));
        for (one, other) in
            [("new.a", "new.a.b"), ("new.a.b", "new.a"), ("id", "id"), ("id", "old.id"), ("old.a.b", "a")]
        {
            let told = refused(&["--set", &format!("{one}=1"), "--set", &format!("{other}=2")]);
            assert!(told.contains(&format!("--set {one} and --set {other} are")), "{told}");
        }
        let fine = event(&["--set", "old.a=1", "--set", "new.a=2", "--set", "new.b.c=1", "--set", "new.b.d=1"]);
        assert_eq!(fine, r#"UPDATE {"a":1} {"a":2,"b":{"c":1,"d":1}}"#);
    }

    #[test]
    fn what_is_no_row_or_column_is_told_how_it_is_written() {
        assert!(row("[1]").is_err_and(|error| error.contains("object")));
        assert_eq!(row("{\"id\": 1.10}").expect("a row").to_string(), "{\"id\":1.10}");
        for wrong in ["status", "=1", "new.=1", "new=1", "old=1", "new..a=1"] {
            assert!(set(wrong).is_err_and(|error| error.contains("new.status=shipped")), "{wrong}");
        }
    }
}
