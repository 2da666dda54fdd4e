//! What would be detected differently, for people and as JSON.

use std::collections::BTreeMap;

use catalog::shown;
use client::print::{self, BOLD, DIM, count};
use contracts::names::EventRef;
use serde_json::{Value, json};

use super::{
    Looked,
    compare::{Difference, What},
};
use crate::changes;

/// How many changes are shown of each kind.
const EXAMPLES: usize = 3;

impl What {
    /// As JSON names it; the sign and the words for people.
    fn words(&self) -> (&'static str, char, &'static str) {
        match self {
            Self::Gone(_) => ("gone", '-', "would not be detected any more"),
            Self::New => ("new", '+', "would be detected, and were not"),
            Self::Fails(_) => ("fails", '!', "would fail"),
            Self::Mended => ("mended", '~', "failed, and would not"),
            Self::Other(_) => ("other", '~', "would have other data, another key or other jobs"),
        }
    }
}

pub(super) fn text(looked: &Looked) -> anyhow::Result<()> {
    let mut events: BTreeMap<&EventRef, BTreeMap<&str, Vec<&Difference>>> = BTreeMap::new();
    for difference in &looked.differences {
        events.entry(&difference.event).or_default().entry(difference.what.words().0).or_default().push(difference);
    }
    for (event, kinds) in &events {
        print::line(&format!("{BOLD}{event}{BOLD:#}"))?;
        for differences in kinds.values() {
            let (_, sign, words) = differences[0].what.words();
            print::line(&format!("   {sign} {} {words}", differences.len()))?;
            differences.iter().take(EXAMPLES).try_for_each(|one| example(one))?;
            if differences.len() > EXAMPLES {
                print::line(&format!("       {DIM}and {} more{DIM:#}", differences.len() - EXAMPLES))?;
            }
        }
    }
    print::block(&summary(looked))
}

fn example(difference: &Difference) -> anyhow::Result<()> {
    let one = &difference.invocation;
    let table = one.origin.as_ref().and_then(|origin| origin.table.clone()).unwrap_or_default();
    let op = one.origin.as_ref().and_then(|origin| origin.op).map(|op| op.to_string()).unwrap_or_default();
    let change = shown(&format!("{op} {table}"));
    print::line(&format!("       {DIM}{}{DIM:#} {:.0} {change}", one.correlation, one.received))?;
    match &difference.what {
        What::Gone(why) | What::Fails(why) => print::line(&format!("         {}", print::clean(why))),
        What::Other(keys) => {
            keys.iter().flat_map(changes::key).try_for_each(|line| print::line(&format!("     {line}")))
        }
        What::New | What::Mended => Ok(()),
    }
}

/// What was looked at, what could not be, and the answer.
fn summary(looked: &Looked) -> String {
    let total = looked.changes + looked.not.values().sum::<u64>();
    let mut out = match looked.differences.len() {
        0 => "✅ nothing would be detected differently".to_owned(),
        differences => format!("❌ {}", count(differences, "difference")),
    };
    let since = looked.since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
    out.push_str(&format!(": {} of {total} recorded changes were looked at{since}", looked.changes));
    let not: Vec<String> = looked.not.iter().map(|(why, changes)| format!("{changes} {why}")).collect();
    if !not.is_empty() {
        out.push_str(&format!("; not looked at: {}", not.join(", ")));
    }
    if looked.names_only > 0 {
        let unknown = "compared by name and jobs alone, since the catalog that decided is no longer kept";
        out.push_str(&format!("; {} {unknown}", looked.names_only));
    }
    out
}

pub(super) fn json(looked: &Looked) -> anyhow::Result<()> {
    let changed = looked.differences.iter().map(|difference| {
        let Difference { event, what, invocation } = difference;
        let mut one = json!({
            "event": event, "what": what.words().0, "correlation": invocation.correlation, "invocation": invocation.invocation,
            "raw": invocation.raw, "received": invocation.received,
        });
        match what {
            What::Gone(why) | What::Fails(why) => one["because"] = json!(why),
            What::Other(keys) => one["keys"] = json!(keys),
            What::New | What::Mended => {}
        }
        one
    });
    let document = json!({
        "looked": looked.changes, "notLooked": looked.not, "namesOnly": looked.names_only, "since": looked.since,
        "changed": changed.collect::<Vec<Value>>(),
    });
    print::line(&document.to_string())
}
