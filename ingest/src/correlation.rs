//! Which correlation a change belongs to, and how deep in a cascade it is.

use contracts::{
    document,
    hasura::{EventBody, Fields, Op},
    ids::CorrelationId,
    json,
    token::Token,
};
use hyper::HeaderMap;
use serde_json::{Value, value::RawValue};

use crate::{config::Rules, key::Rows, notices::Notice};

/// What a request and a body say of their correlation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Correlated {
    /// The correlation, where anybody named one.
    pub(crate) named: Option<CorrelationId>,
    /// How many cascades led here.
    pub(crate) depth: u32,
    /// A correlation that the row names, but not through this write.
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

    /// What the request and the session say, in this order.
    pub(crate) fn by_session(
        rules: &Rules,
        headers: &HeaderMap,
        variable: impl FnOnce(&str) -> Option<String>,
    ) -> Self {
        let mut out = Self::by_header(rules, headers);
        out.candidate("the session variable", variable(&rules.session_variable).as_deref());
        out
    }

    /// What the request, the session and the row say, in this order.
    pub(crate) fn by_change(rules: &Rules, headers: &HeaderMap, event: &EventBody<'_>, rows: &Rows<'_>) -> Self {
        let mut out = Self::by_session(rules, headers, |name| event.session_variable(name));
        for (columns, kind) in [(&rules.token_columns, Column::Token), (&rules.columns, Column::Id)] {
            let Some(found) = columns.iter().find_map(|column| find(column, kind, event.op, rows)) else { continue };
            match found {
                Ok(Found { named, is_set }) if is_set || rules.join_standing_tokens => out.take(named),
                Ok(Found { named, .. }) => out.related_to = out.related_to.or(Some(named.correlation)),
                Err(notice) => out.notices.push(notice),
            }
        }
        out.related_to = out.related_to.filter(|related| out.named.as_ref() != Some(related));
        out
    }

    /// Takes what a place says, if it says anything.
    pub(crate) fn candidate(&mut self, place: &'static str, text: Option<&str>) {
        match text.map(Named::read) {
            Some(Some(named)) => self.take(named),
            Some(None) => self.notices.push(Notice::NoCorrelationId { place }),
            None => {}
        }
    }

    /// The first counts. A write that Herald made is one deeper, whoever named its correlation: else a loop would never end.
    fn take(&mut self, named: Named) {
        self.named.get_or_insert(named.correlation);
        self.depth = self.depth.max(named.depth);
    }
}

/// A correlation that something names, and how many cascades led to it.
struct Named {
    correlation: CorrelationId,
    depth: u32,
}

impl Named {
    /// A token, or an id as it is.
    fn read(text: &str) -> Option<Self> {
        Self::token(text).or_else(|| Some(Self { correlation: text.parse().ok()?, depth: 0 }))
    }

    fn token(text: &str) -> Option<Self> {
        let token = Token::parse(text)?;
        let depth = token.depth().map_or(0, |depth| depth.saturating_add(1));
        Some(Self { correlation: token.correlation, depth })
    }
}

/// What a column may hold.
#[derive(Clone, Copy)]
enum Column {
    /// A tracking token, else anything.
    Token,
    /// A correlation id or a token.
    Id,
}

/// What a column names, and whether this write set it.
struct Found {
    named: Named,
    is_set: bool,
}

/// What a column says; none if it says nothing.
fn find(column: &str, kind: Column, op: Op, rows: &Rows<'_>) -> Option<Result<Found, Notice>> {
    let text = value(if op == Op::Delete { &rows.old } else { &rows.new }, column)?;
    let named = match kind {
        Column::Token => Named::token(&serde_json::from_str::<String>(text).ok()?)?,
        Column::Id => {
            let id = match serde_json::from_str::<Value>(text).ok()? {
                Value::String(id) => id,
                Value::Number(id) => id.to_string(),
                Value::Null => return None,
                _ => String::new(),
            };
            match Named::read(&id) {
                Some(named) => named,
                None => return Some(Err(Notice::NoCorrelationId { place: "a column of ingest.correlation.columns" })),
            }
        }
    };
    let is_set = match op {
        Op::Insert | Op::Manual => true,
        Op::Update => value(&rows.old, column).is_none_or(|old| !same(old, text)),
        Op::Delete | Op::Unknown(_) => false,
    };
    Some(Ok(Found { named, is_set }))
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
