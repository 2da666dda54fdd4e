//! How a length of time is written, in settings, catalogs, requests and on the command line alike. Only CEL has a grammar of its
//! own, which its specification fixes.

use std::time::Duration;

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDuration {
    /// It is something else.
    #[error("`{0}` is no duration; write it with a unit, as in 500ms, 30s, 2m, 1h30m or 7d")]
    Other(String),
    /// It is longer than a time can be added to.
    #[error("`{0}` is too long; it can be at most 36500d")]
    Long(String),
}

/// The longest duration, in milliseconds: a hundred years.
pub const LONGEST: u64 = 36_500 * 86_400_000;

/// Units of time and their milliseconds, largest first.
pub const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// How much of a text that is none an error repeats, in characters.
const SHOWN: usize = 40;

/// Reads numbers with their units, `500ms`, `1.5s`, `1h30m`, `1h 30m`; what is finer than a millisecond is cut.
///
/// # Errors
/// [`NoDuration`]: a number without a unit, a sign, another unit, or more than a hundred years.
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    let shown = || text.chars().take(SHOWN).collect();
    let wrong = || NoDuration::Other(shown());
    let (mut rest, mut total) = (text.trim(), 0_u64);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after.trim_start(), |c| c.is_ascii_alphabetic());
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = total.saturating_add(times(number, *millis).ok_or_else(wrong)?);
        rest = after.trim_start();
    }
    if total > LONGEST { Err(NoDuration::Long(shown())) } else { Ok(Duration::from_millis(total)) }
}

/// The same, where a bare number is one of seconds.
///
/// # Errors
/// As [`parse`].
pub fn parse_or_seconds(text: &str) -> Result<Duration, NoDuration> {
    let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_bare { parse(&format!("{text}s")) } else { parse(text) }
}

/// What its first characters are that are such, and the rest.
fn split(text: &str, is: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is(c)).unwrap_or(text.len()))
}

/// A number, which may have a fraction, times a unit in milliseconds. What is beyond a `u64` is the largest one.
fn times(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    // Only more digits than a number has fail to parse.
    let whole = whole.parse().unwrap_or(u64::MAX).saturating_mul(unit);
    // Nine digits of the longest unit fit, and are finer than a millisecond of it.
    let fraction = &fraction[..fraction.len().min(9)];
    let parts = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole.saturating_add(fraction.parse::<u64>().ok()? * unit / parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_numbers_with_their_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1.5s", 1_500),
            ("0.25d", 21_600_000),
            ("1.9999ms", 1),
            ("0.1234567891234d", 10_666_666),
            ("1h30m", 5_400_000),
            (" 1h 30 m ", 5_400_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_too_long_is_told() {
        for wrong in
            ["", "30", "s", "-1s", "+1s", "1y", "3sec", "1e3s", "1..5s", "1.5.5s", ".5s", "5.s", "1s1", "1sé", "١s"]
        {
            assert_eq!(parse(wrong), Err(NoDuration::Other(wrong.to_owned())), "{wrong}");
        }
        for long in ["99999999999999999999s", "9999999999999999d", "36500d1ms", "18446744073709551615ms1ms"] {
            assert_eq!(parse(long), Err(NoDuration::Long(long.to_owned())), "{long}");
        }
        assert_eq!(parse(&"x".repeat(1000)), Err(NoDuration::Other("x".repeat(SHOWN))));
    }

    #[test]
    fn a_bare_number_is_seconds_where_that_is_allowed() {
        for (text, millis) in [("7", 7_000), ("1.5", 1_500), ("0", 0), ("2m", 120_000)] {
            assert_eq!(parse_or_seconds(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", ".", "-1", "thirty", "1s1"] {
            assert!(parse_or_seconds(wrong).is_err(), "{wrong}");
        }
    }
}
