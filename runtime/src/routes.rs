//! The routes of an API as a table, so that what there is can be listed and is no list of its own.

use axum::{Router, routing::MethodRouter};

/// A path, and what answers there.
pub type Route<S> = (&'static str, fn() -> MethodRouter<S>);

/// The router of these routes, without a fallback.
pub fn router<S: Clone + Send + Sync + 'static>(routes: &[Route<S>]) -> Router<S> {
    routes.iter().fold(Router::new(), |router, (path, answers)| router.route(path, answers()))
}

/// The paths of these routes.
pub fn paths<S>(routes: &[Route<S>]) -> impl Iterator<Item = &'static str> {
    routes.iter().map(|(path, _)| *path)
}
