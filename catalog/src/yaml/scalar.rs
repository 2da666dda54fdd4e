//! What a plain scalar means: YAML 1.2's core schema, so that `no` and `on` are texts, and a version `1.10` a number.

use serde_json::{Number, Value};

pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The value of a plain scalar.
pub(crate) fn plain(text: &str) -> Value {
    match text {
        _ if is_null(text) => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    let unsigned = text.trim_start_matches(['+', '-']);
    let starts = unsigned.starts_with(|c: char| c.is_ascii_digit());
    let fits = unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !starts || !fits || text.len() - unsigned.len() > 1 {
        return None;
    }
    // What JSON calls a number keeps its digits; `+1` and `007` are read as YAML reads them.
    let trimmed = text.strip_prefix('+').unwrap_or(text);
    trimmed.parse::<Number>().ok().or_else(|| trimmed.parse::<i64>().ok().map(Number::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::plain;

    #[test]
    fn plain_scalars_are_read_by_the_core_schema() {
        for (text, value) in [
            ("~", json!(null)),
            ("true", json!(true)),
            ("no", json!("no")),
            ("42", json!(42)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("007", json!(7)),
            ("0x1f", json!(31)),
            ("2024-01-02", json!("2024-01-02")),
            ("1.2.3", json!("1.2.3")),
            ("en route", json!("en route")),
            ("-", json!("-")),
            ("e5", json!("e5")),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
        assert_eq!(plain("1.10").to_string(), "1.10");
        assert_eq!(plain("9007199254740993000001").to_string(), "9007199254740993000001");
    }
}
