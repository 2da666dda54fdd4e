//! What can be configured, and what is made of it once.

use std::{collections::BTreeMap, num::NonZeroU64};

use hyper::header::HeaderName;
use runtime::{
    config::{Duration, Secret, Size},
    listener::{Listen, ListenError},
};
use serde::{Deserialize, Serialize};

/// The settings of ingest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Where webhooks come in. `auth` holds the shared secrets, any of which is accepted.
    pub listen: Listen,
    /// The request header that carries the shared secret.
    pub secret_header: String,
    /// The largest body.
    pub max_body: Size,
    /// How long a body may take to arrive once its headers have.
    pub body_timeout: Duration,
    /// How long the bus may take to make a record durable before the request is answered with 503.
    pub publish_timeout: Duration,
    /// How many requests may be under way; one more is answered with 503 at once.
    pub max_in_flight: usize,
    /// How many bytes of bodies may be under way; more are answered with 503 at once.
    pub max_in_flight_bytes: Size,
    /// What `Retry-After` says beside a 503, in whole seconds.
    pub retry_after: Duration,
    /// Where results are asked for a caller who waits.
    pub results: ResultsConfig,
    /// Where the correlation id of a change comes from.
    pub correlation: CorrelationConfig,
    /// The key columns by table, `schema.table` or `source/schema.table`; `id` for tables that are not named.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Where results are, when they are in another process. Whoever starts ingest makes its [`crate::Deps::outcomes`] of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ResultsConfig {
    /// Their API, as in `http://results:8081`; without, no caller can wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The API's token, where it wants one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// Where the correlation id of a change comes from, asked in this order; else it is derived from the source event's id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CorrelationConfig {
    /// The request header.
    pub header: String,
    pub session_variable: String,
    /// The columns that may hold a tracking token.
    pub token_columns: Vec<String>,
    /// The columns that hold a correlation id as it is, or a token; asked last.
    pub columns: Vec<String>,
    /// Whether a token or an id that an update left standing, or that a deleted row carried, joins its correlation instead of
    /// only being shown as related.
    pub join_standing_tokens: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            secret_header: "x-herald-secret".to_owned(),
            max_body: Size::mib(4),
            body_timeout: Duration::secs(30),
            publish_timeout: Duration::secs(5),
            max_in_flight: 4096,
            max_in_flight_bytes: Size::mib(256),
            retry_after: Duration::secs(5),
            results: ResultsConfig::default(),
            correlation: CorrelationConfig::default(),
            keys: BTreeMap::new(),
        }
    }
}

impl Default for CorrelationConfig {
    fn default() -> Self {
        Self {
            header: "x-correlation-id".to_owned(),
            session_variable: "x-hasura-correlation-id".to_owned(),
            token_columns: vec!["updated_by".to_owned(), "updatedby".to_owned()],
            columns: Vec::new(),
            join_standing_tokens: false,
        }
    }
}

/// Why these settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Everybody could come in, and nobody said that they may.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A name that no header can have.
    #[error("`ingest.{setting}` is `{value}`, which no HTTP header is named; write one as in `x-herald-secret`")]
    HeaderName { setting: &'static str, value: String },
    /// A number that would refuse everything, or more than a record can carry.
    #[error("`ingest.{setting}` is {value}; it must be {expected}")]
    OutOfRange {
        setting: &'static str,
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A table without key columns.
    #[error("`ingest.keys.\"{0}\"` names no column; name at least one, or take the table out")]
    NoKeyColumns(String),
}

/// The largest body that fits a record with its key and headers on every bus.
const MAX_BODY: u64 = 4 * 1024 * 1024;

/// The settings, checked, in the shape that requests need.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) secret_header: HeaderName,
    pub(crate) max_body: usize,
    pub(crate) retry_after: NonZeroU64,
    pub(crate) correlation_header: HeaderName,
    pub(crate) session_variable: String,
    pub(crate) token_columns: Vec<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) join_standing_tokens: bool,
    pub(crate) keys: BTreeMap<String, Vec<String>>,
}

impl Config {
    /// Checks the settings without binding anything.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.compile().map(drop)
    }

    pub(crate) fn compile(&self) -> Result<Rules, ConfigError> {
        self.listen.check("ingest.listen")?;
        if self.max_body.bytes() == 0 || self.max_body.bytes() > MAX_BODY {
            return Err(out_of_range("max-body", self.max_body, "between 1B and 4MiB"));
        }
        if self.max_in_flight == 0 {
            return Err(out_of_range("max-in-flight", self.max_in_flight, "at least 1"));
        }
        if self.max_in_flight_bytes < self.max_body {
            return Err(out_of_range("max-in-flight-bytes", self.max_in_flight_bytes, "at least `ingest.max-body`"));
        }
        for (setting, timeout) in [("body-timeout", self.body_timeout), ("publish-timeout", self.publish_timeout)] {
            if timeout.get().is_zero() {
                return Err(out_of_range(setting, timeout, "longer than 0s"));
            }
        }
        let retry_after = NonZeroU64::new(self.retry_after.get().as_secs())
            .ok_or_else(|| out_of_range("retry-after", self.retry_after, "at least 1s"))?;
        if let Some((table, _)) = self.keys.iter().find(|(_, columns)| columns.is_empty()) {
            return Err(ConfigError::NoKeyColumns(table.clone()));
        }
        Ok(Rules {
            secret_header: header("secret-header", &self.secret_header)?,
            max_body: self.max_body.len(),
            retry_after,
            correlation_header: header("correlation.header", &self.correlation.header)?,
            session_variable: self.correlation.session_variable.to_ascii_lowercase(),
            token_columns: self.correlation.token_columns.clone(),
            columns: self.correlation.columns.clone(),
            join_standing_tokens: self.correlation.join_standing_tokens,
            keys: self.keys.clone(),
        })
    }
}

fn header(setting: &'static str, value: &str) -> Result<HeaderName, ConfigError> {
    value.parse().map_err(|_| ConfigError::HeaderName { setting, value: value.to_owned() })
}

fn out_of_range(setting: &'static str, value: impl std::fmt::Display, expected: &'static str) -> ConfigError {
    ConfigError::OutOfRange { setting, value: value.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_used() {
        Config::default().check().expect("usable");
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().expect_err("unusable").to_string()
        };
        assert!(wrong(|c| c.secret_header = "x secret".into()).contains("`ingest.secret-header`"));
        assert!(wrong(|c| c.correlation.header = String::new()).contains("`ingest.correlation.header`"));
        assert!(wrong(|c| c.max_body = Size::mib(5)).contains("`ingest.max-body` is 5MiB"));
        assert!(wrong(|c| c.max_in_flight_bytes = Size::kib(1)).contains("at least `ingest.max-body`"));
        assert!(wrong(|c| c.retry_after = Duration::millis(1)).contains("`ingest.retry-after`"));
        assert!(wrong(|c| c.body_timeout = Duration::secs(0)).contains("`ingest.body-timeout`"));
        assert!(wrong(|c| drop(c.keys.insert("public.t".into(), vec![]))).contains("public.t"));
        assert!(wrong(|c| c.listen.address = "0.0.0.0:0".parse().expect("an address")).contains("auth = \"none\""));
    }
}
