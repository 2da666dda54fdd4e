//! Where to listen, as it is written: an IP address and a port.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use serde::{Deserializer, de};

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address to listen on; write 127.0.0.1:8080 for this machine alone, or 0.0.0.0:8080 for all that reach it"
)]
pub struct NoAddress(String);

/// Reads `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`, which is the first.
///
/// # Errors
/// It is something else. A port alone would leave open who can reach it.
pub fn address(text: &str) -> Result<SocketAddr, NoAddress> {
    let text = text.trim();
    let wrong = || NoAddress(text.to_owned());
    match text.strip_prefix("localhost:") {
        Some(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().map_err(|_| wrong())?))),
        None => text.parse().map_err(|_| wrong()),
    }
}

/// As it stands in a configuration, where a bare port is a number.
struct Written;

impl de::Visitor<'_> for Written {
    type Value = SocketAddr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address to listen on, as in 127.0.0.1:8080")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SocketAddr, E> {
        address(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, port: i64) -> Result<SocketAddr, E> {
        self.visit_str(&port.to_string())
    }

    fn visit_u64<E: de::Error>(self, port: u64) -> Result<SocketAddr, E> {
        self.visit_str(&port.to_string())
    }
}

/// For a setting that is an address.
///
/// # Errors
/// It is none.
pub fn deserialize_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    deserializer.deserialize_any(Written)
}

/// For a setting that may be left out.
///
/// # Errors
/// It is there and no address.
pub fn deserialize_optional_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    deserialize_address(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_this_machine_and_what_leaves_it_open_is_refused_with_both_forms() {
        assert_eq!(address("localhost:8080"), Ok(SocketAddr::from(([127, 0, 0, 1], 8080))));
        assert_eq!(address("[::]:0").map(|it| it.port()), Ok(0));
        for wrong in ["", "8080", ":8080", "127.0.0.1", "localhost", "localhost:x", "herald:8080", "127.0.0.1:99999"] {
            let error = address(wrong).expect_err(wrong).to_string();
            assert!(error.contains("127.0.0.1:8080") && error.contains("0.0.0.0:8080"), "{error}");
        }
    }
}
