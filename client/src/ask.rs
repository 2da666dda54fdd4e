//! A question to the API whose answer is one JSON document.

use serde::de::DeserializeOwned;

use crate::{
    address::Api,
    http::{Call, Error},
};

/// Asks for a path, which begins with `/` and may have a query.
///
/// # Errors
/// The API cannot be reached, refuses, or answers something else.
pub async fn ask<T: DeserializeOwned>(api: &Api, path: &str) -> anyhow::Result<T> {
    let answer = Call::get(&api.api, path).token(api.token.as_deref())?.answer().await?;
    let unexpected =
        |error: serde_json::Error| Error::Unexpected { base: api.api.to_string(), reason: error.to_string() };
    Ok(serde_json::from_slice(&answer).map_err(unexpected)?)
}

/// The answer; none where there is none (404), for whatever reason.
///
/// # Errors
/// As of [`ask`].
pub async fn known<T: DeserializeOwned>(api: &Api, path: &str) -> anyhow::Result<Option<T>> {
    match ask(api, path).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.downcast_ref::<Error>().and_then(Error::status) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}
