//! What is new in a summary since the one before, a line per fact: what a person reads while waiting. Pure.

use std::collections::HashSet;

use contracts::{
    ids::{EventId, InvocationId, JobRunId},
    summary::{Invocation, State, Summary},
};

use jiff::Timestamp;

use crate::{
    print::{BOLD, DIM},
    render,
};

/// What has been told already. Of a long list, only the first page of invocations is followed.
#[derive(Debug, Default)]
pub struct News {
    invocations: HashSet<InvocationId>,
    events: HashSet<EventId>,
    ended: HashSet<JobRunId>,
    /// Attempts that another is to follow.
    retried: HashSet<(JobRunId, u32)>,
}

impl News {
    /// The lines for whatever is new.
    pub fn of(&mut self, summary: &Summary, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        for invocation in &summary.invocations {
            self.invocation(invocation, now, &mut lines);
        }
        lines
    }

    fn invocation(&mut self, invocation: &Invocation, now: Timestamp, lines: &mut Vec<String>) {
        if invocation.state == State::Complete
            && invocation.events.is_empty()
            && self.invocations.insert(invocation.invocation)
        {
            lines.push(bullet(&render::head(invocation)));
        }
        for event in &invocation.events {
            if self.events.insert(event.id) {
                lines.push(bullet(&format!("detected {BOLD}{}{BOLD:#}", event.event)));
            }
            for job in &event.jobs {
                let is_new = match (job.state, job.again) {
                    (State::Complete, _) => self.ended.insert(job.run),
                    (_, Some(_)) => self.retried.insert((job.run, job.attempts)),
                    _ => false,
                };
                if is_new {
                    let (sign, said) = render::job(job, now);
                    lines.push(bullet(&format!("{sign} {}  {}{said}", event.event, job.job)));
                }
            }
        }
    }
}

fn bullet(text: &str) -> String {
    format!("{DIM}·{DIM:#} {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn plain(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn each_fact_is_told_once_when_it_has_become_one() {
        let mut news = News::default();
        let told = plain(&news.of(&samples::under_way(), Timestamp::UNIX_EPOCH));
        assert_eq!(
            told,
            [
                "· detected move.cancel.pending",
                "· ✅ move.cancel.pending  job-1  Job 1 complete!  (3.0 s)",
                "· detected move.pickup.successful",
            ]
        );
        assert_eq!(news.of(&samples::under_way(), Timestamp::UNIX_EPOCH), Vec::<String>::new());
        let told = plain(&news.of(&samples::two_events(), Timestamp::UNIX_EPOCH));
        assert_eq!(
            told,
            [
                "· ✅ move.pickup.successful  job-1  Job 1 complete!  (3.0 s)",
                "· ✅ move.pickup.successful  publish-event-log  Wrote event log for move.pickup.successful",
                "· ❌ move.pickup.successful  rerun-ar  exit status 3: no move 13107",
            ]
        );
    }

    #[test]
    fn an_invocation_without_events_is_told_too() {
        let told = plain(&News::default().of(&samples::nothing_detected(), Timestamp::UNIX_EPOCH));
        assert_eq!(told, ["· 🔕 Detected no event from UPDATE public.moves"]);
    }
}
