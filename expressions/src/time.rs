//! Timestamps and durations. There is no `now()`: the only clock is the record's, `received`.

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};
use jiff::{SignedDuration, Timestamp, civil, fmt::temporal::Pieces, tz::TimeZone};

use crate::{arguments::Arguments, error::Stop, functions::Field, node::Operator, number, value::Value};

/// `timestamp`: a text with a zone or an offset, or seconds since 1970.
pub(crate) fn timestamp<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match arguments.value(0) {
        Value::Timestamp(time) => return Ok(Value::Timestamp(*time)),
        Value::Number(number) => {
            let seconds = number.whole().ok_or_else(|| arguments.wrong(0, "a whole number of seconds"))?;
            let time = Timestamp::from_second(seconds);
            return time.map(Value::Timestamp).map_err(|_| arguments.failed("the year is beyond 9999"));
        }
        _ => {}
    }
    let text = arguments.text(0)?;
    read(text).map(Value::Timestamp).ok_or_else(|| {
        arguments.failed(if civil_time(text).is_some() {
            format!("{text:?} has no time zone; write date(value, zone) to say which is meant")
        } else {
            unread(text, "no timestamp")
        })
    })
}

/// What is said of a text that is no time. Of the years before 0 there are many ways to write.
fn unread(text: &str, what: &str) -> String {
    let is_before = text.starts_with('-') || text.ends_with("BC");
    let form = if is_before { "; a year before 0 has six digits, as in -000043-03-15T00:00:00Z for 44 BC" } else { "" };
    format!("{text:?} is {what} of the years -9999 to 9999{form}")
}

/// A text with a zone, or a database's word for all time. What databases write for "for ever" lies behind the last
/// instant that a timestamp holds, and is read as that instant.
fn read(text: &str) -> Option<Timestamp> {
    match text {
        "infinity" => return Some(Timestamp::MAX),
        "-infinity" => return Some(Timestamp::MIN),
        _ => {}
    }
    text.parse().ok().or_else(|| {
        let pieces = Pieces::parse(text).ok()?;
        let is_zoned = pieces.offset().is_some() || pieces.time_zone_annotation().is_some();
        let at_the_end = pieces.date().year() == 9999 && pieces.date().month() == 12 && pieces.date().day() >= 30;
        (is_zoned && at_the_end).then_some(Timestamp::MAX)
    })
}

/// `date(value, zone)`: a text without a zone, or a mere date, as the instant it is in that zone.
pub(crate) fn date<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    if let Value::Timestamp(time) = arguments.value(0) {
        return Ok(Value::Timestamp(*time));
    }
    let text = arguments.text(0)?;
    let zone = zone(arguments.text(1)?).map_err(|message| arguments.failed(message))?;
    if let Some(time) = read(text) {
        return Ok(Value::Timestamp(time));
    }
    let civil = civil_time(text).ok_or_else(|| arguments.failed(unread(text, "no date and no time")))?;
    let time = zone.to_ambiguous_timestamp(civil).compatible();
    // Only the last and the first hours of all time are beyond, in zones west and east of Greenwich.
    Ok(Value::Timestamp(time.unwrap_or(if civil.year() > 0 { Timestamp::MAX } else { Timestamp::MIN })))
}

/// A time or date without any zone.
fn civil_time(text: &str) -> Option<civil::DateTime> {
    let pieces = Pieces::parse(text).ok()?;
    if pieces.offset().is_some() || pieces.time_zone_annotation().is_some() {
        return None;
    }
    Some(pieces.date().to_datetime(pieces.time().unwrap_or_else(civil::Time::midnight)))
}

/// A zone by its IANA name, or as an offset, `+02:00`, whose plus may be left out.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    if let Some((sign, rest)) = name.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-")) {
        return offset(sign == "-", rest).ok_or_else(|| format!("{name:?} is no offset; write `+02:00`"));
    }
    if let Some(zone) = offset(false, name) {
        return Ok(zone);
    }
    TimeZone::get(name)
        .map_err(|_| format!("{name:?} is no time zone; write an IANA name, `Europe/Berlin`, or `+02:00`"))
}

fn offset(negative: bool, text: &str) -> Option<TimeZone> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    let offset = jiff::tz::Offset::from_seconds(if negative { -seconds } else { seconds }).ok()?;
    Some(TimeZone::fixed(offset))
}

/// `duration`: numbers with units, `1h30m`, `-1.5s`, `300ms`.
pub(crate) fn duration<'a>(arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    if let Value::Duration(duration) = arguments.value(0) {
        return Ok(Value::Duration(*duration));
    }
    let text = arguments.text(0)?;
    parse_duration(text).map(Value::Duration).ok_or_else(|| {
        arguments
            .failed(format!("{text:?} is no duration; write a number with its unit: `1h30m`, `1.5s`; a day is `24h`"))
    })
}

pub(crate) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if rest.is_empty() {
        return None;
    }
    let mut total = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let end = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |at| digits + at);
        let unit: i128 = match &rest[digits..end] {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        total = total.checked_add(nanoseconds(&rest[..digits], unit)?)?;
        rest = &rest[end..];
    }
    if negative { total.checked_neg() } else { Some(total) }
}

