//! `herald bench`: webhooks at a rate, or as fast as possible, and how long they take to be durable, to become an event
//! on a live stream, and to be complete.
//!
//! **Open loop.** Every webhook has a time at which it is due, whatever became of those before it, and every latency is
//! counted from then: a server that stalls is charged for all that should have been sent meanwhile (no coordinated
//! omission). With `--rate max` a webhook is due when its connection is free.
//!
//! **Samples.** Asking for the fate of each webhook would measure the asking. So a steady few (`--samples` a second),
//! due on a schedule of their own beside the load, carry a status that makes them `bench.sampled` instead of
//! `bench.changed`: they wait for their answer (`?wait`), whose arrival is *completed*, and the live stream of
//! `bench.sampled` tells when a subscriber had the *event*.
//!
//! The load generator shares the machine with what it measures, so it is one thread with prepared requests, and says what
//! it cost.

mod answer;
mod catalog;
mod child;
mod drain;
mod latency;
mod load;
mod process;
mod report;
mod request;
mod samples;
mod stages;

use std::{
    net::ToSocketAddrs as _,
    path::PathBuf,
    process::ExitCode,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use contracts::duration::parse_or_seconds;
use runtime::signals::stop_on_signals;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{runtime::Runtime, task::LocalSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use client::{
    address::{Api, Webhook},
    exit::{self, Usage},
    http::Base,
    print,
    status::Status,
};
use load::Rate;
use request::Shape;

/// The exit code where a signal ended the measurement, as shells have it for Ctrl-C.
const STOPPED: u8 = 130;

/// What `herald bench` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Webhooks a second, or `max` for as many as are answered
    #[arg(long, value_name = "RATE", default_value = "2000")]
    rate: Rate,
    /// How long to send
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    duration: Duration,
    /// Connections that send
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: u32,
    /// Size of a webhook's body in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1536, value_parser = clap::value_parser!(u32).range(700..=4_000_000))]
    size: u32,
    /// Webhooks a second, beside the rate, that are followed to their end; 0 for none
    #[arg(long, value_name = "RATE", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000))]
    samples: u32,
    /// How long to wait at the end until nothing is left to do
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_or_seconds)]
    drain: Duration,
    /// Start a `herald dev` of its own, on a folder that is thrown away, and measure that one
    #[arg(long)]
    dev: bool,
    /// Rules on the table that changes, in the generated catalog; one of them detects an event
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    rules: u32,
    /// Further rules on other tables, in the generated catalog
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    other_rules: u32,
    /// Write the generated catalog into this folder, for a Herald that you start yourself, and end
    #[arg(long, value_name = "FOLDER")]
    write_catalog: Option<PathBuf>,
    /// The process that is measured, for its CPU time and memory; with --dev it is known
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Send to a host that is not this one
    #[arg(long = "i-own-this-host")]
    i_own_this_host: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    webhook: Webhook,
    #[command(flatten)]
    api: Api,
}

/// Measures, and reports.
///
/// # Errors
/// The target is refused or cannot be reached. Webhooks that fail are part of the report, and exit code 1.
pub fn run(mut options: Options) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &options.write_catalog {
        catalog::write(folder, options.rules, options.other_rules)?;
        print::line(&folder.display().to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    // One thread: the load generator must leave the machine to what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    let child = if options.dev { Some(start_child(&mut options, &runtime, &stop)?) } else { None };
    for base in [&options.webhook.url, &options.api.api] {
        refuse_strangers(base, options.i_own_this_host)?;
    }
    options.pid = child.as_ref().map(child::Child::pid).or(options.pid);
    let measuring = stop.run_until_cancelled(measure(Rc::new(options.clone())));
    let Some(measured) = LocalSet::new().block_on(&runtime, measuring) else {
        print::note("told to stop before the end, so there is no report");
        return Ok(ExitCode::from(STOPPED));
    };
    let report = match (measured, child) {
        (Err(error), Some(child)) => return Err(error.context(child.last_words())),
        (measured, Some(child)) => {
            child.end();
            measured?
        }
        (measured, None) => measured?,
    };
    print::line(&if options.json { report.json()? } else { report.text() })?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(exit::NO) })
}

/// Starts a Herald that ends with this process: whoever stops the measurement stops that, too.
fn start_child(options: &mut Options, runtime: &Runtime, stop: &CancellationToken) -> anyhow::Result<child::Child> {
    let _within = runtime.enter();
    let pid = Arc::new(AtomicI32::new(0));
    let own = pid.clone();
    let kill = move || {
        if let Some(pid) = Pid::from_raw(own.load(Ordering::Relaxed)) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    };
    stop_on_signals(stop.clone(), kill).context("cannot listen for signals")?;
    let child = child::Child::start(options)?;
    pid.store(i32::try_from(child.pid()).unwrap_or_default(), Ordering::Relaxed);
    Ok(child)
}

/// A load generator is a weapon: it goes to this machine, unless its user says otherwise.
fn refuse_strangers(base: &Base, owned: bool) -> Result<(), Usage> {
    let is_here = || base.address.to_socket_addrs().is_ok_and(|mut all| all.all(|one| one.ip().is_loopback()));
    if owned || is_here() {
        return Ok(());
    }
    Err(Usage(format!(
        "{base} is not on this machine, and `bench` sends as much as it can; if it is yours, say --i-own-this-host"
    )))
}

