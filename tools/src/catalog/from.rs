//! Where the versions of a catalog come from: the API of a running Herald, or Kafka.

use std::{path::Path, sync::Arc};

use bus::Bus;
use catalog::Sources;
use catalog_log::{Version, history, version};
use clap::Args;
use client::{
    address::Api,
    exit::Usage,
    http::{self, Call},
};
use jiff::Timestamp;
use serde::Deserialize;
use settings::{BusOptions, Config, Kind};

use crate::kafka;

/// Whom to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct From {
    #[command(flatten)]
    pub(crate) api: Api,
    #[command(flatten)]
    pub(crate) bus: BusOptions,
}

/// A version with its files.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Whole {
    pub(crate) number: u64,
    pub(crate) written: Timestamp,
    #[serde(default)]
    pub(crate) folder: Option<String>,
    pub(crate) files: Sources,
}

impl From {
    /// Kafka, where that is the bus; none where the API is asked.
    fn kafka(&self) -> anyhow::Result<Option<Arc<dyn Bus>>> {
        let config = Config::load(settings::layers(&self.bus)?)?;
        match config.bus.kind {
            Kind::Embedded => Ok(None),
            Kind::Kafka => Ok(Some(kafka::open(&config, "catalog")?)),
        }
    }

    /// Every version that is kept, oldest first.
    pub(crate) async fn versions(&self) -> anyhow::Result<Vec<Version>> {
        #[derive(Deserialize)]
        struct Answer {
            catalogs: Vec<Version>,
        }
        if let Some(bus) = self.kafka()? {
            return Ok(history(&*bus).await?);
        }
        let Answer { mut catalogs } = get(&self.api, "/v1/catalogs").await?;
        catalogs.reverse();
        Ok(catalogs)
    }

    /// A version; the newest without a number.
    pub(crate) async fn whole(&self, number: Option<u64>) -> anyhow::Result<Whole> {
        let none = || match number {
            Some(number) => anyhow::anyhow!(
                "version {number} of the catalog is not on the bus (any more); `herald catalog history` lists those that are"
            ),
            None => anyhow::anyhow!("there is no catalog on the bus yet"),
        };
        if let Some(bus) = self.kafka()? {
            let record = version(&*bus, number).await?.ok_or_else(none)?;
            let (number, written, folder, files) = (record.number, record.written, record.folder, record.sources);
            return Ok(Whole { number, written, folder, files });
        }
        let asked = match number {
            Some(number) => number,
            None => self.versions().await?.last().ok_or_else(none)?.number,
        };
        of_api(&self.api, asked).await?.ok_or_else(none)
    }
}

/// A version that the API has; none if it is not kept.
pub(crate) async fn of_api(api: &Api, number: u64) -> anyhow::Result<Option<Whole>> {
    match get(api, &format!("/v1/catalogs/{number}")).await {
        Ok(whole) => Ok(Some(whole)),
        Err(error) if error.downcast_ref().and_then(http::Error::status) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks the API for JSON.
pub(crate) async fn get<T: for<'de> Deserialize<'de>>(api: &Api, path: &str) -> anyhow::Result<T> {
    let body = Call::get(&api.api, path).token(api.token.as_deref())?.answer().await?;
    Ok(serde_json::from_slice(&body)
        .map_err(|error| http::Error::Unexpected { base: api.api.to_string(), reason: error.to_string() })?)
}

/// The files of a folder, which must be there.
pub(super) fn folder(path: &Path) -> anyhow::Result<Sources> {
    Usage::catalog(path)?;
    Ok(Sources::read(path)?)
}
