//! The parameters of a question.

use std::{cmp::Reverse, fmt::Display, time::Duration};

use axum::{
    extract::{FromRequestParts, Query},
    http::{StatusCode, header, request::Parts},
};
use contracts::wait;
use runtime::problem::Problem;

use crate::store::Page;

/// How many entries a page has if nobody says, and at most.
const LIMIT: (usize, usize) = (100, 1000);

/// What stands before the places of a list in its cursors, so that one of another list is refused and not taken for a
/// place. The pages of a correlation have nothing there: its first page is named in what is announced, as it always was.
fn mark(list: &str) -> String {
    if list.is_empty() { String::new() } else { format!("{list}:") }
}

/// The cursor of the page of a list behind a place.
pub(super) fn next(list: &str, place: Option<impl Display>) -> Option<String> {
    place.map(|place| format!("{}{place}", mark(list)))
}

/// The parameters of the query, and whether a stream is wanted.
#[derive(Debug)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    /// Whether `Accept` prefers `text/event-stream`.
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
        Ok(Self { pairs, stream: prefers_stream(accepted.flat_map(|value| value.split(','))) })
    }
}

/// Whether a stream is preferred to JSON. A stream is only for who names it; of two that are as welcome, the one that is named
/// first counts, and what is named counts before what a `*` stands for.
fn prefers_stream<'a>(accepted: impl Iterator<Item = &'a str>) -> bool {
    let (mut stream, mut json, mut any) = (None, None, 0);
    for (place, range) in accepted.enumerate() {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        // What is no number is no wish.
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let weight = weight.and_then(|weight| weight.parse::<f32>().ok()).unwrap_or(1.0);
        let weight = (weight.clamp(0.0, 1.0) * 1000.0) as u32;
        match kind.as_str() {
            "text/event-stream" => stream = stream.or(Some((weight, Reverse(place)))),
            "application/json" => json = json.or(Some((weight, Reverse(place)))),
            "application/*" | "*/*" => any = any.max(weight),
            _ => {}
        }
    }
    match (stream, json) {
        (None | Some((0, _)), _) => false,
        (Some(stream), Some(json)) => stream > json,
        (Some((stream, _)), None) => stream >= any,
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
    pub(super) fn one_of<T: Clone>(&self, name: &str, values: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match values.iter().find(|(value, _)| *value == text) {
            Some((_, value)) => Ok(Some(value.clone())),
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

    /// The page of a list, and the place behind which it begins if there is a cursor: what `place` reads, and would write
    /// the same.
    pub(super) fn page<T: ToString>(
        &self,
        list: &str,
        place: impl Fn(&str) -> Option<T>,
    ) -> Result<(Page, Option<T>), Problem> {
        let limit = match self.get("limit").map(str::parse::<usize>) {
            None => LIMIT.0,
            Some(Ok(limit)) if limit > 0 => limit.min(LIMIT.1),
            Some(_) => return Err(bad("`limit` is a number from 1; more than 1000 is cut")),
        };
        let Some(cursor) = self.get("cursor") else { return Ok((Page { after: None, limit }, None)) };
        let after = cursor.strip_prefix(&mark(list));
        let place = after.and_then(|after| place(after).filter(|place| place.to_string() == after));
        if place.is_none() {
            return Err(bad("`cursor` is the `next` of the page before in the same list, as it was given"));
        }
        Ok((Page { after: after.map(str::to_owned), limit }, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_for_who_prefers_it() {
        for (accept, stream) in [
            ("", false),
            ("*/*", false),
            ("text/*", false),
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            ("text/event-stream;q=0", false),
            ("text/event-stream; q=0.000, */*", false),
            ("application/json, text/event-stream", false),
            ("text/event-stream, application/json", true),
            ("application/json;q=0.5, text/event-stream;q=0.9", true),
            ("text/event-stream;q=0.5, application/json", false),
            ("text/event-stream, */*;q=0.1", true),
            ("*/*, text/event-stream", true),
            ("text/event-stream;q=0.1, */*", false),
            ("text/event-stream;q=much", true),
        ] {
            assert_eq!(prefers_stream(accept.split(',')), stream, "{accept}");
        }
    }
}
