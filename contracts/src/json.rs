//! When two JSON values are the same, how a value is written as a key, and how large it is.
//!
//! Hasura re-renders numbers (`1.00` becomes `1.0`, `0.05` becomes `5.0e-2`) and promises no order of keys, so neither
//! may decide whether a column changed: numbers are compared by exact decimal value, objects regardless of key order.
//! Numbers keep their digits throughout (`serde_json` with `arbitrary_precision`); nothing here goes through `f64`.

use std::{cmp::Ordering, fmt::Write as _, io};

use serde::Serialize;
use serde_json::Value;

/// Whether two values are equal: numbers by exact decimal value, objects regardless of key order, arrays in order,
/// strings to the letter. `"1"` and `1` differ, and so do `null` and anything else.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers_equal(a.as_str(), b.as_str()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Whether two JSON numbers have the same decimal value, however they are written.
pub fn numbers_equal(a: &str, b: &str) -> bool {
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b || Decimal::parse(a) == Decimal::parse(b),
    }
}

/// The order of two JSON numbers by exact decimal value. Costs no more than the digits that are written, whatever the
/// exponents.
pub fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (Decimal::parse(a), Decimal::parse(b));
    a.sign().cmp(&b.sign()).then_with(|| match a.sign() {
        Ordering::Equal => Ordering::Equal,
        Ordering::Greater => a.magnitude(&b),
        Ordering::Less => b.magnitude(&a),
    })
}

/// A JSON number as sign, significant digits without zeros at either end, and the power of ten of its first digit.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// ASCII digits; empty for zero.
    digits: Vec<u8>,
    /// The value is `0.<digits> × 10^exponent`.
    exponent: i64,
}

impl Decimal {
    /// Reads a number by JSON's grammar; what is none has no digits before the first strange character.
    fn parse(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, saturating_exponent(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|d| **d == b'0').count();
        let trailing = digits.iter().rev().take_while(|d| **d == b'0').count();
        if leading == digits.len() {
            return Self { negative: false, digits: Vec::new(), exponent: 0 };
        }
        digits.truncate(digits.len() - trailing);
        digits.drain(..leading);
        let exponent = exponent.saturating_add(whole.len() as i64 - leading as i64);
        Self { negative, digits, exponent }
    }

    fn sign(&self) -> Ordering {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => Ordering::Equal,
            (false, true) => Ordering::Less,
            (false, false) => Ordering::Greater,
        }
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        // Digits without trailing zeros compare as fractions do: lexicographically.
        self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
    }
}

/// An exponent beyond `i64` cannot be told from its bound; two such numbers differ only if their digits do.
fn saturating_exponent(text: &str) -> i64 {
    let bound = if text.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    text.parse::<i64>().map_or(bound, |exponent| exponent.clamp(i64::MIN / 2, i64::MAX / 2))
}

/// The text of a value as a key: canonical JSON, with sorted object keys, no white space and numbers by value; a
/// string stands as it is when it is the whole part.
///
/// Equal values (see [`equal`]) have equal texts, so that one row always has one key.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => {
            let mut out = String::new();
            write_canonical(other, &mut out);
            out
        }
    }
}

/// The key of several parts: each canonical, joined by `|`. None where all are null: that is the key of nothing, and what has it in
/// common has nothing in common.
pub fn key<'a>(parts: impl IntoIterator<Item = &'a Value>) -> Option<String> {
    let mut out = String::new();
    let mut is_null = true;
    for (index, part) in parts.into_iter().enumerate() {
        is_null &= part.is_null();
        if index > 0 {
            out.push('|');
        }
        match part {
            Value::String(text) => out.push_str(text),
            other => write_canonical(other, &mut out),
        }
    }
    (!is_null).then_some(out)
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => write_number(number.as_str(), out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(&map[key], out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The most digits that a number is spelt out with before it is written with an exponent.
const SPELT_OUT: i64 = 40;

fn write_number(text: &str, out: &mut String) {
    let number = Decimal::parse(text);
    if number.digits.is_empty() {
        out.push('0');
        return;
    }
    if number.negative {
        out.push('-');
    }
    let digits = std::str::from_utf8(&number.digits).unwrap_or_default();
    let count = digits.len() as i64;
    if number.exponent > SPELT_OUT || number.exponent <= -SPELT_OUT || count > SPELT_OUT * 2 {
        let _ = write!(out, "0.{digits}e{}", number.exponent);
    } else if number.exponent <= 0 {
        out.push_str("0.");
        (number.exponent..0).for_each(|_| out.push('0'));
        out.push_str(digits);
    } else if number.exponent >= count {
        out.push_str(digits);
        (count..number.exponent).for_each(|_| out.push('0'));
    } else {
        let (whole, fraction) = digits.split_at(number.exponent as usize);
        let _ = write!(out, "{whole}.{fraction}");
    }
}

/// How many bytes a value has as JSON, without making it; the most that there can be for one that JSON has no form for.
pub fn size(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).expect("test JSON")
    }

    #[test]
    fn numbers_are_equal_by_their_exact_value() {
        for (a, b) in [("1.0", "1.00"), ("1", "1e0"), ("100", "1E+2"), ("0.05", "5.0e-2"), ("-0", "0"), ("0.0", "0e9")]
        {
            assert!(equal(&value(a), &value(b)), "{a} {b}");
        }
        for (a, b) in
            [("9007199254740993", "9007199254740992"), ("1", "-1"), ("0.1", "0.10000000000000001"), ("1e9", "1e10")]
        {
            assert!(!equal(&value(a), &value(b)), "{a} {b}");
        }
        assert!(!equal(&json!("1"), &json!(1)));
    }

    #[test]
    fn enormous_exponents_cost_nothing() {
        assert_eq!(compare_numbers("1e1000000000000", "1e999999999999"), Ordering::Greater);
        assert_eq!(compare_numbers("-1e1000000000000", "1"), Ordering::Less);
        assert_eq!(canonical(&value("1e1000000000")), canonical(&value("10e999999999")));
    }

    #[test]
    fn order_follows_the_value() {
        let sorted = ["-10", "-1.5", "-1", "-0.5", "0", "1e-9", "0.5", "1", "1.25", "2", "10", "11"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(compare_numbers(a, b), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn objects_are_equal_regardless_of_the_order_of_keys() {
        assert!(equal(&value(r#"{"a":1,"b":[1,2.0]}"#), &value(r#"{"b":[1.0,2],"a":1.0}"#)));
        assert!(!equal(&value(r#"{"a":1}"#), &value(r#"{"a":1,"b":null}"#)));
        assert!(!equal(&value("[1,2]"), &value("[2,1]")));
    }

    #[test]
    fn a_key_is_canonical_text() {
        assert_eq!(canonical(&value("13107")), "13107");
        assert_eq!(canonical(&value("1.31070e4")), "13107");
        assert_eq!(canonical(&value("0.00120")), "0.0012");
        assert_eq!(canonical(&value("-12.50")), "-12.5");
        assert_eq!(canonical(&json!("a|b")), "a|b");
        assert_eq!(canonical(&value(r#"{"b":1.0,"a":"x"}"#)), r#"{"a":"x","b":1}"#);
        assert_eq!(key([&json!("berlin"), &value("7.0"), &Value::Null]).as_deref(), Some("berlin|7|null"));
        for nothing in [&[][..], &[&Value::Null], &[&Value::Null, &Value::Null]] {
            assert_eq!(key(nothing.iter().copied()), None, "{nothing:?}");
        }
        assert_eq!(key([&json!("")]).as_deref(), Some(""));
    }
}
