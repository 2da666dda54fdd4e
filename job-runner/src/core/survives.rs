//! What becomes of runs that fail, under any schedule: whatever is killed, revoked, left out and rebuilt, each ends once, none
//! is tried more often than it may be, and those of one key stay in order.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bus::{Committed, Outgoing, Partition, Position, Record, Share};
use contracts::{
    dead::DeadLetter,
    progress::{AttemptState, Fact, Progress},
};
use proptest::prelude::*;

use super::{
    tests::{flow, now, plan},
    *,
};
use crate::{
    Answer, Failure,
    attempt::Ended,
    rebuild::{Fold, Rebuilt},
    steps::tests::event,
};

pub(super) const ATTEMPTS: u32 = 4;

/// A record of an input: its key, and how many of its attempts fail.
pub(super) type Shape = (u8, u32);

/// Where a record stands.
pub(super) type Place = (TopicPartition, Offset);

/// The logs, and a process that works on them until it is killed.
pub(super) struct World {
    pub(super) plan: Arc<Plan>,
    pub(super) inputs: BTreeMap<TopicPartition, Vec<(Record, Shape)>>,
    positions: HashMap<TopicPartition, Position>,
    lane: HashMap<Partition, Vec<Record>>,
    dead: BTreeMap<String, DeadLetter>,
    /// Of each run, by its place: the attempts that were launched, and how it ended, as far as that is committed.
    pub(super) launched: BTreeMap<Place, Vec<u32>>,
    pub(super) ends: BTreeMap<Place, Vec<AttemptState>>,
    /// What took the place of what was superseded.
    pub(super) successors: BTreeMap<Place, Place>,
    /// What the bus refused to keep while it waits.
    pub(super) refused: BTreeSet<Place>,
    /// When attempts began, by what the rate tells apart.
    begun: BTreeMap<Option<u8>, Vec<Instant>>,
    pub(super) core: Core,
    pub(super) now: Now,
    generation: u64,
    /// Under which assignment each input is ours.
    owned: HashMap<TopicPartition, Generation>,
    cursors: BTreeMap<TopicPartition, (usize, bool, Generation)>,
    reading: Option<Reading>,
    pub(super) commit: Option<Vec<Share>>,
    unbuilt: Vec<(TopicPartition, Generation)>,
    running: Vec<Launch>,
}

impl World {
    fn new(order: catalog::Order, limits: Limits, shapes: &[Vec<Shape>]) -> Self {
        Self::of(Plan { order, ..plan("work") }, limits, shapes)
    }

    fn held_back(order: catalog::Order, limits: Limits, shapes: &[Vec<Shape>], flow: catalog::Flow) -> Self {
        let breaker = if let catalog::Circuit::On(breaker) = flow.circuit { Some(breaker) } else { None };
        Self::of(Plan { order, flow, breaker, ..plan("work") }, limits, shapes)
    }

    pub(super) fn of(plan: Plan, limits: Limits, shapes: &[Vec<Shape>]) -> Self {
        let plan = Arc::new(Plan { attempts: ATTEMPTS, concurrency: 3, ..plan });
        let mut inputs = BTreeMap::new();
        let mut number = 0;
        for (partition, shapes) in (0..).zip(shapes) {
            let at = TopicPartition::new("event.a", partition);
            let mut records = Vec::new();
            for (place, shape) in (0..).zip(shapes) {
                number += 1;
                let record = Record {
                    topic: at.topic.clone(),
                    partition: at.partition,
                    offset: Offset(place * 2),
                    published: now().wall,
                    key: Some(vec![shape.0].into()),
                    value: Some(format!("{{\"half\":{},\"by\":{}}}", shape.0 % 2, shape.0 / 2).into()),
                    headers: event("a", number).encode(),
                };
                records.push((record, *shape));
            }
            inputs.insert(at, records);
        }
        let core = Core::new(plan.clone(), limits, now());
        let mut world = Self {
            plan,
            inputs,
            positions: HashMap::new(),
            lane: HashMap::new(),
            dead: BTreeMap::new(),
            launched: BTreeMap::new(),
            begun: BTreeMap::new(),
            ends: BTreeMap::new(),
            successors: BTreeMap::new(),
            refused: BTreeSet::new(),
            core,
            now: now(),
            generation: 0,
            owned: HashMap::new(),
            cursors: BTreeMap::new(),
            reading: None,
            commit: None,
            unbuilt: Vec::new(),
            running: Vec::new(),
        };
        world.begin(limits);
        world
    }

