//! `GET /v1/raw/{partition}/{offset}/why`: why events happened or did not in a raw record; and `GET /v1/invocations/{id}/why`: the
//! same of an invocation, by the catalog that decided, beside what became of it.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use contracts::{
    ids::InvocationId,
    outcomes::Unavailable,
    raw::{NoPlace, Place},
    summary::Invocation,
    why::Why,
};
use runtime::problem::Problem;
use serde::Serialize;

use super::{Api, failed, json, params::Params, raw::record};

#[derive(Serialize)]
struct Explained {
    invocation: Invocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
}

pub(super) async fn of_invocation(
    State(api): State<Api>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let bad = |_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "an invocation's id is a UUID; `GET /v1/ids/{text}` finds it by its beginning",
        )
    };
    let id: InvocationId = id.parse().map_err(bad)?;
    let found = api.handle.ask(move |reader| reader.invocation(id)).await.map_err(|error| failed(&error))?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("nothing is known of the invocation {id}"));
    let mut invocation = found.ok_or_else(unknown)?;
    api.handle.knows().say_held_of(api.handle.pace(), &mut invocation);
    // What was not decided has no reasons.
    let why = match (api.handle.explains(), invocation.catalog) {
        (Some(explains), Some(catalog)) => Some(explains.why(invocation.raw, Some(catalog)).await.map_err(later)?),
        _ => None,
    };
    Ok(json(&Explained { invocation, why }))
}

fn later(error: Unavailable) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

pub(super) async fn show(
    State(api): State<Api>,
    Path((partition, offset)): Path<(String, String)>,
    params: Params,
) -> Result<Response, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    params.only(&["catalog"])?;
    let raw: Place = format!("{partition}/{offset}").parse().map_err(|error: NoPlace| bad(error.to_string()))?;
    let catalog = params.get("catalog").map(str::parse::<u64>).transpose();
    let catalog = catalog.map_err(|_| bad("`catalog` is the number of a catalog".to_owned()))?;
    let Some(explains) = api.handle.explains() else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "nobody here knows the catalogs"));
    };
    {
        let _turn = api.handle.page_turn().await;
        record(&api, raw).await?;
    }
    let why = explains.why(raw, catalog).await.map_err(later)?;
    Ok(json(&why))
}
