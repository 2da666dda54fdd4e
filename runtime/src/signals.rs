//! How a process is told to stop.

use std::time::Duration;

use rustix::process::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// How long further signals are taken for the same wish: `timeout`, a terminal that is closed and many a supervisor tell a
/// process twice at once, by itself and with its group.
/// Nobody presses Ctrl-C twice in that time.
const TOGETHER: Duration = Duration::from_millis(100);

/// Cancels `stop` on the first SIGTERM, SIGINT or SIGHUP; on a second one, which does not come with the first, does what is to be done `last`, which must take no
/// time, and ends the process with status 130. SIGHUP is left alone where it was ignored from the start, as `nohup` does.
///
/// # Errors
/// The handlers cannot be installed.
pub fn stop_on_signals(stop: CancellationToken, last: impl Fn() + Send + 'static) -> std::io::Result<()> {
    // A file that may not grow further (`ulimit -f`) is an error of whoever writes it, as a full disk is, and no reason to die.
    drop(signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?);
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
    tokio::spawn(async move {
        let mut first: Option<Instant> = None;
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let name = tokio::select! {
                Some(()) = term.recv() => "SIGTERM",
                Some(()) = int.recv() => "SIGINT",
                Some(()) = hung_up => "SIGHUP",
                else => return,
            };
            if first.is_some_and(|first| first.elapsed() < TOGETHER) {
                continue;
            }
            if stop.is_cancelled() {
                tracing::info!(signal = name, "told to stop again: ending at once");
                last();
                std::process::exit(130);
            }
            tracing::info!(signal = name, "told to stop; once more ends the process at once");
            stop.cancel();
            first = Some(Instant::now());
        }
    });
    Ok(())
}

/// Whether whoever started this process wants it to survive the end of its terminal. Where the system does not tell, yes:
/// then nothing is changed about SIGHUP.
pub fn is_hangup_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").map_or(true, |status| ignores_hangup(&status))
}

/// `SigIgn:` is a mask in hexadecimal, whose lowest bit is signal 1.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_may_not_grow_ends_nobody() {
        stop_on_signals(CancellationToken::new(), || {}).expect("handlers");
        rustix::process::kill_process(rustix::process::getpid(), Signal::XFSZ).expect("it may");
    }

    #[test]
    fn nohup_is_read_from_the_mask_of_ignored_signals() {
        assert!(ignores_hangup("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
    }
}