    /// A process begins, with nothing but the logs.
    pub(super) fn begin(&mut self, limits: Limits) {
        self.core = Core::new(self.plan.clone(), limits, self.now);
        (self.reading, self.commit) = (None, None);
        self.unbuilt.clear();
        self.running.clear();
        self.cursors.clear();
        self.inputs.keys().cloned().collect::<Vec<_>>().into_iter().for_each(|at| self.assign(at));
    }

    fn assign(&mut self, partition: TopicPartition) {
        self.generation += 1;
        self.cursors.remove(&partition);
        let position = self.positions.get(&partition).cloned().unwrap_or(Position::at(Offset::ZERO));
        let generation = Generation(self.generation);
        self.owned.insert(partition.clone(), generation);
        self.core.assign(Assignment { partition, generation, position }).expect("a position");
    }

    pub(super) fn advance(&mut self) {
        if self.core.abandon_reading() {
            self.reading = None;
        }
        self.core.admit(self.now);
        if let Some(shares) = self.core.gather(self.now) {
            assert!(self.commit.replace(shares).is_none(), "two commits at once");
        }
        for effect in self.core.effects() {
            match effect {
                Effect::Rebuild(at, generation) => self.unbuilt.push((at, generation)),
                Effect::Open(at, generation, from) => {
                    let next = self.inputs[&at].partition_point(|(record, _)| record.offset < from);
                    self.cursors.insert(at, (next, false, generation));
                }
                Effect::Pause(at) => drop(self.cursors.get_mut(&at).map(|cursor| cursor.1 = true)),
                Effect::Resume(at) => drop(self.cursors.get_mut(&at).map(|cursor| cursor.1 = false)),
                Effect::Read(reading) => assert!(self.reading.replace(reading).is_none(), "two reads at once"),
                Effect::Release(gone) => gone.into_iter().for_each(|at| self.assign(at)),
                Effect::Launch(launch) => self.launch(launch),
                Effect::Cancel(key) => {
                    self.running.retain(|launch| launch.key != key);
                    self.core.ended(key, Ended::GivenBack, self.now);
                }
            }
        }
    }

    fn launch(&mut self, launch: Launch) {
        let at = (launch.item.partition.clone(), launch.item.offset);
        if self.plan.order == catalog::Order::Key {
            let shape_of =
                |offset: Offset| self.inputs[&at.0].iter().find(|(record, _)| record.offset == offset).expect("one").1;
            let key = |shape: Shape| if self.has_by() { shape.0 / 2 } else { shape.0 };
            let is_before =
                |(record, shape): &&(Record, Shape)| record.offset < at.1 && key(*shape) == key(shape_of(at.1));
            let before = self.inputs[&at.0].iter().filter(is_before);
            for (record, _) in before {
                assert!(
                    self.ends.contains_key(&(at.0.clone(), record.offset)),
                    "{} {} began before {} had ended",
                    at.0,
                    at.1,
                    record.offset
                );
            }
        }
        assert!(!self.ends.contains_key(&at), "{} {} goes on after its end", at.0, at.1);
        assert!(launch.attempt <= ATTEMPTS, "attempt {}", launch.attempt);
        if let Some(each) = &self.plan.flow.each {
            let is_its = |other: &&Launch| other.item.data[8] == launch.item.data[8];
            let beside = self.running.iter().filter(is_its).count();
            assert!(beside < each.limit, "{beside} of one value run already");
        }
        let rate = self.plan.flow.rate.as_ref();
        let half = rate.and_then(|rate| rate.by.as_ref()).map(|_| launch.item.data[8]);
        self.begun.entry(half).or_default().push(self.now.steady);
        self.launched.entry(at).or_default().push(launch.attempt);
        self.running.push(launch);
    }

    /// Whether it failed since the bus refused it; else that was forgotten when its partition went.
    pub(super) fn is_refused(&self, place: &Place) -> bool {
        self.refused.contains(place)
            && !self.dead.contains_key(&format!("{}/{}", place.0, place.1))
            && self.ends.get(place).is_some_and(|ends| ends == &[AttemptState::Failed])
    }

