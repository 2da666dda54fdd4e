//! `GET /v1/rejected`: what was refused, newest first.

use axum::{extract::State, response::Response};
use bus::Record;
use contracts::topics::REJECTED;
use runtime::problem::Problem;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    Api,
    events::topic,
    json, newest,
    params::{self, Params},
    unavailable,
};

#[derive(Serialize)]
struct Answer<'a> {
    rejected: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A record's value as it was written.
struct Entry<'a>(&'a Record);

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_slice::<&RawValue>(self.0.value()) {
            Ok(value) => value.serialize(to),
            Err(_) => String::from_utf8_lossy(self.0.value()).serialize(to),
        }
    }
}

pub(super) async fn list(State(api): State<Api>, params: Params) -> Result<Response, Problem> {
    params.only(&["cursor", "limit"])?;
    let (page, after) = params.page(REJECTED, newest::Cursor::parse)?;
    // Before the first refusal there may be no topic.
    let Some(topic) = topic(&api, REJECTED).await? else {
        return Ok(json(&Answer { rejected: Vec::new(), next: None }));
    };
    let _turn = api.handle.page_turn().await;
    let found = newest::page(&*api.bus, &topic, after, page.limit).await;
    let (records, next) = found.map_err(|error| unavailable(&error))?;
    let next = params::next(REJECTED, next);
    Ok(json(&Answer { rejected: records.iter().map(Entry).collect(), next }))
}
