//! What a consumer no longer reads, because it says that a position is outside of its partition. It says so once, not of which
//! partition, and fetches nothing of that one from then on: so each that is open is looked at, until it is known where it stands.

use std::collections::HashMap;

use bus::{Generation, Offset, TopicPartition};

/// What is being found out.
#[derive(Debug, Default)]
pub(crate) struct Astray {
    pub(crate) asking: bool,
    /// More was said meanwhile.
    pub(crate) again: bool,
    pub(crate) truncated: bool,
}

/// Open partitions, each with the position that it had, and where those that could be asked begin and end.
pub(crate) struct Places {
    pub(crate) asked: Vec<(TopicPartition, Generation, Offset)>,
    pub(crate) extents: HashMap<TopicPartition, (Offset, Offset)>,
}

/// What is to be done about partitions that were asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    /// With the position, and where the partition begins.
    pub(crate) lost: Vec<(TopicPartition, Offset, Offset)>,
    pub(crate) reopened: Vec<(TopicPartition, Generation)>,
    pub(crate) unknown: bool,
}

impl Places {
    pub(crate) fn judge(self) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for (at, generation, position) in self.asked {
            match self.extents.get(&at) {
                Some((begins, end)) if position < *begins || position > *end => {
                    verdicts.lost.push((at, position, *begins));
                }
                Some(_) => verdicts.reopened.push((at, generation)),
                None => verdicts.unknown = true,
            }
        }
        verdicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_is_opened_anew_what_is_outside_is_lost_and_what_is_not_known_is_asked_for_again() {
        let at = |number| TopicPartition::new("t", number);
        let asked = [5, 2, 11, 5].map(Offset);
        let asked = (0..).zip(asked).map(|(number, position)| (at(number), Generation(1), position)).collect();
        let extent = (Offset(3), Offset(10));
        let extents = HashMap::from([(at(0), extent), (at(1), extent), (at(2), extent)]);
        let verdicts = Places { asked, extents }.judge();
        assert_eq!(verdicts.lost, [(at(1), Offset(2), Offset(3)), (at(2), Offset(11), Offset(3))]);
        assert_eq!(verdicts.reopened, [(at(0), Generation(1))]);
        assert!(verdicts.unknown, "the last one's extent was not told");
    }
}
