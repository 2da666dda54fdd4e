//! `herald dlq`: the dead letters of jobs, and what becomes of them.

mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use contracts::{
    dead::Reason,
    ids::{CorrelationId, JobRunId},
    names::EventRef,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    address::Api,
    ask::ask,
    exit::{self, Usage},
    http::{Error, encode},
    ls::since,
    order::{Orderer, counted},
    print::{self, BOLD, DIM, RED, clean, cut},
    render::{line, table},
};

/// The most that are asked for at once.
const PAGE: usize = 500;
/// The longest error on a line, in characters.
const LONGEST: usize = 80;
/// The least characters that may be the beginning of an id.
const LEAST: usize = 4;

/// What `herald dlq` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// List dead letters, the one that died last first
    List(List),
    /// Show a dead letter, with the whole event and its headers
    Show(Show),
    /// Give dead letters further attempts, under the same idempotency key; their event's other jobs are left alone
    Redrive(Order),
    /// Put dead letters away for good
    Discard(Order),
}

/// Which dead letters.
#[derive(Debug, Clone, Args)]
struct Which {
    /// Of this job: its full name, or its short name where only one job has it
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Of this event
    #[arg(long, value_name = "EVENT")]
    event: Option<EventRef>,
    /// That died for this reason
    #[arg(long, value_name = "REASON", value_parser = PossibleValuesParser::new(Reason::KNOWN))]
    reason: Option<String>,
    /// Of this correlation
    #[arg(long, value_name = "ID")]
    correlation: Option<CorrelationId>,
    /// That died since: so long ago, as in 1h, or at a time, as in 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// That died before: so long ago, or a time
    #[arg(long, value_name = "TIME", value_parser = since)]
    before: Option<Timestamp>,
}