    /// Whether windows are of another value than the key.
    pub(super) fn has_by(&self) -> bool {
        self.plan.gathering.as_ref().is_some_and(|gathering| gathering.by.is_some())
    }

    /// The place of an event.
    fn place_of(&self, id: &str) -> Place {
        let all = self.inputs.iter().flat_map(|(at, records)| records.iter().map(move |(record, _)| (at, record)));
        let is_its = |record: &Record| record.headers.text("ce_id") == Some(id);
        let (at, record) = all.clone().find(|(_, record)| is_its(record)).expect("its record");
        (at.clone(), record.offset)
    }

    /// The bus never takes an event in the lane, of the share of that number that has one.
    pub(super) fn refuse(&mut self, pick: usize) -> bool {
        let is_event = |output: &Outgoing| {
            let key = output.key.as_deref().unwrap_or_default();
            output.topic.as_str().starts_with("lane") && output.value.is_some() && key.starts_with(b"event/")
        };
        let Some(shares) = &self.commit else { return false };
        let has = |share: &&Share| {
            self.owned.get(&share.partition) == Some(&share.generation) && share.outputs.iter().any(is_event)
        };
        let with: Vec<&Share> = shares.iter().filter(has).collect();
        if with.is_empty() {
            return false;
        }
        let share = with[pick % with.len()].clone();
        let events: Vec<usize> = (0..share.outputs.len()).filter(|at| is_event(&share.outputs[*at])).collect();
        let (at, partition) = (events[pick % events.len()], share.partition.clone());
        let id = share.outputs[at].headers.text("ce_id").expect("an id").to_owned();
        self.refused.insert(self.place_of(&id));
        let refusal = bus::Refusal {
            record: Some(at),
            topic: share.outputs[at].topic.clone(),
            code: bus::RefusalCode::TooLarge,
            reason: "too large".into(),
        };
        let mut committed = Committed::default();
        for share in self.commit.take().expect("a commit") {
            if share.partition == partition {
                committed.refused.push(bus::RefusedShare { share, refusals: vec![refusal.clone()] });
            } else if self.owned.get(&share.partition) != Some(&share.generation) {
                committed.left_out.push(share.assigned());
            } else {
                self.positions.insert(share.partition.clone(), share.position);
                share.outputs.into_iter().for_each(|output| self.write(output));
            }
        }
        self.core.committed(committed).expect("it is mended");
        true
    }

    /// Ends the commit: each share is written or left out; or nobody knows which.
    pub(super) fn commit(&mut self, (left_out, unknown): (u64, bool)) -> bool {
        let Some(shares) = self.commit.take() else { return false };
        let (mut committed, mut gone) = (Committed::default(), Vec::new());
        for (number, share) in shares.into_iter().enumerate() {
            let is_ours = self.owned.get(&share.partition) == Some(&share.generation);
            if left_out >> number & 1 == 1 || !is_ours {
                if is_ours {
                    gone.push(share.partition.clone());
                }
                committed.left_out.push(share.assigned());
                continue;
            }
            self.positions.insert(share.partition.clone(), share.position);
            share.outputs.into_iter().for_each(|output| self.write(output));
        }
        if unknown {
            self.core.commit_failed();
            let all: Vec<_> = self.inputs.keys().cloned().collect();
            all.iter().for_each(|at| self.core.lose(at));
            all.into_iter().for_each(|at| self.assign(at));
        } else {
            self.core.committed(committed).expect("nothing is refused");
            gone.into_iter().for_each(|at| self.assign(at));
        }
        true
    }

