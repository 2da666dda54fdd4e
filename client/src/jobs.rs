//! `herald jobs`: how each job is; and pausing and resuming it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use contracts::control::Said;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, value::RawValue};

use crate::{
    address::Api,
    ask::ask,
    http::encode,
    order::{Orderer, counted},
    page::one_line,
    print::{self, BOLD, DIM, RED, YELLOW, clean, cut},
    render::{self, table},
};

/// The most that a page may have.
const PAGE: usize = 1000;
/// The longest error on a line, in characters.
const LONGEST: usize = 200;

/// What `herald jobs` is told.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON: one job on each line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: Api,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Start nothing more of a job, until it is resumed: what runs goes on, and what comes waits
    Pause(Named),
    /// Let a job go on that was paused
    Resume(Named),
}

#[derive(Debug, Clone, Args)]
struct Named {
    /// The job's full name, or its short name where only one job has it
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<String>,
    #[command(flatten)]
    order: Orderer,
}

/// A page of the list, as the API has it.
#[derive(Debug, Deserialize)]
struct Page {
    since: Timestamp,
    jobs: Vec<Box<RawValue>>,
    next: Option<String>,
}

/// A job, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    job: String,
    state: String,
    paused: Option<Said>,
    unknown: Option<String>,
    since: Option<String>,
    error: Option<String>,
    #[serde(default)]
    retired: bool,
    #[serde(default)]
    lag: u64,
    #[serde(default)]
    rate: f64,
    #[serde(default)]
    running: u64,
    #[serde(default)]
    retrying: u64,
    #[serde(default)]
    gathering: u64,
    #[serde(default)]
    limited: u64,
    #[serde(default)]
    crowded: u64,
    circuit: Option<Circuit>,
    #[serde(default)]
    dead: u64,
}

/// A target that fails throughout.
#[derive(Debug, Deserialize)]
struct Circuit {
    error: String,
    probe: Timestamp,
}

/// What became of a pause or a resume.
#[derive(Debug, Deserialize)]
struct Held {
    job: String,
    changed: bool,
    lag: u64,
    #[serde(default)]
    retrying: u64,
    #[serde(default)]
    probed: bool,
}

/// Lists jobs, or orders something.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        None => list(&options.api, options.json).await,
        Some(Command::Pause(named)) => hold(&named, true).await,
        Some(Command::Resume(named)) => hold(&named, false).await,
    }
}

/// Every job, and since when is counted what is.
async fn all(api: &Api) -> anyhow::Result<(Vec<Box<RawValue>>, Option<Timestamp>)> {
    let (mut jobs, mut since, mut cursor) = (Vec::new(), None, String::new());
    loop {
        let page: Page = ask(api, &format!("/v1/jobs?limit={PAGE}{cursor}")).await?;
        jobs.extend(page.jobs);
        since.get_or_insert(page.since);
        let Some(next) = page.next else { return Ok((jobs, since)) };
        cursor = format!("&cursor={}", encode(&next));
    }
}

/// The jobs that have dead letters, and how many each.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub async fn dead(api: &Api) -> anyhow::Result<Vec<(String, u64)>> {
    let (jobs, _) = all(api).await?;
    let read: Vec<Job> = jobs.iter().map(|job| serde_json::from_str(job.get())).collect::<Result<_, _>>()?;
    Ok(read.into_iter().filter(|job| job.dead > 0).map(|job| (job.job, job.dead)).collect())
}

