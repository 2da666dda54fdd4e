//! The name of a table's trigger: the same for as long as the table has its name, and no other table's.

use catalog::Table;
use uuid::Uuid;

use super::DEFAULT_SOURCE;

/// What Hasura takes, for a message.
pub(super) const RULE: &str = "it takes at most 42 letters, digits, `_` and `-`, and a letter first";
/// How long a name may be: the functions that Hasura makes of it have to fit into 63 bytes.
const LONGEST: usize = 42;
/// How many digits tell two names apart that would look the same.
const DIGITS: usize = 8;

/// Whether Hasura takes it.
pub(super) fn is_fine(name: &str) -> bool {
    name.len() <= LONGEST
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `herald-public-orders`; with the source where it is not the default one. Where it had to be changed to fit, digits follow that
/// are derived from what it was.
pub(crate) fn of(source: &str, table: &Table) -> String {
    let parts = if source == DEFAULT_SOURCE {
        vec!["herald", &table.schema, &table.name]
    } else {
        vec!["herald", source, &table.schema, &table.name]
    };
    // A `-` within a part would make two tables one name.
    let plain = |part: &str| part.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let name = parts.iter().map(|part| plain(part)).collect::<Vec<_>>().join("-");
    let is_itself = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    if is_itself && name.len() <= LONGEST {
        return name;
    }
    let digits = Uuid::new_v5(&Uuid::NAMESPACE_URL, parts.join("\0").as_bytes()).simple().to_string();
    let kept = &name[..name.len().min(LONGEST - DIGITS - 1)];
    format!("{kept}-{}", &digits[..DIGITS])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn table(schema: &str, name: &str) -> Table {
        Table { schema: schema.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_name_is_the_table_and_hasura_takes_it() {
        assert_eq!(of("default", &table("public", "order_lines")), "herald-public-order_lines");
        assert_eq!(of("billing", &table("public", "orders")), "herald-billing-public-orders");
        // Committed metadata names these.
        let long = "a_table_whose_name_is_rather_long_for_a_trigger";
        assert_eq!(of("default", &table("public", long)), "herald-public-a_table_whose_name_-63c982a4");
        let names: BTreeSet<String> = [
            ("default", "public", long),
            ("default", "public", &long[1..]),
            ("default", "public", "a b"),
            ("default", "public", "a-b"),
            ("default", "public", "a_b"),
            ("default", "public", "ä_b"),
            ("a", "b", "c"),
            ("default", "a-b", "c"),
            ("default", "a", "b-c"),
            ("a.b", "public", "c"),
        ]
        .map(|(source, schema, name)| of(source, &table(schema, name)))
        .into();
        assert_eq!(names.len(), 10, "{names:?}");
        assert!(names.iter().all(|name| is_fine(name)), "{names:?}");
    }
}
