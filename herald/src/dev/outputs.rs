//! What jobs write, on the terminal as they write it.

use std::sync::{Arc, Mutex, PoisonError};

use client::{print::Speaker, render};
use job_runner::Hears;
use tokio::time::Instant;

use super::pace::Lines;

/// Shows it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outputs {
    speaker: Speaker,
    lines: Arc<Mutex<Lines>>,
}

impl Outputs {
    pub(super) fn new(speaker: Speaker) -> Self {
        Self { speaker, lines: Arc::default() }
    }

    /// What hears the jobs.
    pub(super) fn hears(&self) -> Hears {
        let own = self.clone();
        Arc::new(move |job, line| {
            let mut lines = own.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.may_show(Instant::now()) {
                own.speaker.show(&render::output(job, line));
            }
        })
    }

    /// Says how many lines were not shown in the second that is over.
    pub(super) fn say_more(&self) {
        let said = self.lines.lock().unwrap_or_else(PoisonError::into_inner).counted(Instant::now());
        if let Some(line) = said {
            self.speaker.show(&line);
        }
    }
}
