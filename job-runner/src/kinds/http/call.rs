//! One request: where it goes and what it says.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use contracts::cloud_event::CloudEvent;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};
use runtime::config::Secret;
use serde_json::Value;

use super::{
    options::{Auth, Format, KEY, Options, Target, Text, check_value},
    sign,
    told::Told,
    url,
};
use crate::{
    kind::{Failure, Run},
    secrets::Secrets,
};

const AGENT: &str = concat!("Herald/", env!("CARGO_PKG_VERSION"));

/// A request that is ready to be sent.
pub(super) struct Call {
    pub(super) request: Request<Full<Bytes>>,
    /// What errors name.
    pub(super) host: String,
    pub(super) told: Told,
}

/// The secrets of a process, asked for one call.
struct Asked<'s> {
    secrets: &'s Arc<Secrets>,
    told: Told,
}

impl Asked<'_> {
    async fn secret(&self, name: &str) -> Result<Arc<Secret>, Failure> {
        // Whoever changes it may be about to: it is tried again.
        self.secrets.get(name).await.map_err(|error| Failure::new(error.to_string()))
    }

    async fn header(&mut self, name: &str, prefix: &str) -> Result<HeaderValue, Failure> {
        let secret = self.secret(name).await?;
        self.told.add(secret.expose());
        hidden(&format!("{prefix}{}", secret.expose()), name)
    }

    async fn basic(&mut self, user: &str, name: &str) -> Result<HeaderValue, Failure> {
        let secret = self.secret(name).await?;
        let both = STANDARD.encode(format!("{user}:{}", secret.expose()));
        self.told.add(secret.expose());
        self.told.add(&both);
        hidden(&format!("Basic {both}"), name)
    }
}

/// A header that nobody shows.
fn hidden(text: &str, name: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
        Failure::new(format!("the secret `{name}` has a line break within it, which no header can have"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl Call {
    /// The request of a run.
    pub(super) async fn make(options: &Options, run: &Run, secrets: &Arc<Secrets>) -> Result<Self, Failure> {
        let mut asked = Asked { secrets, told: Told::default() };
        let uri = uri(&options.target, &mut asked).await?;
        let host = url::host(&uri);
        if let Some(guard) = &options.profile.guard {
            let name = uri.host().unwrap_or_default();
            // An address needs no name server; what has a name is looked at where that is looked up.
            if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
                guard.check(name, address).map_err(|refused| Failure::last(refused.to_string()))?;
            }
        }
        let (content_type, body) = body(options, run)?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = options.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        own(headers, run);
        headers.extend(content_type.map(|known| (CONTENT_TYPE, HeaderValue::from_static(known))));
        for (name, value) in &options.headers {
            let value = match value {
                Text::Plain(text) => plain(name.as_str(), text)?,
                Text::Secret { name, prefix } => asked.header(name, prefix).await?,
            };
            headers.insert(name, value);
        }
        match &options.auth {
            Some(Auth::Bearer(name)) => headers.insert(AUTHORIZATION, asked.header(name, "Bearer ").await?),
            Some(Auth::Basic { user, password }) => headers.insert(AUTHORIZATION, asked.basic(user, password).await?),
            None => None,
        };
        if !options.sign.is_empty() {
            signed(headers, run, &body, &options.sign, &asked).await?;
        }
        Ok(Self { request, host, told: asked.told })
    }
}

async fn uri(target: &Target, asked: &mut Asked<'_>) -> Result<Uri, Failure> {
    match target {
        Target::Written(text) | Target::Filled(text) => {
            url::parse(text).map_err(|error| Failure::last(format!("the URL: {error}")))
        }
        Target::Secret(name) => {
            let secret = asked.secret(name).await?;
            let uri =
                url::parse(secret.expose()).map_err(|error| Failure::new(format!("the secret `{name}`: {error}")))?;
            asked.told.add_url(secret.expose(), &uri);
            Ok(uri)
        }
    }
}

fn plain(name: &str, text: &str) -> Result<HeaderValue, Failure> {
    check_value(name, text).map_err(Failure::last)?;
    HeaderValue::from_bytes(text.as_bytes()).map_err(|error| Failure::last(format!("the header `{name}`: {error}")))
}

/// What every request says of the run.
fn own(headers: &mut HeaderMap, run: &Run) {
    let run_id = run.id.to_string();
    let said: [(&'static str, String); 7] = [
        (KEY, run_id.clone()),
        ("x-herald-run-id", run_id),
        ("x-herald-attempt", run.attempt.to_string()),
        ("x-herald-event-id", run.event.id.to_string()),
        ("x-herald-event-name", run.event.event.to_string()),
        ("x-herald-correlation-id", run.event.correlation.to_string()),
        ("x-herald-token", run.token().to_string()),
    ];
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let said = said.into_iter().chain(run.traceparent().map(|parent| ("traceparent", parent.to_owned())));
    // Each is printable ASCII by its type; what came with an event and is not is left out.
    headers.extend(
        said.filter_map(|(name, text)| Some((HeaderName::from_static(name), HeaderValue::try_from(text).ok()?))),
    );
}

/// The body, and what it is.
fn body(options: &Options, run: &Run) -> Result<(Option<&'static str>, Bytes), Failure> {
    const JSON: &str = "application/json";
    let wrong = |error: serde_json::Error| Failure::last(format!("the event's data is not JSON: {error}"));
    Ok(match &options.body {
        Some(Value::String(text)) => (Some("text/plain; charset=utf-8"), Bytes::from(text.clone())),
        Some(value) => (Some(JSON), Bytes::from(value.to_string())),
        None if [Method::GET, Method::HEAD, Method::DELETE].contains(&options.method) => (None, Bytes::new()),
        None if options.format == Format::Data && run.data.is_empty() => (Some(JSON), Bytes::from_static(b"null")),
        None if options.format == Format::Data => (Some(JSON), run.data.clone()),
        None => {
            let event = CloudEvent::new(&run.event, &run.data).map_err(wrong)?;
            (Some("application/cloudevents+json"), serde_json::to_vec(&event).map_err(wrong)?.into())
        }
    })
}

async fn signed(
    headers: &mut HeaderMap,
    run: &Run,
    body: &[u8],
    keys: &[String],
    asked: &Asked<'_>,
) -> Result<(), Failure> {
    let (id, now) = (run.id.to_string(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    let mut all = Vec::new();
    for name in keys {
        let key = asked.secret(name).await?;
        all.push(sign::signature(&id, now, body, key.expose()).ok_or_else(|| {
            Failure::new(format!("the secret `{name}` is no key: it is base64, with or without `whsec_` before it"))
        })?);
    }
    for (name, text) in
        [("webhook-id", id), ("webhook-timestamp", now.to_string()), ("webhook-signature", all.join(" "))]
    {
        headers.insert(HeaderName::from_static(name), plain(name, &text)?);
    }
    Ok(())
}
