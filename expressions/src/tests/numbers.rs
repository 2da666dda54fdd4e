use super::{
    super::{Bindings, Expression, Scope},
    all, all_false, all_true, fails, value_of,
};
use serde_json::json;

const ROW: &str = r#"{"i": 5, "d": 19.90, "e": 1.990e1, "z": 0.0, "big": 9007199254740993, "huge": 123456789012345678901234567890,
    "far": 1e1000000000, "tiny": 5.0e-2, "max": 9223372036854775807, "text": "19.9", "neg": -3}"#;

#[test]
fn ints_and_decimals_compare_by_value_whichever_side_the_literal_is_on() {
    all_true(
        ROW,
        &[
            "new.i == 5",
            "5 == new.i",
            "new.i == 5.0",
            "5.0 == new.i",
            "new.i == 5.00",
            "new.i == 5e0",
            "50e-1 == new.i",
            "new.d == 19.9",
            "19.9 == new.d",
            "new.d == new.e",
            "new.d > 19",
            "19 < new.d",
            "new.d >= 19.90",
            "new.d < 20",
            "20 > new.d",
            "new.tiny == 0.05",
            "0.05 == new.tiny",
            "new.i != 6",
            "6 != new.i",
            "new.neg < 0",
            "-3 == new.neg",
            "new.neg == -3.0",
            "new.z == 0",
            "0 == new.z",
            "-0.0 == 0",
            "new.i == 5u",
            "5u == new.i",
            "0x5 == new.i",
        ],
    );
    all_false(ROW, &["new.d == \"19.9\"", "new.text == 19.9", "new.i == \"5\"", "\"5\" == new.i", "new.d > 19.9"]);
}

#[test]
fn large_integers_are_exact() {
    all_true(
        ROW,
        &[
            "new.big == 9007199254740993",
            "new.big != 9007199254740992",
            "new.big != 9007199254740992.0",
            "9007199254740992.0 != new.big",
            "new.big > 9007199254740992.0",
            "new.huge > new.max",
            "new.huge == 123456789012345678901234567890.0",
            "123456789012345678901234567890.0 == new.huge",
            "new.far > new.huge",
            "5 < new.far",
            "new.far == new.far",
            "0.1 + 0.2 == 0.3",
        ],
    );
}

#[test]
fn ints_and_decimals_mix_in_arithmetic() {
    all(
        ROW,
        &[
            ("new.i + 1", json!(6)),
            ("1 + new.i", json!(6)),
            ("new.i - 2", json!(3)),
            ("10 - new.i", json!(5)),
            ("7 / 2", json!(3)),
            ("-7 / 2", json!(-3)),
            ("new.i % 3", json!(2)),
            ("-new.i", json!(-5)),
            ("- -new.i", json!(5)),
        ],
    );
    for (expression, expected) in [
        ("new.i * 1.5", "7.5"),
        ("1.5 * new.i", "7.5"),
        ("new.d * 2", "39.8"),
        ("2 * new.d", "39.8"),
        ("7.0 / 2", "3.5"),
        ("7 / 2.0", "3.5"),
        ("new.max + 1", "9223372036854775808"),
        ("1 + new.max", "9223372036854775808"),
        ("new.max * new.max", "85070591730234615847396907784232501249"),
        ("new.huge + 1", "123456789012345678901234567891"),
        ("0.1 + 0.2", "0.3"),
        ("1.5 + 1.5", "3"),
        ("1.0 / 3", "0.3333333333333333333333333333333333"),
        ("2.50 * 1e900", "2.5e+900"),
        ("0.25 * 1e-900", "2.5e-901"),
        ("-10 * 1e900", "-1e+901"),
    ] {
        assert_eq!(value_of(expression, ROW).map(|value| value.to_string()), Ok(expected.to_owned()), "{expression}");
    }
}

