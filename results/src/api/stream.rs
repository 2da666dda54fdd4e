//! What all streams have in common.

use std::{convert::Infallible, time::Duration};

use axum::{
    http::{HeaderValue, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// How often a silent stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The answer with a stream of events, which ends with the process.
pub(super) fn answer(stream: impl Stream<Item = Event> + Send + 'static, shutdown: CancellationToken) -> Response {
    let stream = stream.map(Ok::<_, Infallible>).take_until(shutdown.cancelled_owned());
    let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive")).into_response();
    // A proxy that gathers a stream before it passes it on would make it useless.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// One event of a stream.
pub(super) fn event(name: &str, value: &impl Serialize) -> Event {
    let data = serde_json::to_string(value).expect("invariant: what is streamed is plain data with string keys");
    Event::default().event(name).data(data)
}
