//! Who may use the API: whoever sends one of its tokens as `Authorization: Bearer`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use crate::{
    config::{Auth, Secrets},
    problem::Problem,
};

/// The router, for whoever sends one of the tokens; for everybody where none is wanted.
///
/// A missing and a wrong token get the same answer, which does not say which it was.
pub fn bearer(router: Router, auth: &Auth) -> Router {
    match auth.secrets() {
        Some(tokens) => router.layer(middleware::from_fn_with_state(Arc::new(tokens.clone()), check)),
        None => router,
    }
}

async fn check(State(tokens): State<Arc<Secrets>>, request: Request, next: Next) -> Response {
    if is_allowed(request.headers(), &tokens) { next.run(request).await } else { refusal().into_response() }
}

/// Whether the headers carry one of the tokens. Compared in constant time.
pub fn is_allowed(headers: &HeaderMap, tokens: &Secrets) -> bool {
    let Some(value) = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) else { return false };
    match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => tokens.matches(token.trim_ascii()),
        _ => false,
    }
}

fn refusal() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "this needs a valid token, sent as `Authorization: Bearer <token>`")
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn only_a_bearer_token_that_is_known_is_allowed() {
        let tokens = Secrets::new(["old", "new"].into_iter().filter_map(Secret::new).collect()).expect("tokens");
        let allowed = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            is_allowed(&headers, &tokens)
        };
        assert!(allowed("Bearer old") && allowed("bearer new") && allowed("BEARER  new"));
        for wrong in ["", "Bearer", "Bearer ", "Bearer olde", "Basic old", "old", "Bearerold"] {
            assert!(!allowed(wrong), "{wrong}");
        }
        assert!(!is_allowed(&HeaderMap::new(), &tokens));
    }
}
