//! The store: one SQLite file that holds every invocation, and how far `progress` has been read, in one transaction.
//!
//! A row per correlation, with counters once it has more than one invocation, and a row per invocation with its events
//! and jobs inside. [`Writer`] is the only one that writes; what it has read or written of unfinished invocations it
//! remembers. [`Reader`] answers questions beside it.
//!
//! The file is in WAL mode with `synchronous = NORMAL`: a killed process loses nothing, a power cut may lose the last
//! transactions, positions included, which are then read again from the bus. So the bus is advised only of positions
//! that [`Durable::sync`] has made safe.

mod body;
mod error;
mod file;
mod find;
mod list;
mod marks;
mod memory;
mod outbox;
mod reader;
mod row;
mod transaction;
mod trim;
mod writer;

pub use error::StoreError;
pub use file::{Durable, erase};
pub use list::Filter;
pub use outbox::{Announced, Waiting};
pub use reader::{Cursor, Page, Reader, Totals, first_page};
pub use trim::{Kept, Trimmed};
pub use writer::{Applied, Batch, Options, Read, Writer};

#[cfg(test)]
pub(crate) mod tests;
