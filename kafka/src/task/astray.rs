//! What a consumer no longer reads, because it says that a position is outside of its partition. It says so once, not of which
//! partition, and fetches nothing of that one from then on: so each that is open is looked at, until it is known where it stands.

use std::{collections::HashMap, time::Duration};

use rdkafka::consumer::Consumer as _;

use super::Task;
use bus::{Error, Generation, Offset, TopicPartition};

/// How soon what the brokers do not tell is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is being found out.
#[derive(Debug, Default)]
pub(crate) struct Astray {
    asking: bool,
    /// More was said meanwhile.
    again: bool,
    truncated: bool,
}

/// Open partitions, each with the position that it had, and where those that could be asked begin and end.
pub(crate) struct Places {
    asked: Vec<(TopicPartition, Generation, Offset)>,
    extents: HashMap<TopicPartition, (Offset, Offset)>,
}

/// What is to be done about partitions that were asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdicts {
    /// With the position, and where the partition begins.
    lost: Vec<(TopicPartition, Offset, Offset)>,
    reopened: Vec<(TopicPartition, Generation)>,
    unknown: bool,
}

impl Places {
    fn judge(self) -> Verdicts {
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

impl Task {
    /// That a position of this member is outside of its partition; of which one is not said.
    pub(super) fn astray(&mut self, truncated: bool) {
        self.astray.truncated |= truncated;
        if self.astray.asking {
            self.astray.again = true;
        } else {
            self.look(Duration::ZERO);
        }
    }

    /// Asks where all that is open begins and ends.
    fn look(&mut self, wait: Duration) {
        self.astray.asking = true;
        self.astray.again = false;
        let open = |(at, part): (&TopicPartition, &super::Part)| Some((at.clone(), part.generation, part.next?));
        let asked: Vec<_> = self.parts.iter().filter_map(open).collect();
        let (cluster, told) = (self.cluster.clone(), self.places.0.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let places: Vec<TopicPartition> = asked.iter().map(|(at, ..)| at.clone()).collect();
            let extents = cluster.extents(&places).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "where partitions begin and end is not known");
                HashMap::new()
            });
            // A task that has ended asks no more.
            let _ = told.send(Places { asked, extents });
        });
    }

    /// Goes on with what is where it should be, and stops at what is not: going on there would skip records.
    pub(super) fn found_astray(&mut self, places: Places) {
        self.astray.asking = false;
        let verdicts = places.judge();
        for (partition, position, begins) in &verdicts.lost {
            let (group, partition) = (self.shared.group.clone(), partition.clone());
            self.shared.outbox.fail(Error::PositionLost { group, partition, position: *position, begins: *begins });
        }
        if self.astray.truncated && verdicts.lost.is_empty() && !verdicts.unknown {
            self.shared.outbox.fail(Error::Stopped(format!(
                "the brokers have lost records that `{}` had read already (a log was truncated, as after an unclean election of \
                 a leader); compare what was made of them, then start this process again: it goes on behind them",
                self.shared.group
            )));
        }
        self.reopen(&verdicts.reopened);
        if verdicts.unknown || self.astray.again {
            self.look(AGAIN);
        } else {
            self.astray.truncated = false;
        }
    }

    /// Lets librdkafka fetch partitions anew, from where they are.
    fn reopen(&self, partitions: &[(TopicPartition, Generation)]) {
        let ours = |(at, generation): &(TopicPartition, Generation)| {
            let part = self.parts.get(at).filter(|part| part.generation == *generation)?;
            Some((at.clone(), part.next?))
        };
        let from: HashMap<TopicPartition, Offset> = partitions.iter().filter_map(ours).collect();
        if from.is_empty() {
            return;
        }
        tracing::info!(
            group = self.shared.group,
            partitions = from.len(),
            "partitions are fetched anew from where they are"
        );
        let consumer = self.shared.consumer();
        consumer.context().unassign(&consumer, &from.keys().cloned().collect::<Vec<_>>());
        if let Err(error) = consumer.context().assign(&consumer, &from) {
            // Some are being taken from us: that is told next.
            tracing::debug!(%error, "partitions could not be opened anew");
        }
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
