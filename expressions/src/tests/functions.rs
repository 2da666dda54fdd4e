use serde_json::json;

use super::{
    super::{Expression, Scope},
    all, all_false, all_true, fails, value_of,
};

const ROW: &str = r#"{"s": "  Héllo World ", "csv": "a,b,,c", "at": "2024-03-10T12:34:56.789Z", "local": "2024-07-01T10:00:00",
    "day": "2024-07-01", "pg": "2024-03-10T12:34:56+05:30", "n": 3, "list": ["x", "y"]}"#;

#[test]
fn what_is_written_for_other_roundings_rounds_as_they_do() {
    let help = |call: &str| {
        let found = Expression::compile(call, Scope::Change).expect_err(call);
        let help = found[0].help.clone().unwrap_or_default();
        help.rsplit('`').nth(1).unwrap_or_default().to_owned()
    };
    for (call, expected) in [
        ("Math.abs(new.total)", ["1.5", "1.5", "2", "2"]),
        ("Math.round(new.total)", ["-2", "2", "-2", "2"]),
        ("floor(new.total)", ["-2", "1", "-2", "2"]),
        ("new.total.ceil()", ["-1", "2", "-2", "2"]),
        ("trunc(new.total)", ["-1", "1", "-2", "2"]),
    ] {
        let written = help(call);
        for (total, expected) in ["-1.5", "1.5", "-2", "2"].iter().zip(expected) {
            let found = value_of(&format!("string({written})"), &format!("{{\"total\":{total}}}"));
            assert_eq!(found, Ok(json!(expected)), "{call}: {written} of {total}");
        }
        assert!(value_of(&format!("{written} > 5"), "{\"total\":1}") == Ok(json!(false)), "{written}");
    }
    assert_eq!(value_of("int(new.total * 100 + 0.5) / 100.0", "{\"total\":1.239}"), Ok(json!(1.24)));
    assert!(
        Expression::compile("new.total.toFixed(2)", Scope::Change).expect_err("it is not there")[0]
            .help
            .as_deref()
            .is_some_and(|help| help.contains("`int(new.total * 100 + 0.5) / 100.0`"))
    );
}

#[test]
fn times_without_end_compare_as_databases_mean_them() {
    let row = r#"{"end":"9999-12-31T23:59:59.999999+00:00","inf":"infinity","neg":"-infinity","day":"9999-12-31","old":"1969-12-31T23:59:59.5Z","t":"2024-01-02T03:04:05Z","far":"12000-01-01T00:00:00Z"}"#;
    all_true(
        row,
        &[
            "timestamp(new.end) > received && timestamp(new.inf) > received && timestamp(new.neg) < received",
            "date(new.inf, \"Europe/Berlin\") == timestamp(new.inf)",
            "date(new.day, \"UTC\") > received && date(\"9999-12-31T23:59:59\", \"-12:00\") > received",
            "timestamp(new.end).getFullYear() == 9999",
            "int(timestamp(new.old)) == -1 && timestamp(new.old).getMilliseconds() == 500",
            "timestamp(new.t) - timestamp(new.neg) > duration(\"1h\")",
        ],
    );
    fails(row, "timestamp(new.far) > received", "years -9999 to 9999");
    fails(row, "timestamp(new.inf) + duration(\"1h\") > received", "beyond");
}

#[test]
fn a_map_with_a_reserved_key_is_read_back_as_it_was_written() {
    let row = r#"{"k":"$serde_json::private::Number"}"#;
    all(row, &[("{new.k: \"abc\"}", json!({"$$serde_json::private::Number": "abc"}))]);
}

#[test]
fn strings_count_characters() {
    all(
        ROW,
        &[
            ("size(\"héé\")", json!(3)),
            ("\"héé\".size()", json!(3)),
            ("size([1, 2])", json!(2)),
            ("new.s.trim()", json!("Héllo World")),
            ("new.s.trim().upperAscii()", json!("HéLLO WORLD")),
            ("new.s.trim().lowerAscii()", json!("héllo world")),
            ("new.csv.split(\",\")", json!(["a", "b", "", "c"])),
            ("new.csv.split(\",\", 2)", json!(["a", "b,,c"])),
            ("\"abc\".split(\"\")", json!(["a", "b", "c"])),
            ("new.list.join(\"-\")", json!("x-y")),
            ("[\"a\", \"b\"].join()", json!("ab")),
            ("\"héllo\".substring(1, 3)", json!("él")),
            ("\"héllo\".substring(2)", json!("llo")),
            ("\"aXbX\".replace(\"X\", \"-\")", json!("a-b-")),
            ("\"aXbX\".replace(\"X\", \"-\", 1)", json!("a-bX")),
            ("\"a\" + \"b\"", json!("ab")),
            ("[1] + [2]", json!([1, 2])),
        ],
    );
    all_true(
        ROW,
        &[
            "new.s.contains(\"World\")",
            "new.csv.startsWith(\"a,\")",
            "new.csv.endsWith(\",c\")",
            "new.csv.matches(\"^a.*c$\")",
            "matches(new.csv, 'b,+c')",
            "new.csv.matches(r'\\w,\\w')",
            "\"a.b\".matches(\"a\" + \"[.]b\")",
        ],
    );
    all_false(ROW, &["new.csv.matches(\"^b\")"]);
    fails(ROW, "new.list.contains(\"x\")", "in list");
    fails(ROW, "new.s.length > 3", "its length is `size(…)`");
    fails(ROW, "\"abc\".substring(4)", "no position 4");
    fails(ROW, "\"abc\".substring(2, 1)", "ends before");
    fails(ROW, "\"abc\".substring(-1)", "negative");
    fails(ROW, "[1].join(\",\")", "list of strings");
    fails(ROW, "\"a\".matches(\"(\" + \"\")", "pattern is wrong");
}

