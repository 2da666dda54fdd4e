//! Durations and sizes as they are written in a configuration: always with a unit.

use std::{fmt, str::FromStr, time};

use contracts::duration::{NoDuration, UNITS, parse};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written as [`contracts::duration`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Duration(pub time::Duration);

impl Duration {
    /// So many seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(time::Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn millis(milliseconds: u64) -> Self {
        Self(time::Duration::from_millis(milliseconds))
    }

    /// The standard library's type.
    pub const fn get(self) -> time::Duration {
        self.0
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Duration {
    type Err = NoDuration;
    fn from_str(text: &str) -> Result<Self, NoDuration> {
        parse(text).map(Self)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in UNITS {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

/// A number of bytes, written `512KiB`, `4MiB`, `10GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

/// The text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSize {
    /// It is something else.
    #[error("`{0}` is no size; write it with a unit, as in 512KiB, 4MiB or 10GB")]
    Other(String),
    /// It is more than a file can have.
    #[error("`{0}` is too much; it can be at most 1024PiB")]
    Large(String),
}

/// The largest size, in bytes.
const LARGEST: u64 = 1 << 60;

impl Size {
    /// So many KiB.
    pub const fn kib(kib: u64) -> Self {
        Self(kib * 1024)
    }

    /// So many MiB.
    pub const fn mib(mib: u64) -> Self {
        Self(mib * 1024 * 1024)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// In bytes, as a length in memory.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Whether it is nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Size {
    type Err = NoSize;
    fn from_str(text: &str) -> Result<Self, NoSize> {
        if !text.ends_with(|last: char| last.is_ascii_alphabetic()) {
            return Err(NoSize::Other(text.to_owned()));
        }
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if size.0 > LARGEST => Err(NoSize::Large(text.to_owned())),
            Ok(size) => Ok(Self(size.0)),
            Err(_) => Err(NoSize::Other(text.to_owned())),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.into_iter().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes)) {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}B", self.0),
        }
    }
}

macro_rules! as_text {
    ($name:ident, $what:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$name, E> {
                        number.to_string().parse().map_err(E::custom)
                    }
                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$name, E> {
                        number.to_string().parse().map_err(E::custom)
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$name, E> {
                        number.to_string().parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
    };
}

as_text!(Duration, "a duration with a unit, as in 500ms, 30s or 2m");
as_text!(Size, "a size with a unit, as in 512KiB or 4MiB");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use contracts::duration::LONGEST;

    #[test]
    fn sizes_carry_units() {
        for (text, bytes) in [("4MiB", 4_194_304), ("512KiB", 524_288), ("10GB", 10_000_000_000), ("7B", 7)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for wrong in ["", "4", "MiB", "4 parsecs", "-1MiB"] {
            assert_eq!(wrong.parse::<Size>(), Err(NoSize::Other(wrong.to_owned())));
        }
        for large in ["99999999999999999999GiB", "2000PiB"] {
            assert_eq!(large.parse::<Size>(), Err(NoSize::Large(large.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(number in 0..=LONGEST) {
            prop_assert_eq!(Duration::millis(number).to_string().parse(), Ok(Duration::millis(number)));
            prop_assert_eq!(Size(number % (1 << 50)).to_string().parse(), Ok(Size(number % (1 << 50))));
        }
    }
}