#[test]
fn what_is_only_passed_on_keeps_its_digits() {
    for (expression, expected) in [
        ("new.d", "19.90"),
        ("new.e", "1.990e1"),
        ("new.far", "1e1000000000"),
        ("new.huge", "123456789012345678901234567890"),
        ("[new.d]", "[19.90]"),
        ("{\"a\": new.e}", r#"{"a":1.990e1}"#),
        ("coalesce(new.nope, new.d)", "19.90"),
        ("true ? new.d : 0", "19.90"),
        ("double(new.d)", "19.90"),
    ] {
        // Exponents are written as serde_json writes them, e or E with a sign; the digits are those that came.
        let shown = value_of(expression, ROW).map(|value| value.to_string().replace("e+", "e"));
        assert_eq!(shown, Ok(expected.to_owned()), "{expression}");
    }
}

#[test]
fn what_cannot_be_computed_is_a_failure() {
    fails(ROW, "1 / 0", "division by zero");
    fails(ROW, "new.i % 0", "division by zero");
    fails(ROW, "1 / new.z", "division by zero");
    fails(ROW, "new.far + 1", "too many to compute with");
    fails(ROW, "1 + new.far", "too many to compute with");
    fails(ROW, "new.d % 2", "`%` is for whole numbers");
    fails(ROW, "7 % 1.5", "`%` is for whole numbers");
    fails(ROW, "new.i % new.z", "division by zero");
    fails(ROW, "new.i / 0", "division by zero");
    fails(ROW, "new.text > 5", "convert the text with num()");
    fails(ROW, "num(new.text) > \"5\"", "; write 5, without quotes");
    fails(ROW, "\"abc\" > num(new.text)", "; \"abc\" is no number");
    fails(
        r#"{"at": "2024-01-31"}"#,
        "dyn(new.at).getHours() > 3",
        "dyn(new.at) is a string, and a timestamp is wanted here; convert it",
    );
    let (one, null) = (Expression::compile("1", Scope::Change), Expression::compile("null", Scope::Change));
    for (expression, told) in [(one, "1 is an int, and a condition is true or false"), (null, "the value is null")] {
        let expression = expression.expect("it compiles");
        let stop = expression.holds(&Bindings::default()).expect_err("it is no condition");
        assert_eq!(expression.describe(&stop), told);
    }
    fails(ROW, "new.text + 1", "cannot compute");
}

#[test]
fn conversions_are_exact() {
    all_true(
        ROW,
        &[
            "double(new.text) == new.d",
            "int(\"42\") == 42",
            "int(new.d) == 19",
            "int(-1.9) == -1",
            "uint(5) == 5",
            "string(new.d) == \"19.90\"",
            "string(5) == \"5\"",
            "string(true) == \"true\"",
            "string(1.5 + 1) == \"2.5\"",
            "double(\"1e3\") == 1000",
            "type(new.d) == double",
            "type(new.i) == double",
            "type(5) == int && type(size('abc')) == int && type(int(new.i)) == int",
            "type(new.i + 1) == double",
            "type(double(5)) == double",
            "bool(\"true\")",
            "string(b\"abc\") == \"abc\"",
            "bytes(\"abc\") == b\"abc\"",
        ],
    );
    fails(ROW, "int(\"x\")", "no whole number");
    fails(ROW, "int(new.huge)", "64 bits");
    fails(ROW, "double(\"inf\")", "no number");
    fails(ROW, "uint(-1)", "not negative");
}

#[test]
fn a_quotient_is_whole_only_between_ints_of_the_expression() {
    for (expression, expected) in [
        // Literals, `int()` and `size()`, and what is computed of those.
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("(3 + 4) / 2", "3"),
        ("int(new.i) / 2", "2"),
        ("size('abcdefg') / 2", "3"),
        ("timestamp('2024-01-01T07:00:00Z').getHours() / 2", "3"),
        ("7 % 4", "3"),
        ("-7 % 4", "-3"),
        // A point, or a number out of the data, whatever it looks like.
        ("7.0 / 2", "3.5"),
        ("7 / 2.0", "3.5"),
        ("double(7) / 2", "3.5"),
        ("new.i / 2", "2.5"),
        ("7 / new.two", "3.5"),
        ("new.i / new.two", "2.5"),
        ("(new.i + 2) / 2", "3.5"),
        ("new.four / 2", "2"),
        ("new.i / 3 * 3", "5.000000000000000000000000000000001"),
        ("2 / new.three", "0.6666666666666666666666666666666667"),
        ("new.huge / 1", "123456789012345678901234567890123456789"),
        (
            "1 / new.long",
            "0.0000000000000000000000000000007888609052210118054117285652827862296732064351090230047702789306640625",
        ),
        ("new.seven % 4", "3"),
        ("-new.seven % 4.0", "-3"),
        ("new.huge % 10", "9"),
    ] {
        let row = r#"{"i": 5, "two": 2.0, "three": 3, "four": 4, "seven": 7,
            "huge": 123456789012345678901234567890123456789, "long": 1267650600228229401496703205376}"#;
        assert_eq!(value_of(expression, row).map(|value| value.to_string()), Ok(expected.to_owned()), "{expression}");
    }
}

#[test]
fn a_whole_number_out_of_the_data_is_a_position() {
    let row = r#"{"l": ["a", "b"], "one": 1, "same": 1.0, "half": 0.5, "s": "abc", "at": 86400}"#;
    all_true(
        row,
        &[
            "new.l[new.one] == 'b'",
            "new.l[new.same] == 'b'",
            "new.s.substring(new.one) == 'bc'",
            "timestamp(new.at) == timestamp('1970-01-02T00:00:00Z')",
            "{1: 'a'}[new.same] == 'a'",
        ],
    );
    fails(row, "new.l[new.half]", "a list is indexed by a whole number");
    fails(row, "new.s.substring(new.half)", "a whole number is wanted");
    fails(row, "timestamp(new.half)", "a whole number of seconds");
}
