//! A worker on the bus, written as a stage is: it opens a partition when it has rebuilt its memory, gathers while a commit is
//! under way, and gives back what is revoked after its last commit.
//!
//! Its memory is the position itself, written to `side` in every commit. So what it reads there, up to the barrier, must be
//! the committed position; unless the partition is another's by now, and then it must not be able to commit.

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    sync::mpsc,
};

use bus::{
    Assignment, Bus, Committed, Delivery, Generation, Member, Offset, Outgoing, Position, Record, Share, Start,
    Subscription, TopicPartition,
};
use kafka::Kafka;
use tokio::sync::oneshot;

use crate::{given::Given, worker::say};

/// How many records may wait for the commit that is under way.
const WAITING: usize = 5000;

pub(super) fn run(given: &Given, commands: mpsc::Receiver<String>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (leave, left) = oneshot::channel();
    std::thread::spawn(move || {
        if commands.recv().is_ok() {
            // Who has ended already does not leave.
            let _ = leave.send(());
        }
    });
    runtime.block_on(copy(given, left))
}

async fn copy(given: &Given, mut leave: oneshot::Receiver<()>) -> Result<(), Box<dyn Error>> {
    let bus = Kafka::open(&given.config())?;
    let member = bus.join("copy", Subscription::to(["in"])).await?;
    say("joined");
    let (mut work, mut under_way) = (Work { spread: given.spread, ..Work::default() }, None);
    loop {
        if under_way.is_none() {
            work.release(&*member);
        }
        if under_way.is_none() && !work.waiting.is_empty() {
            let waiting = work.waiting.values();
            let name =
                |share: &Share| format!("{} as {} to {}", share.partition, share.generation.0, share.position.next);
            say(&format!("committing {}", waiting.map(name).collect::<Vec<_>>().join(", ")));
            under_way = Some(member.commit(work.shares()));
        }
        tokio::select! {
            committed = async { under_way.as_mut().expect("guarded").await }, if under_way.is_some() => {
                under_way = None;
                work.told(&committed?);
            }
            delivery = member.next(), if work.count < WAITING => match delivery? {
                Delivery::Assigned(assignments) => {
                    for assignment in assignments {
                        work.open(&bus, &*member, assignment).await?;
                    }
                }
                delivery => work.take(delivery),
            },
            _ = &mut leave => break,
        }
    }
    if let Some(under_way) = under_way {
        work.told(&under_way.await?);
    }
    if !work.waiting.is_empty() {
        let shares = work.shares();
        work.told(&member.commit(shares).await?);
    }
    member.leave().await;
    Ok(())
}

/// What was read and is not committed.
#[derive(Default)]
struct Work {
    waiting: HashMap<TopicPartition, Share>,
    count: usize,
    under_way: Vec<(TopicPartition, Generation)>,
    /// Assignments whose memory is not what their position says.
    suspect: Vec<(TopicPartition, Generation)>,
    revoking: BTreeSet<TopicPartition>,
    spread: bool,
}

impl Work {
    fn shares(&mut self) -> Vec<Share> {
        self.count = 0;
        let shares: Vec<Share> = std::mem::take(&mut self.waiting).into_values().collect();
        self.under_way = shares.iter().map(|share| (share.partition.clone(), share.generation)).collect();
        shares
    }

    fn told(&mut self, committed: &Committed) {
        if *committed == Committed::default() {
            say("committed");
        } else {
            say(&format!("committed but for {committed:?}"));
        }
        for it in &self.under_way {
            let done = !committed.left_out.contains(it) && !committed.lost.contains(it);
            if done && self.suspect.contains(it) {
                say(&format!("WRONG: {} was committed although its memory was not what its position says", it.0));
            }
        }
    }

    fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Assigned(_) => {}
            Delivery::Records(partition, generation, records) => self.copy(partition, generation, &records),
            Delivery::Revoking { partitions, .. } => {
                say(&format!("revoking {}", names(&partitions)));
                self.revoking.extend(partitions);
            }
            Delivery::Lost(partitions) => {
                say(&format!("lost {}", names(&partitions)));
                for at in partitions {
                    self.revoking.remove(&at);
                    self.waiting.remove(&at);
                }
            }
        }
    }

    fn copy(&mut self, partition: TopicPartition, generation: Generation, records: &[Record]) {
        let Some(last) = records.last() else { return };
        self.count += records.len();
        let share = self.waiting.entry(partition.clone()).or_insert_with(|| Share {
            partition: partition.clone(),
            generation,
            outputs: Vec::new(),
            position: Position::at(Offset::ZERO),
        });
        // What was read under an older assignment is not ours to commit.
        if share.generation != generation {
            (share.generation, share.outputs) = (generation, Vec::new());
        }
        share.outputs.retain(|output| output.topic.as_str() != "side");
        for record in records {
            let name = format!("{partition}@{}", record.offset);
            let by = format!(
                "{} of process {} read from {generation:?}",
                names(std::slice::from_ref(&partition)),
                std::process::id()
            );
            let copy = Outgoing::new("out", name, by);
            share.outputs.push(if self.spread { copy } else { copy.to_partition(partition.partition) });
        }
        let next = last.offset.next();
        share.outputs.push(Outgoing::new("side", "position", next.to_string()).to_partition(partition.partition));
        share.position = Position::at(next);
    }

    async fn open(&mut self, bus: &Kafka, member: &dyn Member, assignment: Assignment) -> Result<(), Box<dyn Error>> {
        let Assignment { partition, generation, position } = assignment;
        let from = position.next;
        let remembered = remembered(bus, &TopicPartition { topic: "side".into(), ..partition.clone() }).await?;
        // Who has begun and committed nothing since remembers nothing.
        if remembered.unwrap_or(Offset::ZERO) != from {
            say(&format!("{partition} has position {from}, and in the side topic stands {remembered:?}"));
            self.suspect.push((partition.clone(), generation));
        }
        say(&format!("opened {partition} at {from} as {}", generation.0));
        member.open(&partition, generation, from);
        Ok(())
    }

    /// Gives back what is being revoked, once nothing of it is left to commit.
    fn release(&mut self, member: &dyn Member) {
        let done: Vec<TopicPartition> =
            self.revoking.iter().filter(|at| !self.waiting.contains_key(*at)).cloned().collect();
        if !done.is_empty() {
            member.release(&done);
            self.revoking.retain(|at| !done.contains(at));
        }
    }
}

fn names(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The last that an owner of the partition remembered.
async fn remembered(bus: &Kafka, at: &TopicPartition) -> Result<Option<Offset>, Box<dyn Error>> {
    let barrier = bus.offset(at, Start::End).await?;
    let (mut from, mut last) = (bus.offset(at, Start::Earliest).await?, None);
    while from < barrier {
        let records = bus.read(at, from, 1024 * 1024).await?;
        let Some(record) = records.last() else { break };
        from = record.offset.next();
        last = Some(Offset(std::str::from_utf8(record.value())?.parse()?));
    }
    Ok(last)
}
