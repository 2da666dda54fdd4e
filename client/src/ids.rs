//! Which correlation or invocation is meant: by an id, by the beginning of one, or as the last that came.

use std::fmt::Write as _;

use clap::Args;
use contracts::{
    found::{Candidate, Found, IdKind},
    ids::{CorrelationId, InvocationId},
    summary::Invocation,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    address::Api,
    ask::{ask, known},
    exit::Usage,
    http::encode,
    render::line::{self, Line},
};

/// The least characters that are taken for the beginning of an id.
const LEAST: usize = 4;

/// What is said where nothing is meant.
const UNSAID: &str =
    "say which one: by its id or the beginning of it, or --last, the last that came; `herald ls` lists what came";

/// An id as it is given on the command line.
#[derive(Debug, Clone, Args)]
pub struct Given {
    /// A correlation, or the beginning of its id (4 characters or more); an invocation's id is taken for the correlation that it is in
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// The last that came
    #[arg(long, conflicts_with = "id")]
    pub last: bool,
}

/// What an id means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// The correlation.
    pub correlation: CorrelationId,
    /// The invocation, if the id is that of one.
    pub invocation: Option<InvocationId>,
}

impl Given {
    /// What is meant, `source` being that of a source's own event; none if nothing is known of it (any more), or nothing has come yet.
    ///
    /// # Errors
    /// The API cannot be reached or refuses; nothing is meant; or several things are, which are named.
    pub async fn meant(&self, api: &Api, source: Option<&str>) -> anyhow::Result<Option<Meant>> {
        match &self.id {
            Some(id) => meant(api, id, source).await,
            None if self.last => last(api).await,
            None => Err(Usage(UNSAID.to_owned()).into()),
        }
    }

    /// What is said when nothing is known of it.
    pub fn unknown(&self) -> String {
        match &self.id {
            Some(id) => unknown(id),
            None => "nothing has come yet".to_owned(),
        }
    }
}

/// What is said when nothing is known of an id.
pub(crate) fn unknown(id: &str) -> String {
    let short = if id.chars().count() < LEAST {
        format!("; the beginning of an id has {LEAST} characters or more")
    } else {
        String::new()
    };
    format!("nothing is known of `{}` (any more){short}; `herald ls` lists what came", crate::print::clean(id))
}

/// What an id, or its beginning, means.
///
/// # Errors
/// As of [`Given::meant`].
async fn meant(api: &Api, id: &str, source: Option<&str>) -> anyhow::Result<Option<Meant>> {
    let source = source.map(|source| format!("?source={}", encode(source))).unwrap_or_default();
    let Some(Found { ids, more }) = known(api, &format!("/v1/ids/{}{source}", encode(id))).await? else {
        // An older Herald finds nothing by a beginning.
        return Ok(id.parse().ok().map(|correlation| Meant { correlation, invocation: None }));
    };
    match one(&ids).filter(|_| !more) {
        Some(meant) => Ok(Some(meant)),
        None if ids.is_empty() => Ok(None),
        None => Err(Usage(ambiguous(id, &ids, more, &TimeZone::system())).into()),
    }
}

/// What all of them mean, if that is one thing.
fn one(ids: &[Candidate]) -> Option<Meant> {
    let first = ids.first()?;
    let same = ids.iter().all(|one| one.correlation == first.correlation);
    let whole = ids.iter().any(|one| one.kind == IdKind::Correlation);
    let invocation = first.invocation.filter(|id| !whole && ids.iter().all(|one| one.invocation == Some(*id)));
    same.then(|| Meant { correlation: first.correlation.clone(), invocation })
}

