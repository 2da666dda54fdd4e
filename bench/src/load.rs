//! The load: prepared webhooks over kept-alive connections, each due at a time of its own.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use super::{
    Options,
    answer::Connection,
    latency::Latencies,
    request::{Prepared, Purpose, Shape},
};

/// The finest step of the pacer: what is due within it is released together.
const STEP: Duration = Duration::from_micros(200);
/// How many connections in a row may fail before a sender gives up.
const FAILURES: u32 = 20;

/// How fast to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rate {
    /// So many a second.
    PerSecond(f64),
    /// As many as are answered.
    Max,
}

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let rate = text.parse().ok().filter(|rate| (0.1..=1e6).contains(rate));
        rate.map(Self::PerSecond)
            .ok_or_else(|| "a rate is a number of webhooks a second, up to a million, or `max`".into())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
            Self::Max => f.write_str("as many as are answered"),
        }
    }
}

/// What became of the load.
#[derive(Debug)]
pub(super) struct Sent {
    /// Webhooks that were sent.
    pub(super) sent: u64,
    /// Answered 2xx.
    pub(super) accepted: u64,
    /// Answered otherwise.
    pub(super) refused: u64,
    /// Not answered: the connection failed.
    pub(super) failed: u64,
    /// The first thing that went wrong.
    pub(super) trouble: Option<String>,
    /// From when a webhook was due to its 2xx.
    pub(super) durable: Latencies,
}

/// What the senders share; they run on one thread.
struct Shared {
    schedule: Schedule,
    next: Cell<u64>,
    tickets: Option<Arc<Semaphore>>,
    sent: RefCell<Sent>,
}

/// When webhooks are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: Instant,
    rate: Rate,
    duration: Duration,
}

impl Schedule {
    /// How many there are in all, where that is known beforehand.
    fn total(self) -> Option<u64> {
        match self.rate {
            Rate::PerSecond(rate) => Some((rate * self.duration.as_secs_f64()).round().max(1.0) as u64),
            Rate::Max => None,
        }
    }

    /// When the webhook of that number is due; none when there are no more.
    fn due(self, number: u64, now: Instant) -> Option<Instant> {
        match self.rate {
            Rate::PerSecond(rate) => {
                let is_one = self.total().is_some_and(|total| number < total);
                is_one.then(|| self.start + Duration::from_secs_f64(number as f64 / rate))
            }
            Rate::Max => (now < self.start + self.duration).then_some(now),
        }
    }
}

/// Sends until all that is due has been sent and answered.
///
/// # Errors
/// The webhook cannot be reached at the start.
pub(super) async fn run(options: &Options, shape: &Shape, start: Instant) -> anyhow::Result<Sent> {
    let schedule = Schedule { start, rate: options.rate, duration: options.duration };
    let tickets = schedule.total().map(|total| pace(options.rate, start, total, options.connections as usize));
    let sent = Sent { sent: 0, accepted: 0, refused: 0, failed: 0, trouble: None, durable: Latencies::new() };
    let shared = Rc::new(Shared { schedule, next: Cell::new(0), tickets, sent: RefCell::new(sent) });
    let prepared = Prepared::new(shape, Purpose::Load)?;
    let mut senders = JoinSet::new();
    for _ in 0..options.connections {
        senders.spawn_local(sender(Rc::clone(&shared), prepared.clone(), shape.base.address.clone()));
    }
    while let Some(ended) = senders.join_next().await {
        ended.context("a sender")?;
    }
    let shared = Rc::into_inner(shared).context("invariant: every sender has ended")?;
    Ok(shared.sent.into_inner())
}

