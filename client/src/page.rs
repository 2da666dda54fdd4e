//! Asking the API what happened under a correlation id: once, page by page, or live until it is complete.

use std::{future::Future, time::Duration};

use contracts::{
    ids::{CorrelationId, InvocationId},
    raw::Place,
    summary::{State, Summary},
};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    address::Api,
    http::{Call, Error, encode},
    live::News,
    print,
};

/// How long to wait before a stream that broke off is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// A summary, read, and as the API wrote it.
#[derive(Debug)]
pub struct Page {
    /// What it says.
    pub summary: Summary,
    /// The document, with whatever this version does not know.
    pub text: String,
}

impl Page {
    fn read(api: &Api, text: String) -> Result<Self, Error> {
        let summary = serde_json::from_str(&text).map_err(|error| Error::Unexpected {
            base: api.api.to_string(),
            reason: format!("its summary cannot be read: {error}"),
        })?;
        Ok(Self { summary, text })
    }

    /// The document on one line.
    pub fn json(&self) -> String {
        one_line(&self.text)
    }

    /// Whether it is complete and knows that invocation, if one is meant. One that is beyond this page was confirmed.
    fn answers(&self, invocation: Option<InvocationId>) -> bool {
        let known = |id| self.summary.next.is_some() || self.lists(id);
        self.summary.state == State::Complete && invocation.is_none_or(known)
    }

    /// Whether it is complete, and that invocation may or may not be on a further page.
    fn hides(&self, invocation: Option<InvocationId>) -> bool {
        let hidden = |id| self.summary.next.is_some() && !self.lists(id);
        self.summary.state == State::Complete && invocation.is_some_and(hidden)
    }

    fn lists(&self, invocation: InvocationId) -> bool {
        self.summary.invocations.iter().any(|one| one.invocation == invocation)
    }
}

/// A JSON document on one line: white space between its members that has line feeds goes, digits stay.
pub fn one_line(json: &str) -> String {
    let compact = || serde_json::from_str::<serde_json::Value>(json).map(|value| value.to_string());
    if json.contains('\n') { compact().unwrap_or_else(|_| json.replace('\n', " ")) } else { json.trim().to_owned() }
}

/// What is known now; `cursor` is that of a further page.
///
/// # Errors
/// See [`Error`]; 404 when nothing is known of it.
pub async fn get(api: &Api, correlation: &CorrelationId, cursor: Option<&str>) -> anyhow::Result<Page> {
    let query = cursor.map(|cursor| format!("?cursor={}", encode(cursor))).unwrap_or_default();
    let call = Call::get(&api.api, &format!("{}{query}", path(correlation))).token(api.token.as_deref())?;
    let body = call.answer().await?;
    Ok(Page::read(api, String::from_utf8_lossy(&body).into_owned())?)
}

/// What is known now; none if the API says that nothing is. Another server's 404 is an error.
///
/// # Errors
/// See [`Error`].
pub async fn known(api: &Api, correlation: &CorrelationId) -> anyhow::Result<Option<Page>> {
    match get(api, correlation, None).await {
        Ok(page) => Ok(Some(page)),
        Err(error) if may_come(&error, false) => Ok(None),
        Err(error) => Err(error),
    }
}

fn path(correlation: &CorrelationId) -> String {
    format!("/v1/correlations/{}", encode(correlation.as_str()))
}

/// What is waited for, and for how long.
#[derive(Debug)]
pub struct Awaited<'a> {
    /// The correlation to be complete.
    pub correlation: &'a CorrelationId,
    /// The invocation that must be known in it.
    pub invocation: Option<InvocationId>,
    /// Where its raw record stands, if this delivery of it is meant and not any.
    pub raw: Option<Place>,
    /// The longest wait.
    pub timeout: Duration,
}

