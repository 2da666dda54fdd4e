//! What large answers may take that their readers have not read yet, over all connections together.
//!
//! An answer is whole in memory until the last of it is with the system. A reader who stands still keeps it there until
//! the listener cuts the connection, and there may be a thousand such readers: so large answers share a room, and who
//! finds it full is told to come again.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes, HttpBody as _, to_bytes},
    extract::State,
    http::{HeaderValue, Response, StatusCode, header},
    middleware::map_response_with_state,
    response::IntoResponse as _,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// How many bytes of large answers wait for their readers at most.
const ROOM: u32 = 64 * 1024 * 1024;
/// An answer of at most so many bytes is not counted: a thousand of them take as much as the room.
const SMALL: u64 = 64 * 1024;

/// The same router, whose large answers share a room. Streams are not answers: they bound themselves.
pub fn bounded(router: Router) -> Router {
    router.layer(map_response_with_state(Arc::new(Semaphore::new(ROOM as usize)), held))
}

/// The bytes of an answer, which hold their part of the room until the last of them is sent.
struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

async fn held(State(room): State<Arc<Semaphore>>, response: Response<Body>) -> Response<Body> {
    let Some(size) = response.body().size_hint().exact().filter(|size| *size > SMALL) else { return response };
    let size = u32::try_from(size).unwrap_or(ROOM).min(ROOM);
    let Ok(room) = room.try_acquire_many_owned(size) else {
        let detail = "too many large answers wait for readers who do not read them; ask again, or for a smaller page";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
            .into_response();
    };
    let (parts, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => Response::from_parts(parts, Body::from(Bytes::from_owner(Held { bytes, _room: room }))),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{http::Request, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn answers_that_nobody_reads_fill_the_room_and_free_it_when_they_go() {
        let size = ROOM as usize / 4;
        let router =
            Router::new().route("/large", get(async move || vec![b'x'; size])).route("/small", get(async || "small"));
        let router = bounded(router);
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            router.clone().oneshot(request).await.expect("an answer")
        };
        let mut unread = Vec::new();
        for _ in 0..4 {
            unread.push(ask("/large").await);
        }
        let refused = ask("/large").await;
        assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &HeaderValue::from(1)));
        assert_eq!(ask("/small").await.status(), 200);
        let read = to_bytes(unread.pop().expect("an answer").into_body(), usize::MAX).await.expect("a body");
        assert_eq!((read.len(), ask("/large").await.status().as_u16()), (size, 503), "what was read is still held");
        drop(read);
        assert_eq!(ask("/large").await.status(), 200);
    }
}
