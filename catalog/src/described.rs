//! Tables whose columns are known: what expressions are checked against, and by what type columns are read.
//!
//! A change of such a table is read once, before anything looks at it, so that conditions, data, keys, glances and explanations
//! see the same: a number that was sent as a text is a number.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use contracts::hasura;
use expressions::{Column, ColumnType, Rows};
use serde_json::{Number, Value};

use crate::detector::{Selector, Table, Tables};

/// What databases call the types that are read as numbers.
const NUMBERS: [&str; 20] = [
    "smallint",
    "integer",
    "bigint",
    "int",
    "int2",
    "int4",
    "int8",
    "tinyint",
    "mediumint",
    "smallserial",
    "serial",
    "bigserial",
    "oid",
    "numeric",
    "decimal",
    "real",
    "float",
    "float4",
    "float8",
    "double precision",
];
/// … as texts.
const TEXTS: [&str; 35] = [
    "text",
    "character varying",
    "varchar",
    "character",
    "char",
    "bpchar",
    "\"char\"",
    "nvarchar",
    "nchar",
    "name",
    "citext",
    "uuid",
    "uniqueidentifier",
    "date",
    "time",
    "timetz",
    "time without time zone",
    "time with time zone",
    "timestamp",
    "timestamptz",
    "timestamp without time zone",
    "timestamp with time zone",
    "datetime",
    "datetime2",
    "datetimeoffset",
    "interval",
    "bytea",
    "money",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "xml",
    "tsvector",
    "enum",
];
/// … as whatever comes.
const ANYTHING: [&str; 6] = ["json", "jsonb", "bit", "bit varying", "geometry", "geography"];

/// A table whose columns are known.
#[derive(Debug, Clone)]
pub struct Described {
    pub(crate) table: Table,
    pub(crate) source: Option<String>,
    pub(crate) columns: Arc<BTreeMap<String, Column>>,
    pub(crate) file: Arc<str>,
    /// The columns that are read as numbers.
    numbers: Vec<String>,
}

/// All of them, by schema and name; those of one name differ by source.
#[derive(Debug, Clone, Default)]
pub(crate) struct DescribedTables {
    by_schema: HashMap<String, HashMap<String, Vec<Described>>>,
}

/// As what a type is read, in the words of the database; or the known type that was meant.
pub(crate) fn read_as(written: &str) -> Result<ColumnType, &'static str> {
    let mut name = written.to_lowercase();
    while let Some((open, close)) = name.find('(').zip(name.find(')')).filter(|(open, close)| open < close) {
        name.replace_range(open..=close, " ");
    }
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.ends_with("[]") || name.ends_with(" array") || name == "array" {
        return Ok(ColumnType::List);
    }
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let is_one = |of: &[&str]| of.contains(&name);
    Ok(match name {
        "boolean" | "bool" => ColumnType::Bool,
        _ if is_one(&NUMBERS) => ColumnType::Number,
        _ if is_one(&TEXTS) => ColumnType::Text,
        _ if is_one(&ANYTHING) => ColumnType::Any,
        _ => {
            let known = NUMBERS.iter().chain(&TEXTS).chain(&ANYTHING).chain(&["boolean"]);
            match expressions::closest(name, known.copied()) {
                // A type of the database's own may have any name; a longer one that is nearly one of these has not.
                Some(meant) if name.len() > 3 => return Err(meant),
                _ => ColumnType::Any,
            }
        }
    })
}

impl Described {
    pub(crate) fn new(table: Table, source: Option<String>, columns: BTreeMap<String, Column>, file: Arc<str>) -> Self {
        let is_number = |(name, column): (&String, &Column)| (column.read == ColumnType::Number).then(|| name.clone());
        let numbers = columns.iter().filter_map(is_number).collect();
        Self { table, source, columns: columns.into(), file, numbers }
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The source that it is of; every one that no other description of the table names, if it names none.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Its columns, by name.
    pub fn columns(&self) -> &BTreeMap<String, Column> {
        &self.columns
    }

    /// Makes numbers of the numbers of a row that were sent as texts. `NaN` and what is infinite stay texts.
    pub(crate) fn read(&self, row: &mut Value) {
        let Value::Object(row) = row else { return };
        for name in &self.numbers {
            if let Some(value) = row.get_mut(name)
                && let Value::String(text) = value
                && let Ok(number) = text.parse::<Number>()
            {
                *value = Value::Number(number);
            }
        }
    }

    pub(crate) fn rows(&self) -> Rows {
        Rows { table: self.table.to_string(), described: self.file.to_string(), columns: self.columns.clone() }
    }
}

impl DescribedTables {
    /// Adds one; the file that describes the same table of the same source already, if there is one.
    pub(crate) fn add(&mut self, described: Described) -> Result<(), Arc<str>> {
        let Table { schema, name } = described.table.clone();
        let of_name = self.by_schema.entry(schema).or_default().entry(name).or_default();
        match of_name.iter().find(|other| other.source == described.source) {
            Some(other) => Err(other.file.clone()),
            None => {
                of_name.push(described);
                Ok(())
            }
        }
    }

