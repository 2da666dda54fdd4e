//! What a transaction writes: the outputs of all requests, each with its partition, and lines of one partition as one record.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

use bus::{
    Outgoing, Partition, Topic,
    lines::{self, Lines},
};

use super::request::Request;
use crate::reports::Fault;

pub(super) struct Outputs<'r> {
    /// What is written.
    pub(super) records: Vec<(Cow<'r, Outgoing>, Partition)>,
    /// Of each output that was given, which of the records it is in.
    written: Vec<usize>,
}

impl<'r> Outputs<'r> {
    /// The outputs of these requests, of which one record has at most so many bytes in its lines; none while the partition of one cannot
    /// be learned.
    pub(super) fn of(
        batch: &'r [Request],
        most: usize,
        place: impl Fn(&Outgoing) -> Option<Partition>,
    ) -> Option<Self> {
        let mut out = Self { records: Vec::new(), written: Vec::new() };
        let mut open: HashMap<(&Topic, Partition), (usize, Lines)> = HashMap::new();
        let mut closed: Vec<(usize, Lines)> = Vec::new();
        for output in batch.iter().flat_map(|request| &request.shares).flat_map(|share| &share.outputs) {
            let at = place(output)?;
            let next = out.records.len();
            if !lines::are_in(&output.topic) {
                out.push(output, at);
                continue;
            }
            let Some(begun) = Lines::begin(output) else {
                // What comes behind it stays behind it.
                closed.extend(open.remove(&(&output.topic, at)));
                out.push(output, at);
                continue;
            };
            match open.entry((&output.topic, at)) {
                Entry::Occupied(mut last) => {
                    let (index, lines) = last.get_mut();
                    if lines.add(output, most) {
                        out.written.push(*index);
                    } else {
                        out.push(output, at);
                        closed.push(last.insert((next, begun)));
                    }
                }
                Entry::Vacant(first) => {
                    out.push(output, at);
                    first.insert((next, begun));
                }
            }
        }
        for (index, lines) in closed.into_iter().chain(open.into_values()) {
            out.records[index].0 = Cow::Owned(lines.finish());
        }
        Some(out)
    }

    fn push(&mut self, output: &'r Outgoing, at: Partition) {
        self.written.push(self.records.len());
        self.records.push((Cow::Borrowed(output), at));
    }

    /// The faults of what was given: one of a record is one of each output in it.
    pub(super) fn given(self, faults: &[Fault]) -> Vec<Fault> {
        let of = |fault: &Fault| {
            let (record, error) = (fault.record, fault.error.clone());
            let those = self.written.iter().enumerate().filter(move |(_, written)| **written == record);
            those.map(move |(given, _)| Fault { record: given, error: error.clone() }).collect::<Vec<_>>()
        };
        faults.iter().flat_map(of).collect()
    }
}
