//! W3C Trace Context, level 1: the `traceparent` that ties the log lines of one request together across processes.
//!
//! Source: <https://www.w3.org/TR/trace-context-1/>, section 3.2.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    num::{NonZeroU64, NonZeroU128},
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// A trace, the place in it, and whether it is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: NonZeroU128,
    parent: NonZeroU64,
    flags: u8,
}

/// The text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case and not all zeros")]
pub struct NoTraceParent;

/// The flag of a sampled trace.
const SAMPLED: u8 = 1;

impl TraceParent {
    /// A new trace, not sampled.
    pub fn generate() -> Self {
        let (high, low) = (random(), random());
        let trace = u128::from(high.get()) << 64 | u128::from(low.get());
        Self { trace: NonZeroU128::new(trace).unwrap_or(NonZeroU128::MIN), parent: random(), flags: 0 }
    }

    /// Whether the trace is sampled.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// From ids as B3 writes them: 32 or 16 hex digits of the trace, 16 of the span, `1`, `true` or `d` if sampled.
    ///
    /// Source: <https://github.com/openzipkin/b3-propagation>; a trace id of 64 bits is the lower half of one of 128.
    pub fn from_b3(trace: &str, span: &str, sampled: Option<&str>) -> Option<Self> {
        if !matches!(trace.len(), 16 | 32) || span.len() != 16 {
            return None;
        }
        Some(Self {
            trace: NonZeroU128::new(hex(&trace.to_ascii_lowercase())?)?,
            parent: NonZeroU64::new(hex(&span.to_ascii_lowercase())? as u64)?,
            flags: if matches!(sampled, Some("1" | "true" | "d")) { SAMPLED } else { 0 },
        })
    }

    /// From the one header `b3`: `<trace>-<span>`, then, where they are told, `-<sampled>` and `-<parent>`. The lone
    /// decision `0` names no trace.
    ///
    /// Source: <https://github.com/openzipkin/b3-propagation#single-header>.
    pub fn from_b3_single(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(4, '-');
        Self::from_b3(parts.next()?, parts.next()?, parts.next())
    }
}

impl FromStr for TraceParent {
    type Err = NoTraceParent;
    fn from_str(text: &str) -> Result<Self, NoTraceParent> {
        let parse = || {
            let mut parts = text.splitn(5, '-');
            let mut part = |length| parts.next().filter(|part| part.len() == length).and_then(hex);
            let (version, trace, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
            // 255 is no version; those above 0 may have more parts, of which nothing is known.
            if version == 0xff || (version == 0 && parts.next().is_some()) {
                return None;
            }
            Some(Self {
                trace: NonZeroU128::new(trace)?,
                parent: NonZeroU64::new(parent as u64)?,
                flags: flags as u8 & SAMPLED,
            })
        };
        parse().ok_or(NoTraceParent)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

/// Lower-case hex digits only: `from_str_radix` would take a sign and capitals.
fn hex(text: &str) -> Option<u128> {
    let digits = !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Ids must be unique, not secret: a counter through a keyed hash whose key is drawn once per process.
fn random() -> NonZeroU64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    NonZeroU64::new(KEY.hash_one(COUNT.fetch_add(1, Ordering::Relaxed))).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_traceparent_reads_as_it_was_written() {
        let parsed: TraceParent = VALID.parse().expect("a traceparent");
        assert!(parsed.is_sampled());
        assert_eq!(parsed.to_string(), VALID);
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like";
        assert_eq!(later.parse(), Ok(parsed));
    }

    #[test]
    fn b3_is_read_in_one_header() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let read = |text: &str| TraceParent::from_b3_single(text).map(|trace| trace.to_string());
        for sampled in ["1", "d", "1-05e3ac9a4f6e3b90"] {
            assert_eq!(read(&format!(" {trace}-{span}-{sampled} ")).as_deref(), Some(VALID), "{sampled}");
        }
        for unsampled in ["", "-0", "-0-05e3ac9a4f6e3b90"] {
            assert_eq!(read(&format!("{trace}-{span}{unsampled}")), Some(VALID.replace("-01", "-00")), "{unsampled}");
        }
        assert_eq!(read(&format!("{}-{span}-1", &trace[16..])), Some(VALID.replace(&trace[..16], &"0".repeat(16))));
        for wrong in ["0", "", "-", trace, &format!("{trace}-{trace}-1"), &format!("{}-{span}", "0".repeat(32))] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for wrong in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(wrong.parse::<TraceParent>(), Err(NoTraceParent), "{wrong}");
        }
    }

    #[test]
    fn each_trace_is_another() {
        assert_ne!(TraceParent::generate().to_string()[3..35], TraceParent::generate().to_string()[3..35]);
    }

    #[test]
    fn ids_of_b3_become_a_traceparent() {
        let from = |trace, span, sampled| TraceParent::from_b3(trace, span, sampled).map(|t| t.to_string());
        assert_eq!(
            from("c74abd6e9ebbedf2ee5c232e79afdf73", "d609edaf610bade9", Some("1")).as_deref(),
            Some("00-c74abd6e9ebbedf2ee5c232e79afdf73-d609edaf610bade9-01")
        );
        assert_eq!(
            from("ee5c232e79afdf73", "D609EDAF610BADE9", None).as_deref(),
            Some("00-0000000000000000ee5c232e79afdf73-d609edaf610bade9-00")
        );
        assert_eq!(from("0000000000000000", "d609edaf610bade9", None), None);
        assert_eq!(from("ee5c232e79afdf73", "d609", None), None);
    }
}
