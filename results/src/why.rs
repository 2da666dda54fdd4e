//! Reasons for what did not happen, put into a summary for whoever reads it.

use std::{fmt, sync::Arc, time::Duration};

use contracts::{
    progress::Undetected,
    summary::{Invocation, Summary},
    why::{Explains, Why},
};

/// How many invocations of a summary are explained: each is a raw record to be read.
const EXPLAINED: usize = 10;

/// How many events that did not happen are named beside one that did.
const NAMED: usize = 10;

/// How long a summary waits for its reasons.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whom to ask why.
#[derive(Clone, Default)]
pub(crate) struct Reasons(pub(crate) Option<Arc<dyn Explains>>);

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Reasons" } else { "no reasons" })
    }
}

impl Reasons {
    /// Says of the first invocations in which events did not happen, why not.
    pub(crate) async fn explain(&self, summary: &mut Summary) {
        let Some(explains) = &self.0 else { return };
        // What is known is answered in time, whatever the bus does; what is not explained by then has names alone.
        let _ = tokio::time::timeout(PATIENCE, explain(&**explains, summary)).await;
    }
}

async fn explain(explains: &dyn Explains, summary: &mut Summary) {
    for invocation in summary.invocations.iter_mut().filter(|one| wants_reasons(one)).take(EXPLAINED) {
        match explains.why(invocation.raw, invocation.catalog).await {
            Ok(why) => fill(invocation, why),
            Err(error) => invocation.because = Some(format!("why is not known now: {error}")),
        }
    }
}

fn fill(invocation: &mut Invocation, why: Why) {
    let Why { mut undetected, because, .. } = why;
    if invocation.undetected.is_empty() {
        // Beside an event that happened they were only counted. Those that looked at the change come first.
        undetected.truncate(NAMED.min(invocation.undetected_more as usize));
        invocation.undetected_more -= undetected.len() as u64;
        let named = undetected.into_iter().map(|not| Undetected { event: not.event, because: not.because });
        invocation.undetected = named.collect();
    } else {
        for not in invocation.undetected.iter_mut().filter(|not| not.because.is_empty()) {
            if let Some(found) = undetected.iter().find(|found| found.event == not.event) {
                not.because.clone_from(&found.because);
            }
        }
    }
    // What was decided tells what there was to say; a wrong trigger is among its names.
    invocation.because = because;
}

/// Whether it was decided, and something of it did not happen without a reason that is known.
fn wants_reasons(one: &Invocation) -> bool {
    let nothing = one.events.is_empty() && one.failed.is_empty() && one.undetected.is_empty();
    let unnamed = one.undetected.is_empty() && one.undetected_more > 0;
    one.catalog.is_some() && (nothing || unnamed || one.undetected.iter().any(|not| not.because.is_empty()))
}
