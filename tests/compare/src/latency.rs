//! How long a record takes through each contestant, when few come.

use crate::{
    Stage,
    contestant::Turn,
    process::Process,
    report::{self, Latency},
};

/// How many seconds do not count: processes start, join, and are compiled while they run.
const WARM: u32 = 10;

/// Gives each contestant its turn in every round, and prints what came of it.
///
/// # Errors
/// A contestant fails, or an output is missing or there twice.
pub(crate) fn measure(stage: &Stage) -> anyhow::Result<()> {
    let options = &stage.options;
    let mut measured: Vec<Vec<Latency>> = vec![Vec::new(); options.only.len()];
    for round in 1..=options.rounds() {
        for (contestant, measured) in options.only.iter().zip(&mut measured) {
            let turn = Turn { contestant: *contestant, prefix: stage.prefix(round, *contestant) };
            let found = take(stage, &turn);
            let removed = stage.probe.remove(&turn.prefix);
            let found = found?;
            removed?;
            eprintln!("round {round}: {:<13} {}", contestant.to_string(), found.line());
            measured.push(found);
        }
    }
    println!("{}", report::latency(options.rate, options.size, &options.only, &measured));
    Ok(())
}

/// One turn: the contestant is started first, and the records come at their rate.
fn take(stage: &Stage, turn: &Turn) -> anyhow::Result<Latency> {
    let options = &stage.options;
    turn.prepare(stage)?;
    let mut process = Process::start(stage, turn)?;
    let given = [
        ("from", turn.input()),
        ("to", turn.output()),
        ("rate", options.rate.to_string()),
        ("warm", (options.rate * WARM).to_string()),
        ("count", (u64::from(options.rate) * u64::from(options.seconds)).to_string()),
        ("size", options.size.to_string()),
        ("run", stage.run.to_string()),
        ("compression", options.compression.clone()),
    ];
    let figures = stage.probe.beside("latency", &given)?.figures(&mut process)?;
    process.end()?;
    let figure = |name| figures.get::<f64>(name);
    Ok(Latency { p50: figure("p50")?, p90: figure("p90")?, p99: figure("p99")?, max: figure("max")? })
}