async fn measure(options: Rc<Options>) -> anyhow::Result<report::Report> {
    // The random half of it.
    let run = Uuid::now_v7().as_u64_pair().1;
    let shape = Shape {
        base: options.webhook.url.clone(),
        secret: options.webhook.secret.clone(),
        size: options.size as usize,
        run,
    };
    samples::probe(&shape).await.context("a first webhook to try it out")?;
    let before = options.pid.and_then(process::Usage::of);
    let status = Status::ask(&options.api).await.ok();
    let own_before = process::Usage::of(std::process::id());
    let following = samples::Following::start(&options, &shape).await;
    let started = Instant::now();
    let sampling =
        tokio::task::spawn_local(samples::send(Rc::clone(&options), shape.clone(), following.due.clone(), started));
    let sent = load::run(&options, &shape, started).await?;
    let ended = Instant::now();
    let own_after = process::Usage::of(std::process::id());
    let deadline = ended + options.drain;
    let tasks = stages::tasks(status.as_ref());
    let from = |before: &Status| drain::From { before: drain::Look::of(before), accepted: sent.accepted, ended };
    let drained_from = status.as_ref().map(from);
    let (completed, drained) = tokio::join!(sampling, drain::wait(&options.api, drained_from, deadline));
    let completed = completed.context("the samples")??;
    let events = following.end(deadline).await;
    let after = options.pid.and_then(process::Usage::of);
    let tasks_after = stages::tasks(Status::ask(&options.api).await.ok().as_ref());
    let took = ended - started;
    let stages = stages::between(&tasks, &tasks_after, sent.accepted + completed.sent, started.elapsed());
    Ok(report::Report {
        rate: options.rate,
        duration: options.duration,
        connections: options.connections,
        size: options.size,
        rules: options.dev.then_some((options.rules, options.other_rules)),
        took,
        sent,
        completed,
        events,
        drained,
        stages,
        server: process::between(before, after),
        own: process::between(own_before, own_after),
    })
}

/// A duration that is not zero: nothing would be sent.
fn some_time(text: &str) -> Result<Duration, String> {
    match parse_or_seconds(text) {
        Ok(Duration::ZERO) => Err(format!("`{text}` is no time at all; write how long, as in 10s")),
        read => read.map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// Answers 200 to every webhook and 404 to everything else, until the test ends; where it listens.
    fn accept_everything() -> String {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.expect("a connection");
                std::thread::spawn(move || {
                    let mut request = vec![0; 1536 + 1024];
                    let mut filled = 0;
                    while let Ok(length @ 1..) = connection.read(&mut request[filled..]) {
                        filled += length;
                        let Some(head) = request[..filled].windows(4).position(|four| four == b"\r\n\r\n") else {
                            continue;
                        };
                        let is_webhook = request.starts_with(b"POST /hasura");
                        if !is_webhook || filled == head + 4 + 1536 {
                            let status = if is_webhook { "200 OK" } else { "404 Not Found" };
                            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
                            connection.write_all(answer.as_bytes()).expect("written");
                            filled = 0;
                        }
                    }
                });
            }
        });
        address
    }

    /// The tool by itself.
    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        options: Options,
    }

    fn measured(flags: &[&str]) -> report::Report {
        let address = accept_everything();
        let fixed = ["bench", "--url", &address, "--api", &address];
        let Alone { options } = Alone::parse_from(fixed.iter().chain(flags));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, measure(Rc::new(options))).expect("it is measured")
    }

    #[test]
    fn at_a_rate_exactly_what_is_due_is_sent_and_every_answer_counted() {
        let report = measured(&["--rate", "500", "--duration", "400ms", "--connections", "4", "--samples", "50"]);
        assert_eq!((report.sent.sent, report.sent.accepted), (200, 200));
        assert_eq!(report.sent.durable.quantiles().map(|q| q.count), Some(200));
        assert_eq!((report.completed.sent, report.completed.missing), (20, 0));
        // This server knows no live stream and no status: that is told, and is no success.
        assert_eq!(report.events.missing, 20);
        assert!(report.events.trouble.as_ref().is_some_and(|trouble| trouble.contains("404")), "{:?}", report.events);
        assert!(report.drained.is_none() && !report.is_good());
    }

    #[test]
    fn at_full_speed_it_sends_until_the_time_is_over() {
        let report = measured(&["--rate", "max", "--duration", "200ms", "--connections", "2", "--samples", "0"]);
        assert!(report.sent.sent > 10 && report.sent.accepted == report.sent.sent, "{:?}", report.sent);
        assert!(report.took >= Duration::from_millis(200));
        assert!(report.is_good());
    }

    #[test]
    fn only_this_machine_is_a_target_unless_its_user_says_so() {
        let refused = |url: &str, owned| refuse_strangers(&url.parse().expect("a base"), owned).is_err();
        assert!(!refused("http://127.0.0.1:8080", false) && !refused("http://[::1]:8080", false));
        assert!(refused("http://192.0.2.1:8080", false) && refused("http://10.0.0.1", false));
        assert!(!refused("http://192.0.2.1:8080", true));
    }

    #[test]
    fn one_sends_for_some_time() {
        assert_eq!(some_time("1.5"), Ok(Duration::from_millis(1500)));
        assert!(some_time("1 month").is_err());
        for none in ["0", "0s", "0.0ms", "0.0000000001s"] {
            assert!(some_time(none).is_err(), "{none:?} is taken for a time to send");
        }
    }
}
