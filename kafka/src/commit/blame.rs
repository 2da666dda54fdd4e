//! Who is to blame for a transaction that failed, and what becomes of them.

use std::{borrow::Cow, collections::HashMap};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{
    Work,
    request::{Attempt, Request},
};
use crate::{
    publish::can_shrink,
    reports::Fault,
    transaction::{Failure, Transactor},
    verdict::{self, Verdict, code},
};
use bus::{Outgoing, Partition, Refusal, RefusalCode, RefusedShare, Share, Topic};

/// After how many failures of a request it is said that it makes no progress.
const WORTH_A_WARNING: u32 = 10;

impl Work {
    /// Acts on the outputs that were not written: what is never taken is refused, alone; what may be taken later is set aside.
    pub(super) fn blame(&mut self, batch: &mut [Request], faults: Vec<Fault>) -> Attempt {
        let mut later = Vec::new();
        let mut refusals: HashMap<(usize, usize), Vec<Refusal>> = HashMap::new();
        let mut shrinks = false;
        for fault in faults {
            let Some((request, share, record)) = locate(batch, fault.record) else { continue };
            let output = &batch[request].shares[share].outputs[record];
            match verdict::of_record(code(&fault.error)) {
                // Whoever shared a batch with others is not known to be at fault before its batches are smaller than itself.
                Verdict::Never(RefusalCode::TooLarge) if can_shrink(self.batch, output) => shrinks = true,
                Verdict::Never(of) if of.is_of_topic() => {
                    let refusal = verdict::refusal(record, &output.topic, of, &fault.error);
                    self.closed.forbid(refusal);
                }
                Verdict::Never(of) => {
                    let refusal = verdict::refusal(record, &output.topic, of, &fault.error);
                    refusals.entry((request, share)).or_default().push(refusal);
                }
                Verdict::Later | Verdict::Stale => {
                    if !later.contains(&request) {
                        tell(&batch[request], &output.topic, &fault.error);
                        later.push(request);
                    }
                }
                Verdict::Innocent => {}
            }
        }
        if shrinks {
            self.batch /= 2;
            tracing::warn!(
                bytes = self.batch,
                "a topic takes no batches as large as ours; they are smaller from now on"
            );
            self.transactor = None;
        }
        let mut found: Vec<_> = refusals.into_iter().collect();
        // From the last on, so that the numbers of the others stay.
        found.sort_by_key(|((request, share), _)| std::cmp::Reverse((*request, *share)));
        for ((request, share), refusals) in found {
            let request = &mut batch[request];
            let share = request.shares.remove(share);
            request.committed.refused.push(RefusedShare { share, refusals });
        }
        if later.is_empty() { Attempt::Blamed } else { Attempt::Aside(later) }
    }
}

/// Which request, share and output the output of that number is.
fn locate(batch: &[Request], mut output: usize) -> Option<(usize, usize, usize)> {
    for (at, request) in batch.iter().enumerate() {
        for (share, of) in request.shares.iter().enumerate() {
            if output < of.outputs.len() {
                return Some((at, share, output));
            }
            output -= of.outputs.len();
        }
    }
    None
}

/// The faults, with somebody to blame: where the broker told of none, the topics are tried one by one.
pub(super) fn attributed(
    transactor: &mut Transactor,
    outputs: &[(Cow<'_, Outgoing>, Partition)],
    faults: Vec<Fault>,
) -> Result<Vec<Fault>, Failure> {
    if !faults.iter().all(Fault::is_innocent) {
        return Ok(faults);
    }
    let mut topics = HashMap::new();
    outputs.iter().enumerate().for_each(|(at, (record, _))| {
        topics.entry(&record.topic).or_insert(at);
    });
    let firsts: Vec<usize> = topics.into_values().collect();
    let probes: Vec<_> = firsts.iter().map(|at| outputs[*at].clone()).collect();
    let found = transactor.guilty(&probes)?;
    let guilty: Vec<Fault> = found
        .into_iter()
        .filter(|fault| !fault.is_innocent())
        .map(|fault| Fault { record: firsts[fault.record], ..fault })
        .collect();
    match guilty.is_empty() {
        true => Err(Failure::Aborted(faults.first().map_or_else(String::new, |fault| fault.error.to_string()))),
        false => Ok(guilty),
    }
}

/// What is to be done about positions that were not taken.
pub(super) fn position_failed(batch: &mut [Request], number: usize, error: &KafkaError) -> Attempt {
    let request = &mut batch[number];
    let group = request.member.group.clone();
    match verdict::of_position(code(error)) {
        Verdict::Never(of) => {
            // The broker does not say which of the positions it means, unless it is one that is too long.
            let longest = request.shares.iter().map(|share| share.position.note.as_str().len()).max().unwrap_or(0);
            let one = code(error) == RDKafkaErrorCode::OffsetMetadataTooLarge;
            let guilty = |share: &mut Share| !one || share.position.note.as_str().len() == longest;
            for share in request.shares.extract_if(.., guilty) {
                let topic = share.partition.topic.clone();
                let refusal = Refusal { record: None, ..verdict::refusal(0, &topic, of, error) };
                tracing::error!(group, partition = %share.partition, %refusal, "a position will never be taken");
                request.committed.refused.push(RefusedShare { share, refusals: vec![refusal] });
            }
            Attempt::Blamed
        }
        _ => {
            // A stale generation is found out by the member itself.
            let reason = error.to_string();
            match request.failures {
                0 => {
                    tracing::info!(group, reason, "positions were refused; made again if the partitions are still ours")
                }
                WORTH_A_WARNING => tracing::warn!(group, reason, "positions are refused again and again; still trying"),
                _ => {}
            }
            Attempt::Aside(vec![number])
        }
    }
}

/// That a request waits for a topic to take its records, at first and when it has waited long.
fn tell(request: &Request, topic: &Topic, error: &KafkaError) {
    let group = &request.member.group;
    match request.failures {
        0 => tracing::info!(group, %topic, %error, "records were not written; they are tried again"),
        WORTH_A_WARNING => {
            tracing::warn!(group, %topic, %error, "records are not written again and again; still trying")
        }
        _ => {}
    }
}
