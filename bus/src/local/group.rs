//! Who owns which partition of a group: a pure account that says what members must be told.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use crate::{
    local::inbox::MemberId,
    member::{Begin, Generation, Position, Subscription},
    record::{Topic, TopicPartition},
};

/// How long a member may take to give back a partition.
pub(crate) const REVOCATION: Duration = Duration::from_secs(10);

/// What members must be told, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Assign(MemberId, TopicPartition, Generation),
    Revoke(MemberId, TopicPartition, Instant),
    Lose(MemberId, TopicPartition),
}

#[derive(Debug, Clone, Copy)]
struct Owner {
    member: MemberId,
    generation: Generation,
    /// When it must have been given back, if it must.
    revoking: Option<Instant>,
}

#[derive(Debug, Default)]
pub(crate) struct Group {
    members: BTreeMap<MemberId, Subscription>,
    owners: HashMap<TopicPartition, Owner>,
    pub(crate) positions: HashMap<TopicPartition, Position>,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn topics(&self) -> BTreeSet<Topic> {
        self.members.values().flat_map(|to| &to.topics).cloned().collect()
    }

    pub(crate) fn subscribe(&mut self, member: MemberId, to: Subscription) {
        self.members.insert(member, to);
    }

    /// Where the group begins, as a member says it.
    pub(crate) fn begin(&self, member: MemberId) -> Begin {
        self.members.get(&member).map(|to| to.begin.clone()).unwrap_or_default()
    }

    pub(crate) fn leave(&mut self, member: MemberId) {
        self.members.remove(&member);
        self.owners.retain(|_, owner| owner.member != member);
    }

    /// Whether this member owns the partition under that generation.
    pub(crate) fn owns(&self, member: MemberId, partition: &TopicPartition, generation: Generation) -> bool {
        self.owners.get(partition).is_some_and(|owner| owner.member == member && owner.generation == generation)
    }

    /// A member gives a partition back; only what is being revoked can be.
    pub(crate) fn release(&mut self, member: MemberId, partition: &TopicPartition) -> bool {
        let releasable =
            self.owners.get(partition).is_some_and(|owner| owner.member == member && owner.revoking.is_some());
        if releasable {
            self.owners.remove(partition);
        }
        releasable
    }

    /// Takes a partition away at once, as an evicted member finds out.
    pub(crate) fn evict(&mut self, partition: &TopicPartition) -> Option<Action> {
        self.owners.remove(partition).map(|owner| Action::Lose(owner.member, partition.clone()))
    }

    /// Begins to take a partition away, whoever gets it afterwards.
    pub(crate) fn revoke(&mut self, partition: &TopicPartition, deadline: Instant) -> Option<Action> {
        let owner = self.owners.get_mut(partition).filter(|owner| owner.revoking.is_none())?;
        owner.revoking = Some(deadline);
        Some(Action::Revoke(owner.member, partition.clone(), deadline))
    }

    pub(crate) fn owned(&self) -> impl Iterator<Item = (&TopicPartition, MemberId)> {
        self.owners.iter().map(|(partition, owner)| (partition, owner.member))
    }

