//! How long somebody waits for an outcome, as the webhook, the API and the command line are told.

use std::time::Duration;

use crate::duration::{NoDuration, parse_or_seconds};

/// The longest wait; more is cut to it.
pub const MAX_WAIT: Duration = Duration::from_secs(5 * 60);

/// Reads a duration or a bare number of seconds; what is beyond [`MAX_WAIT`] is cut to it.
///
/// # Errors
/// It is no duration.
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    match parse_or_seconds(text) {
        Err(NoDuration::Long(_)) => Ok(MAX_WAIT),
        read => read.map(|wait| wait.min(MAX_WAIT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_five_minutes_is_cut() {
        for (text, seconds) in [("299", 299), ("4m59s", 299)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["301", "6m", "99999999999999999999", "18446744073709551615m"] {
            assert_eq!(parse(text), Ok(MAX_WAIT), "{text}");
        }
    }
}
