//! What the API's `/v1/status` says, of all its pages.

use std::collections::BTreeMap;

use contracts::control::Said;
use jiff::Timestamp;
use runtime::meter::Reading;
use serde::Deserialize;

use crate::{
    address::Api,
    ask::ask,
    http::encode,
    print::{self, clean},
};

/// The most groups and jobs that a page may have.
const LIMIT: usize = 1000;

/// What is read of it.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// Who answers, as in the lock of its data folder; older ones do not say.
    #[serde(default)]
    pub process: Option<u32>,
    pub results: Totals,
    pub groups: BTreeMap<String, Group>,
    /// Where jobs run in the process that answers.
    #[serde(default)]
    pub jobs: BTreeMap<String, Job>,
    /// What is wrong with the process that answers, by part.
    #[serde(default)]
    pub troubles: BTreeMap<String, String>,
    /// What each task of the process that answers has cost since it began.
    #[serde(default)]
    pub tasks: BTreeMap<String, Reading>,
    #[serde(default)]
    next: Option<String>,
}

/// How many invocations there are.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Totals {
    pub invocations: u64,
    pub open: u64,
}

/// How far a group is behind.
#[derive(Debug, Deserialize)]
pub struct Group {
    pub lag: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub state: String,
    pub since: Option<String>,
    pub error: Option<String>,
    /// How its target fails throughout.
    pub circuit: Option<Circuit>,
    /// Who paused it, where somebody did.
    pub paused: Option<Said>,
    #[serde(default)]
    pub in_flight: u64,
    #[serde(default)]
    pub queued: u64,
}

/// A target that fails throughout.
#[derive(Debug, Deserialize)]
pub struct Circuit {
    pub error: String,
    pub since: Timestamp,
    pub probe: Timestamp,
}

impl Status {
    /// Asks for it, page by page.
    ///
    /// # Errors
    /// The API cannot be reached, refuses, or answers something else.
    pub async fn ask(api: &Api) -> anyhow::Result<Self> {
        let mut all = page(api, None).await?;
        while let Some(cursor) = all.next.take() {
            let more = page(api, Some(&cursor)).await?;
            all.groups.extend(more.groups);
            all.jobs.extend(more.jobs);
            all.next = more.next.filter(|next| *next > cursor);
        }
        Ok(all)
    }
}

/// Says so if what comes is kept until there is a catalog, for whoever finds nothing: nothing was looked at yet.
pub(crate) async fn say_if_catalog_is_awaited(api: &Api) {
    // It is a remark: what could not be asked was told by the question before, or will be by the next.
    let Ok(Status { troubles, .. }) = ask::<Status>(api, "/v1/status?limit=1").await else { return };
    if let Some(why) = troubles.get("catalog") {
        print::note(&format!("a catalog is awaited, and what comes is kept until there is one: {}", clean(why)));
    }
}

async fn page(api: &Api, cursor: Option<&str>) -> anyhow::Result<Status> {
    let cursor = cursor.map(|cursor| format!("&cursor={}", encode(cursor))).unwrap_or_default();
    ask(api, &format!("/v1/status?limit={LIMIT}{cursor}")).await
}
