//! `herald ls`: what came, newest first, and what became of it.

mod follow;

use std::process::ExitCode;

use clap::Args;
use contracts::{duration, names::EventRef, summary::Invocation};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    address::Api,
    ask::ask,
    exit::Usage,
    http::encode,
    page::one_line,
    print,
    render::line::{self, Line},
    status::say_if_catalog_is_awaited,
};

/// The most that are asked for at once.
const PAGE: usize = 200;

/// What `herald ls` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only those of which something failed
    #[arg(long)]
    failed: bool,
    /// Only those in which no event was detected
    #[arg(long)]
    undetected: bool,
    #[command(flatten)]
    rows: Rows,
    /// Only those in which this event was detected
    #[arg(long, value_name = "EVENT")]
    event: Option<EventRef>,
    /// How many
    #[arg(short = 'n', long = "number", value_name = "NUMBER", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,
    /// Go on: what comes from now on is told as it ends, and what is under way for longer than a second, too
    #[arg(short, long)]
    follow: bool,
    /// Print JSON: the invocations as the API has them; with --follow one on each line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: Api,
}

/// Which rows, and since when.
#[derive(Debug, Clone, Default, Args)]
pub struct Rows {
    /// Only changes of this table, `orders` or `shop.orders`
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// Only changes of the table's row with this key; several key columns are joined by `|`
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Only what was received since: so long ago, as in 1h, or at a time, as in 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
}

/// A time, or so long ago.
///
/// # Errors
/// It is neither, in words for whoever wrote it.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = duration::parse(text)
        .map_err(|error| format!("{error}; or a time with its zone, as in 2026-01-02T03:04:05Z"))?;
    let ago = SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
    Timestamp::now().checked_sub(ago).map_err(|error| error.to_string())
}

impl Rows {
    /// That a key goes with a table.
    pub(crate) fn check(&self) -> Result<(), Usage> {
        let Some(key) = self.key.as_ref().filter(|_| self.table.is_none()) else { return Ok(()) };
        Err(Usage(format!("a key is that of a table's row: --table orders --key '{}'", print::clean(key))))
    }

    /// As parameters of a list.
    pub(crate) fn query(&self) -> Vec<String> {
        let pairs =
            [("table", self.table.clone()), ("key", self.key.clone()), ("since", self.since.map(|at| at.to_string()))];
        pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?)))).collect()
    }
}

/// Invocations as the API has them, and the cursor of those behind them, if there are any.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) invocations: Vec<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Lists them.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    options.rows.check()?;
    let mut query = options.rows.query();
    query.extend(options.failed.then(|| "state=failed".to_owned()));
    query.extend(options.undetected.then(|| "events=none".to_owned()));
    query.extend(options.event.iter().map(|event| format!("event={}", encode(&event.to_string()))));
    let number = options.number as usize;
    if options.follow {
        // All that is looked at later is known from the beginning, and so much of it shown.
        let mut listed = list(&options.api, &query, number.max(follow::LOOKED_AT)).await?;
        let known = read(&listed)?;
        listed.invocations.truncate(number);
        // The oldest of it above, as what follows will stand below.
        listed.invocations.reverse();
        show(&Listed { next: None, ..listed }, options.json)?;
        return follow::run(&options, &query, &known).await;
    }
    let listed = list(&options.api, &query, number).await?;
    if options.json {
        print::line(&serde_json::to_string(&listed)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if listed.invocations.is_empty() {
        let what = if query.is_empty() { "nothing has come yet" } else { "nothing that came fits" };
        print::note(what);
        say_if_catalog_is_awaited(&options.api).await;
    }
    show(&listed, false)?;
    if listed.next.is_some() {
        print::note(&format!("… and older ones; -n {} shows more", options.number.saturating_mul(5)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints them in their order: a line each, or a document each.
fn show(listed: &Listed, json: bool) -> anyhow::Result<()> {
    if json {
        return listed.invocations.iter().try_for_each(|one| print::line(&one_line(one.get())));
    }
    let (shown, zone) = (read(listed)?, TimeZone::system());
    if shown.is_empty() {
        return Ok(());
    }
    let id = line::short(shown.iter().map(|one| &one.correlation));
    let lines: Vec<Line> = shown.iter().map(|one| line::of(one, id(&one.correlation), &zone)).collect();
    let days = line::has_days(shown.iter().map(|one| one.received), Timestamp::now(), &zone);
    print::block(&line::aligned(&lines, days).join("\n"))
}

/// What this version can read of a list.
///
/// # Errors
/// An entry is no invocation.
pub(crate) fn read(listed: &Listed) -> Result<Vec<Invocation>, serde_json::Error> {
    listed.invocations.iter().map(|one| serde_json::from_str(one.get())).collect()
}

/// The newest that fit, so many; `next` is there only if there are more.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub(crate) async fn list(api: &Api, query: &[String], number: usize) -> anyhow::Result<Listed> {
    let mut found = Listed::default();
    loop {
        let limit = number.saturating_sub(found.invocations.len()).min(PAGE);
        // A page may be short, or empty, and not the last.
        let page = page(api, query, found.next.as_deref(), limit.max(1)).await?;
        if limit == 0 && !page.invocations.is_empty() {
            // One more was found behind all that were wanted: the cursor is that of the page before it.
            return Ok(found);
        }
        found.invocations.extend(page.invocations);
        found.next = page.next;
        if found.next.is_none() {
            return Ok(found);
        }
    }
}

async fn page(api: &Api, query: &[String], cursor: Option<&str>, limit: usize) -> anyhow::Result<Listed> {
    let mut query = query.to_vec();
    query.push(format!("limit={limit}"));
    query.extend(cursor.map(|cursor| format!("cursor={}", encode(cursor))));
    ask(api, &format!("/v1/invocations?{}", query.join("&"))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_so_long_ago() {
        assert_eq!(since("2026-01-02T03:04:05Z").map(|at| at.to_string()), Ok("2026-01-02T03:04:05Z".to_owned()));
        let (before, since_then, after) = (Timestamp::now(), since("1h30m").expect("a duration"), Timestamp::now());
        let later = since_then + SignedDuration::from_mins(90);
        assert!(before <= later && later <= after);
        for wrong in ["yesterday", "1", "2026-01-02", ""] {
            let error = since(wrong).expect_err(wrong);
            assert!(error.contains("1h30m") && error.contains("2026-01-02T03:04:05Z"), "{error}");
        }
        assert!(since("36501d").is_err());
    }
}
