//! The layers of a configuration, and how they become one.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    value::{Dict, Value},
};
use serde::de::DeserializeOwned;

use super::{
    error::{ConfigError, translate, unknown_key, wants_a_text, wants_a_word},
    layer::{Layer, scalar, variable},
};

/// What the variables of the environment that are settings begin with; levels are joined by two underscores.
pub const ENV_PREFIX: &str = "HERALD__";

/// Where settings come from; each layer overrides those before it.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    defaults: &'static str,
    file: Option<PathBuf>,
    env: Vec<(String, String)>,
    flags: Vec<(String, String, String)>,
}

impl Layers {
    /// The defaults: TOML, which is also the commented file that users copy from.
    pub fn new(defaults: &'static str) -> Self {
        Self { defaults, ..Self::default() }
    }

    /// With a file, which must exist.
    #[must_use]
    pub fn file(mut self, path: Option<&Path>) -> Self {
        self.file = path.map(Path::to_owned);
        self
    }

    /// With the variables of this process's environment that begin with [`ENV_PREFIX`]:
    /// `HERALD__INGEST__MAX_BODY=8MiB` is `ingest.max-body`.
    ///
    /// # Errors
    /// One of them is not UTF-8.
    pub fn process_env(self) -> Result<Self, ConfigError> {
        let mut env = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)) else { continue };
            let value = value.into_string().map_err(|_| ConfigError::Environment {
                name: name.to_owned(),
                problem: "is not UTF-8; write its value as text",
            })?;
            env.push((name.to_owned(), value));
        }
        Ok(self.env(env))
    }

    /// With these variables as the environment; those without [`ENV_PREFIX`] mean nothing here.
    #[must_use]
    pub fn env(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(variables.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)));
        self.env.sort();
        self
    }

    /// With a flag of the command line (`--port`) that sets a key (`ingest.listen.address`) to a value, which is read as
    /// that of a variable.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.flags.push((flag.into(), key.into(), value.into()));
        self
    }
}

/// Reads a configuration from its layers and checks it whole.
///
/// # Errors
/// [`ConfigError`] names every setting that means nothing or whose value is wrong, where each was set and what to do. No value of a secret is in it.
pub fn load<C: DeserializeOwned>(layers: Layers) -> Result<C, ConfigError> {
    let mut stack = stack(&layers)?;
    let mut wrong = Vec::new();
    if let [defaults, others @ ..] = stack.as_slice() {
        for layer in others {
            values_of_groups(&defaults.values, layer, &layer.values, &mut Vec::new(), &mut wrong);
        }
    }
    // What is laid over a group by a single value hides what was set in it.
    if let Some(error) = ConfigError::of(std::mem::take(&mut wrong)) {
        return Err(error);
    }
    loop {
        let figment = stack.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
        let error = match figment.extract() {
            Ok(config) => return ConfigError::of(wrong).map_or(Ok(config), Err),
            Err(error) => error,
        };
        // `--data 2024` is a path like any other.
        if wants_a_text(&error) && any(&mut stack, |layer| layer.take_as_text(&error.path)) {
            continue;
        }
        // Of a text that is none of a few words serde says which these are, and of other values not.
        if wants_a_word(&error) && any(&mut stack, |layer| layer.show(&error.path)) {
            continue;
        }
        let mut key = unknown_key(&error).unwrap_or_else(|| error.path.clone());
        let place = |key: &[String]| stack.iter().rev().find(|layer| layer.sets(key)).map(|layer| layer.place_of(key));
        wrong.push(translate(error, place));
        // Without it, the next one is seen. An item of a list goes with the list.
        let mut removed = false;
        while !removed && !key.is_empty() {
            // From each of them.
            removed = any(&mut stack, |layer| layer.remove(&key));
            key.pop();
        }
        if !removed && let Some(error) = ConfigError::of(std::mem::take(&mut wrong)) {
            return Err(error);
        }
    }
}

/// Changes each layer but the defaults; tells whether one was changed.
fn any(stack: &mut [Layer], change: impl Fn(&mut Layer) -> bool) -> bool {
    stack.iter_mut().skip(1).filter_map(|layer| change(layer).then_some(())).count() > 0
}

