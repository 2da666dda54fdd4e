//! What of a request can be tried at all, as far as that is known beforehand.

use super::{
    Work,
    request::{Possible, Request, failed, left},
};
use crate::closed::Found;
use bus::{MAX_RECORD, Outgoing, Partition, Refusal, RefusedShare};

/// A topic is not there, which may pass.
struct Missing;

impl Work {
    /// Takes the shares that can never be committed out of a request.
    pub(super) fn possible(&mut self, mut request: Request) -> Possible {
        let mut waits = false;
        for share in std::mem::take(&mut request.shares) {
            let mut refusals = Vec::new();
            for (at, record) in share.outputs.iter().enumerate() {
                match self.known(at, record) {
                    Ok(None) => {}
                    Ok(Some(refusal)) => refusals.push(refusal),
                    Err(Missing) => waits = true,
                }
            }
            if refusals.is_empty() {
                request.shares.push(share);
            } else {
                request.committed.refused.push(RefusedShare { share, refusals });
            }
        }
        match left(request) {
            Some(request) if waits => Possible::NotYet(failed(request)),
            Some(request) => Possible::Yes(request),
            None => Possible::Answered,
        }
    }

    /// Why a record can never be written, as far as that is known without trying.
    fn known(&mut self, at: usize, record: &Outgoing) -> Result<Option<Refusal>, Missing> {
        let size = record.size();
        if size > MAX_RECORD {
            return Ok(Some(Refusal::too_large(at, &record.topic, size)));
        }
        if let Some(refusal) = self.closed.refusal(at, &record.topic) {
            return Ok(Some(refusal));
        }
        let partitions = match self.cluster.partitions(&record.topic) {
            Some(partitions) => {
                self.closed.found(&record.topic);
                partitions
            }
            None => {
                match self.closed.missing(&record.topic, || self.runtime.block_on(self.cluster.expect(&record.topic))) {
                    Found::There(partitions) => partitions,
                    Found::Missing => return Err(Missing),
                    Found::Gone => return Ok(Some(Refusal::unknown(at, &record.topic))),
                    // It is found out when it is written.
                    Found::Unknown => return Ok(None),
                }
            }
        };
        let number = record.partition.filter(|Partition(number)| *number >= partitions);
        Ok(number.map(|number| Refusal::no_partition(at, &record.topic, number.0, partitions)))
    }
}
