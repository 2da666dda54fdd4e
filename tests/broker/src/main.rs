//! Apache Kafka on this machine, for as long as somebody wants it: `cargo run -p broker -- single`.
//!
//! It needs no handler of signals: however this process ends, Kafka ends with it, and its folders are removed.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

use broker::{Builder, Cluster, fetch};

const USAGE: &str = "\
usage: broker single|three [key=value …] [-Xmx1g …]
           starts Kafka with these broker properties and options of Java, prints `bootstrap=…`, and runs until stdin
           closes or a signal ends it
       broker fetch
           fetches Kafka, unless it is here, and prints where it is";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads stderr, the exit code has to do.
            let _unread = writeln!(io::stderr(), "broker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let mut stdout = io::stdout();
    let cluster = match arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("single", rest)) => with(Cluster::single(), rest)?.start()?,
        Some(("three", rest)) => with(Cluster::of_three(), rest)?.start()?,
        Some(("fetch", [])) => {
            writeln!(stdout, "{}", fetch()?.display())?;
            return Ok(());
        }
        _ => return Err(USAGE.into()),
    };
    writeln!(stdout, "bootstrap={}", cluster.bootstrap())?;
    stdout.flush()?;
    let mut ignored = [0; 1024];
    while io::stdin().read(&mut ignored)? > 0 {}
    Ok(())
}

/// Broker properties and options of Java, as they are typed.
fn with(builder: Builder, arguments: &[String]) -> Result<Builder, String> {
    arguments.iter().try_fold(builder, |builder, argument| match argument.split_once('=') {
        _ if argument.starts_with('-') => Ok(builder.java_option(argument)),
        Some((key, value)) => Ok(builder.property(key, value)),
        None => Err(format!("{argument:?} is neither a property (`key=value`) nor an option of Java\n{USAGE}")),
    })
}