/// Finds single values where the defaults have a group of settings.
fn values_of_groups(
    defaults: &Dict,
    layer: &Layer,
    values: &Dict,
    path: &mut Vec<String>,
    wrong: &mut Vec<ConfigError>,
) {
    for (name, value) in values {
        let Some(Value::Dict(_, group)) = defaults.get(name) else { continue };
        path.push(name.clone());
        match value {
            Value::Dict(_, below) => values_of_groups(group, layer, below, path, wrong),
            _ => {
                let key = path.join(".");
                let first = group.keys().next().map_or_else(|| "name".to_owned(), Clone::clone);
                let example = variable(&format!("{key}.{first}"));
                wrong.push(ConfigError::Group { key, place: layer.place_of(path), example });
            }
        }
        path.pop();
    }
}

/// The variables of the environment from which secrets are read, as in `{ env = "NAME" }`, in any layer.
///
/// # Errors
/// See [`load`].
pub fn secret_variables(layers: &Layers) -> Result<BTreeSet<String>, ConfigError> {
    let mut found = BTreeSet::new();
    for layer in stack(layers)? {
        layer.values.values().for_each(|value| add_secret_variables(value, &mut found));
    }
    Ok(found)
}

fn add_secret_variables(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Dict(_, dict) => {
            found.extend(dict.get("env").and_then(Value::as_str).map(str::to_owned));
            dict.values().for_each(|value| add_secret_variables(value, found));
        }
        Value::Array(_, items) => items.iter().for_each(|value| add_secret_variables(value, found)),
        _ => {}
    }
}

