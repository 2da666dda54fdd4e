//! The tracking token: how a job's own writes are recognised when they come back through Hasura.
//!
//! A job writes it into a configured column (`updated_by`), or sends it as a header or a session variable; the webhook of that
//! write then joins the correlation.

use std::fmt;

use uuid::Uuid;

use crate::ids::CorrelationId;

/// The first part of Herald's own tokens, followed by the depth of the writer.
const HERALD: &str = "herald-";

/// `source|correlation id`, `source|correlation id|job run id` or `source|correlation id|job run id|depth`; the first two are
/// not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who wrote: `herald-<depth>` for Herald's jobs. No source in the sense of a webhook's.
    pub writer: String,
    /// The correlation that the write belongs to.
    pub correlation: CorrelationId,
    /// The job run that wrote; may be empty for other writers.
    pub job_run: String,
    /// How many cascades led to the writer, where it says so in the fourth part.
    pub stated: Option<u32>,
}

impl Token {
    /// The token that Herald hands to a job of an event at that depth.
    pub fn of_job(depth: u32, correlation: CorrelationId, job_run: impl fmt::Display) -> Self {
        Self { writer: format!("{HERALD}{depth}"), correlation, job_run: job_run.to_string(), stated: None }
    }

    /// Reads a text. What has other parts, or no valid correlation id, is no token.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(own) = Self::of_herald(text) {
            return Some(own);
        }
        let parts: Vec<&str> = text.split('|').take(5).collect();
        let (writer, correlation, job_run, stated) = match parts[..] {
            [writer, correlation] => (writer, correlation, "", ""),
            [writer, correlation, job_run] => (writer, correlation, job_run, ""),
            [writer, correlation, job_run, depth] => (writer, correlation, job_run, depth),
            _ => return None,
        };
        let stated = if stated.is_empty() { None } else { Some(number(stated)?) };
        let is_named = !writer.is_empty();
        let correlation = correlation.parse().ok().filter(|_| is_named)?;
        Some(Self { writer: writer.into(), correlation, job_run: job_run.into(), stated })
    }

    /// One of Herald's own, whose correlation id may have a `|` of its own.
    fn of_herald(text: &str) -> Option<Self> {
        let (writer, rest) = text.split_once('|')?;
        number(writer.strip_prefix(HERALD)?)?;
        let (correlation, job_run) = rest.rsplit_once('|')?;
        job_run.parse::<Uuid>().ok()?;
        Some(Self {
            writer: writer.into(),
            correlation: correlation.parse().ok()?,
            job_run: job_run.into(),
            stated: None,
        })
    }

    /// How many cascades led to whoever wrote, as far as the token says; the highest number counts.
    pub fn depth(&self) -> Option<u32> {
        self.writer.strip_prefix(HERALD).and_then(number).max(self.stated)
    }
}

/// Digits, and nothing else.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}", self.writer, self.correlation, self.job_run)?;
        self.stated.map_or(Ok(()), |depth| write!(f, "|{depth}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_has_two_to_four_parts() {
        let token = Token::parse("herald-2|order-7|run").expect("a token");
        assert_eq!((token.depth(), token.correlation.as_str(), token.job_run.as_str()), (Some(2), "order-7", "run"));
        assert_eq!(token.to_string(), "herald-2|order-7|run");
        for (text, depth) in [
            ("portal|order-7", None),
            ("portal|order-7|", None),
            ("portal|order-7||", None),
            ("portal|order-7|run|3", Some(3)),
            ("portal|order-7||3", Some(3)),
            ("herald-2|order-7", Some(2)),
            ("herald-2|order-7|run|5", Some(5)),
            ("herald-7|order-7|run|5", Some(7)),
            ("herald-x|order-7|run", None),
        ] {
            let token = Token::parse(text).unwrap_or_else(|| panic!("{text} is a token"));
            assert_eq!((token.depth(), token.correlation.as_str()), (depth, "order-7"), "{text}");
        }
        for none in
            ["", "a", "|b", "a|", "|b|c", "a||c", "a|b c|d", "a|b|c|d", "a|b|c|+3", "a|b|c|99999999999", "a|b|c|3|e"]
        {
            assert_eq!(Token::parse(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn a_job_reads_back_its_own_token_whatever_the_correlation(depth: u32, id in "[!-~]{1,128}", run: u128) {
            let token = Token::of_job(depth, id.parse().expect("an id"), Uuid::from_u128(run));
            prop_assert_eq!(Token::parse(&token.to_string()), Some(token));
        }

        #[test]
        fn no_text_makes_a_token_that_is_none(text in "(herald-[0-9]{0,3})?[ -~é|]{0,40}") {
            if let Some(token) = Token::parse(&text) {
                prop_assert!(!token.writer.is_empty());
                prop_assert_eq!(Token::parse(&token.to_string()), Some(token));
            }
        }
    }
}
