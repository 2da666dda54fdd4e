//! The tracking token: how a job's own writes are recognised when they come back through Hasura.
//!
//! A job writes it into a configured column (`updated_by`); the webhook of that write then joins the correlation.

use std::fmt;

use crate::ids::CorrelationId;

/// The first part of Herald's own tokens, followed by the depth of the writer.
const HERALD: &str = "herald-";

/// `source|correlation id|job run id`, the first two not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who wrote: `herald-<depth>` for Herald's jobs. No source in the sense of a webhook's.
    pub writer: String,
    /// The correlation that the write belongs to.
    pub correlation: CorrelationId,
    /// The job run that wrote; may be empty for other writers.
    pub job_run: String,
}

impl Token {
    /// The token that Herald hands to a job of an event at that depth.
    pub fn of_job(depth: u32, correlation: CorrelationId, job_run: impl fmt::Display) -> Self {
        Self { writer: format!("{HERALD}{depth}"), correlation, job_run: job_run.to_string() }
    }

    /// Reads a column's text. Anything that is not exactly three parts with a valid correlation id is no token.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('|');
        let (writer, correlation, job_run) = (parts.next()?, parts.next()?, parts.next()?);
        if writer.is_empty() || parts.next().is_some() {
            return None;
        }
        Some(Self { writer: writer.into(), correlation: correlation.parse().ok()?, job_run: job_run.into() })
    }

    /// The depth of the job that wrote, when the writer was Herald.
    pub fn herald_depth(&self) -> Option<u32> {
        self.writer.strip_prefix(HERALD)?.parse().ok()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}", self.writer, self.correlation, self.job_run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_exactly_three_parts() {
        let token = Token::parse("herald-2|order-7|run").expect("a token");
        assert_eq!(
            (token.herald_depth(), token.correlation.as_str(), token.job_run.as_str()),
            (Some(2), "order-7", "run")
        );
        assert_eq!(token.to_string(), "herald-2|order-7|run");
        assert_eq!(Token::parse("portal|order-7|").and_then(|t| t.herald_depth()), None);
        for none in ["", "a|b", "|b|c", "a||c", "a|b|c|d", "a|b c|d", "7"] {
            assert_eq!(Token::parse(none), None, "{none}");
        }
    }
}