/// Follows a correlation until it is complete or time has run out, and hands over the last state that was seen.
///
/// Tells whatever is new as it happens if `telling`. A stream that breaks off is asked for again while there is time.
///
/// # Errors
/// The API cannot be reached at the start or at the end, or refuses.
pub async fn follow(api: &Api, awaited: &Awaited<'_>, telling: bool) -> anyhow::Result<Option<Page>> {
    let deadline = Instant::now() + awaited.timeout;
    let mut news = telling.then(News::default);
    let mut last = None;
    let mut reached = false;
    let mut away = None;
    loop {
        match watch(api, awaited, deadline, &mut news, &mut last).await {
            Ok(true) => return Ok(last),
            Ok(false) => away = None,
            Err(error) if may_come(&error, reached) => {
                let is_away = error.downcast_ref().is_some_and(Error::is_unreachable);
                if is_away && away.is_none() && telling {
                    print::note(&format!("{}; trying again", crate::exit::told(&error)));
                }
                away = is_away.then_some(error);
            }
            Err(error) => return Err(error),
        }
        reached = true;
        if before(deadline, sleep(PAUSE)).await.is_none() {
            return away.map_or(Ok(last), Err);
        }
    }
}

/// Whether asking again may help: the API knows nothing of it *yet*, or a connection that had been there broke. A 404 that says
/// something else is another server's.
fn may_come(error: &anyhow::Error, reached: bool) -> bool {
    let Some(error) = error.downcast_ref::<Error>() else { return false };
    let is_unknown = error.status() == Some(404) && error.to_string().contains("nothing is known of");
    is_unknown || matches!(error, Error::Broken { .. }) || (reached && error.is_unreachable())
}

/// Reads one stream to its end; true when the answer is there or time is up.
async fn watch(
    api: &Api,
    awaited: &Awaited<'_>,
    deadline: Instant,
    news: &mut Option<News>,
    last: &mut Option<Page>,
) -> anyhow::Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now()).as_secs().clamp(1, 300);
    let invocation = awaited.invocation.map(|id| format!("&invocation={id}")).unwrap_or_default();
    let path = format!("{}?until=complete&wait={left}s{invocation}", path(awaited.correlation));
    let call = Call::get(&api.api, &path).token(api.token.as_deref())?;
    let Some(stream) = before(deadline, call.stream()).await else { return Ok(true) };
    let mut stream = stream?;
    loop {
        let Some(event) = before(deadline, stream.next()).await else { return Ok(true) };
        match event? {
            Some(event) if event.kind == "summary" => {
                let page = Page::read(api, event.data)?;
                for line in news.iter_mut().flat_map(|news| news.of(&page.summary, Timestamp::now())) {
                    print::block(&line)?;
                }
                // A delivery is on no page, and an invocation may be on another one.
                let is_open = awaited.raw.is_some() && page.summary.state == State::Complete;
                let page =
                    if is_open || page.hides(awaited.invocation) { confirmed(api, awaited, left).await? } else { page };
                let answers = page.answers(awaited.invocation);
                *last = Some(page);
                if answers {
                    return Ok(true);
                }
            }
            Some(event) if event.kind == "end" => return Ok(false),
            Some(_) => {}
            None => return Ok(false),
        }
    }
}

/// The state once the API itself has found the invocation, or this delivery of it, and all is complete.
async fn confirmed(api: &Api, awaited: &Awaited<'_>, left: u64) -> anyhow::Result<Page> {
    let invocation = awaited.invocation.map(|id| format!("&invocation={id}")).unwrap_or_default();
    let raw = awaited.raw.map(|raw| format!("&raw={raw}")).unwrap_or_default();
    let path = format!("{}?wait={left}s{invocation}{raw}", path(awaited.correlation));
    let body = Call::get(&api.api, &path).token(api.token.as_deref())?.answer().await?;
    Ok(Page::read(api, String::from_utf8_lossy(&body).into_owned())?)
}

async fn before<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    timeout_at(deadline, work).await.ok()
}

#[cfg(test)]
mod tests;
