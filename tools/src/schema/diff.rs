//! `herald schema diff`: what became of the schemas, and whom it breaks.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use client::{
    exit,
    print::{self, BOLD, DIM, count},
};
use serde_json::json;

use super::{
    compared::{self, Directed, Direction, Event, What},
    side::{EARLIER, Side, State},
};
use crate::folder::check::annotation;

/// What `herald schema diff` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct Options {
    /// How it was: a catalog's folder, a file with a JSON Schema, a git revision (main:shop), or the API of a running Herald
    #[arg(value_name = "OLD")]
    old: Side,
    /// How it is to be: likewise
    #[arg(value_name = "NEW")]
    new: Side,
    /// Who must still be able to read what
    #[arg(long, value_enum, default_value_t = Mode::Full)]
    mode: Mode,
    /// For people, for programs, or for the annotations of GitHub's actions
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// List what breaks nobody, too
    #[arg(long)]
    all: bool,
    /// The API's token, where one is asked that wants it
    #[arg(long, env = "HERALD_API_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Readers with the new schema read what was written by the old one
    Backward,
    /// Readers with the old schema read what is written by the new one
    Forward,
    /// Both
    Full,
    /// Backward, from every earlier state of OLD
    BackwardTransitive,
    /// Forward, to every earlier state of OLD
    ForwardTransitive,
    /// Both, for every earlier state of OLD
    FullTransitive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each change with its place
    Text,
    /// One document
    Json,
    /// `::error file=…`
    Github,
}

impl Mode {
    fn directions(self) -> &'static [Direction] {
        match self {
            Self::Backward | Self::BackwardTransitive => &[Direction::Backward],
            Self::Forward | Self::ForwardTransitive => &[Direction::Forward],
            Self::Full | Self::FullTransitive => &[Direction::Backward, Direction::Forward],
        }
    }

    fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What differs from one earlier state.
struct Compared {
    from: State,
    events: Vec<Event>,
}

pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let token = options.token.as_deref();
    let new = options.new.state(token).await?;
    let (olds, cut) = if options.mode.is_transitive() {
        options.old.earlier(token).await?
    } else {
        (vec![options.old.state(token).await?], false)
    };
    let directions = options.mode.directions();
    let compared: Vec<Compared> =
        olds.into_iter().map(|from| Compared { events: compared::compare(&from, &new, directions), from }).collect();
    let breaking: usize = compared.iter().flat_map(|one| &one.events).map(Event::breaking).sum();
    match options.format {
        Format::Text => text(&options, &compared, &new, breaking, cut)?,
        Format::Json => print::line(&document(&options, &compared, &new, breaking, cut).to_string())?,
        Format::Github => github(&compared)?,
    }
    Ok(if breaking > 0 { ExitCode::from(exit::NO) } else { ExitCode::SUCCESS })
}

fn text(options: &Options, compared: &[Compared], new: &State, breaking: usize, cut: bool) -> anyhow::Result<()> {
    for one in compared {
        let shown: Vec<&Event> = one.events.iter().filter(|event| options.all || event.breaking() > 0).collect();
        if compared.len() > 1 && shown.is_empty() {
            continue;
        }
        print::line(&format!("{BOLD}{} → {}{BOLD:#}", print::clean(&one.from.name), print::clean(&new.name)))?;
        for event in shown {
            lines(event, options.all).iter().try_for_each(|line| print::line(line))?;
        }
    }
    if cut {
        print::line(&format!("{DIM}only the newest {EARLIER} earlier states were compared{DIM:#}"))?;
    }
    let harmless: usize = compared.iter().flat_map(|one| &one.events).map(harmless).sum();
    let rest = match harmless {
        0 => String::new(),
        _ if options.all => format!(", {} that {} nobody", count(harmless, "change"), breaks(harmless)),
        _ => format!(", {} that {} nobody (--all lists them)", count(harmless, "change"), breaks(harmless)),
    };
    let sign = if breaking > 0 { "❌" } else { "✅" };
    print::line(&format!("{sign} {}{rest} ({})", count(breaking, "breaking change"), options.mode.name()))
}