/// The candidates, each with when and what.
fn ambiguous(id: &str, ids: &[Candidate], more: bool, zone: &TimeZone) -> String {
    let others = if more { "more than " } else { "" };
    let mut out = format!("`{id}` may be {others}{} ids; give more of the one that is meant", ids.len());
    let lines: Vec<Line> = ids.iter().map(|one| line::of_candidate(one, zone)).collect();
    for line in line::aligned(&lines, line::has_days(ids.iter().map(|one| one.received), Timestamp::now(), zone)) {
        let _ = write!(out, "\n  {line}");
    }
    // An error is told without colours.
    anstream::adapter::strip_str(&out).to_string()
}

/// The invocation that is meant, as the API has it; none if no single one is meant, or it is a duplicate of one elsewhere.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub async fn invocation(api: &Api, meant: &Meant) -> anyhow::Result<Option<Box<RawValue>>> {
    #[derive(Deserialize)]
    struct Explained {
        invocation: Box<RawValue>,
    }
    let Some(id) = meant.invocation else { return Ok(None) };
    let found: Option<Explained> = known(api, &format!("/v1/invocations/{id}/why")).await?;
    let is_meant = |one: &RawValue| {
        let one: Result<Invocation, _> = serde_json::from_str(one.get());
        one.is_ok_and(|one| one.correlation == meant.correlation)
    };
    Ok(found.map(|found| found.invocation).filter(|one| is_meant(one)))
}

/// The newest that came.
async fn last(api: &Api) -> anyhow::Result<Option<Meant>> {
    #[derive(Deserialize)]
    struct Page {
        invocations: Vec<Invocation>,
    }
    let Page { invocations } = ask(api, "/v1/invocations?limit=1").await?;
    Ok(invocations.into_iter().next().map(|one| Meant { correlation: one.correlation, invocation: None }))
}

#[cfg(test)]
mod tests {
    use contracts::summary::State;

    use super::*;

    fn candidate(kind: IdKind, correlation: &str, invocation: Option<&str>) -> Candidate {
        Candidate {
            kind,
            correlation: correlation.parse().expect("an id"),
            invocation: invocation.map(|id| InvocationId::derived("default", id)),
            received: "2026-11-21T10:00:00Z".parse().expect("a time"),
            state: State::Complete,
            outcome: None,
            origin: None,
            events: vec!["order.paid".parse().expect("a name")],
            invocations: 1,
        }
    }

    #[test]
    fn several_that_mean_one_thing_are_no_riddle() {
        let whole = candidate(IdKind::Correlation, "a", None);
        let within = candidate(IdKind::Invocation, "a", Some("1"));
        let meant = one(&[whole.clone(), within.clone()]).expect("one correlation");
        assert_eq!(meant, Meant { correlation: "a".parse().expect("an id"), invocation: None });
        assert_eq!(one(std::slice::from_ref(&within)).and_then(|meant| meant.invocation), within.invocation);
        // Of two invocations of one correlation neither is meant more than the other.
        let other = candidate(IdKind::Invocation, "a", Some("2"));
        assert_eq!(one(&[within, other]).map(|meant| meant.invocation), Some(None));
        assert_eq!(one(&[whole, candidate(IdKind::Correlation, "b", None)]), None);
        assert_eq!(one(&[]), None);
    }

    #[test]
    fn candidates_are_named_with_when_and_what() {
        let ids = ["order-77", "order-780"].map(|id| candidate(IdKind::Correlation, id, None));
        let told = ambiguous("orde", &ids, false, &TimeZone::UTC);
        assert_eq!(
            told,
            "`orde` may be 2 ids; give more of the one that is meant\n  \
             11-21 10:00:00  order-77   ✅ a record  order.paid\n  \
             11-21 10:00:00  order-780  ✅ a record  order.paid"
        );
        assert!(ambiguous("orde", &ids, true, &TimeZone::UTC).starts_with("`orde` may be more than 2 ids"));
    }

    #[test]
    fn what_is_too_short_for_a_beginning_is_told_so() {
        assert!(unknown("8b0").contains("4 characters or more"));
        assert!(!unknown("8b0c").contains("characters"));
    }
}