/// A number of units, exactly; what is finer than a nanosecond is cut.
fn nanoseconds(number: &str, unit: i128) -> Option<SignedDuration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 18 || fraction.len() > 18 {
        return None;
    }
    let mut nanos = whole.parse::<i128>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        nanos += fraction.parse::<i128>().ok()? * unit / 10_i128.pow(fraction.len() as u32);
    }
    let seconds = i64::try_from(nanos / 1_000_000_000).ok()?;
    Some(SignedDuration::new(seconds, (nanos % 1_000_000_000) as i32))
}

/// The accessors, of a timestamp in a zone (UTC if none is named) or of a duration as a whole.
pub(crate) fn field<'a>(field: Field, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    let time = match arguments.value(0) {
        Value::Timestamp(time) => time,
        Value::Duration(duration) => {
            return duration_field(field, *duration).map(Value::int).ok_or_else(|| arguments.wrong(0, "a timestamp"));
        }
        _ => return Err(arguments.wrong_unless(0, "a timestamp", "; convert it with timestamp() or date()")),
    };
    let zone = match arguments.count() {
        1 => TimeZone::UTC,
        _ => zone(arguments.text(1)?).map_err(|message| arguments.failed(message))?,
    };
    let local = zone.to_datetime(*time);
    Ok(Value::int(match field {
        Field::FullYear => i64::from(local.year()),
        Field::Month => i64::from(local.month()) - 1,
        Field::Date => i64::from(local.day()),
        Field::DayOfMonth => i64::from(local.day()) - 1,
        Field::DayOfWeek => i64::from(local.weekday().to_sunday_zero_offset()),
        Field::DayOfYear => i64::from(local.day_of_year()) - 1,
        Field::Hours => i64::from(local.hour()),
        Field::Minutes => i64::from(local.minute()),
        Field::Seconds => i64::from(local.second()),
        Field::Milliseconds => i64::from(local.millisecond()),
    }))
}

fn duration_field(field: Field, duration: SignedDuration) -> Option<i64> {
    match field {
        Field::Hours => Some(duration.as_hours()),
        Field::Minutes => Some(duration.as_mins()),
        Field::Seconds => Some(duration.as_secs()),
        Field::Milliseconds => Some(i64::from(duration.subsec_millis())),
        _ => None,
    }
}

/// Sums and differences with times; `None` where the types are others.
pub(crate) fn arithmetic<'a>(operator: Operator, a: &Value<'_>, b: &Value<'_>) -> Option<Result<Value<'a>, String>> {
    let beyond = || "the result is beyond what a timestamp or duration holds".to_owned();
    Some(match (operator, a, b) {
        (Operator::Add, Value::Timestamp(time), Value::Duration(duration))
        | (Operator::Add, Value::Duration(duration), Value::Timestamp(time)) => {
            time.checked_add(*duration).map(Value::Timestamp).map_err(|_| beyond())
        }
        (Operator::Subtract, Value::Timestamp(time), Value::Duration(duration)) => {
            time.checked_sub(*duration).map(Value::Timestamp).map_err(|_| beyond())
        }
        (Operator::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => Ok(Value::Duration(a.duration_since(*b))),
        (Operator::Add, Value::Duration(a), Value::Duration(b)) => {
            a.checked_add(*b).map(Value::Duration).ok_or_else(beyond)
        }
        (Operator::Subtract, Value::Duration(a), Value::Duration(b)) => {
            a.checked_sub(*b).map(Value::Duration).ok_or_else(beyond)
        }
        (Operator::Multiply, Value::Duration(duration), Value::Number(number))
        | (Operator::Multiply, Value::Number(number), Value::Duration(duration)) => number
            .decimal()
            .and_then(|times| of_nanoseconds(&(nanoseconds_of(*duration) * times)).ok_or_else(beyond))
            .map(Value::Duration),
        (Operator::Divide, Value::Duration(duration), Value::Number(number)) => number
            .decimal()
            .and_then(|parts| number::quotient(&nanoseconds_of(*duration), &parts))
            .and_then(|part| of_nanoseconds(&part).ok_or_else(beyond))
            .map(Value::Duration),
        (Operator::Divide, Value::Duration(a), Value::Duration(b)) => {
            number::quotient(&nanoseconds_of(*a), &nanoseconds_of(*b)).map(|times| Value::Number(times.into()))
        }
        _ => return None,
    })
}

fn nanoseconds_of(duration: SignedDuration) -> BigDecimal {
    duration.as_nanos().into()
}

/// The duration; what is finer than a nanosecond is cut.
fn of_nanoseconds(nanoseconds: &BigDecimal) -> Option<SignedDuration> {
    let whole = nanoseconds.with_scale_round(0, RoundingMode::Down).to_i128()?;
    let seconds = i64::try_from(whole / 1_000_000_000).ok()?;
    Some(SignedDuration::new(seconds, (whole % 1_000_000_000) as i32))
}
