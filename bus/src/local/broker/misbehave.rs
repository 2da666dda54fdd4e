//! Where the hostile bus takes partitions away, around a commit.

use std::time::{Duration, Instant};

use super::{
    Broker, Work,
    flush::{Answer, Hop},
};
use crate::{member::Generation, record::TopicPartition};

impl Broker {
    pub(super) fn misbehave_before(&mut self, work: &[Work]) {
        let Some(chaos) = self.chaos.clone() else { return };
        for work in work {
            if let Work::Hop { group, shares, .. } = work {
                for share in shares {
                    if chaos.strikes(chaos.manners.leave_out) {
                        self.groups.evict(group, &share.partition);
                    }
                }
            }
        }
    }

    pub(super) fn misbehave_after(&mut self, hops: &[Hop], answers: &[Answer]) {
        let Some(chaos) = self.chaos.clone() else { return };
        let lost: Vec<&(TopicPartition, Generation)> = answers
            .iter()
            .filter_map(|answer| if let Answer::Hop(committed, _) = answer { Some(&committed.lost) } else { None })
            .flatten()
            .collect();
        for (group, _, shares) in hops {
            for share in shares {
                if lost.contains(&&share.assigned()) || chaos.strikes(chaos.manners.lose) {
                    self.groups.evict(group, &share.partition);
                } else if chaos.strikes(chaos.manners.revoke) {
                    self.groups.revoke(
                        group,
                        &share.partition,
                        Instant::now() + Duration::from_millis(chaos.below(200)),
                    );
                }
            }
        }
    }
}