    fn write(&mut self, output: Outgoing) {
        let topic = output.topic.as_str();
        let key = output.key.clone().expect("a key");
        if topic == "progress" {
            let Fact::Job(step) = Progress::decode(&output.value.expect("a value")).expect("progress").fact else {
                panic!("a step")
            };
            use AttemptState::{Failed, Succeeded, Superseded};
            if matches!(step.state, Succeeded | Failed | Superseded) {
                let place = self.place_of(&step.event_id.to_string());
                if let Some(by) = step.superseded_by {
                    self.successors.insert(place.clone(), self.place_of(&by.event_id.to_string()));
                }
                self.ends.entry(place).or_default().push(step.state);
            }
        } else if let Some("lane") = topic.split('.').next() {
            let partition = output.partition.expect("a partition");
            let log = self.lane.entry(partition).or_default();
            let offset = Offset(log.last().map_or(3, |last| last.offset.0 + 2));
            log.push(Record {
                topic: output.topic,
                partition,
                offset,
                published: self.now.wall,
                key: output.key,
                value: output.value,
                headers: output.headers,
            });
        } else {
            let letter = DeadLetter::of(&output.headers).expect("a letter");
            let key = String::from_utf8(key.to_vec()).expect("text");
            assert!(self.dead.insert(key, letter).is_none(), "it died twice");
        }
    }

    pub(super) fn rebuild(&mut self) -> bool {
        let inputs = std::mem::take(&mut self.unbuilt);
        if inputs.is_empty() {
            return false;
        }
        let mut fold = Fold::of(inputs.iter().map(|(at, _)| at.clone()));
        let mut ends = HashMap::new();
        for (partition, records) in &self.lane {
            records.iter().for_each(|record| fold.take(record).expect("a record of the lane"));
            ends.insert(*partition, records.last().map_or(Offset::ZERO, |last| last.offset.next()));
        }
        let layout = Some(vec![("event.a".into(), self.inputs.len() as u32)]);
        self.core.rebuilt(Rebuilt { inputs, found: fold.finish(), orders: Default::default(), ends, layout }, self.now);
        true
    }

    pub(super) fn deliver(&mut self, pick: usize, count: usize) -> bool {
        let inputs = &self.inputs;
        let open = self.cursors.iter_mut().filter(|(at, (next, paused, _))| !paused && *next < inputs[*at].len());
        let mut open: Vec<_> = open.collect();
        if open.is_empty() {
            return false;
        }
        let pick = pick % open.len();
        let (at, (next, _, generation)) = &mut open[pick];
        let records: Vec<_> = inputs[*at][*next..].iter().take(count).map(|(record, _)| record.clone()).collect();
        *next += records.len();
        let (at, generation) = (at.clone(), *generation);
        self.core.deliver(&at, generation, records);
        true
    }

    pub(super) fn read(&mut self) -> bool {
        let Some(reading) = &self.reading else { return false };
        let from = |records: &mut dyn Iterator<Item = &Record>| -> Vec<Record> {
            records.filter(|record| record.offset >= reading.from).take(3).cloned().collect()
        };
        let records = if reading.is_of_lane() {
            from(&mut self.lane.get(&reading.partition.partition).into_iter().flatten())
        } else {
            from(&mut self.inputs[&reading.partition].iter().map(|(record, _)| record))
        };
        if records.is_empty() {
            return false;
        }
        self.reading = None;
        self.core.read_again(records).expect("everything is there");
        true
    }

    pub(super) fn end(&mut self, pick: usize) -> bool {
        if self.running.is_empty() {
            return false;
        }
        let launch = self.running.swap_remove(pick % self.running.len());
        let records = &self.inputs[&launch.item.partition];
        let shape = records.iter().find(|(record, _)| record.offset == launch.item.offset).expect("its record").1;
        let failed = if launch.attempt <= shape.1 { Err(Failure::new("no")) } else { Ok(Answer::nothing()) };
        self.core.ended(launch.key, Ended::Done(failed), self.now);
        true
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.steady += time;
        self.now.wall = self.now.wall.checked_add(time).expect("a time");
    }

    pub(super) fn step(&mut self, (what, pick, count): (u8, usize, usize), limits: Limits) {
        match what {
            0 | 1 => drop(self.deliver(pick, count)),
            2 => drop(self.read()),
            3 | 4 => drop(self.end(pick)),
            5 | 6 => drop(self.commit((0, false))),
            7 => drop(self.rebuild()),
            8 => self.pass(Duration::from_millis(count as u64 * 100)),
            9 => drop(self.commit((pick as u64, pick % 3 == 0))),
            10 => {
                let at = self.inputs.keys().nth(pick % self.inputs.len()).expect("an input").clone();
                if count % 2 == 0 {
                    self.core.revoke(&[at]);
                    self.core.cancel_leaving();
                } else {
                    self.core.lose(&at);
                    self.assign(at);
                }
            }
            _ if count > 30 => self.begin(limits),
            // The wall clock jumps an hour, forth or back.
            _ => {
                let hour = jiff::SignedDuration::from_hours(if count % 2 == 0 { 1 } else { -1 });
                self.now.wall = self.now.wall.checked_add(hour).expect("a time");
            }
        }
        self.advance();
    }

