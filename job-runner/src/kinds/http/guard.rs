//! Which addresses a host that comes from a row may have: those of the public Internet, and what `allowPrivate` names.
//!
//! Without it whoever may write a row could have Herald call what only Herald can reach: the metadata of a cloud, a database's
//! port, a neighbour without a password. What is looked at is the address that is connected to, whatever led there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What may be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Guard(Vec<Allowed>);

/// Something private that is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Allowed {
    /// Whatever addresses this host has.
    Host(String),
    /// Whatever addresses the hosts below this one have, which is written `*.name`.
    Below(String),
    /// The addresses that share so many first bits with this one.
    Network(IpAddr, u8),
}

/// An address that may not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} is at {address}, {what}, and the host comes from the event: nothing was sent; if it may be called, name it in \
     `allowPrivate`"
)]
pub(super) struct Refused {
    host: String,
    address: IpAddr,
    what: &'static str,
}

impl Guard {
    /// Reads `allowPrivate`.
    pub(super) fn of(list: &serde_json::Value) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`allowPrivate` is {list}; it is a list of hosts, addresses and networks: [a.internal, \"*.svc\", 10.1.0.0/16]"
            )
        };
        let items = list.as_array().ok_or_else(wrong)?;
        let read = |item: &serde_json::Value| {
            let text = item.as_str().ok_or_else(wrong)?;
            Allowed::of(text).ok_or_else(|| format!("`allowPrivate` has {text}, which is no host, address or network"))
        };
        items.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a host may be called at an address.
    pub(super) fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        match not_public(address) {
            Some(what) if !self.0.iter().any(|allowed| allowed.has(host, address)) => {
                Err(Refused { host: host.to_owned(), address, what })
            }
            _ => Ok(()),
        }
    }
}

impl Allowed {
    fn of(text: &str) -> Option<Self> {
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(Self::Network(address, if address.is_ipv4() { 32 } else { 128 }));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
            return (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self::Network(address, bits));
        }
        let name = text.strip_prefix("*.").unwrap_or(text).to_ascii_lowercase();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        is_name.then(|| if text.starts_with("*.") { Self::Below(name) } else { Self::Host(name) })
    }

    fn has(&self, host: &str, address: IpAddr) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        match self {
            Self::Host(name) => host == *name,
            Self::Below(name) => host.strip_suffix(name.as_str()).is_some_and(|below| below.ends_with('.')),
            Self::Network(network, bits) => match (network.to_canonical(), address.to_canonical()) {
                (IpAddr::V4(network), IpAddr::V4(address)) => {
                    let differ = u64::from(network.to_bits() ^ address.to_bits());
                    differ >> (32 - u32::from(*bits).min(32)) == 0
                }
                (IpAddr::V6(network), IpAddr::V6(address)) => {
                    let differ = network.to_bits() ^ address.to_bits();
                    differ.checked_shr(128 - u32::from(*bits)).unwrap_or(0) == 0
                }
                _ => false,
            },
        }
    }
}

/// What an address is, if it is none of the public Internet: the special-purpose registries of IANA (RFC 6890).
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "an unspecified address",
        [127, ..] => "this machine itself",
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => "a private address",
        [169, 254, ..] => "a link-local address",
        [100, 64..=127, ..] => "an address shared within a provider's network",
        [224..=239, ..] => "a multicast address",
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [240..=255, ..] => {
            "a reserved address"
        }
        _ => return None,
    })
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let of_v4 = |high: u16, low: u16| not_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an unspecified address",
        [0, 0, 0, 0, 0, 0, 0, 1] => "this machine itself",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfc00..=0xfdff, ..] => "a unique-local address",
        [0xfec0..=0xfeff, ..] => "a site-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        // Those that carry one of IPv4 are what that one is: NAT64 and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => return of_v4(high, low),
        // Teredo, benchmarking, documentation.
        [0x2001, 0 | 2 | 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => "a reserved address",
        [0x2000..=0x3fff, ..] => return None,
        _ => "a reserved address",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(allowed: serde_json::Value, host: &str, address: &str) -> Result<(), String> {
        let guard = Guard::of(&allowed).expect("a list");
        guard.check(host, address.parse().expect("an address")).map_err(|refused| refused.to_string())
    }

    #[test]
    fn what_is_not_of_the_public_internet_is_refused() {
        for (address, what) in [
            ("0.0.0.0", "unspecified"),
            ("10.1.2.3", "private"),
            ("100.64.0.1", "provider"),
            ("127.0.0.1", "this machine"),
            ("127.255.0.9", "this machine"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("198.18.0.1", "reserved"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "this machine"),
            ("::ffff:10.0.0.1", "private"),
            ("::ffff:7f00:1", "this machine"),
            ("::7f00:1", "reserved"),
            ("64:ff9b::a00:1", "private"),
            ("64:ff9b:1::1", "reserved"),
            ("2002:7f00:1::", "this machine"),
            ("2001:db8::1", "reserved"),
            ("fc00::1", "unique-local"),
            ("fd12:3456::1", "unique-local"),
            ("fe80::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
        ] {
            let error = check(json!([]), "a.example", address).expect_err(address);
            assert!(error.contains(what) && error.starts_with("a.example is at "), "{address}: {error}");
        }
        for address in ["1.1.1.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"]
        {
            assert_eq!(check(json!([]), "a.example", address), Ok(()), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_and_nothing_beside_it() {
        let allowed = || json!(["a.internal", "*.svc", "10.1.0.0/16", "fd00::/8", "192.168.7.7", "0.0.0.0/0"]);
        let without_all = || json!(["a.internal", "*.svc", "10.1.0.0/16", "fd00::/8", "192.168.7.7"]);
        for (host, address, is_fine) in [
            ("a.internal", "10.9.9.9", true),
            ("A.Internal.", "127.0.0.1", true),
            ("b.a.internal", "10.9.9.9", false),
            ("xa.internal", "10.9.9.9", false),
            ("b.svc", "10.9.9.9", true),
            ("svc", "10.9.9.9", false),
            ("b.mysvc", "10.9.9.9", false),
            ("x", "10.1.255.255", true),
            ("x", "::ffff:10.1.2.3", true),
            ("x", "10.2.0.0", false),
            ("x", "fdff::1", true),
            ("x", "fc00::1", false),
            ("x", "192.168.7.7", true),
            ("x", "192.168.7.8", false),
        ] {
            assert_eq!(check(without_all(), host, address).is_ok(), is_fine, "{host} {address}");
        }
        assert!(check(allowed(), "x", "10.2.0.0").is_ok() && check(allowed(), "x", "fc00::1").is_err());
        for wrong in [json!("10.0.0.0/8"), json!([5]), json!(["10.0.0.0/33"]), json!(["a b"]), json!(["*."])] {
            assert!(Guard::of(&wrong).is_err(), "{wrong}");
        }
    }
}
