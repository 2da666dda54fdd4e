//! Schedules of whatever a group, a broker and a stage may do, in any order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const COUNT: u32 = 4;

#[derive(Debug, Clone)]
enum Step {
    /// The group gives these, by the same membership or another one.
    Give(Vec<u32>, bool),
    /// The group takes these, or has taken them; or they were given up, as nobody reads their topic any more.
    Take {
        which: Vec<u32>,
        lost: bool,
        given_up: bool,
    },
    /// The revocation's time is over.
    Deadline,
    /// Positions are found, for a part of what is asked for; the group has some there already, or not.
    Find {
        only: u32,
        is_first: bool,
    },
    /// First positions are committed.
    Begin,
    /// The stage opens what it was told of, at that offset.
    Open(u32, u64),
    Release(Vec<u32>),
    /// A commit's end is unknown, and that is heard of at once or later.
    Doubt(u32),
    Expel,
    Renew,
    Stop(u32),
    Resume(u32),
    Choke(bool),
    Fetch(u32, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(0..COUNT, 1..=COUNT as usize);
    prop_oneof![
        4 => (some(), prop::bool::weighted(0.2)).prop_map(|(which, anew)| Step::Give(which, anew)),
        3 => (some(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(which, lost, given_up)| Step::Take { which, lost, given_up }),
        1 => Just(Step::Deadline),
        5 => (0..COUNT + 1, any::<bool>()).prop_map(|(only, is_first)| Step::Find { only, is_first }),
        4 => Just(Step::Begin),
        6 => (0..COUNT, 0..20_u64).prop_map(|(at, from)| Step::Open(at, from)),
        3 => some().prop_map(Step::Release),
        2 => (0..COUNT).prop_map(Step::Doubt),
        2 => Just(Step::Expel),
        1 => Just(Step::Renew),
        2 => (0..COUNT).prop_map(Step::Stop),
        2 => (0..COUNT).prop_map(Step::Resume),
        1 => any::<bool>().prop_map(Step::Choke),
        3 => (0..COUNT, 0..20_u64).prop_map(|(at, offset)| Step::Fetch(at, offset)),
    ]
}

fn at(number: u32) -> TopicPartition {
    TopicPartition::new("t", number)
}

fn all(numbers: &[u32]) -> Vec<TopicPartition> {
    let numbers: BTreeSet<_> = numbers.iter().copied().collect();
    numbers.into_iter().map(at).collect()
}

fn record(offset: u64) -> Record {
    Record {
        topic: "t".into(),
        partition: bus::Partition(0),
        offset: Offset(offset),
        published: jiff::Timestamp::UNIX_EPOCH,
        key: None,
        value: None,
        headers: contracts::headers::Headers::default(),
    }
}

/// Who is told, and what is asked, each with what it may rely on.
#[derive(Default)]
struct World {
    partitions: Partitions,
    membership: u64,
    /// What the stage has, and whether it is being taken from it.
    stage: HashMap<TopicPartition, (Generation, bool)>,
    /// What librdkafka has been assigned, and what it was told not to fetch, which it never forgets.
    assigned: HashSet<TopicPartition>,
    halted: HashSet<TopicPartition>,
    admitted: HashSet<TopicPartition>,
    finding: Vec<(Generation, Vec<TopicPartition>)>,
    beginning: Vec<(Generation, Vec<(TopicPartition, Position)>)>,
}

impl World {
    fn take(&mut self, step: Step) {
        let wanted = BTreeSet::from([Topic::from("t")]);
        match step {
            Step::Give(which, anew) => {
                self.membership += u64::from(anew);
                self.partitions.assigned(all(&which), self.membership);
            }
            Step::Take { which, lost, given_up } => {
                let wanted = if given_up { BTreeSet::new() } else { wanted };
                let had: Vec<_> = all(&which).into_iter().filter(|at| self.partitions.parts.contains_key(at)).collect();
                self.partitions.revoked(had, lost, &wanted, Instant::now() + Duration::from_secs(1));
            }
            Step::Deadline => self.partitions.let_go(),
            Step::Find { only, is_first } => {
                let Some((generation, mut which)) = self.finding.pop() else { return };
                let found = match which.iter().position(|it| it.partition.0 == only) {
                    Some(index) => vec![which.remove(index)],
                    None => std::mem::take(&mut which),
                };
                if !which.is_empty() {
                    self.finding.push((generation, which));
                }
                let each = |at| Fetched { at, position: Position::at(Offset(3)), is_first };
                self.partitions.found(generation, found.into_iter().map(each).collect());
            }
            Step::Begin => {
                let Some((generation, first)) = self.beginning.pop() else { return };
                let each = |(at, position)| Fetched { at, position, is_first: false };
                self.partitions.found(generation, first.iter().cloned().map(each).collect());
                for (at, _) in first.iter().filter(|(at, _)| !self.partitions.is_going(at)) {
                    let ours = self.partitions.parts.get(at).filter(|part| part.generation == generation);
                    assert!(ours.is_none_or(|part| part.is_told), "{at} has begun, and is never told");
                }
            }
            Step::Open(number, from) => {
                let Some((generation, _)) = self.stage.get(&at(number)).copied() else { return };
                self.partitions.open(vec![(at(number), generation, Offset(from))]);
                self.carry_out();
                let is_open = self.admitted.contains(&at(number)) && !self.is_doubted(&at(number));
                assert!(!is_open || !self.halted.contains(&at(number)), "opened, and never fetched");
            }
            Step::Release(which) => {
                let going: Vec<_> =
                    all(&which).into_iter().filter(|at| self.stage.get(at).is_some_and(|(_, going)| *going)).collect();
                for at in &going {
                    self.stage.remove(at);
                }
                self.partitions.released(&going);
            }
            Step::Doubt(number) => {
                if self.stage.contains_key(&at(number)) {
                    self.partitions.doubt(&[at(number)]);
                }
            }
            Step::Expel => self.partitions.expel(),
            Step::Renew => {
                self.partitions.lose_all();
                self.carry_out();
                self.partitions.renewed();
                self.assigned.clear();
                self.halted.clear();
            }
            Step::Stop(number) => self.partitions.stop(&at(number)),
            Step::Resume(number) => self.partitions.resume(&at(number)),
            Step::Choke(on) if on => self.partitions.choke(),
            Step::Choke(_) => self.partitions.unchoke(),
            Step::Fetch(number, offset) => {
                let due = self.partitions.places().into_iter().find(|(it, ..)| *it == at(number));
                let mut records = vec![record(offset), record(offset + 1)];
                self.partitions.take(&at(number), &mut records);
                let expected = due.map_or(0, |(_, _, next)| (offset + 2).saturating_sub(next.0.max(offset)));
                assert_eq!(records.len() as u64, expected, "from what was opened on, each once");
            }
        }
        self.carry_out();
    }

    fn carry_out(&mut self) {
        for effect in self.partitions.effects() {
            match effect {
                Effect::Find(generation, which) => self.finding.push((generation, which)),
                Effect::Begin(generation, first) => self.beginning.push((generation, first)),
                Effect::Tell(Delivery::Assigned(assignments)) => {
                    for Assignment { partition, generation, .. } in assignments {
                        let before = self.stage.insert(partition.clone(), (generation, false));
                        assert_eq!(before, None, "{partition} is told twice");
                    }
                }
                Effect::Tell(Delivery::Revoking { partitions, .. }) => {
                    for at in partitions {
                        let (_, is_going) = self.stage.get_mut(&at).expect("it was told");
                        assert!(!std::mem::replace(is_going, true), "{at} is revoked twice");
                    }
                }
                Effect::Tell(Delivery::Lost(partitions)) => {
                    for at in partitions {
                        assert!(self.stage.remove(&at).is_some(), "{at} is lost, and was not told");
                    }
                }
                Effect::Tell(delivery) => panic!("{delivery:?}"),
                Effect::Admit(at, generation) => {
                    assert_eq!(self.stage.get(&at).map(|(of, _)| *of), Some(generation), "{at} lets records in");
                    self.admitted.insert(at);
                }
                Effect::Close(partitions) => self.admitted.retain(|at| !partitions.contains(at)),
                Effect::Assign(places) => {
                    for at in places.into_keys() {
                        assert!(self.assigned.insert(at.clone()), "{at} is assigned twice");
                    }
                }
                Effect::Unassign(partitions) => self.assigned.retain(|at| !partitions.contains(at)),
                Effect::Flow(partitions, true) => self.halted.retain(|at| !partitions.contains(at)),
                Effect::Flow(partitions, false) => self.halted.extend(partitions),
            }
        }
    }

    fn is_doubted(&self, at: &TopicPartition) -> bool {
        self.partitions.parts.get(at).is_some_and(|part| part.phase == Phase::Expelled)
    }

    /// What always holds.
    fn check(&self) {
        let open: HashSet<_> = self.partitions.places().into_iter().map(|(at, ..)| at).collect();
        let assigned: HashSet<_> = self.assigned.iter().filter(|at| !self.is_doubted(at)).cloned().collect();
        assert_eq!(open, assigned, "what is open is what librdkafka has");
        for (at, (generation, _)) in &self.stage {
            let owned = self.partitions.owned(at, *generation).is_some();
            assert_eq!(owned, !self.is_doubted(at), "{at} can be committed by whom it was told to");
        }
        for (at, part) in &self.partitions.parts {
            assert_eq!(part.is_told, self.stage.contains_key(at), "the stage knows of {at}");
        }
        for at in &self.admitted {
            assert!(self.stage.contains_key(at), "{at} lets records in for nobody");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn whatever_happens_each_partition_is_told_assigned_then_revoking_or_lost(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::default();
        for step in steps {
            world.take(step);
            world.check();
        }
        // In the end everything goes, and nothing stays.
        world.take(Step::Take { which: (0..COUNT).collect(), lost: true, given_up: false });
        world.take(Step::Deadline);
        world.check();
        prop_assert!(world.stage.is_empty() && world.assigned.is_empty() && world.partitions.parts.is_empty());
    }
}
