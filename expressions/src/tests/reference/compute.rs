//! What operators and functions make of values that are there.

use bigdecimal::{BigDecimal, Zero, num_bigint::BigInt};

use super::evaluate::{Number, Plain, Result, Without::Failed, number};

pub(super) fn compare(operator: &str, one: Plain, other: Plain) -> Result {
    let order = match (&one, &other) {
        (Plain::Number(one), Plain::Number(other)) => one.value.cmp(&other.value),
        (Plain::Text(one), Plain::Text(other)) => one.cmp(other),
        (Plain::Bool(one), Plain::Bool(other)) => one.cmp(other),
        (Plain::Time(one), Plain::Time(other)) | (Plain::Span(one), Plain::Span(other)) => one.cmp(other),
        _ => return Err(Failed),
    };
    Ok(Plain::Bool(match operator {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

pub(super) fn compute(operator: &str, one: Plain, other: Plain) -> Result {
    Ok(match (operator, one, other) {
        (_, Plain::Number(one), Plain::Number(other)) => return numbers(operator, &one, &other),
        ("+", Plain::Text(one), Plain::Text(other)) => Plain::Text(one + &other),
        ("+", Plain::List(one), Plain::List(other)) => Plain::List([one, other].concat()),
        ("+", Plain::Time(one), Plain::Span(other)) | ("+", Plain::Span(one), Plain::Time(other)) => {
            return instant(one + other);
        }
        ("-", Plain::Time(one), Plain::Span(other)) => return instant(one - other),
        ("-", Plain::Time(one), Plain::Time(other)) | ("-", Plain::Span(one), Plain::Span(other)) => {
            return span(one - other);
        }
        ("+", Plain::Span(one), Plain::Span(other)) => return span(one + other),
        ("*", Plain::Span(span), Plain::Number(times)) | ("*", Plain::Number(times), Plain::Span(span)) => {
            return cut(BigDecimal::from(span) * times.value);
        }
        ("/", Plain::Span(_), Plain::Number(parts)) if parts.value.is_zero() => return Err(Failed),
        ("/", Plain::Span(span), Plain::Number(parts)) => return cut(quotient(&span.into(), &parts.value)),
        ("/", Plain::Span(_), Plain::Span(0)) => return Err(Failed),
        ("/", Plain::Span(one), Plain::Span(other)) => number(quotient(&one.into(), &other.into()), false),
        _ => return Err(Failed),
    })
}

/// A span without what is finer than a nanosecond.
fn cut(nanoseconds: BigDecimal) -> Result {
    let whole = nanoseconds.with_scale(0).to_string();
    span(whole.parse().map_err(|_| Failed)?)
}

/// A span, of as many seconds as 64 bits hold.
fn span(nanoseconds: i128) -> Result {
    match i64::try_from(nanoseconds / 1_000_000_000) {
        Ok(_) => Ok(Plain::Span(nanoseconds)),
        Err(_) => Err(Failed),
    }
}

/// An instant of the years that there are.
fn instant(nanoseconds: i128) -> Result {
    match jiff::Timestamp::from_nanosecond(nanoseconds) {
        Ok(_) => Ok(Plain::Time(nanoseconds)),
        Err(_) => Err(Failed),
    }
}

fn numbers(operator: &str, one: &Number, other: &Number) -> Result {
    let (a, b, are_ints) = (&one.value, &other.value, one.is_int && other.is_int);
    Ok(match operator {
        "+" => number(a + b, are_ints),
        "-" => number(a - b, are_ints),
        "*" => number(a * b, are_ints),
        _ if b.is_zero() => return Err(Failed),
        "/" if are_ints => number((a / b).with_scale(0), true),
        "/" => number(quotient(a, b), false),
        _ if a.is_integer() && b.is_integer() => number(a % b, are_ints),
        _ => return Err(Failed),
    })
}

/// By long division: exactly, if there are no more than 100 significant digits; else 34, half to even.
fn quotient(a: &BigDecimal, b: &BigDecimal) -> BigDecimal {
    let ten = |power: u32| BigInt::from(10).pow(power);
    let scale = a.fractional_digit_count().max(b.fractional_digit_count()).max(0);
    let (n, d) = (a.with_scale(scale).into_bigint_and_exponent().0, b.with_scale(scale).into_bigint_and_exponent().0);
    let digits = |value: &BigInt| value.to_string().trim_start_matches('-').len();
    for places in 0..200_u32 {
        let scaled = &n * ten(places);
        if (&scaled % &d).is_zero() {
            let exact = scaled / &d;
            if digits(&exact) <= 100 {
                return BigDecimal::new(exact, places.into());
            }
        }
    }
    // The power of ten with which the whole part of the quotient has so many digits.
    let times = |places: i64| match places {
        0.. => (&n * ten(places as u32), d.clone()),
        _ => (n.clone(), &d * ten(places.unsigned_abs() as u32)),
    };
    let is_wanted = |places: &i64| digits(&(times(*places).0 / times(*places).1)) == 34;
    let places = (-200..400).find(is_wanted).expect("34 digits");
    let (scaled, d) = times(places);
    let (mut whole, rest) = (&scaled / &d, &scaled % &d);
    let twice = BigInt::from(rest.magnitude().clone()) * 2;
    let half = BigInt::from(d.magnitude().clone());
    let is_odd = !(&whole % BigInt::from(2)).is_zero();
    if twice > half || twice == half && is_odd {
        let step = if n.sign() == d.sign() { 1 } else { -1 };
        whole += step;
    }
    BigDecimal::new(whole, places)
}

pub(super) fn time(text: &str) -> Result {
    text.parse().map(|time: jiff::Timestamp| Plain::Time(time.as_nanosecond())).map_err(|_| Failed)
}

pub(super) fn function(name: &str, values: &[Plain]) -> Result {
    let text = |at: usize| match &values[at] {
        Plain::Text(text) => Ok(text.as_str()),
        _ => Err(Failed),
    };
    Ok(match name {
        "size" => {
            let count = match &values[0] {
                Plain::Text(text) => text.chars().count(),
                Plain::List(items) => items.len(),
                Plain::Map(map) => map.len(),
                _ => return Err(Failed),
            };
            number((count as i64).into(), true)
        }
        "num" => match &values[0] {
            Plain::Number(Number { value, written, .. }) => {
                Plain::Number(Number { value: value.clone(), is_int: false, written: written.clone() })
            }
            Plain::Text(text) => match text.trim().parse::<BigDecimal>() {
                Ok(value) if !text.contains(['_', 'n', 'N', 'i', 'I']) => {
                    Plain::Number(Number { value, is_int: false, written: Some(text.clone()) })
                }
                _ => return Err(Failed),
            },
            _ => return Err(Failed),
        },
        "int" => match &values[0] {
            Plain::Number(Number { value, .. }) => {
                let whole: i64 = value.with_scale(0).to_string().parse().map_err(|_| Failed)?;
                number(whole.into(), true)
            }
            Plain::Text(text) => number(text.trim().parse::<i64>().map_err(|_| Failed)?.into(), true),
            Plain::Time(nanoseconds) => number((nanoseconds.div_euclid(1_000_000_000) as i64).into(), true),
            Plain::Span(nanoseconds) => number(((nanoseconds / 1_000_000_000) as i64).into(), true),
            _ => return Err(Failed),
        },
        "lower" => Plain::Text(text(0)?.to_lowercase()),
        "upper" => Plain::Text(text(0)?.to_uppercase()),
        "trim" => Plain::Text(text(0)?.trim().to_owned()),
        "contains" => Plain::Bool(text(0)?.contains(text(1)?)),
        "startsWith" => Plain::Bool(text(0)?.starts_with(text(1)?)),
        "matches" => Plain::Bool(match text(1)? {
            "^[0-9.]+$" => !text(0)?.is_empty() && text(0)?.chars().all(|c| c.is_ascii_digit() || c == '.'),
            "a" => text(0)?.contains('a'),
            other => panic!("{other} is no pattern of the generator"),
        }),
        "split" => Plain::List(text(0)?.split(text(1)?).map(|part| Plain::Text(part.to_owned())).collect()),
        "timestamp" => match &values[0] {
            Plain::Time(_) => values[0].clone(),
            Plain::Number(_) => {
                let seconds = values[0].whole().ok_or(Failed)?;
                Plain::Time(jiff::Timestamp::from_second(seconds).map_err(|_| Failed)?.as_nanosecond())
            }
            _ => return time(text(0)?),
        },
        "duration" => match &values[0] {
            Plain::Span(_) => values[0].clone(),
            _ => match text(0)? {
                "1h" => Plain::Span(3_600_000_000_000),
                "90s" => Plain::Span(90_000_000_000),
                "-1.5s" => Plain::Span(-1_500_000_000),
                "0s" => Plain::Span(0),
                _ => return Err(Failed),
            },
        },
        other => panic!("the reference has no {other}"),
    })
}