    pub(super) fn drain(&mut self) {
        let mut idle = 0;
        for _ in 0..100_000 {
            let moved = self.rebuild() | self.deliver(0, 64) | self.read() | self.end(0) | self.commit((0, false));
            self.advance();
            // What advancing brings about may be seen by the next time alone.
            idle = if moved || self.commit.is_some() { 0 } else { idle + 1 };
            if idle > 2 {
                let Some(due) = self.core.next_due() else { break };
                let wait = due.saturating_duration_since(self.now.steady);
                assert!(wait <= Duration::from_secs(600), "it would wait for {wait:?}");
                self.pass(wait);
                self.advance();
            }
        }
    }

    pub(super) fn check(&self) {
        for (at, records) in &self.inputs {
            for (record, _) in records {
                let place = (at.clone(), record.offset);
                let ends = self.ends.get(&place).cloned().unwrap_or_default();
                assert_eq!(ends.len(), 1, "{at} {} ended as {ends:?}", record.offset);
                let launched = &self.launched.get(&place).cloned().unwrap_or_default();
                assert!(launched.windows(2).all(|pair| pair[0] <= pair[1]), "{launched:?}");
                let is_dead = self.dead.contains_key(&format!("{at}/{}", record.offset));
                let is_failed = ends[0] == AttemptState::Failed && !self.is_refused(&place);
                assert_eq!(is_dead, is_failed, "{at} {}", record.offset);
            }
            let end = records.last().map_or(Offset::ZERO, |(record, _)| record.offset.next());
            assert_eq!(self.positions.get(at).map_or(Offset::ZERO, |position| position.next), end, "{at}");
        }
        self.check_rate();
        let mut fold = Fold::of(self.inputs.keys().cloned());
        self.lane.values().flatten().for_each(|record| fold.take(record).expect("a record of the lane"));
        assert!(fold.finish().values().all(BTreeMap::is_empty), "something waits for ever");
        let Counts { waiting, gathering, .. } = self.core.counts();
        assert_eq!((waiting, gathering, self.core.queued(), self.core.in_flight()), (0, 0, 0, 0));
    }
}

impl World {
    /// Goes on while anything can without time passing.
    fn settle(&mut self) {
        while self.rebuild() | self.deliver(0, 64) | self.read() | self.commit((0, false)) {
            self.advance();
        }
        self.advance();
    }

    fn attempts(&self) -> usize {
        self.launched.values().map(Vec::len).sum()
    }

    /// In no second began more than the rate and its burst.
    fn check_rate(&self) {
        let Some(rate) = &self.plan.flow.rate else { return };
        for (half, begun) in &self.begun {
            for (first, from) in begun.iter().enumerate() {
                let in_second = |at: &&Instant| at.duration_since(*from) < Duration::from_secs(1);
                let count = begun[first..].iter().take_while(in_second).count();
                assert!(count <= (rate.limit + rate.burst) as usize, "{count} of {half:?} began within a second");
            }
        }
    }
}