#[test]
fn timestamps_need_a_zone_and_dates_are_given_one() {
    all_true(
        ROW,
        &[
            "timestamp(new.at) < received",
            "timestamp(new.pg) == timestamp(\"2024-03-10T07:04:56Z\")",
            "timestamp(\"-000043-03-15T00:00:00Z\") < timestamp(\"0000-01-01T00:00:00Z\")",
            "timestamp(0) == timestamp(\"1970-01-01T00:00:00Z\")",
            "date(new.local, \"Europe/Berlin\") == timestamp(\"2024-07-01T08:00:00Z\")",
            "date(new.local, \"UTC\") == timestamp(\"2024-07-01T10:00:00Z\")",
            "date(new.day, \"+02:00\") == timestamp(\"2024-06-30T22:00:00Z\")",
            "date(new.at, \"Europe/Berlin\") == timestamp(new.at)",
            "date(\"2024-01-02 03:04:05.6\", \"UTC\") == timestamp(\"2024-01-02T03:04:05.6Z\")",
            "received - timestamp(new.at) > duration(\"24h\")",
            "timestamp(new.at) + duration(\"1h30m\") > timestamp(new.at)",
            "duration(\"90m\") == duration(\"1h30m\")",
            "duration(\"-1.5s\") < duration(\"0s\")",
            "duration(\"1.5s\") * 1 == 1 || true",
            "string(duration(\"1.5s\")) == \"1.5s\"",
            "int(timestamp(1.5 > 1 ? 7 : 0)) == 7",
        ],
    );
    fails(ROW, "timestamp(new.local)", "has no time zone; write date(value, zone)");
    fails(ROW, "timestamp(new.day)", "date(value, zone)");
    fails(ROW, "timestamp(new.csv)", "is no timestamp");
    fails(ROW, "date(new.csv, \"UTC\")", "is no date");
    for before in ["-0043-03-15T00:00:00Z", "-010000-01-01T00:00:00Z", "0044-03-15 BC"] {
        let told = "of the years -9999 to 9999; a year before 0 has six digits";
        fails(ROW, &format!("timestamp(\"{before}\")"), told);
        fails(ROW, &format!("date(\"{before}\", \"UTC\")"), told);
    }
    fails(ROW, "new.at < received", "convert the text with timestamp()");
    fails(ROW, "duration(\"5\")", "no duration");
}

#[test]
fn accessors_count_as_cel_counts() {
    all(
        ROW,
        &[
            ("timestamp(new.at).getFullYear()", json!(2024)),
            ("timestamp(new.at).getMonth()", json!(2)),
            ("timestamp(new.at).getDate()", json!(10)),
            ("timestamp(new.at).getDayOfMonth()", json!(9)),
            ("timestamp(new.at).getDayOfWeek()", json!(0)),
            ("timestamp(new.at).getDayOfYear()", json!(69)),
            ("timestamp(new.at).getHours()", json!(12)),
            ("timestamp(new.at).getHours(\"Asia/Tokyo\")", json!(21)),
            ("timestamp(new.at).getHours(\"-02:00\")", json!(10)),
            ("timestamp(new.at).getMinutes()", json!(34)),
            ("timestamp(new.at).getSeconds()", json!(56)),
            ("timestamp(new.at).getMilliseconds()", json!(789)),
            ("duration(\"90m\").getHours()", json!(1)),
            ("duration(\"90m\").getMinutes()", json!(90)),
            ("timestamp(new.at)", json!("2024-03-10T12:34:56.789Z")),
        ],
    );
}

const NESTED: &str = r#"{"amount": "12.50", "odd": " +07 ", "n": 3, "flag": true, "nothing": null, "name": "Käthe ÉCOLE",
    "address": {"city": "Köln", "zip": null, "lines": ["a", {"b": 1.50}]}, "tags": ["x"], "at": "2024-05-05T07:08:09Z"}"#;

