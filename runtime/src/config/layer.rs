//! One layer: its values, and where each of them was set.

use figment::{
    Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::{
    error::ConfigError,
    layers::ENV_PREFIX,
    lines::{key_on, line_of},
};

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").replace('-', "_").to_ascii_uppercase())
}

/// Values that were set together: by a file, a variable or a flag.
pub(super) struct Layer {
    place: String,
    pub(super) values: Dict,
    /// The file's text, where it is one.
    text: String,
}

impl Layer {
    pub(super) fn toml(place: impl Into<String>, text: &str) -> Result<Self, ConfigError> {
        let place = place.into();
        match <Toml as Format>::from_str::<Dict>(text) {
            Ok(values) => Ok(Self { place, values, text: text.to_owned() }),
            // Only the message: the whole error shows the line, and a line may hold a secret.
            Err(error) => {
                let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let message = match error.message() {
                    "number too large to fit in target type" => "this number is larger than any setting can be",
                    other => other,
                };
                let key = key_on(text, line).filter(|_| before.lines().last().is_some_and(|left| left.contains('=')));
                Err(ConfigError::Syntax {
                    place,
                    line,
                    column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
                    message: key.map_or_else(|| message.to_owned(), |key| format!("`{key}` cannot be read: {message}")),
                })
            }
        }
    }

    pub(super) fn variable(name: &str, value: &str) -> Result<Self, ConfigError> {
        let levels = name.strip_prefix(ENV_PREFIX).unwrap_or(name);
        let keys: Vec<String> = levels.split("__").map(|level| level.to_ascii_lowercase().replace('_', "-")).collect();
        if keys.iter().any(String::is_empty) {
            return Err(ConfigError::Environment {
                name: name.to_owned(),
                problem: "names no setting; levels are joined by two underscores, as in HERALD__INGEST__MAX_BODY",
            });
        }
        Ok(Self::single(format!("the environment variable `{name}`"), &keys, scalar(value)))
    }

    pub(super) fn single(place: String, keys: &[String], value: Value) -> Self {
        let whole = keys.iter().rev().fold(value, |value, key| Value::from(Dict::from([(key.clone(), value)])));
        Self { place, values: whole.into_dict().unwrap_or_default(), text: String::new() }
    }

    /// Where it sets a key: with the line, if that can be told.
    pub(super) fn place_of(&self, key: &[String]) -> String {
        let line = line_of(&self.text, key);
        line.map_or_else(|| self.place.clone(), |line| format!("{}, line {line}", self.place))
    }

    /// Takes a key out; tells whether it was there.
    pub(super) fn remove(&mut self, key: &[String]) -> bool {
        self.around(key).is_some_and(|(dict, last)| dict.remove(last).is_some())
    }

    /// Makes a text of the value of a key, as one can be shown; tells whether it was there.
    pub(super) fn show(&mut self, key: &[String]) -> bool {
        let Some((dict, last)) = self.around(key) else { return false };
        let Some(value) = dict.get_mut(last) else { return false };
        *value = Value::from(shown(value));
        true
    }

    /// Takes a number or a truth value of a variable or a flag for the text that it was written as; tells whether it was one.
    pub(super) fn take_as_text(&mut self, key: &[String]) -> bool {
        let is_file = !self.text.is_empty();
        let is_text =
            |(dict, last): (&mut Dict, &str)| matches!(dict.get(last), Some(Value::Num(..) | Value::Bool(..)));
        !is_file && self.around(key).is_some_and(is_text) && self.show(key)
    }

    /// What a key is in, and its own name there.
    fn around<'k>(&mut self, key: &'k [String]) -> Option<(&mut Dict, &'k str)> {
        let (last, parents) = key.split_last()?;
        let mut dict = &mut self.values;
        for parent in parents {
            let Some(Value::Dict(_, below)) = dict.get_mut(parent) else { return None };
            dict = below;
        }
        Some((dict, last))
    }

    pub(super) fn sets(&self, key: &[String]) -> bool {
        let Some((first, rest)) = key.split_first() else { return false };
        let mut value = self.values.get(first);
        for part in rest {
            value = match value {
                Some(Value::Dict(_, dict)) => dict.get(part),
                Some(Value::Array(_, items)) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
        }
        value.is_some()
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        Value::Bool(_, value) => value.to_string(),
        Value::Num(_, number) => number.to_i128().map_or_else(
            || number.to_f64().map_or_else(|| "a number".to_owned(), |number| number.to_string()),
            |number| number.to_string(),
        ),
        _ => "a text".to_owned(),
    }
}

/// The value of a variable or a flag: TOML where it begins as a list, a table or a quoted string; a number or a truth value only
/// where nothing is lost by it (`007` stays text); else the text itself.
pub(super) fn scalar(text: &str) -> Value {
    if text.starts_with(['[', '{', '"']) {
        let parsed = <Toml as Format>::from_str::<Dict>(&format!("value = {text}"));
        if let Some(value) = parsed.ok().and_then(|mut parsed| parsed.remove("value")) {
            return value;
        }
    }
    match text {
        "true" => return Value::from(true),
        "false" => return Value::from(false),
        _ => {}
    }
    if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
        return Value::from(number);
    }
    match text.parse::<f64>() {
        Ok(number) if text.contains('.') && number.to_string() == text => Value::from(number),
        _ => Value::from(text),
    }
}
