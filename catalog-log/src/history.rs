//! The versions of the catalog that are on the bus: what each says, and differently from the one before.

use bus::{Bus, Error};
use catalog::{Changed, Changes, wire::CatalogRecord};
use contracts::names::GroupName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::log::{Entry, Log};

/// One version, without its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    pub number: u64,
    /// When it was planned.
    pub written: Timestamp,
    /// The folder that it is from, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// How many files of events it has.
    pub events: usize,
    /// How many jobs its events list.
    pub jobs: usize,
    /// What it says differently from the version before, without the keys; none of the first that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<Changed>>,
}

impl Version {
    pub fn of(record: &CatalogRecord, before: Option<&CatalogRecord>) -> Self {
        let changed = before.map(|before| {
            let changes = Changes::between(&before.sources, &record.sources);
            changes.changed.into_iter().map(|one| Changed { keys: Vec::new(), ..one }).collect()
        });
        Self {
            number: record.number,
            written: record.written,
            folder: record.folder.clone(),
            events: record.sources.event_files(),
            jobs: record.jobs.len(),
            changed,
        }
    }
}

/// Every version that is kept and can be read, oldest first.
///
/// # Errors
/// The bus cannot be read. Where nobody has written a catalog yet there is none.
pub async fn history(bus: &dyn Bus) -> Result<Vec<Version>, Error> {
    let (mut versions, mut before) = (Vec::new(), None::<CatalogRecord>);
    let mut log = Log::new(bus);
    while let Some(record) = next(&mut log, before.as_ref()).await? {
        versions.push(Version::of(&record, before.as_ref()));
        before = Some(record);
    }
    Ok(versions)
}

/// A version, or the one that counts; none if it is not kept.
///
/// # Errors
/// The bus cannot be read.
pub async fn version(bus: &dyn Bus, number: Option<u64>) -> Result<Option<CatalogRecord>, Error> {
    let mut found = None::<CatalogRecord>;
    let mut log = Log::new(bus);
    while let Some(record) = next(&mut log, found.as_ref()).await? {
        let is_it = number == Some(record.number);
        found = Some(record);
        if is_it {
            return Ok(found);
        }
    }
    Ok(found.filter(|_| number.is_none()))
}

/// The numbers of the versions that are kept and have a job in one of their events, in order.
///
/// # Errors
/// The bus cannot be read.
pub async fn with_job(bus: &dyn Bus, group: &GroupName) -> Result<Vec<u64>, Error> {
    let (mut numbers, mut before) = (Vec::new(), None::<CatalogRecord>);
    let mut log = Log::new(bus);
    while let Some(record) = next(&mut log, before.as_ref()).await? {
        if record.jobs.iter().any(|listed| listed.group == *group) {
            numbers.push(record.number);
        }
        before = Some(record);
    }
    Ok(numbers)
}

/// The next record that counted: of those with one number the first did.
async fn next(log: &mut Log<'_>, before: Option<&CatalogRecord>) -> Result<Option<CatalogRecord>, Error> {
    loop {
        match log.next().await {
            Err(Error::UnknownTopic(_)) => return Ok(None),
            Ok(None) => return Ok(None),
            Ok(Some((_, Entry::Catalog(record)))) if before.is_none_or(|before| before.number < record.number) => {
                return Ok(Some(*record));
            }
            Ok(Some(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::tests::Fixture;

    #[tokio::test]
    async fn versions_are_told_with_what_changed_and_found_by_number() {
        let fixture = Fixture::new().await;
        for description in ["first", "second"] {
            fixture.publisher("a", description).apply().await.expect("a bus");
        }
        let versions = history(&*fixture.bus).await.expect("a bus");
        assert_eq!(versions.iter().map(|it| (it.number, it.events)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
        assert!(versions[0].changed.is_none());
        let changed = versions[1].changed.as_ref().expect("it is not the first");
        assert_eq!(changed.iter().map(Changed::title).collect::<Vec<_>>(), ["~ move.changed"]);
        let of = async |number| version(&*fixture.bus, number).await.expect("a bus").map(|record| record.number);
        assert_eq!([of(None).await, of(Some(1)).await, of(Some(3)).await], [Some(2), Some(1), None]);
    }
}
