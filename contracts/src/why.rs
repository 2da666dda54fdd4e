//! Why events did not happen in a raw record, as the API answers it: made on demand, never while deciding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    outcomes::{BoxFuture, Unavailable},
    progress::{Undetected, is_none_left},
    raw::Place,
};

/// Why events did not happen in a raw record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The raw record.
    pub raw: Place,
    /// The number of the catalog that was asked.
    pub catalog: u64,
    /// Why no event looked at it at all, or why no reasons can be given, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Events of the change's table that did not happen, with the reason: first those that looked at it, then those that are
    /// about another operation or source.
    #[serde(default)]
    pub undetected: Vec<Undetected>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_none_left")]
    pub undetected_more: u64,
}

impl Why {
    /// No more than a sentence.
    pub fn only(raw: Place, catalog: u64, because: impl Into<String>) -> Self {
        Self { raw, catalog, because: Some(because.into()), undetected: vec![], undetected_more: 0 }
    }
}

/// Whoever can read raw records and knows the catalogs that decided.
pub trait Explains: Send + Sync + 'static {
    /// Why events did not happen in a raw record, by the catalog of that number, or by the one that counts now. What is no
    /// longer there is said in [`Why::because`].
    ///
    /// # Errors
    /// The bus cannot be asked now.
    fn why(&self, raw: Place, catalog: Option<u64>) -> BoxFuture<'_, Result<Why, Unavailable>>;
}
