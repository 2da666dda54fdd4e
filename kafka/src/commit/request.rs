//! What a member wants committed, and how it is answered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{Committed, Error, Share};
use tokio::sync::oneshot;

use crate::shared::Shared;

/// How long after a failure it is tried again, at first and at most.
pub(super) const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How often the wait is doubled for a request that fails by itself: each try writes what it then aborts.
const DOUBLINGS: u32 = 6;

/// What a member wants committed.
pub(super) struct Request {
    pub(super) member: Arc<Shared>,
    pub(super) shares: Vec<Share>,
    pub(super) committed: Committed,
    /// How often it has failed by itself.
    pub(super) failures: u32,
    /// Not tried again before this.
    pub(super) due: Instant,
    pub(super) reply: oneshot::Sender<Result<Committed, Error>>,
}

/// Whether a request can be tried.
pub(super) enum Possible {
    Yes(Request),
    /// Something that it needs is missing, which may pass.
    NotYet(Request),
    /// Nothing of it was left to commit.
    Answered,
}

/// What became of an attempt.
pub(super) enum Attempt {
    Done,
    /// Nothing counts, and it is nobody's own fault.
    Again,
    /// Nothing counts, because of these requests, by number; the others are tried again at once.
    Aside(Vec<usize>),
    /// Nothing counts, and what is to blame has been refused or noted.
    Blamed,
    Lost,
}

/// Leaves out what is no longer ours; a request of which nothing is left is answered.
pub(super) fn still_ours(mut request: Request) -> Option<Request> {
    let gone: Vec<Share> = request.shares.extract_if(.., |share| !request.member.owns(share)).collect();
    request.committed.left_out.extend(gone.iter().map(Share::assigned));
    left(request)
}

/// The request, if anything is left of it; else it is answered.
pub(super) fn left(request: Request) -> Option<Request> {
    if request.shares.is_empty() {
        done(request);
        return None;
    }
    Some(request)
}

/// Answers; what was committed is returned.
pub(super) fn done(mut request: Request) -> Vec<Share> {
    let (shares, committed) = (std::mem::take(&mut request.shares), std::mem::take(&mut request.committed));
    answer(request, Ok(committed));
    shares
}

pub(super) fn lost(mut request: Request) {
    request.committed.lost = request.shares.drain(..).map(|share| share.assigned()).collect();
    let lost: Vec<_> = request.committed.lost.iter().map(|(partition, _)| partition.clone()).collect();
    request.member.expel(&lost);
    done(request);
}

pub(super) fn answer(request: Request, outcome: Result<Committed, Error>) {
    // Who no longer waits has dropped its member.
    let _ = request.reply.send(outcome);
}

/// A request that has failed by itself once more: it waits longer each time.
pub(super) fn failed(mut request: Request) -> Request {
    request.due = Instant::now() + back_off(request.failures);
    request.failures += 1;
    request
}

/// How long the first wait is; each next one is twice as long, up to a limit.
fn back_off(failures: u32) -> Duration {
    BACK_OFF.0 * 2_u32.pow(failures.min(DOUBLINGS))
}
