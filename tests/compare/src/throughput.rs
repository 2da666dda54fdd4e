//! How many records a second each contestant works off that are there already.

use std::process::Command;

use crate::{
    Stage,
    contestant::{Contestant, Turn},
    probe::Figures,
    process::Process,
    report::{self, Measured},
};

/// Gives each contestant its turn in every round, and prints what came of it.
///
/// # Errors
/// A contestant fails, or its outputs are not what they should be.
pub(crate) fn measure(stage: &Stage) -> anyhow::Result<()> {
    let options = &stage.options;
    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); options.only.len()];
    // In the first round the broker's own code is still being compiled, for whoever comes first more than for the others.
    for round in 0..=options.rounds() {
        for (contestant, measured) in options.only.iter().zip(&mut measured) {
            let turn = Turn { contestant: *contestant, prefix: stage.prefix(round, *contestant) };
            let found = take(stage, &turn);
            let removed = stage.probe.remove(&turn.prefix);
            let found = found?;
            removed?;
            let which = if round == 0 { "warming up".to_owned() } else { format!("round {round}") };
            eprintln!("{which}: {contestant:<13} {}", found.line());
            if round > 0 {
                measured.push(found);
            }
        }
    }
    agree(&options.only, &measured)?;
    println!("{}", report::throughput(options.records, options.size, &options.only, &measured));
    Ok(())
}

/// One turn: topics, records, the contestant from its start to its last output, and whether all of it is there.
fn take(stage: &Stage, turn: &Turn) -> anyhow::Result<Measured> {
    let (probe, options) = (&stage.probe, &stage.options);
    let count = ("count", options.records.to_string());
    turn.prepare(stage)?;
    let raw = [
        ("topic", turn.input()),
        count.clone(),
        ("size", options.size.to_string()),
        ("run", stage.run.to_string()),
        ("compression", options.compression.clone()),
    ];
    probe.run("fill", &raw)?;
    // What the broker has yet to write to disk of it would be written during the turn.
    Command::new("sync").status()?;
    let watch = probe.beside("watch", &[("topic", turn.output()), count.clone()])?;
    let mut process = Process::start(stage, turn)?;
    let figures = watch.figures(&mut process)?;
    let cpu = process.cpu();
    process.end()?;
    let outputs = probe.run("check", &[("topic", turn.output()), count.clone()])?;
    exact(turn, &outputs, options.records)?;
    if let Some(topic) = turn.progress() {
        let told: u64 = probe.run("check", &[("topic", topic.clone()), count])?.get("records")?;
        anyhow::ensure!(told == options.records, "`{topic}` has {told} records instead of {}", options.records);
    }
    Ok(Measured {
        rate: figures.get("rate")?,
        middle: figures.get("middle")?,
        cpu: cpu.map(|seconds| seconds / options.records as f64),
        digest: outputs.get("digest")?,
    })
}

/// Each record has its output, once.
fn exact(turn: &Turn, outputs: &Figures, records: u64) -> anyhow::Result<()> {
    let figure = |name| outputs.get::<u64>(name);
    let (found, missing, twice, strangers) =
        (figure("records")?, figure("missing")?, figure("twice")?, figure("strangers")?);
    anyhow::ensure!(
        found == records && missing == 0 && twice == 0 && strangers == 0,
        "{} wrote {found} outputs for {records} records: {missing} are missing, {twice} are there twice, {strangers} belong \
         to none",
        turn.contestant
    );
    Ok(())
}

/// Whoever detects has written the same data.
fn agree(contestants: &[Contestant], measured: &[Vec<Measured>]) -> anyhow::Result<()> {
    let detecting = contestants.iter().zip(measured).filter(|(contestant, _)| contestant.detects());
    let mut digests =
        detecting.flat_map(|(contestant, turns)| turns.iter().map(move |turn| (contestant, &turn.digest)));
    let Some((first, digest)) = digests.next() else { return Ok(()) };
    match digests.find(|(_, other)| *other != digest) {
        Some((other, _)) => anyhow::bail!("{first} and {other} wrote different events for the same records"),
        None => Ok(()),
    }
}
