//! Numbers: compared by exact decimal value, computed within bounds.
//!
//! Comparing never allocates in proportion to an exponent. Computing does, so there the exponents are bounded: a column
//! may hold `1e1000000000`, and `new.n > 5` has an answer, but `new.n + 1` is an error.

use std::{cmp::Ordering, num::NonZeroU64, rc::Rc, str::FromStr};

use bigdecimal::{BigDecimal, RoundingMode, Zero};

use super::{
    node::Operator,
    value::{Value, number_text},
};

/// The most digits before or behind the point that computing handles, also for its results.
pub(crate) const MAX_DIGITS: u64 = 1_000;
/// The significant digits of a quotient, rounded half to even: those of IEEE 754's decimal128.
pub(crate) const DIVISION_DIGITS: u64 = 34;

/// The order of two numbers; `None` if one is no number.
#[inline]
pub(crate) fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        return Some(a.cmp(b));
    }
    if let (Some(a), Some(b)) = (small(a), small(b))
        && let Some(order) = compare_small(a, b)
    {
        return Some(order);
    }
    Some(contracts::json::compare_numbers(&number_text(a)?, &number_text(b)?))
}

/// A number of few digits: mantissa and power of ten.
type Small = (i128, i32);

fn small(value: &Value<'_>) -> Option<Small> {
    match value {
        Value::Int(value) => Some((i128::from(*value), 0)),
        Value::Number(text) => small_text(text),
        _ => None,
    }
}

/// Reads a number of at most 28 digits without allocating.
fn small_text(text: &str) -> Option<Small> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
        None => (text, 0),
    };
    if mantissa.len() > 30 {
        return None;
    }
    let (negative, digits) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (mut value, mut fraction, mut in_fraction) = (0_i128, 0_i32, false);
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i128::from(byte - b'0');
                fraction += i32::from(in_fraction);
            }
            b'.' => in_fraction = true,
            _ => return None,
        }
    }
    Some((if negative { -value } else { value }, i32::from(exponent) - fraction))
}

/// Aligns the exponents when that cannot overflow: at most 30 digits times 10^8.
fn compare_small(a: Small, b: Small) -> Option<Ordering> {
    let difference = a.1 - b.1;
    if difference.abs() > 8 {
        return None;
    }
    let factor = 10_i128.pow(difference.unsigned_abs());
    Some(if difference >= 0 { (a.0 * factor).cmp(&b.0) } else { a.0.cmp(&(b.0 * factor)) })
}

/// Computes; the error is a message without a place.
pub(crate) fn arithmetic(operator: Operator, a: &Value<'_>, b: &Value<'_>) -> Result<Value<'static>, String> {
    if let (Value::Int(a), Value::Int(b)) = (a, b)
        && let Some(result) = integers(operator, *a, *b)?
    {
        return Ok(Value::Int(result));
    }
    let (a, b) = (decimal(a)?, decimal(b)?);
    let result = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => divide(&a, &b)?,
        Operator::Remainder => return Err("`%` is for ints".into()),
    };
    bounded(result).map(of_decimal)
}

/// Integers stay integers; `None` where the result does not fit and becomes a decimal.
fn integers(operator: Operator, a: i64, b: i64) -> Result<Option<i64>, String> {
    if b == 0 && matches!(operator, Operator::Divide | Operator::Remainder) {
        return Err("division by zero".into());
    }
    Ok(match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => Some(a.wrapping_rem(b)),
    })
}

fn divide(a: &BigDecimal, b: &BigDecimal) -> Result<BigDecimal, String> {
    if b.is_zero() {
        return Err("division by zero".into());
    }
    let digits = NonZeroU64::new(DIVISION_DIGITS).expect("the precision is not zero");
    Ok((a / b).with_precision_round(digits, RoundingMode::HalfEven))
}

/// The other sign.
pub(crate) fn negate(value: &Value<'_>) -> Result<Value<'static>, String> {
    match value {
        Value::Int(value) if *value != i64::MIN => Ok(Value::Int(-value)),
        other => Ok(of_decimal(-decimal(other)?)),
    }
}

pub(crate) fn of_decimal(value: BigDecimal) -> Value<'static> {
    Value::Decimal(Rc::new(value))
}

