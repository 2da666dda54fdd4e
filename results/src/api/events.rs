//! `GET /v1/events`: which event topics there are, or a live stream of what is published on them; and
//! `GET /v1/events/{name}`: an event's recent occurrences. Topics alone decide what is known, not definitions.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bus::{Record, TopicInfo};
use contracts::{names::EventRef, topics::EVENT_PREFIX};
use runtime::problem::Problem;
use serde::Serialize;

use super::{
    Api, follow, json, newest,
    params::{self, Params},
    stream,
    structured::Structured,
    unavailable,
};
use crate::store::Page;

/// The name in the cursors of the list of events.
const LIST: &str = "events";

#[derive(Serialize)]
struct Topics {
    events: Vec<Known>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Known {
    event: String,
    topic: String,
    partitions: u32,
}

#[derive(Serialize)]
struct Occurrences<'a> {
    event: &'a EventRef,
    occurrences: Vec<Structured<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn list(State(api): State<Api>, params: Params) -> Result<Response, Problem> {
    params.only(if params.stream { &["name"] } else { &["name", "cursor", "limit"] })?;
    let wanted = follow::Wanted::new(params.all("name"))?;
    if params.stream {
        let Some(place) = api.handle.stream_place() else {
            let detail = "as many streams of events are open as there may be; close one, or ask again later";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
                .with(header::RETRY_AFTER, HeaderValue::from_static("10")));
        };
        let events = follow::events(api.bus.clone(), api.handle.topics_seen(), wanted, place)
            .await
            .map_err(|error| unavailable(&error))?;
        return Ok(stream::answer(events, api.shutdown));
    }
    let (Page { limit, .. }, after) = params.page(LIST, |text| Some(text.to_owned()).filter(|_| !text.is_empty()))?;
    let topics = api.bus.topics().await.map_err(|error| unavailable(&error))?;
    let known = topics.into_iter().filter_map(|info| {
        let event = info.topic.as_str().strip_prefix(EVENT_PREFIX).filter(|event| wanted.takes(event))?;
        Some(Known { event: event.to_owned(), topic: info.topic.to_string(), partitions: info.partitions })
    });
    let mut known = known.skip_while(|known| after.as_ref().is_some_and(|after| known.event <= *after));
    let events: Vec<Known> = known.by_ref().take(limit).collect();
    let next = params::next(LIST, events.last().filter(|_| known.next().is_some()).map(|last| &last.event));
    Ok(json(&Topics { events, next }))
}

pub(super) async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["cursor", "limit"])?;
    let event: EventRef = name.parse().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("{error}")))?;
    let (page, after) = params.page(&event.topic(), newest::Cursor::parse)?;
    let Some(topic) = topic(&api, &event.topic()).await? else {
        let detail = format!("no event `{event}` is known: it has no topic; `GET /v1/events` lists those that have");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let _turn = api.handle.page_turn().await;
    let found = newest::page(&*api.bus, &topic, after, page.limit).await;
    let (records, next): (Vec<Record>, _) = found.map_err(|error| unavailable(&error))?;
    let next = params::next(&event.topic(), next);
    Ok(json(&Occurrences { event: &event, occurrences: records.iter().map(Structured).collect(), next }))
}

/// A topic, if it exists.
pub(super) async fn topic(api: &Api, name: &str) -> Result<Option<TopicInfo>, Problem> {
    let topics = api.bus.topics().await.map_err(|error| unavailable(&error))?;
    Ok(topics.into_iter().find(|info| info.topic.as_str() == name))
}