pub(super) fn stack(layers: &Layers) -> Result<Vec<Layer>, ConfigError> {
    let mut stack = vec![Layer::toml("the defaults", layers.defaults)?];
    if let Some(path) = &layers.file {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        stack.push(Layer::toml(path.display().to_string(), text)?);
    }
    for (name, value) in &layers.env {
        stack.push(Layer::variable(name, value)?);
    }
    for (flag, key, value) in &layers.flags {
        let keys: Vec<String> = key.split('.').map(str::to_owned).collect();
        stack.push(Layer::single(format!("the flag `{flag}`"), &keys, scalar(value)));
    }
    Ok(stack)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{
        super::{Auth, Duration, Secrets, Size},
        *,
    };

    const DEFAULTS: &str = "[ingest]\nmax-body = \"4MiB\"\ntimeout = \"30s\"\nretries = 3\n";

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Config {
        ingest: Ingest,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Ingest {
        max_body: Size,
        timeout: Duration,
        retries: u16,
        #[serde(default)]
        auth: Auth,
        #[serde(default)]
        tables: std::collections::BTreeMap<String, Vec<String>>,
    }

    fn env(pairs: &[(&str, &str)]) -> Layers {
        Layers::new(DEFAULTS).env(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn error(layers: Layers) -> String {
        load::<Config>(layers).expect_err("a wrong configuration").to_string()
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("herald.toml");
        std::fs::write(&path, text).expect("written");
        (folder, path)
    }

    #[test]
    fn each_layer_overrides_those_before_it() {
        let (_folder, path) =
            file("[ingest]\nretries = 4\ntimeout = \"1m\"\n[ingest.tables]\n\"public.a.b\" = [\"x\"]\n");
        let layers = env(&[("HERALD__INGEST__TIMEOUT", "500ms"), ("OTHER", "x"), ("HERALD__INGEST__MAX_BODY", "1KiB")])
            .file(Some(&path))
            .flag("--max-body", "ingest.max-body", "2MiB");
        let config: Config = load(layers).expect("a configuration");
        assert_eq!(config.ingest.retries, 4);
        assert_eq!(config.ingest.timeout.get(), std::time::Duration::from_millis(500));
        assert_eq!(config.ingest.max_body, Size::mib(2));
        assert_eq!(config.ingest.tables["public.a.b"], ["x"]);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_a_suggestion() {
        assert_eq!(
            error(env(&[("HERALD__INGEST__MAX_BODDY", "1")])),
            "`ingest.max-boddy` in the environment variable `HERALD__INGEST__MAX_BODDY` is no setting; did you mean \
             `ingest.max-body`?"
        );
        let (_folder, path) = file("[ingest]\nsomething-else = 1\n");
        let text = error(Layers::new(DEFAULTS).file(Some(&path)));
        let place = format!("`ingest.something-else` in {}, line 2 is no setting; possible", path.display());
        assert!(text.starts_with(&place), "{text}");
        assert!(error(Layers::new(DEFAULTS).flag("--x", "ingst.x", "1")).contains("the flag `--x`"));
    }

    #[test]
    fn every_unknown_key_is_named_at_once_with_its_line_and_every_wrong_value() {
        let (_folder, path) =
            file("nothing = 1\n[ingest]\n# so many\nretires = 4\ntimeout = \"soon\"\n[ingst]\na = 1\n");
        let text = error(env(&[("HERALD__INGEST__MAX_BODDY", "1")]).file(Some(&path)));
        assert!(text.starts_with("5 settings cannot be used:\n  - "), "{text}");
        for part in [
            "herald.toml, line 1 is no setting",
            "herald.toml, line 4 is no setting; did you mean `ingest.retries`?",
            "`ingst` in ",
            "herald.toml, line 6 is no setting",
            "`HERALD__INGEST__MAX_BODDY` is no setting",
            "herald.toml, line 5: `soon` is no duration",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_value_for_a_group_is_refused_and_hides_nothing() {
        let text = error(env(&[("HERALD__INGEST", "x"), ("HERALD__INGEST__RETRIES", "5")]));
        assert!(
            text.starts_with("`ingest` in the environment variable `HERALD__INGEST` is a group of settings"),
            "{text}"
        );
        assert!(text.contains("as in HERALD__INGEST__MAX_BODY"), "{text}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key_and_its_place() {
        for (name, value, expected) in [
            (
                "HERALD__INGEST__RETRIES",
                "many",
                "`ingest.retries` in the environment variable `HERALD__INGEST__RETRIES`",
            ),
            ("HERALD__INGEST__TIMEOUT", "30", "write it with a unit"),
            ("HERALD__INGEST__MAX_BODY", "4", "write it with a unit"),
            ("HERALD__INGEST__RETRIES", "70000", "70000"),
        ] {
            let text = error(env(&[(name, value)]));
            assert!(text.contains(expected), "{text}");
        }
        assert!(error(env(&[("HERALD__INGEST____X", "1")])).contains("two underscores"));
        assert_eq!(
            error(Layers::new("[ingest]\nmax-body = \"1KiB\"\ntimeout = \"1s\"\n")),
            "`ingest.retries` is not set; set it in the configuration file, or as HERALD__INGEST__RETRIES"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        assert!(
            error(Layers::new(DEFAULTS).file(Some(Path::new("/no/such/file.toml")))).contains("/no/such/file.toml")
        );
    }

    #[test]
    fn no_error_repeats_what_could_be_a_secret() {
        let (_folder, path) = file("[ingest]\nauth = \"hush-hush\nretries = 1\n");
        let text = error(Layers::new(DEFAULTS).file(Some(&path)));
        assert!(text.contains("line 2") && !text.contains("hush"), "{text}");
        for value in ["{ secret = \"hush-hush\" }", "[[\"hush-hush\"]]", "{ env = \"hush-hush\", file = \"hush\" }"] {
            let text = error(env(&[("HERALD__INGEST__AUTH", value)]));
            assert!(text.contains("ingest.auth") && !text.contains("hush-hush"), "{text}");
        }
    }

    #[test]
    fn a_secret_of_digits_keeps_them() {
        for digits in ["007", "1e5", "1.50", "12345678901234567890123", "4711", "true-ish", "-5"] {
            let config: Config = load(env(&[("HERALD__INGEST__AUTH", digits)])).expect(digits);
            let Auth::Secrets(secrets) = config.ingest.auth else { panic!("{digits}") };
            assert!(Secrets::matches(&secrets, digits.as_bytes()), "{digits}");
        }
    }
}
