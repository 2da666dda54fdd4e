//! Which correlation a change belongs to, and how deep in a cascade it is.

use contracts::{
    document,
    hasura::{EventBody, Fields, Op},
    ids::CorrelationId,
    json,
    token::Token,
};
use hyper::HeaderMap;
use serde_json::value::RawValue;

use crate::{config::Rules, key::Rows, notices::Notice};

/// What a request and a body say of their correlation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Correlated {
    /// The correlation, where anybody named one.
    pub(crate) named: Option<CorrelationId>,
    /// How many cascades led here.
    pub(crate) depth: u32,
    /// A correlation whose token the row carries, but not through this write.
    pub(crate) related_to: Option<CorrelationId>,
    /// What was passed over.
    pub(crate) notices: Vec<Notice>,
}

impl Correlated {
    /// What the request's header says: all there is for a body that is no change.
    pub(crate) fn by_header(rules: &Rules, headers: &HeaderMap) -> Self {
        let mut out = Self::default();
        let sent = headers.get(&rules.correlation_header).map(|value| value.to_str().unwrap_or_default());
        out.candidate("the request header", sent);
        out
    }

    /// What the request, the session and the row say, in this order.
    pub(crate) fn by_change(rules: &Rules, headers: &HeaderMap, event: &EventBody<'_>, rows: &Rows<'_>) -> Self {
        let mut out = Self::by_header(rules, headers);
        if out.named.is_none() && event.session.is_some() {
            out.candidate("the session variable", event.session_variable(&rules.session_variable).as_deref());
        }
        let Some(found) = find_token(&rules.token_columns, event.op, rows) else { return out };
        // A write that Herald made is one deeper, whoever named its correlation: else a loop would never end.
        if found.is_set || rules.join_standing_tokens {
            out.depth = found.token.herald_depth().map_or(0, |depth| depth.saturating_add(1));
            out.named.get_or_insert(found.token.correlation);
        } else if out.named.as_ref() != Some(&found.token.correlation) {
            out.related_to = Some(found.token.correlation);
        }
        out
    }

    fn candidate(&mut self, place: &'static str, text: Option<&str>) {
        match text.map(str::parse) {
            Some(Ok(id)) => self.named = Some(id),
            Some(Err(_)) => self.notices.push(Notice::NoCorrelationId { place }),
            None => {}
        }
    }
}

/// A tracking token, and whether this write set it.
struct Found {
    token: Token,
    is_set: bool,
}

/// The token of the first column that holds one.
fn find_token(columns: &[String], op: Op, rows: &Rows<'_>) -> Option<Found> {
    columns.iter().find_map(|column| {
        let text = value(if op == Op::Delete { &rows.old } else { &rows.new }, column)?;
        let token = Token::parse(&serde_json::from_str::<String>(text).ok()?)?;
        let is_set = match op {
            Op::Insert | Op::Manual => true,
            Op::Update => value(&rows.old, column).is_none_or(|old| !same(old, text)),
            Op::Delete | Op::Unknown(_) => false,
        };
        Some(Found { token, is_set })
    })
}

fn value<'a>(row: &Option<Fields<'a>>, column: &str) -> Option<&'a str> {
    row.as_ref()?.get(column).map(RawValue::get)
}

/// Whether two values are the same, however they are written.
fn same(a: &str, b: &str) -> bool {
    a == b
        || match (document::parse(a), document::parse(b)) {
            (Ok(a), Ok(b)) => json::equal(&a, &b),
            _ => false,
        }
}
