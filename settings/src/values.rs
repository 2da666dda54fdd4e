//! Values of the Kafka settings that people write in more than one way.

use std::{collections::BTreeMap, fmt, time};

use runtime::config::{Duration, Secret};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, value::MapAccessDeserializer},
};

/// Brokers: a list, or one text with commas between them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Brokers(Vec<String>);

impl Brokers {
    pub fn list(&self) -> &[String] {
        &self.0
    }

    fn of<'t>(parts: impl Iterator<Item = &'t str>) -> Self {
        Self(parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }
}

impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl<'de> Deserialize<'de> for Brokers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Brokers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of brokers, or one text as in `a:9092,b:9092`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Brokers, E> {
                Ok(Brokers::of(text.split(',')))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Brokers, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element::<String>()? {
                    all.push(item);
                }
                Ok(Brokers::of(all.iter().flat_map(|item| item.split(','))))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A text that may look like a number, as an instance that is called 7.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }
        fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Visitor)
}

/// For how long a topic keeps its records: a duration, or `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention(Option<Duration>);

impl Retention {
    /// None for ever.
    pub(crate) fn get(self) -> Option<time::Duration> {
        self.0.map(Duration::get)
    }
}

impl Serialize for Retention {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(duration) => duration.serialize(serializer),
            None => serializer.serialize_str("forever"),
        }
    }
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match text(deserializer)?.as_str() {
            "forever" => Ok(Self(None)),
            other => match other.parse::<Duration>() {
                Ok(duration) if duration.get().is_zero() => {
                    Err(de::Error::custom("nothing would be kept; write a longer time, or `forever`"))
                }
                Ok(duration) => Ok(Self(Some(duration))),
                Err(error) => Err(de::Error::custom(format!("{error}; or `forever`"))),
            },
        }
    }
}

/// Properties by name, with their values, which may be secrets.
///
/// `"sasl.password" = …`, `sasl.password = …` (which TOML reads as a table in a table) and the environment's
/// `…__PROPERTIES__SASL_PASSWORD` (`sasl-password`) are the same: no property of Kafka has a dash in its name.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Properties(BTreeMap<String, Secret>);

impl Properties {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The values as they are, for whoever must send them.
    pub fn exposed(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut found = Vec::new();
        Level { prefix: "", found: &mut found }.deserialize(deserializer)?;
        // The environment comes later, and wins.
        found.sort_by_key(|(name, _)| name.contains('-'));
        Ok(Self(found.into_iter().map(|(name, value)| (name.replace('-', "."), value)).collect()))
    }
}

/// Topic-level configuration, written as [`Properties`] are; none of it is secret.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config(Properties);

impl Config {
    pub(crate) fn pairs(&self) -> BTreeMap<String, String> {
        self.0.exposed()
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pairs().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Properties::deserialize(deserializer).map(Self)
    }
}

/// One level of tables in tables. A table of `env` or `file` alone is a secret's place.
struct Level<'l> {
    prefix: &'l str,
    found: &'l mut Vec<(String, Secret)>,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Level<'_> {
    fn keep<E: de::Error>(self, text: &str) -> Result<(), E> {
        if self.prefix.is_empty() {
            return Err(E::custom("properties are a table of names and values"));
        }
        let value = Secret::new(text).ok_or_else(|| E::custom(format!("the property `{}` is empty", self.prefix)))?;
        self.found.push((self.prefix.to_owned(), value));
        Ok(())
    }
}

impl<'de> de::Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false, { env = \"NAME\" } or { file = \"path\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.keep(text)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.keep(if value { "true" } else { "false" })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.keep(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.keep(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.keep(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            if !self.prefix.is_empty() && matches!(key.as_str(), "env" | "file") {
                let rest = First { key: Some(key), entries };
                let secret = Secret::deserialize(MapAccessDeserializer::new(rest))?;
                self.found.push((self.prefix.to_owned(), secret));
                return Ok(());
            }
            let name = if self.prefix.is_empty() { key } else { format!("{}.{key}", self.prefix) };
            entries.next_value_seed(Level { prefix: &name, found: &mut *self.found })?;
        }
        Ok(())
    }
}

/// A map whose first key was read already.
struct First<A> {
    key: Option<String>,
    entries: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for First<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.key.take() {
            Some(key) => seed.deserialize(de::value::StringDeserializer::new(key)).map(Some),
            None => self.entries.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.entries.next_value_seed(seed)
    }
}
