//! Stands for `postgres` in a build without it.

use client::exit::Usage;

use super::table::Table;

/// Refuses.
#[expect(clippy::unused_async, reason = "as the other one")]
pub(super) async fn tables(_: &str, _: &str) -> anyhow::Result<Vec<Table>> {
    let refusal = "this herald was built without PostgreSQL: build one with the cargo feature `postgres`, as `cargo build -p herald` does";
    Err(Usage(refusal.to_owned()).into())
}