/// The number as a decimal to compute with; an error beyond the bounds.
pub(crate) fn decimal(value: &Value<'_>) -> Result<BigDecimal, String> {
    match value {
        Value::Int(value) => Ok(BigDecimal::from(*value)),
        Value::Decimal(value) => Ok(value.as_ref().clone()),
        Value::Number(text) => parse(text).ok_or_else(too_large),
        other => Err(format!("{} is no number", other.kind())),
    }
}

/// Reads a number's text within the bounds, which are checked before anything is allocated.
pub(crate) fn parse(text: &str) -> Option<BigDecimal> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    if mantissa.len() as u64 > 2 * MAX_DIGITS + 2 || exponent.unsigned_abs() > MAX_DIGITS {
        return None;
    }
    bounded(BigDecimal::from_str(text).ok()?).ok()
}

fn bounded(value: BigDecimal) -> Result<BigDecimal, String> {
    if value.is_zero() {
        return Ok(BigDecimal::zero());
    }
    let value = value.normalized();
    let (behind, before) = (value.fractional_digit_count(), value.digits() as i64 - value.fractional_digit_count());
    let limit = MAX_DIGITS as i64;
    if behind > limit || before > limit { Err(too_large()) } else { Ok(value) }
}

fn too_large() -> String {
    format!("the number has more than {MAX_DIGITS} digits before or behind the point, too many to compute with")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Value<'_> {
        text.parse().map_or(Value::Number(text), Value::Int)
    }

    fn any_number() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|value| value.to_string()),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,12})?(e-?[0-9]{1,2})?",
        ]
    }

    proptest! {
        #[test]
        fn comparing_agrees_with_exact_decimals(a in any_number(), b in any_number()) {
            let exact = BigDecimal::from_str(&a).expect("a number").cmp(&BigDecimal::from_str(&b).expect("a number"));
            prop_assert_eq!(compare(&number(&a), &number(&b)), Some(exact));
        }

        #[test]
        fn computing_agrees_with_exact_decimals(a in any_number(), b in any_number()) {
            let (x, y) = (BigDecimal::from_str(&a).expect("a number"), BigDecimal::from_str(&b).expect("a number"));
            for (operator, expected) in
                [(Operator::Add, &x + &y), (Operator::Subtract, &x - &y), (Operator::Multiply, &x * &y)]
            {
                let result = arithmetic(operator, &number(&a), &number(&b)).expect("within the bounds");
                prop_assert_eq!(decimal(&result).expect("a number"), expected);
            }
        }

        #[test]
        fn dividing_integers_truncates_like_cel(a in any::<i64>(), b in any::<i64>().prop_filter("not zero", |b| *b != 0)) {
            let result = arithmetic(Operator::Divide, &Value::Int(a), &Value::Int(b)).expect("a quotient");
            let expected = BigDecimal::from(i128::from(a) / i128::from(b));
            prop_assert_eq!(decimal(&result).expect("a number"), expected);
        }
    }

    #[test]
    fn an_enormous_exponent_compares_and_does_not_compute() {
        let huge = Value::Number("1e1000000000");
        assert_eq!(compare(&huge, &Value::Int(5)), Some(Ordering::Greater));
        assert_eq!(compare(&Value::Int(5), &Value::Number("1e-1000000000")), Some(Ordering::Greater));
        assert!(arithmetic(Operator::Add, &huge, &Value::Int(1)).is_err());
        assert!(arithmetic(Operator::Multiply, &Value::Number("1e999"), &Value::Number("1e999")).is_err());
    }

    #[test]
    fn a_quotient_has_34_digits() {
        let third = arithmetic(Operator::Divide, &Value::Number("1.0"), &Value::Int(3)).expect("a quotient");
        assert_eq!(decimal(&third).expect("a number").digits(), 34);
        assert!(arithmetic(Operator::Divide, &Value::Number("1.0"), &Value::Number("0.0")).is_err());
        assert!(arithmetic(Operator::Remainder, &Value::Int(1), &Value::Int(0)).is_err());
    }
}
