//! `herald groups`: who reads what from where, and saying from where a group goes on that nobody is in.

use std::{path::PathBuf, process::ExitCode, str::FromStr, sync::Arc, time::Duration};

use anyhow::Context as _;
use bus::{Bus, Lag, Offset, Start, Topic, TopicPartition, embedded::Embedded};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use crate::kafka;
use client::{exit::Usage, print};
use settings::{BusOptions, Config, Kind};

/// What `herald groups` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Show every group, how far it is behind, and whether anybody is in it
    List(Common),
    /// Show the positions of a group
    Show(Show),
    /// Say from where a group goes on; nobody may be in it. What it reads again is done again: events are published a
    /// second time under their ids, jobs run a second time
    Set(Set),
    /// Forget the positions of a group that nobody is in; they hold back nothing then. Whoever comes to it begins anew, as
    /// with `set … begin`
    Forget(Show),
}

#[derive(Debug, Clone, Args)]
struct Common {
    /// The data folder of a `herald dev` that is stopped [default: .herald]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusOptions,
}

#[derive(Debug, Clone, Args)]
struct Show {
    /// The group, as `list` shows it
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Args)]
struct Set {
    /// The group, as `list` shows it
    #[arg(value_name = "GROUP")]
    group: String,
    /// begin, end, a time as in 2026-01-31T12:00:00Z, or offsets as in raw/0=17
    #[arg(value_name = "PLACE", required = true)]
    places: Vec<Target>,
    /// A topic of which every partition is set; may be repeated [default: where the group has a position]
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// From where on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    All(Start),
    At(TopicPartition, Offset),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "begin" => return Ok(Self::All(Start::Earliest)),
            "end" => return Ok(Self::All(Start::End)),
            _ => {}
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::All(Start::Time(time)));
        }
        let at = || {
            let (place, offset) = text.split_once('=')?;
            let (topic, partition) = place.rsplit_once('/')?;
            let at = TopicPartition::new(topic, partition.parse().ok()?);
            Some(Self::At(at, Offset(offset.parse().ok()?)))
        };
        at().ok_or_else(|| {
            "a place is `begin`, `end`, a time with its zone, as in 2026-01-31T12:00:00Z, of the years -9999 to 9999 (up to \
             9999-12-30T22:00:00Z; what is later is `end`), or offsets as in raw/0=17"
                .into()
        })
    }
}

