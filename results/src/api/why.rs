//! `GET /v1/raw/{partition}/{offset}/why`: why events did not happen in a raw record.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use contracts::raw::{NoPlace, Place};
use runtime::problem::Problem;

use super::{Api, json, params::Params, raw::record};

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
    let why = explains.why(raw, catalog).await.map_err(|error| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    })?;
    Ok(json(&why))
}
