//! `json(x)`: a value as the text of JSON, on one line. Numbers that were only passed on keep their digits.

use std::{collections::BTreeMap, io};

use serde::Serialize;

use crate::{
    budget::Budget,
    convert::scalar_text,
    error::{Span, Stop},
    value::{List, Map, Value},
};

/// Where the text is made. Each piece is paid for before it is.
pub(crate) struct Writer<'b> {
    budget: &'b Budget,
    span: Span,
    text: Vec<u8>,
    stop: Option<Stop>,
}

/// The text of a value.
pub(crate) fn of(budget: &Budget, value: &Value<'_>, span: Span) -> Result<String, Stop> {
    let mut writer = Writer { budget, span, text: Vec::new(), stop: None };
    writer.value(value)?;
    Ok(String::from_utf8_lossy(&writer.text).into_owned())
}

impl Writer<'_> {
    fn value(&mut self, value: &Value<'_>) -> Result<(), Stop> {
        self.budget.spend(1, self.span)?;
        match value {
            Value::Null => self.json(&()),
            Value::Bool(value) => self.json(value),
            Value::Number(_) => self.text(&scalar_text(value).unwrap_or_default()),
            Value::String(text) => self.json(&**text),
            Value::List(List::Json(items)) => self.json(items),
            Value::Map(Map::Json(map)) => self.json(map),
            Value::List(items) => self.between("[", "]", items.iter(), |writer, item| writer.value(&item)),
            Value::Map(Map::Made(entries)) => {
                // Keys that are written the same are one, of which the last counts, as in what is published.
                let mut members = BTreeMap::new();
                for (key, value) in entries.iter() {
                    let key = scalar_text(key).ok_or_else(|| self.failed("the key of a map is a scalar"))?;
                    self.budget.make(key.len(), self.span)?;
                    members.insert(key, value);
                }
                self.between("{", "}", members.into_iter(), |writer, (key, value)| {
                    writer.json(&*key)?;
                    writer.text(":")?;
                    writer.value(value)
                })
            }
            Value::Bytes(_) => Err(self.failed("bytes have no JSON; convert them with string()")),
            other => self.json(&*scalar_text(other).unwrap_or_default()),
        }
    }

    fn between<T>(
        &mut self,
        open: &str,
        close: &str,
        items: impl Iterator<Item = T>,
        mut item: impl FnMut(&mut Self, T) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.text(open)?;
        for (index, each) in items.enumerate() {
            if index > 0 {
                self.text(",")?;
            }
            item(self, each)?;
        }
        self.text(close)
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Stop> {
        let written = serde_json::to_writer(&mut *self, value);
        match (written, self.stop.take()) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(stop)) => Err(stop),
            (Err(error), None) => Err(self.failed(&error.to_string())),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        self.budget.make(text.len(), self.span)?;
        self.budget.look(text.len() / 32, self.span)?;
        self.text.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn failed(&self, message: &str) -> Stop {
        Stop::failed(self.span, message)
    }
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let paid =
            self.budget.make(bytes.len(), self.span).and_then(|()| self.budget.look(1 + bytes.len() / 32, self.span));
        match paid {
            Ok(()) => self.text.extend_from_slice(bytes),
            Err(stop) => {
                self.stop = Some(stop);
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
