//! Numbers: compared by exact decimal value, computed within bounds.
//!
//! Comparing never allocates in proportion to an exponent. Computing does, so there the exponents are bounded: a column
//! may hold `1e1000000000`, and `new.n > 5` has an answer, but `new.n + 1` is an error.

use std::{borrow::Cow, cmp::Ordering, num::NonZeroU64, rc::Rc, str::FromStr};

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

use crate::node::Operator;

/// The most digits before or behind the point that computing handles, also for its results.
pub(crate) const MAX_DIGITS: u64 = 1_000;
/// The significant digits of a quotient that has no end within [`EXACT_DIGITS`], rounded half to even: those of IEEE 754's
/// decimal128.
pub(crate) const DIVISION_DIGITS: u64 = 34;
/// How many significant digits an exact quotient may have; the library divides to so many.
const EXACT_DIGITS: u64 = 100;

/// A number.
#[derive(Debug, Clone)]
pub(crate) enum Number<'a> {
    /// An integer of the expression itself: a literal, what `int()` or `size()` gives, and what is computed of those.
    Int(i64),
    /// By its digits: out of JSON, or a literal with a point or an exponent.
    Written(&'a str),
    /// What was computed with at least one that is no int, and is whole.
    Whole(i64),
    /// The same, of any kind.
    Computed(Rc<BigDecimal>),
}

impl Number<'_> {
    /// By exact value.
    #[inline]
    pub(crate) fn compare(&self, other: &Number<'_>) -> Ordering {
        match (self, other) {
            (Number::Int(a) | Number::Whole(a), Number::Int(b) | Number::Whole(b)) => return a.cmp(b),
            (Number::Written(a), Number::Written(b)) if a == b => return Ordering::Equal,
            _ => {}
        }
        if let (Some(a), Some(b)) = (self.small(), other.small())
            && let Some(order) = compare_small(a, b)
        {
            return order;
        }
        contracts::json::compare_numbers(&self.text(), &other.text())
    }

    /// The digits.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Int(value) | Self::Whole(value) => Cow::Owned(value.to_string()),
            Self::Written(text) => Cow::Borrowed(text),
            Self::Computed(value) => Cow::Owned(value.to_scientific_notation()),
        }
    }

    fn small(&self) -> Option<Small> {
        match self {
            Self::Int(value) | Self::Whole(value) => Some((i128::from(*value), 0)),
            Self::Written(text) => small_text(text),
            Self::Computed(_) => None,
        }
    }

    /// The integer of 64 bits that it is, if it is one.
    pub(crate) fn whole(&self) -> Option<i64> {
        self.written_whole().or_else(|| self.decimal().ok().filter(BigDecimal::is_integer)?.to_i64())
    }

    /// The same, as far as it is told without a decimal.
    fn written_whole(&self) -> Option<i64> {
        match self {
            Self::Int(value) | Self::Whole(value) => Some(*value),
            Self::Written(text) => text.parse().ok(),
            Self::Computed(_) => None,
        }
    }

    /// The number as a decimal to compute with; an error beyond the bounds.
    pub(crate) fn decimal(&self) -> Result<BigDecimal, String> {
        match self {
            Self::Int(value) | Self::Whole(value) => Ok(BigDecimal::from(*value)),
            Self::Written(text) => parse(text).ok_or_else(too_large),
            Self::Computed(value) => Ok(value.as_ref().clone()),
        }
    }

    /// Computes; the error is a message without a place.
    pub(crate) fn compute(&self, operator: Operator, other: &Number<'_>) -> Result<Number<'static>, String> {
        let ints = matches!((self, other), (Number::Int(_), Number::Int(_)));
        if let (Some(a), Some(b)) = (self.written_whole(), other.written_whole())
            && let Some(result) = integers(operator, a, b)?
            // Between others than ints only what divides without a remainder is whole.
            && (ints || operator != Operator::Divide || result.wrapping_mul(b) == a)
        {
            return Ok(if ints { Number::Int(result) } else { Number::Whole(result) });
        }
        let (a, b) = (self.decimal()?, other.decimal()?);
        if b.is_zero() && matches!(operator, Operator::Divide | Operator::Remainder) {
            return Err("division by zero".into());
        }
        let result = match operator {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => divide(&a, &b),
            Operator::Remainder if a.is_integer() && b.is_integer() => a % b,
            Operator::Remainder => return Err("`%` is for whole numbers".into()),
        };
        bounded(result).map(Number::from)
    }

    /// The other sign.
    pub(crate) fn negate(&self) -> Result<Number<'static>, String> {
        match self {
            Self::Int(value) if *value != i64::MIN => Ok(Number::Int(-value)),
            Self::Whole(value) if *value != i64::MIN => Ok(Number::Whole(-value)),
            other => Ok((-other.decimal()?).into()),
        }
    }
}

