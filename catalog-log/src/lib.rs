//! The catalog on the bus: a table of one record, written by whoever applies a folder and read by every process.
//!
//! Single writer: records are numbered, and of two with one number the first in the log counts; who comes second is told so, and takes
//! its own back. Readers take the highest number, whatever order they come to it.

mod aside;
mod follow;
mod history;
mod log;
mod publish;
mod standing;

pub use aside::aside;
pub use follow::{Follower, News};
pub use history::{Version, history, version, with_job};
pub use log::{Entry, Live, Log, Newest};
pub use publish::{Applied, Draft, Publisher, Writers, on_the_bus, topics_of};
pub use standing::{Standing, home, owner};
