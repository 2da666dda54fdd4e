//! Whether the process is alive, and whether its parts are ready.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use crate::{
    problem::read_only,
    routes::{self, Route},
};

/// What outsiders may ask.
pub const ROUTES: [Route<Health>; 2] = [("/healthz", || get(async || "alive\n")), ("/readyz", || get(readyz))];

/// The checks of a process, by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Vec<Entry>>>, Arc<Mutex<Vec<Reporter>>>);

/// What says of a part whether something is wrong with it that leaves the process ready.
#[derive(Clone)]
struct Reporter {
    name: &'static str,
    complaint: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[derive(Debug, Clone, Serialize)]
struct Entry {
    name: &'static str,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether it is told of only while it is not ready.
    #[serde(skip)]
    quiet: bool,
}

#[derive(Serialize)]
struct Answer {
    ready: bool,
    checks: Vec<Entry>,
}

/// One part's own check; not ready until it says so.
#[derive(Debug, Clone)]
pub struct Check {
    health: Health,
    index: usize,
}

impl Health {
    /// A process without checks, which is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part, which is not ready yet.
    pub fn register(&self, name: &'static str) -> Check {
        self.add(Entry { name, ready: false, reason: Some("it is starting".to_owned()), quiet: false })
    }

    /// Adds a part that is ready, and told of only while it is not.
    pub fn watch(&self, name: &'static str) -> Check {
        self.add(Entry { name, ready: true, reason: None, quiet: true })
    }

    fn add(&self, entry: Entry) -> Check {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
        Check { health: self.clone(), index: entries.len() - 1 }
    }

    /// What is wrong, by part; empty where nothing is.
    pub fn troubles(&self) -> Vec<(&'static str, String)> {
        let checks = self.checks();
        checks.into_iter().filter_map(|entry| Some((entry.name, entry.reason?))).collect()
    }

    fn checks(&self) -> Vec<Entry> {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        checks.retain(|entry| !(entry.quiet && entry.ready));
        let reporters = self.1.lock().unwrap_or_else(PoisonError::into_inner).clone();
        checks.extend(reporters.iter().map(|Reporter { name, complaint }| Entry {
            name,
            ready: true,
            reason: complaint(),
            quiet: false,
        }));
        checks
    }

    /// Adds a part that never keeps the process from being ready: what is wrong with it is told all the same. It is asked
    /// whenever somebody asks the process.
    pub fn report(&self, name: &'static str, complaint: impl Fn() -> Option<String> + Send + Sync + 'static) {
        let mut reporters = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        reporters.push(Reporter { name, complaint: Arc::new(complaint) });
    }

    /// Whether every part is ready.
    pub fn is_ready(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().all(|entry| entry.ready)
    }

    /// `/healthz`: 200 while the process answers at all. `/readyz`: 200 if every part is ready, else 503, with each part's
    /// reason; a part that is ready and has one is in trouble that leaves the process ready. No secret is wanted, so each
    /// connection ends with its answer: nobody can hold one with them.
    pub fn router(&self) -> Router {
        const CLOSE: [(header::HeaderName, HeaderValue); 1] = [(header::CONNECTION, HeaderValue::from_static("close"))];
        let routes = routes::router(&ROUTES).method_not_allowed_fallback(read_only);
        routes.layer(map_response(async |response: Response| (CLOSE, response))).with_state(self.clone())
    }
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let checks = health.checks();
    let ready = checks.iter().all(|entry| entry.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Answer { ready, checks }))
}

impl Check {
    /// The part is ready.
    pub fn ready(&self) {
        self.set(true, None);
    }

    /// The part is not ready, because.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(false, Some(reason.into()));
    }

    fn set(&self, ready: bool, reason: Option<String>) {
        let mut entries = self.health.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(self.index) {
            entry.ready = ready;
            entry.reason = reason;
        }
    }
}