async fn list(api: &Api, json: bool) -> anyhow::Result<ExitCode> {
    let (jobs, since) = all(api).await?;
    if json {
        jobs.iter().try_for_each(|job| print::line(&one_line(job.get())))?;
        return Ok(ExitCode::SUCCESS);
    }
    let read: Vec<Job> = jobs.iter().map(|job| serde_json::from_str(job.get())).collect::<Result<_, _>>()?;
    if read.is_empty() {
        print::note("there are no jobs");
        return Ok(ExitCode::SUCCESS);
    }
    print::block(&shown(&read, Timestamp::now()).join("\n"))?;
    if let Some(since) = since {
        print::note(&format!(
            "rates are of the last minute; what runs elsewhere, or waits for a retry, is counted since {since:.0}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each job.
fn shown(jobs: &[Job], now: Timestamp) -> Vec<String> {
    let rows: Vec<[String; 2]> = jobs
        .iter()
        .map(|job| {
            let (sign, mut said) = state(job);
            said.extend(job.circuit.as_ref().map(|circuit| open(circuit, now)));
            said.extend(numbers(job));
            let said = if said.is_empty() { format!("{DIM}idle{DIM:#}") } else { said.join(", ") };
            [format!("{sign} {BOLD}{}{BOLD:#}", clean(&job.job)), said]
        })
        .collect();
    table::lines(&rows)
}

fn state(job: &Job) -> (&'static str, Vec<String>) {
    let since = job.since.as_ref().map(|since| format!(" since {}", clean(since))).unwrap_or_default();
    let why = job.error.as_ref().map(|error| format!(": {}", cut(&clean(error), LONGEST))).unwrap_or_default();
    let (sign, mut said) = match job.state.as_str() {
        "running" if job.dead > 0 => ("❗", Vec::new()),
        "running" => ("✅", Vec::new()),
        "circuitOpen" => ("⚡", Vec::new()),
        "joining" => ("⏳", vec!["joining".to_owned()]),
        "paused" => ("⏸", Vec::new()),
        "stopped" => ("❌", vec![format!("{RED}stands still{since}{why}{RED:#}")]),
        "waiting" => ("🔁", vec![format!("{YELLOW}is tried again, failing{since}{why}{YELLOW:#}")]),
        "awaitsCatalog" => ("⏳", vec![format!("awaits a catalog{why}")]),
        "unattended" if job.retired => ("💤", Vec::new()),
        "unattended" => ("❔", vec![format!("{YELLOW}no process runs it{YELLOW:#}")]),
        other => ("❔", vec![clean(other)]),
    };
    said.extend(job.paused.as_ref().map(|paused| match &job.unknown {
        None => render::paused(paused),
        Some(unknown) => format!("held by {}, which this version does not know: {}", clean(&paused.by), clean(unknown)),
    }));
    said.extend(job.retired.then(|| "has left the catalog".to_owned()));
    (sign, said)
}

/// Of a circuit that is open: why, and when the target is tried.
fn open(circuit: &Circuit, now: Timestamp) -> String {
    let error = cut(&clean(&circuit.error), LONGEST);
    format!("{YELLOW}circuit open, {error}, {}{YELLOW:#}", render::probing(Some(circuit.probe), now))
}

fn numbers(job: &Job) -> Vec<String> {
    let count = |number: u64, what: &str| (number > 0).then(|| format!("{number} {what}"));
    let waits = if job.retrying == 1 { "waits for its retry" } else { "wait for their retry" };
    let gathers = if job.gathering == 1 { "gathers in a window" } else { "gather in windows" };
    let all = [
        count(job.lag, "behind"),
        count(job.running, "running"),
        count(job.retrying, waits),
        count(job.gathering, gathers),
        count(job.limited, if job.limited == 1 { "waits for the rate" } else { "wait for the rate" }),
        count(
            job.crowded,
            if job.crowded == 1 { "waits for others of its kind" } else { "wait for others of their kind" },
        ),
        (job.dead > 0).then(|| format!("{RED}{} dead{RED:#}", job.dead)),
        (job.rate > 0.0).then(|| format!("{}/s", rate(job.rate))),
    ];
    all.into_iter().flatten().collect()
}

/// A number with as many digits as say something.
fn rate(rate: f64) -> String {
    if rate >= 10.0 {
        format!("{rate:.0}")
    } else if rate >= 0.1 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.2}")
    }
}

async fn hold(named: &Named, pauses: bool) -> anyhow::Result<ExitCode> {
    let verb = if pauses { "pause" } else { "resume" };
    for job in &named.jobs {
        let held: Held = named.order.post(&format!("/v1/jobs/{}/{verb}", encode(job)), Map::new()).await?;
        if !named.order.json {
            print::block(&told(&held, pauses, named.order.dry_run))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn told(held: &Held, pauses: bool, dry_run: bool) -> String {
    let Held { job, changed, lag, retrying, probed } = held;
    if *probed && !pauses {
        let verb = if dry_run { "would be" } else { "is" };
        return format!(
            "▶ {BOLD}{job}{BOLD:#} {verb} let go on, and its target, which fails throughout, {verb} tried at once"
        );
    }
    let would = if dry_run { "would be " } else { "is " };
    let wait = |count: u64| if count == 1 { "waits" } else { "wait" };
    let records = (*lag > 0).then(|| format!("at most {} {} for it", counted(*lag, "record"), wait(*lag)));
    let runs = (*retrying > 0)
        .then(|| format!("{} {} for a retry or behind one of their key", counted(*retrying, "run"), wait(*retrying)));
    let waiting: Vec<String> = records.into_iter().chain(runs).collect();
    let waiting = if waiting.is_empty() { "nothing waits for it".to_owned() } else { waiting.join(", and ") };
    match (pauses, changed) {
        (true, true) => {
            format!("⏸ {BOLD}{job}{BOLD:#} {would}paused: what runs goes on, and what comes waits; now {waiting}")
        }
        (true, false) => format!("⏸ {BOLD}{job}{BOLD:#} is paused already; {waiting}"),
        (false, true) => format!("▶ {BOLD}{job}{BOLD:#} {would}resumed; {waiting}"),
        (false, false) => format!("▶ {BOLD}{job}{BOLD:#} is not paused; {waiting}"),
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn what_waits_for_a_job_is_what_it_has_yet_to_read_and_what_waits_in_it() {
        let told = |held: &str, pauses| {
            strip_str(&told(&serde_json::from_str(held).expect("held"), pauses, false)).to_string()
        };
        for (counts, waits) in [
            (r#""lag":0"#, "nothing waits for it"),
            (r#""lag":1,"retrying":0"#, "at most 1 record waits for it"),
            (r#""lag":0,"retrying":2"#, "2 runs wait for a retry or behind one of their key"),
            (
                r#""lag":3,"retrying":1"#,
                "at most 3 records wait for it, and 1 run waits for a retry or behind one of their key",
            ),
        ] {
            let said = told(&format!(r#"{{"job":"mail","changed":true,{counts}}}"#), false);
            assert_eq!(said, format!("▶ mail is resumed; {waits}"));
        }
    }

    #[test]
    fn each_job_is_a_line_that_says_what_is_not_as_usual() {
        let now = "2026-11-21T02:22:51Z".parse().expect("a time");
        let jobs = r#"[{"job":"mail","state":"running"},
            {"job":"charge","state":"running","lag":12,"running":2,"retrying":1,"gathering":4,"dead":3,"rate":1.55},
            {"job":"order.paid.note","state":"paused","paused":{"by":"ann","at":"2026-11-21T02:22:51Z","because":"too loud"},"lag":4},
            {"job":"slow","state":"stopped","since":"2026-11-21T02:22:52Z","error":"position gone","retrying":2},
            {"job":"new","state":"paused","unknown":"throttle","paused":{"by":"bob","at":"2026-11-21T02:22:51Z"}},
            {"job":"old","state":"unattended","retired":true,"dead":1},
            {"job":"bill","state":"circuitOpen","circuit":{"error":"503 from billing","since":"2026-11-21T02:22:51Z","probe":"2026-11-21T02:23:32Z"},"lag":312,"retrying":20},
            {"job":"tell","state":"running","limited":4,"crowded":1},
            {"job":"lost","state":"unattended"},{"job":"odd","state":"dreaming"}]"#;
        let jobs: Vec<Job> = serde_json::from_str(jobs).expect("jobs");
        let lines: Vec<String> = shown(&jobs, now).iter().map(|line| strip_str(line).to_string()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        ✅ mail             idle
        ❗ charge           12 behind, 2 running, 1 waits for its retry, 4 gather in windows, 3 dead, 1.6/s
        ⏸ order.paid.note  paused by ann since 2026-11-21T02:22:51Z: too loud, 4 behind
        ❌ slow             stands still since 2026-11-21T02:22:52Z: position gone, 2 wait for their retry
        ⏸ new              held by bob, which this version does not know: throttle
        💤 old              has left the catalog, 1 dead
        ⚡ bill             circuit open, 503 from billing, probing again in 41 s, 312 behind, 20 wait for their retry
        ✅ tell             4 wait for the rate, 1 waits for others of its kind
        ❔ lost             no process runs it
        ❔ odd              dreaming
        "#);
        let jobs = r#"[{"job":"mail","state":"running"},
            {"job":"charge","state":"paused","lag":312,"dead":3,
                "paused":{"by":"ann@ops-1","at":"2026-11-21T02:22:51Z","because":"billing is down"}},
            {"job":"order.paid.rerun-ar","state":"stopped","since":"2026-11-21T02:22:52Z","error":"position gone"}]"#;
        let jobs: Vec<Job> = serde_json::from_str(jobs).expect("jobs");
        let lines: Vec<String> = shown(&jobs, now).iter().map(|line| strip_str(line).to_string()).collect();
        let page = include_str!("../../docs/operations.md");
        assert!(page.contains(&format!("$ herald jobs\n{}\n```", lines.join("\n"))), "{}", lines.join("\n"));
    }
}