fn breaks(count: usize) -> &'static str {
    if count == 1 { "breaks" } else { "break" }
}

fn harmless(event: &Event) -> usize {
    match &event.what {
        What::New => 1,
        What::Gone | What::Unknown(_) => 0,
        What::Changed(changes) => changes.len() - event.breaking(),
    }
}

fn lines(event: &Event, all: bool) -> Vec<String> {
    let file = event.file.as_ref().map(|file| format!("   {DIM}{}{DIM:#}", print::clean(file))).unwrap_or_default();
    let mut lines = vec![format!("{BOLD}{}{BOLD:#}{file}", print::clean(&event.event))];
    match &event.what {
        What::New => lines.push("   · it is new".to_owned()),
        What::Gone => lines.push(format!("   ❌ {}", sentence_of_gone())),
        What::Unknown(why) => lines.push(format!("   ❌ {}", print::clean(why))),
        What::Changed(changes) => {
            for change in changes.iter().filter(|change| all || change.breaks) {
                let sign = if change.breaks { "❌" } else { "·" };
                let Directed { change: found, .. } = change;
                lines.push(format!("   {sign} {} {BOLD}{}{BOLD:#}", print::clean(&found.place), found.kind));
                lines.push(format!("     {}", sentence(change)));
            }
        }
    }
    lines
}

fn sentence_of_gone() -> &'static str {
    "nobody publishes it any more: who subscribed to it gets nothing; keep it, or tell them"
}

/// What it means, and for whom.
fn sentence(change: &Directed) -> String {
    let Directed { direction, change: found, text, .. } = change;
    let [writer, reader] = match direction {
        Direction::Backward => ["old", "new"],
        Direction::Forward => ["new", "old"],
    };
    let text =
        text.replace("the reader", &format!("the {reader} schema")).replace("the writer", &format!("the {writer} one"));
    let values = match (&found.writer, &found.reader) {
        (None, None) => String::new(),
        (writer, reader) => {
            let shown = |value: &Option<String>| value.as_deref().map_or_else(|| "–".to_owned(), print::clean);
            let (old, new) = match direction {
                Direction::Backward => (writer, reader),
                Direction::Forward => (reader, writer),
            };
            format!(" ({} → {})", shown(old), shown(new))
        }
    };
    let whom = match (change.breaks, direction) {
        (false, _) => "",
        (true, Direction::Backward) => ": who reads by the new schema may meet what was written before",
        (true, Direction::Forward) => ": who still reads by the old schema may meet what is written now",
    };
    format!("{text}{values}{whom}")
}

fn document(options: &Options, compared: &[Compared], new: &State, breaking: usize, cut: bool) -> serde_json::Value {
    let one = |one: &Compared| json!({ "from": one.from.name, "events": one.events });
    json!({
        "mode": options.mode.name(),
        "to": new.name,
        "breaking": breaking,
        "cut": cut,
        "compared": compared.iter().map(one).collect::<Vec<_>>(),
    })
}

/// An annotation for each breaking change.
fn github(compared: &[Compared]) -> anyhow::Result<()> {
    for one in compared {
        for event in one.events.iter().filter(|event| event.breaking() > 0) {
            let file = event.file.as_deref().unwrap_or_default();
            let told = match &event.what {
                What::New => Vec::new(),
                What::Gone => vec![sentence_of_gone().to_owned()],
                What::Unknown(why) => vec![why.clone()],
                What::Changed(changes) => {
                    let breaking = changes.iter().filter(|change| change.breaks);
                    breaking
                        .map(|change| format!("{} {}: {}", change.change.place, change.change.kind, sentence(change)))
                        .collect()
                }
            };
            for text in told {
                print::line(&annotation("error", file, "", &format!("{}: {text}", event.event)))?;
            }
        }
    }
    Ok(())
}
