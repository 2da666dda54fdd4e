//! The answer of the API to a path that nobody serves: the paths that are served.

use axum::http::{StatusCode, Uri};
use runtime::{health, problem::Problem, routes::paths};

use super::{catalogs, schemas};

pub(super) async fn nowhere(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, detail(uri.path()))
}

fn detail(path: &str) -> String {
    if path.len() > 1 && path.ends_with('/') {
        return "no path of the API ends with a slash; ask without it".to_owned();
    }
    let mut known: Vec<&str> = results::api::paths().collect();
    known.extend(paths(&schemas::ROUTES).chain(paths(&catalogs::ROUTES)).chain(paths(&health::ROUTES)));
    known.sort_unstable();
    format!("the API has {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_served_is_listed() {
        let told = super::detail("/v1/job");
        for path in
            ["/healthz", "/v1/catalogs/{number}", "/v1/dead/redrive", "/v1/ids/{text}", "/v1/jobs", "/v1/status"]
        {
            assert!(told.split([' ', ',']).any(|listed| listed == path), "{path}: {told}");
        }
        assert!(super::detail("/v1/jobs/").contains("ends with a slash"));
    }
}