#[test]
fn a_path_leads_to_a_value_or_to_its_default() {
    all(
        NESTED,
        &[
            ("get(new, 'address.city', '?')", json!("Köln")),
            ("get(new.address, 'city', '?')", json!("Köln")),
            ("get(new, 'address.lines.1.b', 0)", serde_json::from_str("1.50").expect("a number")),
            ("get(new, 'tags.0', '?')", json!("x")),
            ("get(new, 'tags', [])", json!(["x"])),
            ("get(new, 'address.lines.2', '?')", json!("?")),
            ("get(new, 'address.lines.x', '?')", json!("?")),
            ("get(new, 'address.lines.+1', '?')", json!("?")),
            ("get(new, 'address.zip', '?')", json!("?")),
            ("get(new, 'address.zip.x', '?')", json!("?")),
            ("get(new, 'address.city.x', '?')", json!("?")),
            ("get(new, 'nope.nope', null)", json!(null)),
            ("get(new.nope, 'a', '?')", json!("?")),
            ("get(new.nothing, 'a', '?')", json!("?")),
            ("get(old, 'id', '?')", json!(1)),
            ("get(session, 'X-Hasura-Role', '?')", json!("driver")),
            ("get({'a': {'b': 2}}, 'a.b', 0)", json!(2)),
            ("get(new, 'address.city', 1 / 0)", json!("Köln")),
            (
                "[1, 2].map(x, get(new, 'address.lines.' + string(x), x))",
                serde_json::from_str(r#"[{"b": 1.50}, 2]"#).expect("JSON"),
            ),
        ],
    );
    fails(NESTED, "get(new, 'a.' + '.b', 0)", "is no path");
    fails(NESTED, "get(new, 'nope', 1 / 0)", "division by zero");
    fails(NESTED, "get(1 / 0, 'a', 0)", "division by zero");
    fails(NESTED, "get(new, 1, 0)", "a path is a text");
}

#[test]
fn a_number_is_read_out_of_a_text() {
    let exact = |text: &str| serde_json::from_str(text).expect("a number");
    all(
        NESTED,
        &[
            ("num(new.amount)", exact("12.50")),
            ("num(new.n)", exact("3")),
            ("num(new.odd)", exact("7")),
            ("num('1' + '.50')", exact("1.5")),
            ("num(7) / 2", exact("3.5")),
        ],
    );
    all_true(NESTED, &["num(new.amount) > 12.49 && num(new.amount) == 12.5", "num(new.amount) + new.n == 15.5"]);
    fails(NESTED, "num(new.name)", "is no number");
    fails(NESTED, "num('')", "is no number");
    fails(NESTED, "num('NaN')", "is no number");
    fails(NESTED, "num(new.flag)", "a bool is no number");
    fails(NESTED, "num(new.tags)", "a list");
    super::absent(NESTED, "num(new.nothing)", "new.nothing is null");
}

#[test]
fn a_value_is_written_as_json() {
    all(
        NESTED,
        &[
            ("json(new.address)", json!(r#"{"city":"Köln","lines":["a",{"b":1.50}],"zip":null}"#)),
            ("json(new.amount)", json!(r#""12.50""#)),
            ("json(new.nothing)", json!("null")),
            (
                "json([1, 2.50, 'a\"b\\n', true, received, duration('90s')])",
                json!(r#"[1,2.50,"a\"b\n",true,"2024-05-06T07:08:09Z","90s"]"#),
            ),
            ("json({'b': new.n, 'a': [new.tags], 1: null})", json!(r#"{"1":null,"a":[["x"]],"b":3}"#)),
            ("json(1.0 / 4)", json!("0.25")),
            ("'old: ' + json(old)", json!(r#"old: {"id":1,"price":3,"status":"en route"}"#)),
        ],
    );
    super::absent(NESTED, "json(new.nope)", "new.nope is missing");
    fails(NESTED, "json(b'a')", "bytes have no JSON");
}

#[test]
fn letters_of_all_languages_have_two_cases() {
    all(
        NESTED,
        &[
            ("lower(new.name)", json!("käthe école")),
            ("new.name.upper()", json!("KÄTHE ÉCOLE")),
            ("upper('ß')", json!("SS")),
        ],
    );
    fails(NESTED, "lower(new.n)", "a string is wanted");
    super::absent(NESTED, "lower(new.nothing)", "new.nothing is null");
}

#[test]
fn times_are_computed_with() {
    all(
        NESTED,
        &[
            ("received - timestamp(new.at)", json!("86400s")),
            ("timestamp(new.at) + duration('36h')", json!("2024-05-06T19:08:09Z")),
            ("duration('1m') * new.n", json!("180s")),
            ("0.5 * duration('1m')", json!("30s")),
            ("duration('1s') / 3", json!("0.333333333s")),
            ("-duration('1s') / 3", json!("-0.333333333s")),
            ("(received - timestamp(new.at)) / duration('1h')", json!(24)),
            ("duration('90m') / duration('1h')", serde_json::from_str("1.5").expect("a number")),
        ],
    );
    all_true(
        NESTED,
        &["received - timestamp(new.at) >= duration('24h')", "duration('24h') * 7 > received - timestamp(new.at)"],
    );
    fails(NESTED, "duration('1h') * 1e30", "beyond");
    fails(NESTED, "duration('1h') / 0", "division by zero");
    fails(NESTED, "duration('1h') / duration('0s')", "division by zero");
    fails(NESTED, "duration('1h') * duration('1h')", "cannot compute");
    fails(NESTED, "received * 2", "cannot compute");
}
