//! Why events did not happen: from the raw record and the catalog that decided, both read from the bus.
//!
//! One explanation is made at a time, and the last ones are kept: whoever watches a correlation asks for the same ones again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use bus::{Bus, Offset, Record, TopicPartition};
use catalog::Catalog;
use contracts::{
    outcomes::{BoxFuture, Unavailable},
    raw::Place,
    topics,
    why::{Explains, Why},
};
use job_runner::Registry;
use tokio::sync::Mutex as Turn;

use super::follow::Catalogs;
use catalog_log::{Entry, Log, aside};

/// How many answers are kept.
const KEPT: usize = 256;
/// How many catalogs that no longer count are kept compiled.
const CATALOGS: usize = 4;

/// Explains from the bus. Cheap to share.
pub(crate) struct Explainer {
    bus: Arc<dyn Bus>,
    registry: Registry,
    catalogs: Catalogs,
    /// What was answered, by record and catalog.
    answered: Mutex<HashMap<(Place, u64), Why>>,
    /// Earlier catalogs. Whoever holds it may make an explanation.
    turn: Turn<VecDeque<(u64, Arc<Catalog>)>>,
}

impl Explainer {
    pub(crate) fn new(bus: Arc<dyn Bus>, registry: Registry, catalogs: Catalogs) -> Self {
        Self { bus, registry, catalogs, answered: Mutex::default(), turn: Turn::default() }
    }

    async fn explain(&self, raw: Place, asked: Option<u64>) -> Result<Why, bus::Error> {
        let current = self.catalogs.follow().borrow().clone();
        let Some(number) = asked.or(current.as_ref().map(|current| current.number)) else {
            return Ok(Why::only(raw, 0, "there is no catalog yet"));
        };
        let known = |answered: &HashMap<(Place, u64), Why>| answered.get(&(raw, number)).cloned();
        if let Some(why) = known(&self.answered.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(why);
        }
        let mut earlier = self.turn.lock().await;
        let Some(record) = self.record(raw).await? else {
            let because = "the raw record is no longer kept, so nobody can say why; `bus.keep` or the topic's retention says how long it is";
            return Ok(Why::only(raw, number, because));
        };
        let catalog = match current.filter(|current| current.number == number) {
            Some(current) => Some(current.catalog),
            None => self.earlier(number, &mut earlier).await?,
        };
        let Some(catalog) = catalog else {
            let because =
                format!("catalog {number}, which decided, is no longer on the bus, or cannot be read by this herald");
            return Ok(Why::only(raw, number, because));
        };
        // It may take as long as many evaluations do.
        let made = aside("why", move || detector::why(&catalog, number, &record)).await;
        let why = made.map_err(|error| bus::Error::Unavailable(format!("the explanation was broken off: {error}")))?;
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() >= KEPT {
            answered.clear();
        }
        answered.insert((raw, number), why.clone());
        Ok(why)
    }

    async fn record(&self, raw: Place) -> Result<Option<Record>, bus::Error> {
        let (at, offset) = (TopicPartition::new(topics::RAW, raw.partition), Offset(raw.offset));
        match self.bus.read(&at, offset, 1).await {
            Err(bus::Error::UnknownTopic(_)) => Ok(None),
            read => Ok(read?.into_iter().find(|record| record.offset == offset)),
        }
    }

    /// A catalog that does not count any more, or not yet here; none if it is not on the bus or cannot be used.
    async fn earlier(
        &self,
        number: u64,
        kept: &mut VecDeque<(u64, Arc<Catalog>)>,
    ) -> Result<Option<Arc<Catalog>>, bus::Error> {
        if let Some((_, catalog)) = kept.iter().find(|(kept, _)| *kept == number) {
            return Ok(Some(catalog.clone()));
        }
        let mut log = Log::new(&*self.bus);
        // The first of a number is the one that counted.
        let record = loop {
            match log.next().await? {
                None => return Ok(None),
                Some((_, Entry::Catalog(record))) if record.number == number => break record,
                Some(_) => {}
            }
        };
        let registry = self.registry.clone();
        let compiled = aside("catalog", move || record.compile(&registry).catalog).await;
        let Some(catalog) = compiled.ok().flatten().map(Arc::new) else { return Ok(None) };
        kept.push_back((number, catalog.clone()));
        if kept.len() > CATALOGS {
            kept.pop_front();
        }
        Ok(Some(catalog))
    }
}

impl Explains for Explainer {
    fn why(&self, raw: Place, catalog: Option<u64>) -> BoxFuture<'_, Result<Why, Unavailable>> {
        Box::pin(async move { self.explain(raw, catalog).await.map_err(|error| Unavailable(error.to_string())) })
    }
}