impl Which {
    fn check(&self) -> Result<(), Usage> {
        match (self.since, self.before) {
            (Some(since), Some(before)) if since >= before => Err(Usage(format!(
                "nothing dies since {since:.0} and before {before:.0}: --since is the earlier of the two; in 2h and 1h, 2h is"
            ))),
            _ => Ok(()),
        }
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let Self { job, event, reason, correlation, since, before } = self;
        let all = [
            ("job", job.clone()),
            ("event", event.as_ref().map(ToString::to_string)),
            ("reason", reason.clone()),
            ("correlation", correlation.as_ref().map(ToString::to_string)),
            ("since", since.map(|at| at.to_string())),
            ("before", before.map(|at| at.to_string())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[derive(Debug, Clone, Args)]
struct List {
    #[command(flatten)]
    which: Which,
    /// How many
    #[arg(short = 'n', long = "number", value_name = "NUMBER", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,
    /// Print JSON: the letters as the API has them
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: Api,
}

#[derive(Debug, Clone, Args)]
struct Show {
    /// The letter's id, or the beginning of it (4 characters or more)
    #[arg(value_name = "ID")]
    id: String,
    /// Print JSON: the letter as the API has it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: Api,
}

#[derive(Debug, Clone, Args)]
struct Order {
    /// A job, or the ids of letters, of which the beginnings are enough
    #[arg(value_name = "JOB|ID")]
    of: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Every dead letter of every job
    #[arg(long)]
    all: bool,
    /// For a job that has left the catalog: the version of the catalog by whose definition it runs
    #[arg(long, value_name = "VERSION")]
    definition: Option<u64>,
    #[command(flatten)]
    order: Orderer,
}

/// Letters as the API has them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Listed {
    dead: Vec<Box<RawValue>>,
    count: u64,
    #[serde(default)]
    unlisted: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A letter, as far as it is read.
#[derive(Debug, Deserialize)]
struct Letter {
    id: JobRunId,
    job: String,
    event: EventRef,
    reason: Reason,
    error: String,
    attempts: u64,
    last: Timestamp,
}

/// What was ordered.
#[derive(Debug, Deserialize)]
struct Ordered {
    letters: u64,
    orders: Vec<Given>,
}

#[derive(Debug, Deserialize)]
struct Given {
    job: String,
    letters: u64,
    #[serde(default)]
    paused: bool,
}

/// Lists, shows, or orders.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::List(options) => list(&options).await,
        Command::Show(Show { id, json, api }) => show::run(&api, &id, json).await,
        Command::Redrive(options) => order(&options, "redrive").await,
        Command::Discard(options) => order(&options, "discard").await,
    }
}

async fn list(options: &List) -> anyhow::Result<ExitCode> {
    options.which.check()?;
    let query: Vec<String> =
        options.which.pairs().into_iter().map(|(name, value)| format!("{name}={}", encode(&value))).collect();
    let (mut listed, most) = (Listed::default(), options.number as usize);
    loop {
        let limit = (most - listed.dead.len()).min(PAGE);
        let cursor = listed.next.take().map(|next| format!("cursor={}", encode(&next)));
        let asked: Vec<String> = query.iter().cloned().chain(cursor).chain([format!("limit={limit}")]).collect();
        let page: Listed = ask(&options.api, &format!("/v1/dead?{}", asked.join("&"))).await.map_err(usage)?;
        listed.dead.extend(page.dead);
        (listed.count, listed.unlisted, listed.next) = (page.count, page.unlisted, page.next);
        if listed.next.is_none() || listed.dead.len() >= most {
            break;
        }
    }
    if options.json {
        print::line(&serde_json::to_string(&listed)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let letters: Vec<Letter> =
        listed.dead.iter().map(|one| serde_json::from_str(one.get())).collect::<Result<_, _>>()?;
    if letters.is_empty() {
        print::note(if query.is_empty() { "there are no dead letters" } else { "no dead letter fits" });
    } else {
        print::block(&lines(&letters, &TimeZone::system()).join("\n"))?;
    }
    let more = listed.count.saturating_sub(letters.len() as u64);
    if more > 0 {
        print::note(&format!("… and {more} that died before; -n {} shows more", options.number.saturating_mul(5)));
    }
    if listed.unlisted > 0 {
        print::note(&format!(
            "{} older ones are not listed; a redrive and a discard reach them all the same",
            listed.unlisted
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each letter: when it died, under which id, of what, and why.
fn lines(letters: &[Letter], zone: &TimeZone) -> Vec<String> {
    let short = line::beginnings(letters.iter().map(|one| one.id.to_string()));
    let rows: Vec<[String; 5]> = letters
        .iter()
        .map(|one| {
            let at = one.last.to_zoned(zone.clone()).strftime("%m-%d %H:%M:%S").to_string();
            let tried = counted(one.attempts, "attempt");
            [
                format!("{DIM}{at}{DIM:#}"),
                format!("{BOLD}{}{BOLD:#}", short(&one.id.to_string())),
                clean(&one.job),
                one.event.to_string(),
                format!("{tried}, {}: {RED}{}{RED:#}", why(&one.reason), cut(&clean(&one.error), LONGEST)),
            ]
        })
        .collect();
    table::lines(&rows)
}

/// A reason in words.
fn why(reason: &Reason) -> String {
    match reason {
        Reason::Attempts => "all spent".to_owned(),
        Reason::Interrupted => "its process ended under it".to_owned(),
        Reason::Final => "no other makes sense".to_owned(),
        Reason::Time => "its time was over".to_owned(),
        Reason::Unknown(label) => clean(label.as_str()),
    }
}

async fn order(options: &Order, verb: &str) -> anyhow::Result<ExitCode> {
    options.which.check()?;
    let mut body: Map<String, Value> =
        options.which.pairs().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut ids = Vec::new();
    for text in &options.of {
        if is_letter(&options.order.api, text).await? {
            ids.push(text.as_str());
        } else if body.insert("job".to_owned(), text.as_str().into()).is_some() {
            return Err(Usage("dead letters are of one job; order for one after another".to_owned()).into());
        }
    }
    if !ids.is_empty() {
        body.insert("ids".to_owned(), json!(ids));
    }
    if body.is_empty() && !options.all {
        let message = format!(
            "say which dead letters are meant: a job, ids, --event, --reason, --correlation, --since or --before, or --all; \
             `{} dlq list` lists them",
            print::command()
        );
        return Err(Usage(message).into());
    }
    body.extend(options.all.then(|| ("all".to_owned(), true.into())));
    body.extend(options.definition.map(|version| ("definition".to_owned(), version.into())));
    let ordered: Ordered = options.order.post(&format!("/v1/dead/{verb}"), body).await.map_err(usage)?;
    if ordered.letters == 0 {
        print::error("no dead letter fits: nothing was ordered");
        return Ok(ExitCode::from(exit::NO));
    }
    if !options.order.json {
        print::block(&told(&ordered, verb, options.order.dry_run))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the API cannot read was written on the command line.
fn usage(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Error>() {
        Some(Error::Refused { status: 400, detail, .. }) => Usage(detail.clone()).into(),
        _ => error,
    }
}

/// Whether a text is the id of a letter, or the beginning of one or more; else it is the name of a job.
async fn is_letter(api: &Api, text: &str) -> anyhow::Result<bool> {
    let may_be = text.len() >= LEAST && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if !may_be {
        return Ok(false);
    }
    match ask::<Box<RawValue>>(api, &format!("/v1/dead/{}", encode(text))).await {
        Ok(_) => Ok(true),
        Err(error) => match error.downcast_ref::<Error>().and_then(Error::status) {
            Some(404) => Ok(false),
            Some(409) => Ok(true),
            _ => Err(error),
        },
    }
}

fn told(ordered: &Ordered, verb: &str, dry_run: bool) -> String {
    let (sign, done) = if verb == "redrive" { ("↻", "redriven") } else { ("🗑", "discarded") };
    let is = if dry_run {
        "would be"
    } else if ordered.letters == 1 {
        "is"
    } else {
        "are"
    };
    let mut lines = vec![format!("{sign} {} {is} {done}", counted(ordered.letters, "dead letter"))];
    for one in &ordered.orders {
        let paused =
            if one.paused && verb == "redrive" { ": the job is paused, they wait until it is resumed" } else { "" };
        lines.push(format!("   {BOLD}{}{BOLD:#}  {}{paused}", clean(&one.job), one.letters));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn a_letter_is_a_line() {
        let letters = r#"[{"id":"710923ea-91e1-5411-9ca1-9f0325876604","job":"charge","event":"order.paid","reason":"attempts",
                "error":"503 from billing\nand more","attempts":5,"last":"2026-11-21T02:22:51Z"},
            {"id":"810923ea-91e1-5411-9ca1-9f0325876604","job":"order.paid.note","event":"order.paid.v2","reason":"bored",
                "error":"x","attempts":1,"last":"2026-11-21T02:22:50Z"}]"#;
        let letters: Vec<Letter> = serde_json::from_str(letters).expect("letters");
        let lines: Vec<String> =
            lines(&letters, &TimeZone::UTC).iter().map(|line| strip_str(line).to_string()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        11-21 02:22:51  710923ea  charge           order.paid     5 attempts, all spent: 503 from billing and more
        11-21 02:22:50  810923ea  order.paid.note  order.paid.v2  1 attempt, bored: x
        "#);
    }

    #[test]
    fn what_is_ordered_is_counted_by_job() {
        let ordered =
            r#"{"letters":3,"orders":[{"job":"charge","letters":2,"paused":true},{"job":"mail","letters":1}]}"#;
        let ordered: Ordered = serde_json::from_str(ordered).expect("an answer");
        let told = |verb, dry_run| strip_str(&told(&ordered, verb, dry_run)).to_string();
        assert_eq!(
            told("redrive", false),
            "↻ 3 dead letters are redriven\n   charge  2: the job is paused, they wait until it is resumed\n   mail  1"
        );
        assert_eq!(told("discard", true), "🗑 3 dead letters would be discarded\n   charge  2\n   mail  1");
    }
}
