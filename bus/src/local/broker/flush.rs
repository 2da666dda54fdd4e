//! A commit: what has been queued is validated, becomes one transaction, and is answered once that is durable.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use contracts::topics;
use tokio::sync::oneshot;

use super::{BUSY, Broker, Reply, Standing, Work};
use crate::{
    PublishError,
    local::{
        commit::Commit,
        inbox::MemberId,
        storage::{StorageError, Transaction},
    },
    member::{Committed, Share},
    now,
    record::{Outgoing, Spot},
    refusal::RefusedShare,
};

/// Why every record gets a place.
const APPENDED: &str = "invariant: there was no refusal, so topic and partition are there";

/// What is answered once the commit is durable.
pub(super) enum Answer {
    Publish(Vec<Spot>, oneshot::Sender<Result<Vec<Spot>, PublishError>>),
    Hop(Committed, Reply<Committed>),
}

/// A hop that is in a commit.
pub(super) type Hop = (Arc<str>, MemberId, Vec<Share>);

impl Broker {
    /// Commits all work as one transaction and answers it. What the store does not take: publications are refused, hops
    /// stay and are tried again.
    pub(super) fn flush(&mut self) {
        if self.failed_since.is_some() && self.work.is_empty() {
            // Nobody may come again while it says that it cannot write: whether it can is tried by itself.
            self.groups.write_again();
        }
        if self.work.is_empty() && self.groups.unwritten().next().is_none() {
            return;
        }
        let work = std::mem::take(&mut self.work);
        self.busy = work.len() >= BUSY;
        self.work_bytes = 0;
        if self.failed_since.is_none() && self.chaos.is_some() {
            self.misbehave_before(&work);
        }
        let (log, chaos) = (self.log.clone(), self.chaos.clone());
        let mut commit = Commit::new(&log, chaos.as_deref(), self.turn);
        for (group, partition, position) in self.groups.unwritten() {
            commit.position(group, partition, position);
        }
        let usage = self.storage.usage();
        let mut answers = Vec::with_capacity(work.len());
        let mut hops = Vec::new();
        for work in work {
            match work {
                Work::Publish { batch, bytes, reply } => {
                    self.queued.fetch_sub(bytes, Ordering::AcqRel);
                    if usage.is_full() && !is_control(&batch) {
                        reply_publish(reply, Err(PublishError::Full { used: usage.used, limit: usage.limit }));
                    } else if let Some(refusal) = commit.refusals(&batch).into_iter().next() {
                        reply_publish(reply, Err(refusal.into()));
                    } else {
                        let spots = batch.iter().map(|record| commit.append(record).expect(APPENDED)).collect();
                        answers.push(Answer::Publish(spots, reply));
                    }
                }
                Work::Hop { group, member, mut shares, reply } => {
                    let committed = self.hop(&mut commit, &group, member, &mut shares);
                    hops.push((group, member, shares));
                    answers.push(Answer::Hop(committed, reply));
                }
            }
        }
        self.turn = commit.turn();
        if !commit.is_empty() {
            self.make_durable(commit, answers, hops);
        } else {
            self.misbehave_after(&hops, &answers);
            self.settle(answers);
        }
    }

    fn hop(
        &mut self,
        commit: &mut Commit<'_>,
        group: &Arc<str>,
        member: MemberId,
        shares: &mut Vec<Share>,
    ) -> Committed {
        let mut committed = Committed::default();
        for share in std::mem::take(shares) {
            if !self.groups.owns(group, member, &share.partition, share.generation) {
                committed.left_out.push(share.assigned());
                shares.push(share);
                continue;
            }
            let refusals = commit.refusals(&share.outputs);
            if !refusals.is_empty() {
                committed.refused.push(RefusedShare { share, refusals });
                continue;
            }
            let unknown = self.chaos.as_ref().is_some_and(|chaos| chaos.strikes(chaos.manners.unknown));
            let written = !unknown || self.chaos.as_ref().is_some_and(|chaos| chaos.below(2) == 0);
            if written {
                for record in &share.outputs {
                    commit.append(record).expect(APPENDED);
                }
                commit.position(group, &share.partition, share.position.clone());
            }
            if unknown {
                committed.lost.push(share.assigned());
            }
            shares.push(share);
        }
        committed
    }

    fn make_durable(&mut self, commit: Commit<'_>, answers: Vec<Answer>, hops: Vec<Hop>) {
        let (transaction, visible) = commit.finish(now());
        match self.store(&transaction) {
            Ok(()) => {
                self.recovered();
                self.groups.written();
                self.commits_since_trim += 1;
                for (group, partition, position) in visible.positions {
                    self.groups.set_position(&group, &partition, position);
                }
                for (topic, at, stored) in visible.appends {
                    self.log.append(&topic, at.partition, stored);
                    self.groups.appended(&at);
                }
                self.misbehave_after(&hops, &answers);
                self.settle(answers);
            }
            Err(error) => self.keep(&error, answers, hops),
        }
    }

    fn settle(&self, answers: Vec<Answer>) {
        for answered in answers {
            match answered {
                Answer::Publish(spots, reply) => {
                    let refused = self.chaos.as_ref().is_some_and(|chaos| chaos.strikes(chaos.manners.refuse));
                    let refusal = || PublishError::Unavailable("the end of the publication is unknown".into());
                    reply_publish(reply, if refused { Err(refusal()) } else { Ok(spots) });
                }
                // Whoever asked may have given up.
                Answer::Hop(committed, reply) => drop(reply.send(Ok(committed))),
            }
        }
    }

    /// Makes a transaction durable where it will be found again.
    pub(super) fn store(&mut self, transaction: &Transaction) -> Result<(), StorageError> {
        self.storage.commit(transaction)?;
        self.look()
    }

    /// Looks whether the store is where it was. If not, the bus has stopped.
    pub(super) fn look(&mut self) -> Result<(), StorageError> {
        self.storage.in_place().inspect_err(|error| self.gone = Some(error.to_string()))
    }

    /// The store refused: publications hear so at once, hops wait for better times.
    fn keep(&mut self, error: &StorageError, answers: Vec<Answer>, hops: Vec<Hop>) {
        if self.gone.is_none() && self.failed_since.is_none() {
            tracing::error!(error = %error, "the bus cannot write; publications are refused and hops wait until it can");
            self.failed_since = Some(Instant::now());
            self.standing.send_replace(Standing::Fails(error.to_string()));
        }
        let mut hops = hops.into_iter();
        for answered in answers {
            match answered {
                Answer::Publish(_, reply) => reply_publish(reply, Err(PublishError::Unavailable(error.to_string()))),
                Answer::Hop(committed, reply) => {
                    if let Some((group, member, mut shares)) = hops.next() {
                        shares.extend(committed.refused.into_iter().map(|refused| refused.share));
                        self.work.push(Work::Hop { group, member, shares, reply });
                    }
                }
            }
        }
    }

    fn recovered(&mut self) {
        if let Some(since) = self.failed_since.take() {
            self.standing.send_replace(Standing::Writes);
            tracing::info!(seconds = since.elapsed().as_secs(), "the bus writes again");
        }
    }
}

/// Whether it is a catalog or an order: a full bus takes it, since what a wrong one has filled only another can mend.
fn is_control(batch: &[Outgoing]) -> bool {
    batch.iter().all(|record| [topics::CATALOG, topics::CONTROL].contains(&record.topic.as_str()))
}

fn reply_publish(reply: oneshot::Sender<Result<Vec<Spot>, PublishError>>, value: Result<Vec<Spot>, PublishError>) {
    // Whoever asked may have given up; the record is in the log all the same.
    let _ = reply.send(value);
}
