//! Arguments of the form `name=value`: these programs are started by another one.

use std::{collections::BTreeMap, error::Error, str::FromStr};

pub(crate) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// From what stands behind the program's name.
    ///
    /// # Errors
    /// One is not `name=value`.
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let pair = |argument: String| {
            let pair = argument.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| format!("`{argument}` is not name=value"))
        };
        Ok(Self(given.map(pair).collect::<Result<_, _>>()?))
    }

    /// The text of an argument that must be there.
    ///
    /// # Errors
    /// It is missing.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Box<dyn Error>> {
        Ok(self.0.get(name).ok_or_else(|| format!("`{name}=` is missing"))?)
    }

    /// An argument, or what it is when it is missing.
    ///
    /// # Errors
    /// It cannot be read as what it is.
    pub(crate) fn or<T: FromStr>(&self, name: &str, default: T) -> Result<T, Box<dyn Error>>
    where
        T::Err: std::fmt::Display,
    {
        match self.0.get(name) {
            Some(text) => text.parse().map_err(|error| format!("`{name}={text}`: {error}").into()),
            None => Ok(default),
        }
    }
}
