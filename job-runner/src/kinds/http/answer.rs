//! What an answer means.

use std::time::{Duration, SystemTime};

use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_LENGTH, DATE, HeaderName, LOCATION, RETRY_AFTER},
    http::response::Parts,
};
use serde_json::json;
use tokio::time::timeout;

use super::{told::Told, trouble};
use crate::{
    kind::{Answer, Blame, Failure, MAX_TEXT, Outcome, Then, head},
    kinds::json_document,
};

/// How much of the body of a success is read. What is longer is no result.
const MAX_BODY: usize = 1024 * 1024;
/// How much of what is longer is kept.
const KEPT: usize = 8 * 1024;
/// How much of the body of a failure is read: more than is kept of it, so that no secret is cut in two before it is found.
const MAX_COMPLAINT: usize = 16 * 1024;
/// How long the body of a failure may take: the status has said what matters.
const COMPLAINT: Duration = Duration::from_secs(2);
/// The longest wait that is passed on. What a job's back-off allows is much less.
const MAX_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// With what a target says itself how to go on.
const THEN: HeaderName = HeaderName::from_static("x-herald-then");

/// What the target says of how to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Done,
    Retry,
    GiveUp,
}

impl Said {
    fn of(headers: &HeaderMap) -> Option<Self> {
        match headers.get(THEN)?.to_str().ok()?.trim() {
            "done" => Some(Self::Done),
            "retry" => Some(Self::Retry),
            "give-up" => Some(Self::GiveUp),
            _ => None,
        }
    }

    /// What it says by its status alone.
    fn by(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Done,
            408 | 425 | 429 | 500.. => Self::Retry,
            _ => Self::GiveUp,
        }
    }
}

/// The outcome that an answer is.
pub(super) async fn outcome(response: Response<Incoming>, host: &str, told: &Told) -> Outcome {
    let (parts, body) = response.into_parts();
    match Said::of(&parts.headers).unwrap_or_else(|| Said::by(parts.status)) {
        Said::Done => success(&parts, body, host, told).await,
        said => {
            let then = match said {
                Said::Retry => retry_after(&parts.headers, SystemTime::now()).map_or(Then::Retry, Then::RetryAfter),
                Said::Done | Said::GiveUp => Then::GiveUp,
            };
            let begins = complaint(body).await;
            let text = String::from_utf8_lossy(&told.hide(begins)).into_owned();
            let error = error(&parts, host, told);
            // What it asks to be tried again for a reason of this run's is no failure of its own.
            let is_its = parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS;
            let blame = if is_its && said == Said::Retry { Blame::Target } else { Blame::Run };
            Err(Failure {
                then,
                blame: Some(blame),
                ..Failure::new(error).with_stdout(head(&text, MAX_TEXT).to_owned())
            })
        }
    }
}

/// The status and the host; of a redirection, where it leads.
fn error(parts: &Parts, host: &str, told: &Told) -> String {
    let status = parts.status.as_u16();
    match parts.headers.get(LOCATION).filter(|_| parts.status.is_redirection()) {
        Some(to) => {
            let to = told.hide(to.as_bytes().to_vec());
            let to = String::from_utf8_lossy(&to);
            // What is behind a `?` may be a secret.
            let to = to.split(['?', '#']).next().unwrap_or_default();
            format!(
                "{status} from {host}: it redirects to {}, and redirects are not followed: write that URL",
                head(to, 512)
            )
        }
        None => format!("{status} from {host}"),
    }
}

async fn success(parts: &Parts, mut body: Incoming, host: &str, told: &Told) -> Outcome {
    let mut bytes = Vec::new();
    if let Err(error) = read(&mut body, MAX_BODY, &mut bytes).await {
        return Err(Failure::new(format!(
            "{} from {host}, but its body broke off after {} bytes ({}); it has received the request",
            parts.status.as_u16(),
            bytes.len(),
            trouble::told(&error),
        )));
    }
    let is_whole = bytes.len() <= MAX_BODY;
    let bytes = told.hide(bytes);
    if !is_whole {
        let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let begins = String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT)]).into_owned();
        return Ok(Answer::of(&json!({ "cut": true, "bytes": announced, "begins": begins })));
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(Answer::nothing());
    }
    Ok(match json_document(&bytes) {
        Some(json) => Answer::raw(json),
        None => Answer::of(&String::from_utf8_lossy(&bytes).into()),
    })
}

/// The beginning of what a target says of a failure.
async fn complaint(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    // However it ends, what came is what there is.
    let _ = timeout(COMPLAINT, read(&mut body, MAX_COMPLAINT, &mut bytes)).await;
    bytes
}

/// Reads a body until there are more bytes than that. What is left unread closes its connection.
async fn read(body: &mut Incoming, most: usize, bytes: &mut Vec<u8>) -> Result<(), hyper::Error> {
    while bytes.len() <= most {
        let Some(frame) = body.frame().await else { break };
        if let Ok(mut data) = frame?.into_data() {
            data.truncate(most + 1 - bytes.len());
            bytes.extend_from_slice(&data);
        }
    }
    Ok(())
}

/// What `Retry-After` asks for: seconds, or a date, which is counted from the date of the answer, since clocks differ. Nonsense and
/// what has passed ask for nothing.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().ok()?)
    } else {
        let date = |text: &str| httpdate::parse_http_date(text).ok();
        let answered = headers.get(DATE).and_then(|at| date(at.to_str().ok()?)).unwrap_or(now);
        date(text)?.duration_since(answered).ok()?
    };
    (!wait.is_zero()).then(|| wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(all: &[(HeaderName, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn statuses_say_whether_it_is_tried_again() {
        for (status, said) in [
            (200, Said::Done),
            (299, Said::Done),
            (101, Said::GiveUp),
            (302, Said::GiveUp),
            (400, Said::GiveUp),
            (404, Said::GiveUp),
            (408, Said::Retry),
            (409, Said::GiveUp),
            (410, Said::GiveUp),
            (425, Said::Retry),
            (429, Said::Retry),
            (500, Said::Retry),
            (503, Said::Retry),
            (599, Said::Retry),
        ] {
            assert_eq!(Said::by(StatusCode::from_u16(status).expect("a status")), said, "{status}");
        }
        assert_eq!(Said::of(&headers(&[(THEN, "give-up")])), Some(Said::GiveUp));
        assert_eq!(Said::of(&headers(&[(THEN, " done ")])), Some(Said::Done));
        assert_eq!(Said::of(&headers(&[(THEN, "whatever")])), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let after = |text: &'static str| retry_after(&headers(&[(RETRY_AFTER, text)]), now).map(|wait| wait.as_secs());
        for (text, seconds) in [
            ("120", Some(120)),
            (" 3600 ", Some(3600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30)),
            ("Sun Nov  6 08:50:07 1994", Some(30)),
            ("99999999999", Some(MAX_WAIT.as_secs())),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(MAX_WAIT.as_secs())),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1988 08:49:37 GMT", None),
            ("0", None),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("99999999999999999999999", None),
            ("2026-01-01T00:00:00Z", None),
        ] {
            assert_eq!(after(text), seconds, "{text}");
        }
        // A target whose clock is an hour ahead asks for the same.
        let ahead = [(RETRY_AFTER, "Sun, 06 Nov 1994 09:50:07 GMT"), (DATE, "Sun, 06 Nov 1994 09:49:37 GMT")];
        assert_eq!(retry_after(&headers(&ahead), now), Some(Duration::from_secs(30)));
    }
}
