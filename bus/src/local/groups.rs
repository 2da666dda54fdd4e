//! All groups of a bus within one process, with the inboxes of their members.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use crate::{
    Error,
    local::{
        group::{Action, Group},
        inbox::{Inbox, MemberId},
        log::{Log, TopicLog},
    },
    member::{Assignment, Begin, Generation, Position, Subscription},
    record::{Offset, Topic, TopicPartition},
    topic::GroupInfo,
};

pub(crate) struct Groups {
    groups: BTreeMap<Arc<str>, Group>,
    inboxes: HashMap<MemberId, Arc<Inbox>>,
    /// Whom an append to a partition concerns.
    readers: HashMap<TopicPartition, Vec<Arc<Inbox>>>,
    /// Which groups want a topic.
    wanted: HashMap<Topic, Vec<Arc<str>>>,
    generations: u64,
    members: u64,
    /// Positions that are yet to be written: no hop has committed them.
    unwritten: Vec<(Arc<str>, TopicPartition)>,
    /// No revocation is overdue before this; asked with every commit, so not computed from ten thousand groups.
    deadline: Option<Instant>,
    log: Arc<Log>,
}

impl Groups {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self {
            groups: BTreeMap::new(),
            inboxes: HashMap::new(),
            readers: HashMap::new(),
            wanted: HashMap::new(),
            generations: 0,
            members: 0,
            unwritten: Vec::new(),
            deadline: None,
            log,
        }
    }

    pub(crate) fn restore(&mut self, group: String, partition: TopicPartition, position: Position) {
        self.groups.entry(group.into()).or_default().positions.insert(partition, position);
    }

    pub(crate) fn join(&mut self, group: &Arc<str>, to: Subscription) -> (MemberId, Arc<Inbox>) {
        self.members += 1;
        let (id, inbox) = (MemberId(self.members), Arc::new(Inbox::new()));
        self.inboxes.insert(id, inbox.clone());
        self.subscribe(group, id, to);
        (id, inbox)
    }

    pub(crate) fn subscribe(&mut self, group: &Arc<str>, member: MemberId, to: Subscription) {
        if !self.inboxes.contains_key(&member) {
            return;
        }
        for topic in &to.topics {
            let groups = self.wanted.entry(topic.clone()).or_default();
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        self.groups.entry(group.clone()).or_default().subscribe(member, to);
        self.rebalance(group);
    }

    pub(crate) fn leave(&mut self, name: &Arc<str>, member: MemberId) {
        let Some(inbox) = self.inboxes.remove(&member) else { return };
        if let Some(group) = self.groups.get_mut(name) {
            let gone: Vec<TopicPartition> =
                group.owned().filter(|(_, owner)| *owner == member).map(|(at, _)| at.clone()).collect();
            group.leave(member);
            gone.iter().for_each(|at| remove_reader(&mut self.readers, at, &inbox));
        }
        self.rebalance(name);
    }

    pub(crate) fn release(&mut self, name: &Arc<str>, member: MemberId, partitions: &[TopicPartition]) {
        let Some(inbox) = self.inboxes.get(&member) else { return };
        let Some(group) = self.groups.get_mut(name) else { return };
        for partition in partitions {
            if group.release(member, partition) {
                inbox.released(partition);
                remove_reader(&mut self.readers, partition, inbox);
            }
        }
        self.rebalance(name);
    }

    /// Gives groups that want these topics their partitions.
    pub(crate) fn created(&mut self, topics: &[Topic]) {
        let mut concerned: Vec<Arc<str>> =
            topics.iter().filter_map(|topic| self.wanted.get(topic)).flatten().cloned().collect();
        concerned.sort();
        concerned.dedup();
        concerned.iter().for_each(|group| self.rebalance(group));
    }

    /// A topic is gone: whoever has it assigned is told so.
    pub(crate) fn dropped(&mut self, topic: &Topic) {
        let dropped = |(name, group): (&Arc<str>, &mut Group)| (name.clone(), group.drop_topic(topic));
        let dropped: Vec<_> = self.groups.iter_mut().map(dropped).filter(|(_, actions)| !actions.is_empty()).collect();
        for (name, actions) in dropped {
            for action in &actions {
                if let Action::Lose(member, _) = action
                    && let Some(inbox) = self.inboxes.get(member)
                {
                    inbox.failed(Error::UnknownTopic(topic.clone()));
                }
            }
            self.tell(&name, actions);
        }
    }

    pub(crate) fn owns(
        &self,
        group: &str,
        member: MemberId,
        partition: &TopicPartition,
        generation: Generation,
    ) -> bool {
        self.groups.get(group).is_some_and(|group| group.owns(member, partition, generation))
    }

    pub(crate) fn set_position(&mut self, group: &Arc<str>, partition: &TopicPartition, position: Position) {
        self.groups.entry(group.clone()).or_default().positions.insert(partition.clone(), position);
    }

    /// Sets a position that is written with the next commit, whatever that carries.
    pub(crate) fn advise(&mut self, group: &Arc<str>, partition: &TopicPartition, next: Offset) {
        self.set_position(group, partition, Position::at(next));
        self.unwritten.push((group.clone(), partition.clone()));
    }

    /// The positions that no hop has committed, as they are now, until they are [`Self::written`].
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = (&Arc<str>, &TopicPartition, Position)> {
        self.unwritten
            .iter()
            .filter_map(|(group, at)| Some((group, at, self.groups.get(group)?.positions.get(at)?.clone())))
    }

    /// Has a position that stands written once more, if nothing else is to be.
    pub(crate) fn write_again(&mut self) {
        if self.unwritten.is_empty() {
            let any = self
                .groups
                .iter()
                .find_map(|(name, group)| Some((name.clone(), group.positions.keys().next()?.clone())));
            self.unwritten.extend(any);
        }
    }

    pub(crate) fn written(&mut self) {
        self.unwritten.clear();
    }

    /// A group's position in a partition, which it begins there if it has none.
    fn position(&mut self, name: &Arc<str>, member: MemberId, at: &TopicPartition, log: &TopicLog) -> Position {
        let Some(group) = self.groups.get(name) else { return Position::at(Offset::ZERO) };
        if let Some(position) = group.positions.get(at) {
            return position.clone();
        }
        let begin = group.begin(member);
        let next = begin.at(at).unwrap_or_else(|| log.extent(at.partition).begin);
        if begin != Begin::Elsewhere {
            self.advise(name, at, next);
        }
        Position::at(next)
    }

    pub(crate) fn positions(&self, group: &str) -> Vec<(TopicPartition, Offset)> {
        let group = self.groups.get(group);
        let mut all: Vec<_> = group
            .into_iter()
            .flat_map(|group| group.positions.iter().map(|(at, position)| (at.clone(), position.next)))
            .collect();
        all.sort();
        all
    }

    /// Groups that have something, by name.
    pub(crate) fn list(&self) -> Vec<GroupInfo> {
        let some = self.groups.iter().filter(|(_, group)| !group.is_empty() || !group.positions.is_empty());
        some.map(|(name, group)| GroupInfo { name: name.to_string(), has_members: !group.is_empty() }).collect()
    }

    pub(crate) fn has_members(&self, group: &str) -> bool {
        self.groups.get(group).is_some_and(|group| !group.is_empty())
    }

    pub(crate) fn forget(&mut self, group: &str) {
        self.groups.remove(group);
    }

    /// The lowest position of any group in each partition: what retention must keep.
    pub(crate) fn held(&self) -> HashMap<TopicPartition, Offset> {
        let mut held: HashMap<TopicPartition, Offset> = HashMap::new();
        for (at, position) in self.groups.values().flat_map(|group| &group.positions) {
            held.entry(at.clone()).and_modify(|low| *low = (*low).min(position.next)).or_insert(position.next);
        }
        held
    }

    /// Wakes whoever reads this partition.
    pub(crate) fn appended(&self, at: &TopicPartition) {
        self.readers.get(at).into_iter().flatten().for_each(|inbox| inbox.appended(at));
    }

    /// When to look for overdue revocations, if there may be one.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes away what was not given back in time.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        let overdue: Vec<Arc<str>> = self
            .groups
            .iter()
            .filter(|(_, group)| group.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in overdue {
            let actions = self.groups.get_mut(&name).map(|group| group.expire(now)).unwrap_or_default();
            self.tell(&name, actions);
            self.rebalance(&name);
        }
        self.deadline = self.groups.values().filter_map(Group::deadline).min();
    }

    /// Takes a partition from its owner at once and assigns it anew.
    pub(crate) fn evict(&mut self, name: &Arc<str>, partition: &TopicPartition) {
        let action = self.groups.get_mut(name).and_then(|group| group.evict(partition));
        self.tell(name, action.into_iter().collect());
        self.rebalance(name);
    }

    /// Begins to take a partition from its owner.
    pub(crate) fn revoke(&mut self, name: &Arc<str>, partition: &TopicPartition, deadline: Instant) {
        let action = self.groups.get_mut(name).and_then(|group| group.revoke(partition, deadline));
        self.tell(name, action.into_iter().collect());
    }

    fn rebalance(&mut self, name: &Arc<str>) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let mut partitions = Vec::new();
        for topic in group.topics() {
            if let Some(log) = self.log.get(&topic) {
                partitions.extend(log.info.each());
            }
        }
        let actions = group.rebalance(&partitions, &mut self.generations, Instant::now());
        self.tell(name, actions);
    }

    fn tell(&mut self, name: &Arc<str>, actions: Vec<Action>) {
        let mut assigned: BTreeMap<MemberId, Vec<(Assignment, Arc<TopicLog>)>> = BTreeMap::new();
        let mut revoked: BTreeMap<MemberId, (Vec<TopicPartition>, Option<Instant>)> = BTreeMap::new();
        let mut lost: BTreeMap<MemberId, Vec<TopicPartition>> = BTreeMap::new();
        for action in actions {
            match action {
                Action::Assign(member, partition, generation) => {
                    let Some(log) = self.log.get(&partition.topic) else { continue };
                    let position = self.position(name, member, &partition, &log);
                    if let Some(inbox) = self.inboxes.get(&member) {
                        self.readers.entry(partition.clone()).or_default().push(inbox.clone());
                    }
                    assigned.entry(member).or_default().push((Assignment { partition, generation, position }, log));
                }
                Action::Revoke(member, partition, deadline) => {
                    self.deadline = Some(self.deadline.map_or(deadline, |have| have.min(deadline)));
                    let entry = revoked.entry(member).or_default();
                    entry.0.push(partition);
                    entry.1 = Some(entry.1.map_or(deadline, |have| have.min(deadline)));
                }
                Action::Lose(member, partition) => {
                    if let Some(inbox) = self.inboxes.get(&member) {
                        remove_reader(&mut self.readers, &partition, inbox);
                    }
                    lost.entry(member).or_default().push(partition);
                }
            }
        }
        for (member, partitions) in lost {
            self.inbox(member, |inbox| inbox.lost(partitions));
        }
        for (member, (partitions, deadline)) in revoked {
            self.inbox(member, |inbox| inbox.revoking(partitions, deadline.unwrap_or_else(Instant::now)));
        }
        for (member, assignments) in assigned {
            self.inbox(member, |inbox| inbox.assigned(assignments));
        }
    }

    fn inbox(&self, member: MemberId, tell: impl FnOnce(&Inbox)) {
        if let Some(inbox) = self.inboxes.get(&member) {
            tell(inbox);
        }
    }

    /// Ends every member: the bus has stopped.
    pub(crate) fn stop(&mut self, reason: &str) {
        self.inboxes.values().for_each(|inbox| inbox.failed(Error::Stopped(reason.into())));
    }
}

fn remove_reader(readers: &mut HashMap<TopicPartition, Vec<Arc<Inbox>>>, at: &TopicPartition, inbox: &Arc<Inbox>) {
    if let Some(list) = readers.get_mut(at) {
        list.retain(|other| !Arc::ptr_eq(other, inbox));
        if list.is_empty() {
            readers.remove(at);
        }
    }
}
