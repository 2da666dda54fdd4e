//! Durations and sizes as they are written in a configuration: always with a unit.

use std::{fmt, str::FromStr, time};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written `500ms`, `30s`, `2m`, `1h30m` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Duration(pub time::Duration);

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration; write it with a unit, as in 500ms, 30s, 2m, 1h30m or 7d")]
pub struct NoDuration(String);

/// Units of time and their milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

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
        let wrong = || NoDuration(text.to_owned());
        let (mut rest, mut total) = (text.trim(), 0_u64);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
            let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let part = number.checked_mul(*millis).ok_or_else(wrong)?;
            total = total.checked_add(part).ok_or_else(wrong)?;
            rest = &rest[digits + letters..];
        }
        Ok(Self::millis(total))
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
#[error("`{0}` is no size; write it with a unit, as in 512KiB, 4MiB or 10GB")]
pub struct NoSize(String);

impl Size {
    /// So many KiB.
    pub const fn kib(kib: u64) -> Self {
        Self(kib * 1024)
    }

    /// So many MiB.
    pub const fn mib(mib: u64) -> Self {
        Self(mib * 1024 * 1024)
    }

    /// In bytes.
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
            return Err(NoSize(text.to_owned()));
        }
        text.parse::<bytesize::ByteSize>().map(|size| Self(size.0)).map_err(|_| NoSize(text.to_owned()))
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

    #[test]
    fn durations_carry_units() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(Duration::millis(millis)), "{text}");
        }
        for wrong in ["", "30", "s", "1.5s", "-1s", "30 s", "1y", "99999999999999999999s", "9999999999999999d", "1sé"]
        {
            assert!(wrong.parse::<Duration>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_carry_units() {
        for (text, bytes) in [("4MiB", 4_194_304), ("512KiB", 524_288), ("10GB", 10_000_000_000), ("7B", 7)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for wrong in ["", "4", "MiB", "4 parsecs", "-1MiB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(number in 0..u64::from(u32::MAX) * 1000) {
            prop_assert_eq!(Duration::millis(number).to_string().parse(), Ok(Duration::millis(number)));
            prop_assert_eq!(Size(number % (1 << 50)).to_string().parse(), Ok(Size(number % (1 << 50))));
        }
    }
}
