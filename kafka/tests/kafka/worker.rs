//! The process of a worker: it copies `in` to `out`, each copy named by the place of its original, until it is told to leave.
//!
//! It says on stdout what it does, a line each, and does what lines on stdin say. When stdin ends, so has its test.

mod naive;
mod ours;

use std::{
    io::{BufRead as _, Write as _},
    sync::mpsc,
};

use crate::given::{Given, Kind, VARIABLE};

#[test]
#[ignore = "it is the process of a worker, started by the other tests"]
fn a_process_of_another_test() {
    let Ok(text) = std::env::var(VARIABLE) else { return };
    let given = Given::read(&text);
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .try_init();
    let commands = commands();
    let ended = match given.kind {
        Kind::Ours => ours::run(&given, commands),
        Kind::Naive | Kind::Holder => naive::run(&given, &commands),
    };
    if let Err(error) = ended {
        say(&format!("ended: {error}"));
        std::process::exit(1);
    }
    say("left");
    // Nothing that a client still does in the background keeps it.
    std::process::exit(0);
}

/// Says something to the test.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Without a test there is nobody to hear it.
    let _ = writeln!(out, "{line}\t{}", jiff::Timestamp::now()).and_then(|()| out.flush());
}

fn commands() -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
        std::process::exit(2);
    });
    told
}
