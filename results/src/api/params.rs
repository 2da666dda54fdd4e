//! The parameters of a question.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Query},
    http::{StatusCode, header, request::Parts},
};
use contracts::wait;
use runtime::problem::Problem;

use crate::store::Page;

/// How many entries a page has if nobody says, and at most.
const LIMIT: (usize, usize) = (100, 1000);

/// The parameters of the query, and whether a stream is wanted.
#[derive(Debug)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    /// Whether `Accept` names `text/event-stream`.
    pub(super) stream: bool,
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|error| bad(format!("the query cannot be read: {error}")))?;
        let accepted = parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let stream = accepted.flat_map(|value| value.split(',')).any(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
        });
        Ok(Self { pairs, stream })
    }
}

impl Params {
    /// Refuses parameters beside these, and the same twice; `name` may be repeated.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        for (index, (name, _)) in self.pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(bad(format!("there is no parameter `{name}` here; there are {known}")));
            }
            if name != "name" && self.pairs[..index].iter().any(|(before, _)| before == name) {
                return Err(bad(format!("the parameter `{name}` is there twice")));
            }
        }
        Ok(())
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has a few possible values.
    pub(super) fn one_of<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match values.iter().find(|(value, _)| *value == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let possible: Vec<&str> = values.iter().map(|(value, _)| *value).collect();
                Err(bad(format!("`{name}` is {text:?}, and can be {}", possible.join(", "))))
            }
        }
    }

    /// How long to wait, if at all.
    pub(super) fn wait(&self) -> Result<Option<Duration>, Problem> {
        self.get("wait").map(wait::parse).transpose().map_err(|error| bad(error.to_string()))
    }

    /// The page, whose cursor must be one by `is_cursor`.
    pub(super) fn page(&self, is_cursor: impl Fn(&str) -> bool) -> Result<Page, Problem> {
        let limit = match self.get("limit").map(str::parse::<usize>) {
            None => LIMIT.0,
            Some(Ok(limit)) if limit > 0 => limit.min(LIMIT.1),
            Some(_) => return Err(bad("`limit` is a number from 1; more than 1000 is cut")),
        };
        let after = self.get("cursor").map(str::to_owned);
        if after.as_deref().is_some_and(|text| !is_cursor(text)) {
            return Err(bad("`cursor` is the `next` of the page before, as it was given"));
        }
        Ok(Page { after, limit })
    }
}
