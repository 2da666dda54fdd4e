//! The grammar of `wait`, at the webhook, the API and the command line alike.

use std::time::Duration;

/// The longest wait; more is cut to it.
pub const MAX_WAIT: Duration = Duration::from_secs(5 * 60);

/// The text is no wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no wait: write `500ms`, `30s`, `2m` or a number of seconds; more than 5 minutes is cut")]
pub struct WaitError(pub String);

/// Reads `500ms`, `30s`, `2m` or a bare number of seconds; what is beyond [`MAX_WAIT`] is cut to it.
///
/// # Errors
/// Anything else: no digits, a sign, a fraction, another unit.
pub fn parse(text: &str) -> Result<Duration, WaitError> {
    let error = || WaitError(text.chars().take(40).collect());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        _ => return Err(error()),
    };
    if number.is_empty() {
        return Err(error());
    }
    // Only a number beyond u64 fails to parse here, and that is cut like any other that is too long.
    let number: u64 = number.parse().unwrap_or(u64::MAX);
    Ok(Duration::from_millis(number.saturating_mul(millis)).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_with_an_optional_unit() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("7", 7_000), ("0", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn more_than_five_minutes_is_cut() {
        for text in ["301", "6m", "99999999999999999999999", "18446744073709551615m"] {
            assert_eq!(parse(text), Ok(MAX_WAIT), "{text}");
        }
    }

    #[test]
    fn nonsense_and_negative_waits_are_refused() {
        for text in ["", "-1", "-5s", "+1", "s", "ms", "1.5s", "1h", "30 s", "thirty", "1s1", "١"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