    /// When the next revocation is overdue.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.owners.values().filter_map(|owner| owner.revoking).min()
    }

    /// Takes away what was not given back in time.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Action> {
        let overdue = self.owners.iter().filter(|(_, owner)| owner.revoking.is_some_and(|deadline| deadline <= now));
        let overdue: Vec<TopicPartition> = overdue.map(|(partition, _)| partition.clone()).collect();
        overdue.iter().filter_map(|partition| self.evict(partition)).collect()
    }

    /// Forgets the partitions of a topic that is gone; their owners lose them.
    pub(crate) fn drop_topic(&mut self, topic: &Topic) -> Vec<Action> {
        let gone: Vec<TopicPartition> = self.owners.keys().filter(|at| at.topic == *topic).cloned().collect();
        self.positions.retain(|at, _| at.topic != *topic);
        gone.iter().filter_map(|partition| self.evict(partition)).collect()
    }

    /// Moves towards an even share for every member, keeping what they have as far as that allows. `partitions` are all
    /// that exist of the subscribed topics.
    pub(crate) fn rebalance(
        &mut self,
        partitions: &[TopicPartition],
        generations: &mut u64,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let target = self.target(partitions);
        let mut owned: Vec<TopicPartition> = self.owners.keys().cloned().collect();
        owned.sort();
        for partition in owned {
            let misplaced =
                self.owners.get(&partition).is_some_and(|owner| target.get(&partition) != Some(&owner.member));
            if misplaced {
                actions.extend(self.revoke(&partition, now + REVOCATION));
            }
        }
        for (partition, member) in target {
            if self.owners.contains_key(&partition) {
                continue;
            }
            *generations += 1;
            let generation = Generation(*generations);
            self.owners.insert(partition.clone(), Owner { member, generation, revoking: None });
            actions.push(Action::Assign(member, partition, generation));
        }
        actions
    }

    fn target(&self, partitions: &[TopicPartition]) -> BTreeMap<TopicPartition, MemberId> {
        let mut load: BTreeMap<MemberId, usize> = self.members.keys().map(|member| (*member, 0)).collect();
        let quota = partitions.len().div_ceil(self.members.len().max(1));
        let mut target = BTreeMap::new();
        let mut open = Vec::new();
        for partition in partitions {
            let keeper = self.owners.get(partition).map(|owner| owner.member).filter(|member| {
                self.members.get(member).is_some_and(|to| to.topics.contains(&partition.topic)) && load[member] < quota
            });
            match keeper {
                Some(member) => {
                    *load.entry(member).or_default() += 1;
                    target.insert(partition.clone(), member);
                }
                None => open.push(partition),
            }
        }
        for partition in open {
            let candidates = self.members.iter().filter(|(_, to)| to.topics.contains(&partition.topic));
            let Some(member) = candidates.map(|(member, _)| *member).min_by_key(|member| load[member]) else {
                continue;
            };
            *load.entry(member).or_default() += 1;
            target.insert(partition.clone(), member);
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partitions(count: u32) -> Vec<TopicPartition> {
        (0..count).map(|partition| TopicPartition::new("t", partition)).collect()
    }

    #[test]
    fn a_second_member_gets_its_half_only_after_the_first_gave_it_back() {
        let (mut group, mut generations, now) = (Group::default(), 0, Instant::now());
        group.subscribe(MemberId(1), Subscription::to(["t"]));
        assert_eq!(group.rebalance(&partitions(4), &mut generations, now).len(), 4);
        group.subscribe(MemberId(2), Subscription::to(["t"]));
        let actions = group.rebalance(&partitions(4), &mut generations, now);
        let revoked: Vec<TopicPartition> = actions
            .iter()
            .map(|action| match action {
                Action::Revoke(MemberId(1), partition, _) => partition.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(revoked.len(), 2);
        assert!(!group.release(MemberId(2), &revoked[0]));
        assert!(group.release(MemberId(1), &revoked[0]));
        let actions = group.rebalance(&partitions(4), &mut generations, now);
        assert!(matches!(&actions[..], [Action::Assign(MemberId(2), partition, _)] if *partition == revoked[0]));
        assert_eq!(group.expire(now + REVOCATION), vec![Action::Lose(MemberId(1), revoked[1].clone())]);
    }

    proptest! {
        #[test]
        fn every_partition_has_one_owner_and_shares_are_even(joins in prop::collection::vec(0..4u64, 1..12), count in 1..9u32) {
            let (mut group, mut generations, now) = (Group::default(), 0, Instant::now());
            for member in joins {
                if group.members.contains_key(&MemberId(member)) {
                    group.leave(MemberId(member));
                } else {
                    group.subscribe(MemberId(member), Subscription::to(["t"]));
                }
                group.rebalance(&partitions(count), &mut generations, now);
                group.expire(now + REVOCATION);
                group.rebalance(&partitions(count), &mut generations, now);
                if group.is_empty() {
                    prop_assert!(group.owners.is_empty());
                    continue;
                }
                prop_assert_eq!(group.owners.len(), count as usize);
                let quota = (count as usize).div_ceil(group.members.len());
                for member in group.members.keys() {
                    let owned = group.owners.values().filter(|owner| owner.member == *member).count();
                    prop_assert!(owned <= quota);
                }
            }
        }
    }
}
