//! How large a schema is with each `$ref` written out, and whether a part of it contains itself: what it costs to hold data
//! against it, whatever the data.

use std::collections::HashMap;

use serde_json::Value;

use super::broken::Broken;

/// The most parts of a schema, those that are referred to counted each time.
const PARTS: u64 = 100_000;

/// Whether a part of the schema contains itself.
///
/// # Errors
/// It is too large.
pub(super) fn is_recursive(document: &Value) -> Result<bool, Broken> {
    let mut extent = Extent { document, known: HashMap::new(), is_recursive: false };
    if extent.parts(document) > PARTS { Err(Broken::too_large(PARTS)) } else { Ok(extent.is_recursive) }
}

/// Whether lists and objects nest no deeper than so many levels.
pub(super) fn is_shallow(value: &Value, levels: usize) -> bool {
    let mut inner = match value {
        Value::Array(items) if levels > 0 => return items.iter().all(|inner| is_shallow(inner, levels - 1)),
        Value::Object(members) if levels > 0 => members.values(),
        Value::Array(_) | Value::Object(_) => return false,
        _ => return true,
    };
    inner.all(|inner| is_shallow(inner, levels - 1))
}

struct Extent<'d> {
    document: &'d Value,
    /// The parts of what is referred to, by its reference; none while they are counted.
    known: HashMap<&'d str, Option<u64>>,
    is_recursive: bool,
}

impl<'d> Extent<'d> {
    fn parts(&mut self, value: &'d Value) -> u64 {
        let inner: u64 = match value {
            Value::Array(items) => items.iter().fold(0, |sum, inner| self.parts(inner).saturating_add(sum)),
            Value::Object(members) => members.iter().fold(0, |sum, (name, inner)| {
                let parts = match inner.as_str() {
                    Some(reference) if name == "$ref" || name == "$dynamicRef" => self.of(reference),
                    _ => self.parts(inner),
                };
                parts.saturating_add(sum)
            }),
            _ => 0,
        };
        inner.saturating_add(1)
    }

    fn of(&mut self, reference: &'d str) -> u64 {
        match self.known.get(reference) {
            Some(Some(parts)) => return *parts,
            Some(None) => {
                self.is_recursive = true;
                return 1;
            }
            None => {}
        }
        self.known.insert(reference, None);
        let document = self.document;
        let local = reference.split_once('#').map(|(_, local)| local.replace("%25", "%"));
        let target = local.and_then(|local| {
            if local.is_empty() || local.starts_with('/') { document.pointer(&local) } else { anchor(document, &local) }
        });
        let parts = target.map_or(1, |target| self.parts(target));
        self.known.insert(reference, Some(parts));
        parts
    }
}

/// The part that has an anchor of that name.
fn anchor<'d>(value: &'d Value, name: &str) -> Option<&'d Value> {
    match value {
        Value::Array(items) => items.iter().find_map(|inner| anchor(inner, name)),
        Value::Object(members) => {
            let has = |key| members.get(key).and_then(Value::as_str) == Some(name);
            let is_it = has("$anchor") || has("$dynamicAnchor");
            if is_it { Some(value) } else { members.values().find_map(|inner| anchor(inner, name)) }
        }
        _ => None,
    }
}
