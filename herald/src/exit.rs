//! Exit codes, and how an error is told: 0 done, 1 the answer is no, 2 usage, 3 unreachable.

use std::{io, process::ExitCode};

use clap::error::{ContextKind, ErrorKind};

use client::{
    exit::{NO, UNREACHABLE, USAGE, Usage, told},
    http, print,
};

/// The flags that are variables of the environment where they are not written.
const VARIABLES: [(&str, &str); 6] = [
    ("--config", "HERALD_CONFIG"),
    ("--api", "HERALD_API"),
    ("--token", "HERALD_API_TOKEN"),
    ("--url", "HERALD_URL"),
    ("--secret", "HERALD_SECRET"),
    ("--by", "HERALD_BY"),
];

/// Writes `error: …` to stderr, with the chain of causes, and chooses the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // `herald show … | head` is no error of ours.
        return ExitCode::SUCCESS;
    }
    print::error(&told(error));
    ExitCode::from(code(error))
}

/// Writes what is wrong with the command line to stderr, as clap tells it, and where it is not what was written there, what it is.
pub(crate) fn refuse(refused: &clap::Error) -> ExitCode {
    // Nobody is left to tell when stderr is closed.
    let _ = refused.print();
    let named = refused.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let is_written =
        |flag: &str| std::env::args_os().any(|written| written.to_string_lossy().split('=').next() == Some(flag));
    let flag = named.split(' ').next().unwrap_or_default();
    let is_given = refused.kind() != ErrorKind::MissingRequiredArgument;
    if let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| is_given && *known == flag && !is_written(flag)) {
        print::note(&format!(
            "\n{flag} is the environment variable {variable} here: set that to a value, or take it away"
        ));
    }
    let written: Vec<_> = std::env::args_os().map(|written| written.to_string_lossy().into_owned()).collect();
    if let Some(wait) = written.windows(2).find(|two| two[0] == "--wait" && contracts::wait::parse(&two[1]).is_ok()) {
        print::note(&format!("\nthe time of --wait, which may be left out, is written behind `=`: --wait={}", wait[1]));
    }
    ExitCode::from(USAGE)
}

fn code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<Usage>().is_some() {
        return USAGE;
    }
    let is_away = error.downcast_ref().is_some_and(http::Error::is_unreachable)
        || matches!(error.downcast_ref(), Some(bus::Error::Unavailable(_)))
        || matches!(error.downcast_ref(), Some(bus::PublishError::Unavailable(_)))
        || error.downcast_ref::<tools::init::Away>().is_some()
        || tools::kafka::is_away(error);
    if is_away { UNREACHABLE } else { NO }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_who_must_act() {
        assert_eq!(code(&Usage("no such file".into()).into()), USAGE);
        assert_eq!(code(&anyhow::anyhow!("something")), NO);
        let away = http::Error::Unreachable { base: "http://127.0.0.1:1".into(), reason: "connection refused".into() };
        assert_eq!(code(&away.into()), UNREACHABLE);
        let unavailable = http::Error::Refused { base: "http://h".into(), status: 503, detail: "bus away".into() };
        assert_eq!(code(&unavailable.into()), UNREACHABLE);
        let missing = http::Error::Refused { base: "http://h".into(), status: 404, detail: "unknown".into() };
        assert_eq!(code(&anyhow::Error::from(missing).context("asking for a correlation")), NO);
        let away = anyhow::Error::from(bus::Error::Unavailable("no broker answers".into())).context("create topics");
        assert_eq!(code(&away), UNREACHABLE);
        assert!(is_closed_pipe(&io::Error::from(io::ErrorKind::BrokenPipe).into()));
    }
}