    /// Every one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Described> {
        self.by_schema.values().flat_map(HashMap::values).flatten()
    }

    fn named(&self, schema: &str, name: &str) -> &[Described] {
        self.by_schema.get(schema).and_then(|schema| schema.get(name)).map_or(&[], Vec::as_slice)
    }

    /// That of a table of a source, if it is known.
    pub(crate) fn of(&self, schema: &str, name: &str, source: &str) -> Option<&Described> {
        let named = self.named(schema, name);
        let of_source = named.iter().find(|described| described.source.as_deref() == Some(source));
        of_source.or_else(|| named.iter().find(|described| described.source.is_none()))
    }

    /// The rows that an event may see; none if they may be of a table that is not described.
    pub(crate) fn rows(&self, selector: &Selector) -> Option<Rows> {
        let Tables::These(tables) = &selector.tables else { return None };
        let mut all = Vec::new();
        for Table { schema, name } in tables {
            match &selector.source {
                Some(source) => all.push(self.of(schema, name, source)?),
                None => {
                    let named = self.named(schema, name);
                    named.iter().find(|described| described.source.is_none())?;
                    all.extend(named);
                }
            }
        }
        let mut rows = all.iter().map(|described| described.rows());
        let first = rows.next()?;
        Some(rows.fold(first, either))
    }

    /// Whether a table is described, in whichever source.
    pub(crate) fn has(&self, table: &Table) -> bool {
        !self.named(&table.schema, &table.name).is_empty()
    }

    /// Reads the rows of a Hasura body, wrapped or not, by their columns' types.
    pub(crate) fn read(&self, body: &mut Value, source: &str) {
        if self.by_schema.is_empty() {
            return;
        }
        let body = hasura::unwrap_mut(body);
        let table = body.get("table");
        let text = |key: &str| table.and_then(|table| table.get(key)).and_then(Value::as_str);
        let Some(name) = text("name") else { return };
        let Some(described) = self.of(text("schema").unwrap_or("public"), name, source) else { return };
        if described.numbers.is_empty() {
            return;
        }
        let Some(data) = body.pointer_mut("/event/data") else { return };
        for row in ["old", "new"] {
            data.get_mut(row).into_iter().for_each(|row| described.read(row));
        }
    }
}

/// Rows that are of the one table or of the other: what is known of both.
fn either(mut one: Rows, other: Rows) -> Rows {
    if one.table != other.table {
        one.table = format!("{} and {}", one.table, other.table);
    }
    one.described = format!("{} and {}", one.described, other.described);
    let columns = Arc::make_mut(&mut one.columns);
    for column in columns.iter_mut().filter(|(name, _)| !other.columns.contains_key(*name)) {
        column.1.nullable = true;
    }
    for (name, column) in &*other.columns {
        let Some(known) = columns.get_mut(name) else {
            columns.insert(name.clone(), Column { nullable: true, ..column.clone() });
            continue;
        };
        if known.read != column.read {
            known.read = ColumnType::Any;
        }
        known.nullable |= column.nullable;
        let has_any = known.values.is_empty() || column.values.is_empty();
        known.values = if has_any { Vec::new() } else { [known.values.as_slice(), &column.values].concat() };
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_in_the_words_of_the_database() {
        for (written, read) in [
            ("numeric(10, 2)", ColumnType::Number),
            ("BIGINT", ColumnType::Number),
            ("double precision", ColumnType::Number),
            ("character varying(255)", ColumnType::Text),
            ("timestamp(3) with time zone", ColumnType::Text),
            ("pg_catalog.bool", ColumnType::Bool),
            ("text[]", ColumnType::List),
            ("numeric(10,2)[]", ColumnType::List),
            ("jsonb", ColumnType::Any),
            ("order_status", ColumnType::Any),
            ("int4range", ColumnType::Any),
            ("a)b(", ColumnType::Any),
        ] {
            assert_eq!(read_as(written), Ok(read), "{written}");
        }
        assert_eq!(read_as("interger"), Err("integer"));
        assert_eq!(read_as("varhcar(20)"), Err("varchar"));
    }
}