/// Shows, sets or forgets.
///
/// # Errors
/// The configuration cannot be used, the bus cannot be opened or reached, or somebody is in the group.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::List(common) => list(&common).await?,
        Command::Show(Show { group, common }) => {
            let bus = open(&common)?;
            known(&*bus, &group).await?;
            show(&group, &bus.lag(&group).await?, common.json)?;
        }
        Command::Set(options) => set(options).await?,
        Command::Forget(Show { group, common }) => {
            let bus = open(&common)?;
            not_results(&group)?;
            known(&*bus, &group).await?;
            bus.forget(&group).await?;
            show(&group, &bus.lag(&group).await?, common.json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The bus itself: nobody may be in a group that is changed, so there need be no process that could be asked.
fn open(common: &Common) -> anyhow::Result<Arc<dyn Bus>> {
    let mut layers = settings::layers(&common.bus)?;
    if let Some(data) = &common.data {
        layers = layers.flag("--data", "data", data.display().to_string());
    }
    let config = Config::load(layers)?;
    if config.bus.kind == Kind::Kafka || !config.bus.kafka.brokers.list().is_empty() {
        return Ok(kafka::open(&config, "groups")?);
    }
    // A tool deletes nothing that the configuration of `dev` would keep.
    let told = bus::embedded::Config {
        max_bytes: u64::MAX,
        keep_bytes: u64::MAX,
        keep_age: Duration::MAX,
        ..config.embedded()
    };
    if !told.folder.join(bus::embedded::FILE).is_file() {
        let message = format!(
            "{} is no data folder; name that of `herald dev` with --data, or Kafka with --brokers",
            told.folder.display()
        );
        return Err(Usage(message).into());
    }
    let opened =
        Embedded::open(&told).context("groups of the embedded bus are looked at while `herald dev` is stopped")?;
    Ok(Arc::new(opened))
}

/// A group that there is.
async fn known(bus: &dyn Bus, name: &str) -> anyhow::Result<()> {
    let is_known = bus.groups().await?.iter().any(|group| group.name == name);
    anyhow::ensure!(is_known, "there is no group `{name}`; `herald groups list` shows all");
    Ok(())
}

async fn list(common: &Common) -> anyhow::Result<()> {
    let bus = open(common)?;
    let groups = bus.groups().await?;
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let lags = bus.lags(&names).await?;
    for group in groups {
        let lag: u64 = lags.get(&group.name).into_iter().flatten().map(|lag| lag.records).sum();
        if common.json {
            print::line(&json!({ "group": group.name, "lag": lag, "hasMembers": group.has_members }).to_string())?;
        } else {
            let who = if group.has_members { "somebody is in it" } else { "nobody is in it" };
            print::line(&format!("{}   {lag} behind   {who}", group.name))?;
        }
    }
    Ok(())
}

fn show(group: &str, lags: &[Lag], as_json: bool) -> anyhow::Result<()> {
    for lag in lags {
        let (topic, partition) = (&lag.partition.topic, lag.partition.partition.0);
        let (position, end) = (lag.position.0, lag.end.0);
        if as_json {
            let shown = json!({ "group": group, "topic": topic.as_str(), "partition": partition,
                                "position": position, "end": end, "lag": lag.records });
            print::line(&shown.to_string())?;
        } else {
            print::line(&format!("{topic}/{partition}   at {position} of {end}   {} behind", lag.records))?;
        }
    }
    if lags.is_empty() && !as_json {
        print::note(&format!("`{group}` has no positions"));
    }
    Ok(())
}

async fn set(options: Set) -> anyhow::Result<()> {
    let Set { group, places, topic, common } = options;
    not_results(&group)?;
    let bus = open(&common)?;
    let positions = positions(&*bus, &group, &places, &topic).await?;
    bus.place(&group, positions).await?;
    show(&group, &bus.lag(&group).await?, common.json)
}

/// What the bus has of the group `results` counts for nothing.
fn not_results(group: &str) -> Result<(), Usage> {
    if group == results::GROUP {
        let message = "results keep their position in their own store: what the bus has of it is only shown. To fill the \
                       store anew, stop results and move `results.db` away";
        return Err(Usage(message.to_owned()));
    }
    Ok(())
}

/// The positions that are meant: none before the oldest record or behind the newest, which nobody could go on from.
async fn positions(
    bus: &dyn Bus,
    group: &str,
    places: &[Target],
    topics: &[String],
) -> anyhow::Result<Vec<(TopicPartition, Offset)>> {
    let mut out = Vec::new();
    for place in places {
        let start = match place {
            Target::All(start) => *start,
            Target::At(at, offset) => {
                check(bus, group, at, topics).await?;
                let (begin, end) = (bus.offset(at, Start::Earliest).await?, bus.offset(at, Start::End).await?);
                if !(begin..=end).contains(offset) {
                    return Err(Usage(format!("{at} has {begin} to {end}; {offset} is not in it")).into());
                }
                out.push((at.clone(), *offset));
                continue;
            }
        };
        if places.len() > 1 {
            return Err(Usage("give one of `begin`, `end` and a time, or offsets".to_owned()).into());
        }
        for at in every(bus, group, topics).await? {
            let offset = bus.offset(&at, start).await?;
            out.push((at, offset));
        }
    }
    Ok(out)
}

/// That a group may have a position there: it has one in that topic, or the topic is named as meant. A position where nobody reads
/// would keep records for ever.
async fn check(bus: &dyn Bus, group: &str, at: &TopicPartition, topics: &[String]) -> anyhow::Result<()> {
    let topic = at.topic.as_str();
    let known = bus.topics().await?;
    let info = known.iter().find(|info| info.topic == at.topic);
    let partitions = info.ok_or_else(|| Usage(format!("{at}: there is no topic `{topic}`")))?.partitions;
    if at.partition.0 >= partitions {
        return Err(Usage(format!("{at}: `{topic}` has {partitions} partitions, counted from 0")).into());
    }
    let stands = bus.lag(group).await?.iter().any(|lag| lag.partition.topic == at.topic);
    if !stands && !topics.iter().any(|meant| meant == topic) {
        let message = format!("`{group}` has no position in `{topic}`; if it reads that, say so with --topic {topic}");
        return Err(Usage(message).into());
    }
    Ok(())
}

/// Every partition of these topics; without any, those in which the group has a position.
async fn every(bus: &dyn Bus, group: &str, topics: &[String]) -> anyhow::Result<Vec<TopicPartition>> {
    if topics.is_empty() {
        let found: Vec<_> = bus.lag(group).await?.into_iter().map(|lag| lag.partition).collect();
        if found.is_empty() {
            return Err(Usage(format!("`{group}` has no position; say with --topic which topics it reads")).into());
        }
        return Ok(found);
    }
    let known = bus.topics().await?;
    let mut out = Vec::new();
    for name in topics {
        let info = known.iter().find(|info| info.topic == Topic::from(name.as_str()));
        out.extend(info.ok_or_else(|| Usage(format!("--topic {name}: there is no such topic")))?.each());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use bus::{Subscription, TopicSpec};

    use super::*;

    #[test]
    fn a_place_is_a_word_a_time_or_an_offset() {
        assert_eq!("begin".parse(), Ok(Target::All(Start::Earliest)));
        assert_eq!("end".parse(), Ok(Target::All(Start::End)));
        let time = "2026-01-31T12:00:00Z".parse().expect("a time");
        assert_eq!("2026-01-31T12:00:00Z".parse(), Ok(Target::All(Start::Time(time))));
        assert_eq!("event.a.b/3=17".parse(), Ok(Target::At(TopicPartition::new("event.a.b", 3), Offset(17))));
        assert!(
            matches!("9999-12-30T22:00:00Z".parse(), Ok(Target::All(Start::Time(_)))),
            "the end of the range that is told"
        );
        for wrong in ["", "raw", "raw/0", "raw=1", "raw/x=1", "raw/0=-1", "9999-12-31T23:59:59Z", "2026-01-31"] {
            let told = wrong.parse::<Target>().expect_err(wrong);
            assert!(told.contains("up to 9999-12-30T22:00:00Z") && told.contains("with its zone"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_group_that_nobody_is_in_is_set_and_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let common = Common { data: Some(folder.path().into()), json: false, bus: BusOptions::default() };
        let told = bus::embedded::Config::new(folder.path());
        {
            let bus: Arc<dyn Bus> = Arc::new(Embedded::open(&told).expect("a bus"));
            bus.create(vec![TopicSpec::new("in"), TopicSpec::new("other")]).await.expect("created");
            let records = ["a", "b", "c"].map(|key| bus::Outgoing::new("in", key, key)).to_vec();
            bus.publish(records).await.expect("published");
            let at = TopicPartition::new("in", 0);
            bus.place("job.a", vec![(at.clone(), Offset(1))]).await.expect("placed");
            let _member = bus.join("job.a", Subscription::to(["in"])).await.expect("joined");
            assert!(bus.place("job.a", vec![(at, Offset(1))]).await.is_err(), "somebody is in it");
        }
        let set = |places: &[&str], topic: &[&str]| {
            set(Set {
                group: "job.a".into(),
                places: places.iter().map(|place| place.parse().expect("a place")).collect(),
                topic: topic.iter().map(ToString::to_string).collect(),
                common: common.clone(),
            })
        };
        let at = async || {
            let bus = Embedded::open(&told).expect("a bus");
            bus.lag("job.a").await.expect("lag").first().map(|lag| lag.position.0)
        };
        set(&["end"], &[]).await.expect("set");
        assert_eq!(at().await, Some(3));
        set(&["begin"], &["in"]).await.expect("set");
        assert_eq!(at().await, Some(0));
        set(&["in/0=2"], &[]).await.expect("set");
        assert_eq!(at().await, Some(2));
        assert!(set(&["in/0=4"], &[]).await.is_err(), "behind the end");
        assert!(set(&["begin", "end"], &[]).await.is_err(), "two places");
        for (place, why) in [
            ("other/0=0", "has no position in `other`; if it reads that"),
            ("in/5=0", "`in` has 1 partitions"),
            ("nowhere/0=0", "there is no topic `nowhere`"),
        ] {
            let error = set(&[place], &[]).await.expect_err(place).to_string();
            assert!(error.contains(why), "{error}");
        }
        set(&["other/0=0"], &["other"]).await.expect("it was said");
        let show = Show { group: "job.a".into(), common: common.clone() };
        run(Options { command: Command::Forget(show.clone()) }).await.expect("forgotten");
        assert_eq!(at().await, None);
        assert!(run(Options { command: Command::Show(show) }).await.is_err(), "there is none any more");
    }
}
