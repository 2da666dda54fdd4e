//! Whether the stages of this process get anywhere: a position that stands while there is more to read is seen.

use std::{collections::HashMap, convert::Infallible, fmt::Write as _, sync::Arc, time::Duration};

use bus::{Bus, Lag, Offset, TopicPartition};
use jiff::Timestamp;
use runtime::{
    health::Check,
    supervise::{Phase, Task},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often positions are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How long a position may stand while there is more: longer than any outage that the stages wait out by themselves should
/// last unseen.
const STANDS: Duration = Duration::from_secs(60);

/// A task that makes the process unready while the group reads nothing although there is something.
pub(super) fn watch(bus: Arc<dyn Bus>, group: &'static str, check: Check) -> Task {
    Task::once("progress", Phase::Bus, move |shutdown: CancellationToken| async move {
        let looking = async {
            let mut positions = Positions::default();
            loop {
                tokio::time::sleep(LOOK).await;
                // A bus that cannot be asked is told of by whoever needs it.
                let Ok(lags) = bus.lag(group).await else { continue };
                match positions.look(&lags, Instant::now(), Timestamp::now()) {
                    None => check.ready(),
                    Some(standing) => check.not_ready(standing),
                }
            }
        };
        let _: Option<Infallible> = shutdown.run_until_cancelled(looking).await;
        Ok::<(), Infallible>(())
    })
}

/// Where the group stood, and since when.
#[derive(Default)]
struct Positions(HashMap<TopicPartition, (Offset, Instant, Timestamp)>);

impl Positions {
    /// What stands still, where something does.
    fn look(&mut self, lags: &[Lag], now: Instant, time: Timestamp) -> Option<String> {
        let mut standing = String::new();
        for lag in lags {
            let seen = self.0.entry(lag.partition.clone()).or_insert((lag.position, now, time));
            if seen.0 != lag.position || lag.records == 0 {
                *seen = (lag.position, now, time);
            } else if now - seen.1 >= STANDS {
                let gap = if standing.is_empty() { "nothing has been read since " } else { "; since " };
                let Lag { partition, position, records, .. } = lag;
                let _ = write!(
                    standing,
                    "{gap}{:.0} of {partition} from {position} on, and {records} records wait",
                    seen.2
                );
            }
        }
        (!standing.is_empty()).then(|| format!("{standing}; the log says what is in the way"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(position: u64, records: u64) -> Lag {
        let partition = TopicPartition::new("raw", 0);
        Lag { partition, position: Offset(position), end: Offset(position + records), records }
    }

    #[test]
    fn only_a_position_that_stands_while_there_is_more_is_told() {
        let (mut positions, begun) = (Positions::default(), Instant::now());
        let mut look =
            |lag: Lag, seconds| positions.look(&[lag], begun + Duration::from_secs(seconds), Timestamp::UNIX_EPOCH);
        assert_eq!(look(lag(5, 1), 0), None);
        assert_eq!(look(lag(6, 9), 50), None, "it moves, however far behind");
        assert_eq!(look(lag(15, 0), 100), None);
        assert_eq!(look(lag(15, 0), 900), None, "it has all there is");
        assert_eq!(look(lag(15, 3), 910), None);
        let standing = look(lag(15, 4), 970).expect("it stands");
        assert!(
            standing.contains("1970-01-01") && standing.contains("raw") && standing.contains("4 records"),
            "{standing}"
        );
        assert_eq!(look(lag(16, 3), 980), None);
    }
}