/// A thread that hands out a ticket for each webhook when it is due. The runtime's timer, with its milliseconds, would be
/// a good part of what is measured.
pub(super) fn pace(rate: Rate, start: Instant, total: u64, senders: usize) -> Arc<Semaphore> {
    let tickets = Arc::new(Semaphore::new(0));
    let Rate::PerSecond(rate) = rate else { return tickets };
    let handed = Arc::clone(&tickets);
    std::thread::spawn(move || {
        let mut given = 0;
        while given < total {
            let due = ((start.elapsed().as_secs_f64() * rate) as u64 + 1).min(total);
            handed.add_permits((due - given) as usize);
            given = due;
            let next = start + Duration::from_secs_f64(given as f64 / rate);
            std::thread::sleep(next.saturating_duration_since(Instant::now()).max(STEP));
        }
        // Every sender takes one more, and finds that there is nothing left to send.
        handed.add_permits(senders);
    });
    tickets
}

async fn sender(shared: Rc<Shared>, mut prepared: Prepared, address: String) {
    let mut connection = None;
    let mut failures = 0;
    while failures < FAILURES {
        if let Some(tickets) = &shared.tickets {
            match tickets.acquire().await {
                Ok(ticket) => ticket.forget(),
                Err(_) => return,
            }
        }
        let number = shared.next.get();
        let Some(due) = shared.schedule.due(number, Instant::now()) else { return };
        shared.next.set(number + 1);
        let answered = exchange(&mut connection, &address, prepared.number(number)).await;
        failures = if answered.is_ok() { 0 } else { failures + 1 };
        shared.sent.borrow_mut().take(answered, due);
    }
}

/// Sends over the connection that is there, or over a new one.
pub(super) async fn exchange(
    connection: &mut Option<Connection>,
    address: &str,
    request: &[u8],
) -> Result<u16, std::io::Error> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(address).await?,
    };
    let (status, keeps) = open.exchange(request).await?;
    if keeps {
        *connection = Some(open);
    }
    Ok(status)
}

impl Sent {
    fn take(&mut self, answered: Result<u16, std::io::Error>, due: Instant) {
        self.sent += 1;
        match answered {
            Ok(200..300) => {
                self.accepted += 1;
                self.durable.record(due.elapsed());
            }
            Ok(status) => {
                self.refused += 1;
                self.trouble.get_or_insert_with(|| format!("a webhook was answered {status}"));
            }
            Err(error) => {
                self.failed += 1;
                self.trouble.get_or_insert_with(|| format!("a webhook was not answered: {error}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rate: Rate) -> Schedule {
        Schedule { start: Instant::now(), rate, duration: Duration::from_secs(2) }
    }

    #[test]
    fn a_rate_is_a_number_or_max() {
        assert_eq!("2000".parse(), Ok(Rate::PerSecond(2000.0)));
        assert_eq!("max".parse(), Ok(Rate::Max));
        for wrong in ["0", "-1", "nan", "inf", "fast", "1e7"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_webhook_is_due_when_its_number_says_whatever_the_time_is() {
        let schedule = schedule(Rate::PerSecond(500.0));
        assert_eq!(schedule.total(), Some(1000));
        let late = schedule.start + Duration::from_secs(60);
        assert_eq!(schedule.due(500, late), Some(schedule.start + Duration::from_secs(1)));
        assert_eq!(schedule.due(1000, schedule.start), None);
    }

    #[test]
    fn at_full_speed_a_webhook_is_due_at_once_until_the_time_is_over() {
        let schedule = schedule(Rate::Max);
        let now = schedule.start + Duration::from_secs(1);
        assert_eq!(schedule.due(123_456, now), Some(now));
        assert_eq!(schedule.due(0, schedule.start + Duration::from_secs(2)), None);
    }

    #[test]
    fn the_pacer_hands_out_a_ticket_per_webhook_and_one_more_per_sender() {
        let start = Instant::now();
        let tickets = pace(Rate::PerSecond(10_000.0), start, 300, 5);
        let all = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        all.block_on(async { tickets.acquire_many(305).await.expect("they come").forget() });
        assert!(start.elapsed() >= Duration::from_millis(29), "{:?}", start.elapsed());
        assert_eq!(tickets.available_permits(), 0);
    }
}
