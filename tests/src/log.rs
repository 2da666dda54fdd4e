//! What a pipeline left on its bus.

use std::{path::Path, sync::Arc};

use bus::{Bus, Record, Start};
use contracts::{
    envelope::EventHeaders,
    progress::{self, Progress},
    raw::{Place, RawHeaders},
    topics,
};

use crate::Engine;

/// The log of a pipeline: of a stopped one on the embedded bus, of any on Kafka.
pub struct Log(Arc<dyn Bus>);

impl Log {
    pub(crate) fn open(engine: &Engine, data: &Path, prefix: &str) -> Self {
        Self(engine.open(data, prefix))
    }

    /// The bus itself.
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.0
    }

    /// Every record of a topic, partition by partition.
    pub async fn records(&self, topic: &str) -> Vec<Record> {
        let topics = self.0.topics().await.expect("the topics");
        let mut out = Vec::new();
        for at in topics.iter().filter(|info| info.topic.as_str() == topic).flat_map(|info| info.each()) {
            let end = self.0.offset(&at, Start::End).await.expect("an end");
            let mut from = self.0.offset(&at, Start::Earliest).await.expect("a begin");
            while from < end {
                let records = self.0.read(&at, from, 1024 * 1024).await.expect("records");
                let Some(last) = records.last() else { break };
                from = last.offset.next();
                out.extend(records);
            }
        }
        out
    }

    /// Every raw record: where it stands, and its headers.
    pub async fn raw(&self) -> Vec<(Place, RawHeaders)> {
        let records = self.records(topics::RAW).await;
        let read = |record: &Record| {
            let place = Place { partition: record.partition.0, offset: record.offset.0 };
            (place, RawHeaders::decode(&record.headers).expect("headers of a raw record"))
        };
        records.iter().map(read).collect()
    }

    /// Every event of every topic of events.
    pub async fn events(&self) -> Vec<EventHeaders> {
        let topics = self.0.topics().await.expect("the topics");
        let mut out = Vec::new();
        for info in topics.iter().filter(|info| info.topic.as_str().starts_with(topics::EVENT_PREFIX)) {
            for record in self.records(info.topic.as_str()).await {
                let headers = EventHeaders::decode(info.topic.as_str(), &record.headers);
                out.push(headers.expect("headers of an event"));
            }
        }
        out
    }

    /// Everything that was told of progress.
    pub async fn progress(&self) -> Vec<Progress> {
        let records = self.records(topics::PROGRESS).await;
        let lines = records.iter().flat_map(|record| progress::lines(record.value()));
        lines.map(|line| Progress::decode(line).expect("progress")).collect()
    }
}