pub(super) fn shapes() -> impl Strategy<Value = Vec<Vec<Shape>>> {
    let fails = prop_oneof![3 => Just(0_u32), 2 => 1..ATTEMPTS, 1 => Just(ATTEMPTS)];
    prop::collection::vec(prop::collection::vec((0..4_u8, fails), 0..25), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_once_in_its_order_whatever_fails_and_whoever_dies(
        shapes in shapes(),
        steps in prop::collection::vec((0..12_u8, any::<usize>(), 1..40_usize), 0..400),
        in_order in any::<bool>(),
        queue_records in 1..12_usize,
    ) {
        let order = if in_order { catalog::Order::Key } else { catalog::Order::None };
        let limits = Limits { queue_records, queue_bytes: 20_000 };
        let mut world = World::new(order, limits, &shapes);
        world.advance();
        steps.into_iter().for_each(|step| world.step(step, limits));
        world.drain();
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_gate_lets_through_too_many_and_every_run_ends_in_its_order_whoever_dies(
        shapes in shapes(),
        steps in prop::collection::vec((0..12_u8, any::<usize>(), 1..40_usize), 0..400),
        in_order in any::<bool>(),
        limit in 1..8_u32,
        burst in 1..4_u32,
        is_by in any::<bool>(),
        more in prop_oneof![
            Just(""),
            Just(", concurrency: { limit: 1, by: data.half }"),
            Just(", circuit: { failures: 3, pause: 1s, most: 4s }"),
            Just(", concurrency: { limit: 2, by: data.half }, circuit: { failures: 2, pause: 1s }"),
        ],
        queue_records in 1..12_usize,
    ) {
        let order = if in_order { catalog::Order::Key } else { catalog::Order::None };
        let by = if is_by { ", by: data.half" } else { "" };
        let flow = flow(&format!("rate: {{ limit: {limit}/s, burst: {burst}{by} }}{more}"));
        let limits = Limits { queue_records, queue_bytes: 20_000 };
        let mut world = World::held_back(order, limits, &shapes, flow);
        world.advance();
        steps.into_iter().for_each(|step| world.step(step, limits));
        world.drain();
        world.check();
    }
}

#[test]
fn what_waits_waits_its_time_and_holds_back_its_key_alone() {
    let limits = Limits { queue_records: 16, queue_bytes: 1 << 20 };
    let mut world = World::new(catalog::Order::Key, limits, &[vec![(0, 1), (0, 0), (1, 0)]]);
    world.advance();
    let settle = |world: &mut World| {
        while world.rebuild() | world.deliver(0, 64) | world.read() | world.end(0) | world.commit((0, false)) {
            world.advance();
        }
    };
    settle(&mut world);
    let ended = |world: &World| world.ends.keys().map(|(_, offset)| offset.0).collect::<BTreeSet<_>>();
    assert_eq!(ended(&world), [4].into(), "the other key");
    assert_eq!(world.core.counts().waiting, 2);
    let wait = world.core.next_due().expect("it waits").duration_since(world.now.steady);
    assert!(wait >= Duration::from_millis(100) && wait <= Duration::from_secs(1), "{wait:?}");
    world.pass(wait - Duration::from_millis(1));
    world.advance();
    settle(&mut world);
    assert_eq!(ended(&world), [4].into(), "too early");
    world.pass(Duration::from_millis(1));
    world.advance();
    settle(&mut world);
    assert_eq!(ended(&world), [0, 2, 4].into());
    world.check();
}

#[test]
fn what_is_due_begins_beside_a_backlog_and_takes_turns_with_it() {
    let limits = Limits { queue_records: 16, queue_bytes: 1 << 20 };
    // Three fail once, and behind them are many.
    let shapes: Vec<Shape> = (0..200).map(|number| (number, u32::from(number < 3))).collect();
    let mut world = World::new(catalog::Order::None, limits, &[shapes]);
    world.advance();
    world.settle();
    let seconds = |world: &World| world.launched.values().filter(|attempts| attempts.len() == 2).count();
    (0..3).for_each(|_| assert!(world.end(0)));
    world.advance();
    world.settle();
    world.pass(Duration::from_secs(2));
    world.advance();
    world.settle();
    for _ in 0..12 {
        assert!(world.end(0));
        world.advance();
        world.settle();
    }
    assert_eq!(seconds(&world), 3, "they begin again");
    assert!(world.attempts() < 30, "{} began, and all the others wait", world.attempts());
    world.drain();
    world.check();
}

fn replanned(flow: catalog::Flow) -> Arc<Plan> {
    Arc::new(Plan { attempts: ATTEMPTS, concurrency: 3, order: catalog::Order::Key, flow, ..plan("work") })
}

#[test]
fn what_waits_for_a_rate_follows_the_next_one() {
    let limits = Limits { queue_records: 16, queue_bytes: 1 << 20 };
    for by in ["", ", by: data.half"] {
        let slow = flow(&format!("rate: {{ limit: 1/h{by} }}"));
        let mut world = World::held_back(catalog::Order::Key, limits, &[vec![(0, 0), (2, 0), (4, 0), (6, 0)]], slow);
        world.advance();
        world.settle();
        assert_eq!(world.attempts(), 0, "the hour that was under way is another's");
        world.pass(Duration::from_secs(3600));
        world.advance();
        world.settle();
        assert_eq!((world.attempts(), world.core.waiting().rate), (1, 3), "{by}");
        // Another ten in a second: they go on in their order.
        let quick = flow(&format!("rate: {{ limit: 10/s{by} }}"));
        world.core.replan(replanned(quick));
        for attempts in [2, 3] {
            world.pass(Duration::from_millis(100));
            world.advance();
            world.settle();
            assert_eq!(world.attempts(), attempts, "{by}");
            world.end(0);
            world.advance();
        }
        // None at all.
        world.core.replan(replanned(catalog::Flow::default()));
        world.advance();
        world.settle();
        assert_eq!((world.attempts(), world.core.waiting().rate), (4, 0), "{by}");
        world.plan = replanned(catalog::Flow::default());
        world.drain();
        world.check();
    }
}

#[test]
fn while_a_circuit_is_open_no_attempts_are_spent_but_that_of_one_that_tries() {
    let limits = Limits { queue_records: 16, queue_bytes: 1 << 20 };
    // Whichever of them tries, it fails.
    let shapes: Vec<Shape> = (0..40).map(|key| (key, 2)).collect();
    let held = flow("circuit: { failures: 3, pause: 10s, most: 15s }");
    let mut world = World::held_back(catalog::Order::Key, limits, &[shapes], held);
    world.advance();
    world.settle();
    for _ in 0..3 {
        world.end(0);
    }
    world.advance();
    world.settle();
    assert_eq!(world.attempts(), 3);
    assert_eq!(world.core.circuit().map(|open| open.error.as_str()), Some("no"));
    for pause in [10, 15] {
        world.pass(Duration::from_secs(pause - 1));
        world.advance();
        world.settle();
        let before = world.attempts();
        assert!(world.running.is_empty(), "too early");
        world.pass(Duration::from_secs(1));
        world.advance();
        world.settle();
        assert_eq!((world.running.len(), world.attempts()), (1, before + 1), "one tries");
        world.end(0);
        world.advance();
        world.settle();
    }
    // Somebody lets the job go on: it is tried at once, and by a run that will succeed.
    world.core.probe_now(world.now);
    world.advance();
    world.settle();
    assert_eq!(world.running.len(), 1);
    let key = world.running.remove(0).key;
    world.core.ended(key, Ended::Done(Ok(Answer::nothing())), world.now);
    world.advance();
    world.settle();
    assert!(world.core.circuit().is_none() && world.running.len() == 3, "it closes");
    world.drain();
    world.check();
    let most = world.launched.values().flatten().max();
    assert_eq!((most, world.dead.len()), (Some(&3), 0), "nothing more was spent");
}

#[test]
fn a_run_whose_value_cannot_be_told_fails_at_once_and_holds_back_nobody() {
    let limits = Limits { queue_records: 16, queue_bytes: 1 << 20 };
    for (by, why) in [
        ("data.half == 7 ? 1 : null", "is null"),
        ("data.half == 7 ? 1 : [1]", "is a list"),
        ("data.half.x", "rate.by"),
    ] {
        let held = flow(&format!("rate: {{ limit: 1000/s, by: \"{by}\" }}"));
        let mut world = World::held_back(catalog::Order::Key, limits, &[vec![(0, 0), (0, 0), (1, 0)]], held);
        world.advance();
        world.drain();
        assert!(world.launched.is_empty());
        assert_eq!(world.dead.len(), 3, "{by}");
        for letter in world.dead.values() {
            assert_eq!((letter.reason, letter.attempts), (contracts::dead::Reason::Final, 1));
            assert!(letter.error.contains(why), "{}", letter.error);
        }
        world.check();
    }
}

#[test]
fn a_hundred_thousand_that_wait_cost_little_memory_each() {
    let timer = size_of::<(Instant, TopicPartition, Offset)>().max(size_of::<gate::Waiter>());
    let size = size_of::<lane::Entry>() + timer;
    assert!(size < 250, "{size} bytes, beside the trees they are in");
    let size = size + size_of::<lane::Came>() + size_of::<(contracts::ids::WindowId, u64)>();
    assert!(size < 350, "{size} bytes in a window, beside the trees they are in");
}
