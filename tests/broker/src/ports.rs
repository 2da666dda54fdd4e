//! Ports that stay ours while nothing listens on them.
//!
//! A node that is stopped must find its port free when it comes back. So ports are not taken from the range out of
//! which the system serves outgoing connections (a client that dials a stopped node from there can even meet itself),
//! and a locked file per port keeps other test processes away from it.

use std::{
    fs::{self, File},
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use crate::{Error, artifacts::target, error::io};

/// A port of 127.0.0.1, ours until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// A port on which nothing listens.
    ///
    /// # Errors
    /// There is none, or the lock files cannot be written.
    pub fn free() -> Result<Self, Error> {
        Ok(Self::listening()?.0)
    }

    /// A port, and who listens on it.
    pub(crate) fn listening() -> Result<(Self, TcpListener), Error> {
        let locks = target().join("kafka-ports");
        fs::create_dir_all(&locks).map_err(io(format!("create {}", locks.display())))?;
        let (from, to) = range();
        let count = u64::from(to - from) + 1;
        let start = RandomState::new().hash_one(0);
        for offset in 0..count {
            let number = from + u16::try_from(start.wrapping_add(offset) % count).expect("invariant: below the count");
            let path = locks.join(number.to_string());
            let lock = File::create(&path).map_err(io(format!("create {}", path.display())))?;
            if lock.try_lock().is_err() {
                continue;
            }
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
                return Ok((Self { number, _lock: lock }, listener));
            }
        }
        Err(Error::Ports { from, to })
    }

    /// It, on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// The ports below those of outgoing connections.
fn range() -> (u16, u16) {
    const FROM: u16 = 12_000;
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let low: u16 = text.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(32_768);
    // Where outgoing connections may have nearly any port, there is no better choice than some.
    (FROM, low.max(FROM + 8_000) - 1)
}
