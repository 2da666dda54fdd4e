//! How fast a topic grows, by its offsets alone, so that watching costs as good as nothing.
//!
//! The clock starts when the first output can be read by a `read_committed` reader, and stops when the last can; what
//! could be read at the start does not count. So the start of a process and its joining of a group are left out, for
//! all alike.

use std::time::{Duration, Instant};

use crate::{Arguments, Outcome, ends, partitions, reader};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(25);
/// A topic that has all its records, and has not grown for so long, is at its end.
const QUIET: Duration = Duration::from_secs(2);

/// Watches `topic=` until it has `count=` records; gives up when it has not grown for `patience=` seconds.
pub(crate) fn watch(given: &Arguments) -> Outcome<()> {
    let (topic, count) = (given.text("topic")?, given.or("count", 600_000_i64)?);
    let patience = Duration::from_secs(given.or("patience", 120)?);
    let consumer = reader(given)?;
    let partitions = partitions(&consumer, topic)?;
    println!("watching={topic}");
    let mut looks: Vec<(Instant, i64)> = Vec::new();
    let mut grown = Instant::now();
    loop {
        let end: i64 = ends(&consumer, topic, partitions)?.iter().sum();
        if end > looks.last().map_or(0, |(_, last)| *last) {
            grown = Instant::now();
            looks.push((grown, end));
        } else if end >= count && grown.elapsed() > QUIET {
            break;
        } else if grown.elapsed() > patience {
            return Err(format!("`{topic}` stays at {end}, and should have {count} records").into());
        }
        std::thread::sleep(LOOK);
    }
    tell(&looks, count)
}

fn tell(looks: &[(Instant, i64)], count: i64) -> Outcome<()> {
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else { return Err("it has not grown".into()) };
    // Offsets count the marks of transactions too, which are no records.
    let share = count as f64 / last.1 as f64;
    let rate = |from: &(Instant, i64), to: &(Instant, i64)| {
        let seconds = (to.0 - from.0).as_secs_f64();
        if seconds > 0.0 { (to.1 - from.1) as f64 * share / seconds } else { f64::INFINITY }
    };
    let reached = |part: f64| looks.iter().find(|look| look.1 as f64 >= last.1 as f64 * part).unwrap_or(last);
    let seconds = (last.0 - first.0).as_secs_f64();
    let middle = rate(reached(0.1), reached(0.9));
    println!("seconds={seconds:.3} first={} rate={:.0} middle={middle:.0}", first.1, rate(first, last));
    Ok(())
}
