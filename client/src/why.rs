//! `herald why`: what happened to what came, and why or why not, at length.

use std::process::ExitCode;

use clap::Args;
use contracts::{
    names::{SOURCE, is_source},
    summary::Invocation,
    why::Why,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    address::Api,
    ask::{ask, known},
    exit::{self, Usage},
    http::{Error, encode},
    ids::{self, Given, Meant},
    ls::{Listed, Rows, list, read},
    print,
    render::why::{self as shown, Known},
    status::{Status, say_if_catalog_is_awaited},
};

/// What is said where nothing is asked about.
const UNSAID: &str = "say what is asked about: an id or the beginning of one, as in `herald why 5b0c`; --last, the last that came; \
                      or a row, as in --table orders --key 7";

/// What `herald why` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// A correlation, an invocation, or Hasura's id of an event; or the beginning of one of the first two (4 characters or more)
    #[arg(value_name = "ID", conflicts_with_all = ["table", "last"])]
    id: Option<String>,
    /// The last that came
    #[arg(long, conflicts_with = "table")]
    last: bool,
    #[command(flatten)]
    rows: Rows,
    /// The source whose event's id it is, as in /hasura/{source}
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = source)]
    source: String,
    /// How many invocations are explained
    #[arg(short = 'n', long = "number", value_name = "NUMBER", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,
    /// Print JSON: each invocation with why, and what the groups and jobs do where something is awaited
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: Api,
}

fn source(text: &str) -> Result<String, String> {
    if is_source(text) { Ok(text.to_owned()) } else { Err(format!("a source is {SOURCE}")) }
}

/// One invocation, explained.
#[derive(Serialize)]
struct Explained {
    invocation: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untold: Option<String>,
}

/// Explains them.
///
/// # Errors
/// The API cannot be reached, or refuses; that nothing is known of it is an answer, with exit code 1.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let number = options.number as usize;
    let listed = match options.wanted().await? {
        Wanted::Rows => list(&options.api, &options.rows.query(), number).await?,
        Wanted::Of(meant) => of(&options.api, &meant, number).await?,
        Wanted::Nothing(why) => {
            print::error(&why);
            say_if_catalog_is_awaited(&options.api).await;
            return Ok(ExitCode::from(exit::NO));
        }
    };
    let invocations = read(&listed)?;
    if invocations.is_empty() {
        print::error("nothing that came fits; `herald ls` lists what came");
        say_if_catalog_is_awaited(&options.api).await;
        return Ok(ExitCode::from(exit::NO));
    }
    let mut explained = Vec::with_capacity(invocations.len());
    for (one, text) in invocations.iter().zip(listed.invocations) {
        let (why, untold) = why(&options.api, one).await?;
        explained.push(Explained { invocation: text, why, untold });
    }
    // Who holds what is awaited is asked for only where something is.
    let is_open = invocations.iter().any(shown::is_open);
    if options.json {
        let status: Option<Box<RawValue>> =
            if is_open { Some(ask(&options.api, "/v1/status?limit=1000").await?) } else { None };
        let document = serde_json::json!({ "invocations": explained, "status": status, "next": listed.next });
        print::line(&document.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let status = if is_open { Some(Status::ask(&options.api).await?) } else { None };
    let zone = TimeZone::system();
    for (index, (one, explained)) in invocations.iter().zip(&explained).enumerate() {
        let (why, untold) = (explained.why.as_ref(), explained.untold.clone());
        let known = Known { why, untold, status: status.as_ref(), now: Timestamp::now(), zone: &zone };
        let gap = if index > 0 { "\n" } else { "" };
        print::block(&format!("{gap}{}", shown::text(one, &known)))?;
    }
    if listed.next.is_some() {
        print::note(&format!("… and more; -n {} explains them, too", number.saturating_mul(5)));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be explained.
enum Wanted {
    Rows,
    Of(Meant),
    Nothing(String),
}

impl Options {
    async fn wanted(&self) -> anyhow::Result<Wanted> {
        self.rows.check()?;
        if self.rows.table.is_some() {
            return Ok(Wanted::Rows);
        }
        if self.rows.since.is_some() {
            return Err(Usage("--since goes with --table, as in --table orders --key 7 --since 1h".to_owned()).into());
        }
        if self.id.is_none() && !self.last {
            return Err(Usage(UNSAID.to_owned()).into());
        }
        let given = Given { id: self.id.clone(), last: self.last };
        let meant = given.meant(&self.api, Some(&self.source)).await?;
        Ok(meant.map_or_else(|| Wanted::Nothing(given.unknown()), Wanted::Of))
    }
}

/// The invocation that is meant, or those of the correlation, the oldest first.
async fn of(api: &Api, meant: &Meant, number: usize) -> anyhow::Result<Listed> {
    if let Some(one) = ids::invocation(api, meant).await? {
        return Ok(Listed { invocations: vec![one], next: None });
    }
    let mut found = Listed::default();
    loop {
        let limit = number - found.invocations.len();
        let cursor = found.next.take().map(|cursor| format!("&cursor={}", encode(&cursor))).unwrap_or_default();
        let path = format!("/v1/correlations/{}?limit={limit}{cursor}", encode(meant.correlation.as_str()));
        let Some(page): Option<Listed> = known(api, &path).await? else { return Ok(found) };
        found.invocations.extend(page.invocations);
        found.next = page.next;
        if found.invocations.len() >= number || found.next.is_none() {
            return Ok(found);
        }
    }
}

/// Why its events happened or did not, by the catalog that decided; else why that is not known.
async fn why(api: &Api, one: &Invocation) -> anyhow::Result<(Option<Why>, Option<String>)> {
    let Some(catalog) = one.catalog else { return Ok((None, None)) };
    match ask(api, &format!("/v1/raw/{}/why?catalog={catalog}", one.raw)).await {
        Ok(why) => Ok((Some(why), None)),
        Err(error) => match error.downcast_ref::<Error>() {
            Some(Error::Refused { status: 404, detail, .. }) => Ok((None, Some(detail.clone()))),
            _ => Err(error),
        },
    }
}
