//! From the text of a literal to its value.

use serde_json::Number;

use crate::{
    error::CompileError,
    node::{Kind, Literal, Node},
    scan::Token,
};

/// The value of a token that is a string or bytes.
///
/// # Errors
/// An escape that stands for no letter.
pub(crate) fn text(source: &str, token: Token) -> Result<Literal, CompileError> {
    let written = token.text(source);
    let quote_at = written.find(['"', '\'']).unwrap_or(0);
    let (prefix, quoted) = written.split_at(quote_at);
    let is_triple = quoted.len() >= 6 && (quoted.starts_with("\"\"\"") || quoted.starts_with("'''"));
    let width = if is_triple { 3 } else { 1 };
    let inner = &quoted[width..quoted.len() - width];
    let (is_raw, is_bytes) = (prefix.contains(['r', 'R']), prefix.contains(['b', 'B']));
    let mut value = Vec::new();
    let mut rest = inner;
    while let Some(at) = rest.find('\\').filter(|_| !is_raw) {
        value.extend_from_slice(&rest.as_bytes()[..at]);
        let width = escape(&rest[at..], is_bytes, &mut value)
            .map_err(|(message, help)| CompileError::new(token.end - width - rest.len() + at, message, Some(help)))?;
        rest = &rest[at + width..];
    }
    value.extend_from_slice(rest.as_bytes());
    Ok(match is_bytes {
        true => Literal::Bytes(value),
        false => Literal::String(String::from_utf8(value).unwrap_or_default()),
    })
}

/// Adds what an escape stands for, and says how long it is; the scanner has seen that it is one.
fn escape(rest: &str, is_bytes: bool, value: &mut Vec<u8>) -> Result<usize, (&'static str, &'static str)> {
    let letter = rest.as_bytes().get(1).copied().unwrap_or_default();
    let (width, radix, skipped) = match letter {
        b'x' | b'X' => (4, 16, 2),
        b'u' => (6, 16, 2),
        b'U' => (10, 16, 2),
        b'0'..=b'3' => (4, 8, 1),
        _ => {
            value.push(match letter {
                b'a' => 7,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 11,
                itself => itself,
            });
            return Ok(2);
        }
    };
    let code = rest.get(skipped..width).and_then(|digits| u32::from_str_radix(digits, radix).ok()).unwrap_or_default();
    match char::from_u32(code) {
        Some(_) if is_bytes && width == 4 => value.push(code as u8),
        Some(letter) => value.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        None => return Err(("the text has an escape that stands for no letter", "`\\ud800` to `\\udfff` are none")),
    }
    Ok(width)
}

/// The number that a written text is, which was meant without its quotes.
pub(crate) fn unquoted(node: &Node) -> Option<Number> {
    let Kind::Literal(Literal::String(text)) = &node.kind else { return None };
    text.trim().parse().ok()
}

/// The value of a token that is a number, with its sign.
///
/// # Errors
/// It is no number of CEL's, or an integer that does not fit in 64 bits.
pub(crate) fn number(source: &str, token: Token, negative: bool) -> Result<Literal, CompileError> {
    let text = token.text(source);
    let (digits, is_unsigned) = text.strip_suffix(['u', 'U']).map_or((text, false), |digits| (digits, true));
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    if !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix)) {
        let value = u64::from_str_radix(digits, radix).ok().map(i128::from);
        let value = value.map(|value| if negative { -value } else { value });
        return match value.map(|value| (i64::try_from(value), value)) {
            Some((Ok(value), _)) => Ok(Literal::Int(value)),
            Some((Err(_), value)) if is_unsigned => Ok(Literal::Number(value.to_string())),
            _ => {
                let help = "write it with a decimal point, `….0`: numbers are compared by their exact value";
                Err(CompileError::new(token.start, "the number does not fit in 64 bits", Some(help)))
            }
        };
    }
    let is_float = radix == 10 && !is_unsigned && text.parse::<f64>().is_ok();
    if !is_float {
        return Err(CompileError::new(token.start, format!("`{text}` is no number that can be read"), None));
    }
    Ok(Literal::Number(by_json(text, negative)))
}

/// A literal of CEL's grammar by JSON's: a digit on both sides of the point.
fn by_json(text: &str, negative: bool) -> String {
    let (mantissa, exponent) = text.find(['e', 'E']).map_or((text, ""), |at| text.split_at(at));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { "0" } else { fraction };
    format!("{}{whole}.{fraction}{exponent}", if negative { "-" } else { "" })
}
