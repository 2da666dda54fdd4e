//! A change that is given on the command line: what Hasura sends, or its rows.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

use clap::Args;
use client::exit::Usage;
use contracts::hasura;
use serde_json::{Value, json};

/// See the module.
#[derive(Debug, Clone, Args)]
pub(super) struct Given {
    /// What Hasura sends, as a file, or - for standard input
    #[arg(value_name = "PAYLOAD", conflicts_with_all = ["table", "op", "old", "new"])]
    payload: Option<PathBuf>,
    /// Instead of a payload: the table that changes, `orders` or `shop.orders`
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// What happens to the row: insert, update, delete or manual; else what the rows that are given say
    #[arg(long, value_name = "OPERATION", value_parser = ["insert", "update", "delete", "manual"])]
    op: Option<String>,
    /// The row before, as JSON
    #[arg(long, value_name = "JSON", value_parser = row)]
    old: Option<Value>,
    /// The row after, as JSON
    #[arg(long, value_name = "JSON", value_parser = row)]
    new: Option<Value>,
    /// Who sends it, as in /hasura/{source}
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = client::send::source)]
    pub(super) source: String,
}

fn row(text: &str) -> Result<Value, String> {
    match hasura::parse(text.as_bytes()) {
        Ok(row @ Value::Object(_)) => Ok(row),
        Ok(_) => Err("a row is a JSON object, as in {\"id\": 1}".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

impl Given {
    /// Whether there is a payload, or a table that changes.
    pub(super) fn is_change(&self) -> bool {
        self.payload.is_some() || self.table.is_some()
    }

    /// What Hasura would send.
    pub(super) fn body(&self) -> anyhow::Result<Value> {
        let Some(path) = &self.payload else { return Ok(self.change()) };
        let is_stdin = path.as_os_str() == "-";
        let shown = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let mut bytes = Vec::new();
        let read = if is_stdin {
            io::stdin().lock().read_to_end(&mut bytes).map(drop)
        } else {
            fs::read(path).map(|read| bytes = read)
        };
        read.map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
        hasura::parse(&bytes).map_err(|error| Usage(format!("{shown} is no JSON: {error}")).into())
    }

    fn change(&self) -> Value {
        let table = self.table.as_deref().unwrap_or("row");
        let (schema, name) = table.split_once('.').unwrap_or(("public", table));
        let op = match (&self.op, &self.old, &self.new) {
            (Some(op), ..) => op.to_uppercase(),
            (None, Some(_), Some(_)) => "UPDATE".to_owned(),
            (None, Some(_), None) => "DELETE".to_owned(),
            (None, None, Some(_)) => "INSERT".to_owned(),
            (None, None, None) => "MANUAL".to_owned(),
        };
        json!({
            "table": { "schema": schema, "name": name },
            "event": {
                "op": op,
                "data": { "old": self.old, "new": self.new },
                "session_variables": null,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_an_object() {
        assert!(row("[1]").is_err_and(|error| error.contains("object")));
        assert_eq!(row("{\"id\": 1.10}").expect("a row").to_string(), "{\"id\":1.10}");
    }
}