impl From<BigDecimal> for Number<'static> {
    fn from(value: BigDecimal) -> Self {
        Self::Computed(Rc::new(value))
    }
}

/// A number of few digits: mantissa and power of ten.
type Small = (i128, i32);

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

/// A quotient within the bounds; an error for a division by zero.
pub(crate) fn quotient(a: &BigDecimal, b: &BigDecimal) -> Result<BigDecimal, String> {
    if b.is_zero() {
        return Err("division by zero".into());
    }
    bounded(divide(a, b))
}

/// The quotient, exactly where it ends soon enough; else rounded.
fn divide(a: &BigDecimal, b: &BigDecimal) -> BigDecimal {
    let digits = |count| NonZeroU64::new(count).unwrap_or(NonZeroU64::MIN);
    let quotient = (a / b).with_precision_round(digits(EXACT_DIGITS), RoundingMode::HalfEven);
    if &quotient * b == *a {
        return quotient;
    }
    quotient.with_precision_round(digits(DIVISION_DIGITS), RoundingMode::HalfEven)
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

    fn number(text: &str) -> Number<'_> {
        text.parse().map_or(Number::Written(text), Number::Int)
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
            prop_assert_eq!(number(&a).compare(&number(&b)), exact);
        }

        #[test]
        fn computing_agrees_with_exact_decimals(a in any_number(), b in any_number()) {
            let (x, y) = (BigDecimal::from_str(&a).expect("a number"), BigDecimal::from_str(&b).expect("a number"));
            for (operator, expected) in
                [(Operator::Add, &x + &y), (Operator::Subtract, &x - &y), (Operator::Multiply, &x * &y)]
            {
                for a in [number(&a), Number::Written(&a)] {
                    let result = a.compute(operator, &number(&b)).expect("within the bounds");
                    prop_assert_eq!(result.decimal().expect("a number"), expected.clone());
                }
            }
        }

        #[test]
        fn dividing_integers_truncates_like_cel(a in any::<i64>(), b in any::<i64>().prop_filter("not zero", |b| *b != 0)) {
            let result = Number::Int(a).compute(Operator::Divide, &Number::Int(b)).expect("a quotient");
            let expected = BigDecimal::from(i128::from(a) / i128::from(b));
            prop_assert_eq!(result.decimal().expect("a number"), expected);
        }
    }

    proptest! {
        #[test]
        fn a_number_out_of_the_data_divides_exactly(a in any::<i32>(), b in any::<i32>().prop_filter("not zero", |b| *b != 0)) {
            let (product, eighth) = (i64::from(a) * i64::from(b), f64::from(a) / 8.0);
            let whole = Number::Written(&product.to_string()).compute(Operator::Divide, &Number::Int(b.into())).expect("a quotient");
            prop_assert!(!matches!(whole, Number::Int(_)));
            prop_assert_eq!(whole.compare(&Number::Int(a.into())), Ordering::Equal);
            let broken = Number::Int(a.into()).compute(Operator::Divide, &Number::Written("8")).expect("a quotient");
            prop_assert_eq!(broken.compare(&Number::Written(&eighth.to_string())), Ordering::Equal);
        }
    }

    #[test]
    fn an_enormous_exponent_compares_and_does_not_compute() {
        let huge = Number::Written("1e1000000000");
        assert_eq!(huge.compare(&Number::Int(5)), Ordering::Greater);
        assert_eq!(Number::Int(5).compare(&Number::Written("1e-1000000000")), Ordering::Greater);
        assert!(huge.compute(Operator::Add, &Number::Int(1)).is_err());
        assert!(Number::Written("1e999").compute(Operator::Multiply, &Number::Written("1e999")).is_err());
    }

    #[test]
    fn a_quotient_is_exact_or_has_34_digits() {
        let quotient =
            |a, b| Number::Written(a).compute(Operator::Divide, &number(b)).expect("a quotient").text().into_owned();
        assert_eq!(quotient("1", "3"), format!("{}e-1", format_args!("3.{}", "3".repeat(33))));
        assert_eq!(quotient("2e-300", "3"), format!("6.{}7e-301", "6".repeat(32)));
        assert_eq!(quotient("7", "2"), "3.5e0");
        assert_eq!(
            quotient("1", "1267650600228229401496703205376"),
            format!(
                "{}",
                BigDecimal::from_str("0.5")
                    .map(|half| (0..99).fold(half.clone(), |power, _| power * &half))
                    .expect("a number")
                    .to_scientific_notation()
            )
        );
        assert_eq!(
            quotient("123456789012345678901234567890123456789012", "1"),
            "1.23456789012345678901234567890123456789012e41"
        );
        assert!(Number::Written("1").compute(Operator::Divide, &Number::Written("0.0")).is_err());
        assert!(Number::Int(1).compute(Operator::Remainder, &Number::Int(0)).is_err());
    }
}
