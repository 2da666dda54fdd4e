//! A bus that answers, or does not, as a test says.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use contracts::outcomes::BoxFuture;
use jiff::Timestamp;

use crate::{
    Bus, Error, GroupInfo, Lag, Member, Offset, Outgoing, PublishError, Record, Spot, Start, Subscription, Topic,
    TopicInfo, TopicPartition, TopicSpec,
};

/// Another bus, of which joining, reading and asking for offsets can be unavailable, each by itself. All else passes.
pub struct Flaky {
    /// The bus behind it.
    pub inner: Arc<dyn Bus>,
    /// While it is set, joining fails.
    pub joining_fails: AtomicBool,
    /// While it is set, reading fails.
    pub reading_fails: AtomicBool,
    /// While it is set, a read that finds nothing fails.
    pub ends_fail: AtomicBool,
    /// While it is set, asking for offsets fails.
    pub asking_fails: AtomicBool,
    /// How often somebody asked for offsets, positions, topics or groups.
    pub asked: AtomicUsize,
    /// How often something failed.
    pub failed: AtomicUsize,
    /// Reading this never ends.
    pub hangs: Option<TopicPartition>,
    /// How many reads hang now.
    pub hanging: AtomicUsize,
    /// The times at which somebody wanted to begin reading.
    pub times: Mutex<Vec<Timestamp>>,
    /// Who joins next gets this member.
    pub member: Mutex<Option<Box<dyn Member>>>,
}

impl Flaky {
    /// One that passes everything on.
    pub fn new(inner: Arc<dyn Bus>) -> Self {
        Self {
            inner,
            joining_fails: AtomicBool::default(),
            reading_fails: AtomicBool::default(),
            ends_fail: AtomicBool::default(),
            asking_fails: AtomicBool::default(),
            asked: AtomicUsize::default(),
            failed: AtomicUsize::default(),
            hangs: None,
            hanging: AtomicUsize::default(),
            times: Mutex::default(),
            member: Mutex::default(),
        }
    }

    /// Sets whether all three fail.
    pub fn fail(&self, fails: bool) {
        for each in [&self.joining_fails, &self.reading_fails, &self.asking_fails] {
            each.store(fails, SeqCst);
        }
    }

    fn check(&self, fails: &AtomicBool) -> Result<(), Error> {
        if fails.load(SeqCst) {
            self.failed.fetch_add(1, SeqCst);
            return Err(Error::Unavailable("no broker answers".into()));
        }
        Ok(())
    }
}

/// Counts for as long as it lives.
struct Hanging<'b>(&'b AtomicUsize);

impl<'b> Hanging<'b> {
    fn new(count: &'b AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Bus for Flaky {
    fn publish(&self, batch: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Spot>, PublishError>> {
        self.inner.publish(batch)
    }

    fn join(&self, group: &str, to: Subscription) -> BoxFuture<'_, Result<Box<dyn Member>, Error>> {
        if let Some(member) = self.member.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Box::pin(async { Ok(member) });
        }
        match self.check(&self.joining_fails) {
            Ok(()) => self.inner.join(group, to),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn read<'a>(
        &'a self,
        at: &'a TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Vec<Record>, Error>> {
        Box::pin(async move {
            if self.hangs.as_ref() == Some(at) {
                let _hanging = Hanging::new(&self.hanging);
                std::future::pending::<()>().await;
            }
            self.check(&self.reading_fails)?;
            let read = self.inner.read(at, from, max_bytes).await?;
            if read.is_empty() {
                self.check(&self.ends_fail)?;
            }
            Ok(read)
        })
    }

    fn changed<'a>(&'a self, at: &'a TopicPartition, from: Offset) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.changed(at, from)
    }

    fn offset<'a>(&'a self, at: &'a TopicPartition, place: Start) -> BoxFuture<'a, Result<Offset, Error>> {
        self.asked.fetch_add(1, SeqCst);
        if let Start::Time(time) = place {
            self.times.lock().unwrap_or_else(PoisonError::into_inner).push(time);
        }
        match self.check(&self.asking_fails) {
            Ok(()) => self.inner.offset(at, place),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn offsets<'a>(
        &'a self,
        of: &'a [TopicPartition],
        place: Start,
    ) -> BoxFuture<'a, Result<HashMap<TopicPartition, Offset>, Error>> {
        self.asked.fetch_add(1, SeqCst);
        match self.check(&self.asking_fails) {
            Ok(()) => self.inner.offsets(of, place),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn create(&self, topics: Vec<TopicSpec>) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.create(topics)
    }

    fn delete<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.delete(topic)
    }

    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicInfo>, Error>> {
        self.asked.fetch_add(1, SeqCst);
        self.inner.topics()
    }

    fn lags<'a>(&'a self, groups: &'a [String]) -> BoxFuture<'a, Result<BTreeMap<String, Vec<Lag>>, Error>> {
        self.asked.fetch_add(1, SeqCst);
        self.inner.lags(groups)
    }

    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupInfo>, Error>> {
        self.asked.fetch_add(1, SeqCst);
        self.inner.groups()
    }

    fn place<'a>(
        &'a self,
        group: &'a str,
        positions: Vec<(TopicPartition, Offset)>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.place(group, positions)
    }

    fn forget<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.forget(group)
    }
}
