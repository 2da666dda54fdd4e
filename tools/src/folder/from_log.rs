//! `herald test --from-log`: which recorded changes a folder would detect differently, event by event.
//!
//! What was detected is what the results say. With which data and key, the catalog says that decided then, where it is kept.

mod compare;
mod tell;

use std::{
    collections::{BTreeMap, HashMap},
    process::ExitCode,
};

use catalog::{
    Catalog, Sources,
    wire::{CatalogRecord, FORMAT},
};
use client::{
    address::Api,
    exit,
    http::{self, Call, encode},
};
use contracts::{headers, summary::Invocation};
use jiff::Timestamp;
use job_runner::{Config, Registry};
use serde::Deserialize;

use self::compare::{Difference, Recorded};
use crate::catalog::from::{get, of_api};

/// How many invocations are asked for at once.
const PAGE: u64 = 500;

/// What was looked at, and what came of it.
#[derive(Debug, Default)]
struct Looked {
    changes: u64,
    /// Changes that could not be looked at, by why not.
    not: BTreeMap<&'static str, u64>,
    /// Of those looked at: without the catalog that decided, so that only names and jobs were compared.
    names_only: u64,
    /// When the oldest came.
    since: Option<Timestamp>,
    differences: Vec<Difference>,
}

/// Does it: 0 if every change would be detected as it was, 1 if one would not.
pub(super) async fn run(catalog: &Catalog, most: u64, name: &str, api: &Api, json: bool) -> anyhow::Result<ExitCode> {
    let mut looked = Looked::default();
    let mut before = Catalogs { api, kept: HashMap::new() };
    for invocation in recorded(api, most).await? {
        looked.since = Some(invocation.received);
        if let Err(why) = look(catalog, name, &mut before, &invocation, &mut looked).await? {
            *looked.not.entry(why).or_default() += 1;
        }
    }
    if json {
        tell::json(&looked)?
    } else {
        tell::text(&looked)?
    }
    Ok(if looked.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::NO) })
}

/// The last invocations, newest first.
async fn recorded(api: &Api, most: u64) -> anyhow::Result<Vec<Invocation>> {
    #[derive(Deserialize)]
    struct Page {
        invocations: Vec<Invocation>,
        next: Option<String>,
    }
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let left = most.saturating_sub(all.len() as u64);
        let page: Page = get(api, &format!("/v1/invocations?limit={}{cursor}", left.min(PAGE))).await?;
        all.extend(page.invocations);
        match page.next.filter(|_| (all.len() as u64) < most) {
            Some(next) => cursor = format!("&cursor={}", encode(&next)),
            None => return Ok(all),
        }
    }
}

/// Looks at one; the inner error is why it could not be looked at.
async fn look(
    catalog: &Catalog,
    name: &str,
    before: &mut Catalogs<'_>,
    invocation: &Invocation,
    looked: &mut Looked,
) -> anyhow::Result<Result<(), &'static str>> {
    if invocation.origin.as_ref().is_some_and(|origin| origin.body.occasion().is_none()) {
        return Ok(Err("published by name"));
    }
    if invocation.rejected.is_some() {
        return Ok(Err("refused"));
    }
    if invocation.duplicate_of.is_some() {
        return Ok(Err("a redelivery of another"));
    }
    let Some(number) = invocation.catalog else { return Ok(Err("not decided yet")) };
    let Some((source, received, body)) = raw(before.api, invocation).await? else { return Ok(Err("no longer kept")) };
    let then = before.of(number).await?;
    let recorded = Recorded { invocation, then: then.as_deref(), source: &source, received, body: &body };
    match compare::differences(catalog, name, &recorded) {
        None => Ok(Err("no change of a table")),
        Some(differences) => {
            looked.changes += 1;
            looked.names_only += u64::from(then.is_none());
            looked.differences.extend(differences);
            Ok(Ok(()))
        }
    }
}

/// The source, the time and the body of a raw record; none if it is no longer kept.
async fn raw(api: &Api, invocation: &Invocation) -> anyhow::Result<Option<(String, Timestamp, Vec<u8>)>> {
    let asked = Call::get(&api.api, &format!("/v1/raw/{}", invocation.raw)).token(api.token.as_deref())?.whole().await;
    match asked {
        Ok((head, body)) => {
            let header = |name| head.get(name).and_then(|value| value.to_str().ok());
            let source = header(headers::SOURCE).unwrap_or("default").to_owned();
            let received = header(headers::RECEIVED).and_then(|text| text.parse().ok()).unwrap_or(invocation.received);
            Ok(Some((source, received, body.to_vec())))
        }
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The catalogs that decided, compiled once.
struct Catalogs<'a> {
    api: &'a Api,
    kept: HashMap<u64, Option<std::rc::Rc<Catalog>>>,
}

impl Catalogs<'_> {
    /// None if it is not kept, or cannot be used by this herald.
    async fn of(&mut self, number: u64) -> anyhow::Result<Option<std::rc::Rc<Catalog>>> {
        if let Some(kept) = self.kept.get(&number) {
            return Ok(kept.clone());
        }
        let found = match of_api(self.api, number).await {
            Ok(found) => found.and_then(|whole| compiled(number, whole.written, whole.files)),
            // A Herald of an earlier version has no such route.
            Err(error) if error.downcast_ref().and_then(http::Error::status) == Some(404) => None,
            Err(error) => return Err(error),
        };
        let found = found.map(std::rc::Rc::new);
        self.kept.insert(number, found.clone());
        Ok(found)
    }
}

/// As leniently as a process compiles what is on the bus.
fn compiled(number: u64, written: Timestamp, sources: Sources) -> Option<Catalog> {
    let (starts, retired, jobs) = (Vec::new(), Vec::new(), Vec::new());
    let record = CatalogRecord { format: FORMAT, number, written, folder: None, sources, starts, retired, jobs };
    record.compile(&Registry::standard(&Config::default())).catalog
}
