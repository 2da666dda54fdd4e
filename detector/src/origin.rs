//! What is told of a raw record, whatever becomes of it.

use crate::measure;
use catalog::{Change, MAX_KEY, Occasion};
use contracts::{
    progress::{Occurrence, Origin},
    raw::{Named, Place, RawHeaders},
};

pub(crate) fn occurrence(headers: &RawHeaders, raw: Place) -> Occurrence {
    Occurrence {
        invocation: headers.invocation,
        correlation: headers.correlation.clone(),
        raw,
        received: headers.received,
    }
}

/// As much as can be known without reading the body.
pub(crate) fn bare(headers: &RawHeaders) -> Origin {
    Origin {
        body: headers.kind,
        source: measure::name_of(&headers.source),
        table: None,
        key: None,
        op: None,
        trigger: None,
        user: None,
        depth: headers.depth,
        related_to: headers.related_to.clone(),
        event: None,
        cause: None,
    }
}

/// What a body adds to it; `key` is that of its record.
pub(crate) fn of(headers: &RawHeaders, key: Option<&[u8]>, change: &Change<'_>) -> Origin {
    match change.occasion() {
        Occasion::Change => of_change(headers, key, change),
        Occasion::Scheduled | Occasion::Action => Origin {
            trigger: change.name().map(measure::name_of),
            user: change.user().map(measure::name_of),
            ..bare(headers)
        },
    }
}

fn of_change(headers: &RawHeaders, key: Option<&[u8]>, change: &Change<'_>) -> Origin {
    let table = format!("{}.{}", measure::name_of(change.schema()), measure::name_of(change.table()));
    Origin {
        key: key.and_then(|key| of_row(key, &headers.source, &table)),
        table: Some(table),
        op: Some(change.operation()),
        trigger: change.trigger().map(measure::name_of),
        user: change.user().map(measure::name_of),
        ..bare(headers)
    }
}

/// What of a record's key is its row's: the rest behind source and table.
fn of_row(key: &[u8], source: &str, table: &str) -> Option<String> {
    let key = std::str::from_utf8(key).ok().filter(|key| key.len() <= MAX_KEY)?;
    Some(key.strip_prefix(source)?.strip_prefix('|')?.strip_prefix(table)?.strip_prefix('|')?.to_owned())
}

/// What a publication says of its event; `key` is that of its record.
pub(crate) fn of_named(headers: &RawHeaders, key: Option<&[u8]>, named: &Named) -> Origin {
    let key = key.and_then(|key| std::str::from_utf8(key).ok()).filter(|key| key.len() <= MAX_KEY);
    Origin {
        key: key.map(str::to_owned),
        user: named.user.as_deref().map(measure::name_of),
        event: Some(named.event.clone()),
        cause: named.cause,
        ..bare(headers)
    }
}

/// On whose behalf an event happened, whatever it was recognised in: what its headers say of that.
pub(crate) struct Subject<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) organisation: Option<&'a str>,
}

impl<'a> From<&'a Named> for Subject<'a> {
    fn from(named: &'a Named) -> Self {
        Self { user: named.user.as_deref(), organisation: named.organisation.as_deref() }
    }
}

impl<'a> Subject<'a> {
    pub(crate) fn of(change: &'a Change<'_>) -> Self {
        Self { user: change.user(), organisation: change.organisation() }
    }
}
