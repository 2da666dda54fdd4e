//! Apache Kafka itself, for tests: fetched once from Maven Central, started by the test process, and gone with it.
//!
//! - [`shared`] is enough for most tests: the one broker of this test process, or what `HERALD_TEST_KAFKA` names.
//! - [`Cluster`] is a broker, or three, of one's own, stopped, killed, frozen and started again [`Node`] by node.
//! - [`Proxy`] stands between clients and a node, and cuts the network.
//!
//! All of it blocks; asynchronous tests call what takes long (start, stop) from `spawn_blocking`. Java 17 and Maven are
//! needed, and `./run test` installs them. A node never outlives the process that started it, however that ends:
//! its keeper (`keeper.sh`) sees the end of a pipe, kills Java and removes the folder; the test
//! `a_broker_dies_with_its_process` keeps this.

mod artifacts;
mod cluster;
mod error;
mod node;
mod ports;
mod process;
mod properties;
mod proxy;
mod shared;

pub use artifacts::fetch;
pub use cluster::{Builder, Cluster};
pub use error::Error;
pub use node::Node;
pub use ports::Port;
pub use proxy::Proxy;
pub use shared::{VARIABLE, shared};

use std::time::Duration;

/// How long a node may take to start or to stop. Far more than it takes, since two cores are shared.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);
