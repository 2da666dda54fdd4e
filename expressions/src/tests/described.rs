//! What is said of an expression where the columns of its rows are known.

use std::collections::BTreeMap;

use crate::{Column, ColumnType, Expression, Rows, Scope};

fn rows() -> Rows {
    let column = |read, written: &str, values: &[&str]| Column {
        read,
        written: written.into(),
        nullable: written == "jsonb",
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let columns = BTreeMap::from(
        [
            ("amount", column(ColumnType::Number, "numeric", &[])),
            ("active", column(ColumnType::Number, "smallint", &[])),
            ("status", column(ColumnType::Text, "order_status", &["placed", "paid", "shipped"])),
            ("zip", column(ColumnType::Text, "text", &[])),
            ("paid", column(ColumnType::Bool, "boolean", &[])),
            ("tags", column(ColumnType::List, "text[]", &[])),
            ("meta", column(ColumnType::Any, "jsonb", &[])),
        ]
        .map(|(name, column)| (name.to_owned(), column)),
    );
    Rows { table: "public.orders".into(), described: "tables/public.orders.yaml".into(), columns: columns.into() }
}

/// What is said, with the place, the message and the advice.
fn said(expression: &str) -> Vec<String> {
    let compiled = Expression::compile(expression, Scope::Change).expect("compiles");
    let misuses = compiled.misuses(&rows(), true).into_iter();
    misuses.map(|it| format!("{} {}; {}", it.offset, it.message, it.help.unwrap_or_default())).collect()
}

#[test]
fn names_values_and_types_that_no_row_has_are_said_at_their_place() {
    let unknown = |at: usize, name: &str, meant: &str| {
        format!("{at} public.orders has no column `{name}`; did you mean `{meant}`?")
    };
    for (expression, expected) in [
        ("new.statsu == \"paid\"", unknown(4, "statsu", "status")),
        ("old . statsu == \"paid\"", unknown(6, "statsu", "status")),
        ("has(new.amuont)", unknown(8, "amuont", "amount")),
        ("new[\"statsu\"] == \"paid\"", unknown(4, "statsu", "status")),
        ("\"tgas\" in new", unknown(0, "tgas", "tags")),
        ("true && changed(\"staus\")", unknown(16, "staus", "status")),
        ("was(\"zpi\", \"1\")", unknown(4, "zpi", "zip")),
        ("get(new, \"met.a\", 1) == 1", unknown(9, "met", "meta")),
        ("changedAny(\"zip\", \"staus\")", unknown(18, "staus", "status")),
        ("coalesce(row.amont, 1) > 2", unknown(13, "amont", "amount")),
        (
            "new.carrier == \"x\"",
            "4 public.orders has no column `carrier`; tables/public.orders.yaml has active, amount, meta, paid, status, tags, \
             zip; if the table has it, add it there"
                .into(),
        ),
        ("became(\"status\", \"shiped\")", "17 `status` is never \"shiped\"; did you mean \"shipped\"?".into()),
        ("new.status == \"lost\"", "14 `status` is never \"lost\"; its values are placed, paid, shipped".into()),
        ("new.status in [\"paid\", \"shiped\"]", "23 `status` is never \"shiped\"; did you mean \"shipped\"?".into()),
        ("\"Paid\" != old.status", "0 `status` is never \"Paid\"; did you mean \"paid\"?".into()),
        ("new.amount > \"1000\"", "0 a number (`new.amount`) is compared with a text (`\"1000\"`); write 1000, without quotes".into()),
        ("new.tags.length > 3", "9 `tags` is text[], and has no `length`; write `size(new.tags)`".into()),
        ("new.amount == \"1000\"", "14 `amount` is numeric, a number, which no text equals; write 1000, without quotes".into()),
        ("new.active == true", "14 `active` is smallint, a number: 0 and 1 are no truth values; write 1 instead of true".into()),
        ("was(\"active\", false)", "14 `active` is smallint, a number: 0 and 1 are no truth values; write 0 instead of false".into()),
        (
            "new.active",
            "0 `active` is smallint, and a condition is true or false; 0 and 1 are no truth values: write `new.active == 1`".into(),
        ),
        (
            "new.paid && !new.active",
            "13 `active` is smallint, and a condition is true or false; 0 and 1 are no truth values: write `new.active == 1`".into(),
        ),
        (
            "new.zip || new.paid",
            "0 `zip` is text, and a condition is true or false; compare it: `new.zip == \"…\"`".into(),
        ),
        ("new.zip == 8001", "11 `zip` is text, a text, which 8001 never equals; write \"8001\"".into()),
        ("new.paid == 1", "12 `paid` is boolean, which 1 never equals; write true".into()),
        ("new.paid == \"false\"", "12 `paid` is boolean, which \"false\" never equals; write false".into()),
        (
            "new.tags == \"vip\"",
            "12 `tags` is text[], a list, which \"vip\" never equals; for what is in it write `\"vip\" in new.tags`".into(),
        ),
        ("new.amount > new.zip", "0 a number (`new.amount`) is compared with a text (`new.zip`); compare what is of one type".into()),
        ("new.zip > 5", "0 a text (`new.zip`) is compared with a number (`5`); compare what is of one type".into()),
        ("new.amount == new.zip", "0 a number (`new.amount`) is compared with a text (`new.zip`); compare what is of one type".into()),
        (
            "new.zip + 1 == \"x\"",
            "0 cannot compute with a text (`new.zip`) and a number (`1`); `string(x)` makes a text, `num(x)` a number".into(),
        ),
        ("new.status.name == \"x\"", "11 `status` is order_status, and has no `name`; only a JSON column has fields".into()),
        ("get(old, \"zip.x\", 1) == 1", "9 `zip` is text, and has no `x`; only a JSON column has fields".into()),
        ("lower(new.amount) == \"1\"", "6 `amount` is numeric, and a text is wanted here; write `string(new.amount)`".into()),
        ("new.tags.contains(\"x\")", "0 `tags` is text[], and a text is wanted here; for what is in it write `\"…\" in new.tags`".into()),
        ("new.active.matches(\"1\")", "0 `active` is smallint, and a text is wanted here; write `string(new.active)`".into()),
        ("became(\"zip\", null)", "14 `zip` is never null; tables/public.orders.yaml says `nullable: false` of it".into()),
    ] {
        assert_eq!(said(expression), [expected], "{expression}");
    }
}

#[test]
fn what_a_row_can_have_is_left_alone() {
    for expression in [
        "changed(\"status\") && new.status in [\"paid\", \"shipped\"] && new.amount > 1000 && new.amount + 1 < 2e9",
        "new.amount == \"NaN\" || new.active == 1 || new.paid || new.paid == false",
        "new.meta.statsu.x == 1 || new.meta == \"x\" || new.meta",
        "\"vip\" in new.tags && size(new.tags) > 1 && new.tags.exists(tag, tag == \"x\")",
        "new.zip + \"x\" == \"y\" && new.zip.startsWith(\"8\") && new.zip != null && was(\"meta\", null)",
        "session.statsu == \"x\" || new[op] == 1 || payload.statsu == 1 || coalesce(new.zip, 0) == 0",
        "get(new, \"meta.x.y\", 1) == 2 && get(payload, \"x\", 1) == 1 && received - timestamp(new.zip) > duration(\"1h\")",
        "received - timestamp(new.zip) > duration(\"1h\")",
        "get(new, \"meta.x\", 1) == 1 && get(new, \"tags.0\", \"\") == \"x\" && num(new.amount) > 1 && lower(new.status) == \"paid\"",
        "json(new.amount) != \"\" && new.meta.x.lower() == \"a\" && get(session, \"statsu\", 1) == 1",
        "changedAny(\"zip\", \"tags\")",
    ] {
        assert_eq!(said(expression), [] as [String; 0], "{expression}");
    }
    // In data a number is no condition.
    let data = Expression::compile("new.active", Scope::Change).expect("compiles");
    assert_eq!(data.misuses(&rows(), false), []);
}
