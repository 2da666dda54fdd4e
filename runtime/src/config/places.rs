//! Where settings were set, for what is found wrong with them once all of them are read.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::{
    error::ConfigError,
    layers::{Layers, stack},
};

/// Where each setting was set that is not as in the defaults. No value is in it.
#[derive(Debug, Clone, Default)]
pub struct Places(BTreeMap<String, String>);

impl Places {
    /// Those of the layers.
    ///
    /// # Errors
    /// See [`load`](super::load).
    pub fn of(layers: &Layers) -> Result<Self, ConfigError> {
        let mut found = BTreeMap::new();
        for layer in stack(layers)?.iter().skip(1) {
            each(&layer.values, &mut Vec::new(), &mut |key| {
                found.insert(key.join("."), layer.place_of(key));
            });
        }
        Ok(Self(found))
    }

    /// The text of an error that begins with a setting (`` `bus.partitions` must be … ``), with where that was set.
    pub fn told(&self, error: &str) -> String {
        let parts = error.strip_prefix('`').and_then(|rest| rest.split_once('`'));
        let place = parts.and_then(|(key, rest)| Some((key, self.0.get(&key.replace('"', ""))?, rest)));
        place.map_or_else(|| error.to_owned(), |(key, place, rest)| format!("`{key}` in {place}{rest}"))
    }
}

fn each(values: &Dict, path: &mut Vec<String>, tell: &mut impl FnMut(&[String])) {
    for (name, value) in values {
        path.push(name.clone());
        tell(path);
        if let Value::Dict(_, below) = value {
            each(below, path, tell);
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_its_setting_was_set_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("h.toml");
        std::fs::write(&file, "[ingest]\na = 1\nb = 2\nkeys.\"public.t\" = []\n").expect("written");
        let layers = Layers::new("[ingest]\na = 0\nb = 0\nc = 0\n").file(Some(&file));
        let layers = layers.env([("HERALD__INGEST__B".to_owned(), "3".to_owned())]).flag("--d", "ingest.d", "4");
        let places = Places::of(&layers).expect("places");
        let file = file.display();
        for (error, told) in [
            ("`ingest.a` is small", format!("`ingest.a` in {file}, line 2 is small")),
            ("`ingest.b` is small", "`ingest.b` in the environment variable `HERALD__INGEST__B` is small".to_owned()),
            ("`ingest.c` is small", "`ingest.c` is small".to_owned()),
            ("`ingest.d` is small", "`ingest.d` in the flag `--d` is small".to_owned()),
            ("`ingest.keys.\"public.t\"` has none", format!("`ingest.keys.\"public.t\"` in {file}, line 4 has none")),
            ("the bus is away", "the bus is away".to_owned()),
        ] {
            assert_eq!(places.told(error), told);
        }
    }
}
