//! How large an output may be. What is made here fits the bus, or is said to be too large, and by what.

use std::io;

use bus::{MAX_RECORD, Outgoing};
use catalog::MAX_KEY;
use contracts::json::size;
use serde_json::Value;

/// How many events may be too large before no more data are made: to find it of one takes up to a tenth of a second.
pub(crate) const TOO_LARGE: usize = 16;
/// The most that the outputs of one raw record may have together, in bytes.
pub const MAX_OUTPUTS: usize = 16 * MAX_RECORD;
/// The longest name of a table, trigger, source or user in `progress` and `rejected`, in characters.
const NAME: usize = 256;
/// The longest explanation or error, in characters.
const DETAIL: usize = 1000;
/// How deep the largest leaf is looked for.
const DEPTH: usize = 4;

/// An output that no bus would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// The part of the event that is to blame, as in [`contracts::progress::FailedEvent`].
    pub(crate) stage: String,
    /// What is too large, by how much, and what makes it so.
    pub(crate) error: String,
}

/// A value as JSON, unless it has more than so many bytes.
fn json(value: &Value, limit: usize) -> Option<Vec<u8>> {
    struct Bounded {
        out: Vec<u8>,
        limit: usize,
    }
    impl io::Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.out.len() + bytes.len() > self.limit {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            self.out.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut bounded = Bounded { out: Vec::with_capacity(128), limit };
    serde_json::to_writer(&mut bounded, value).is_ok().then_some(bounded.out)
}

/// The path of the largest member of an object, and its bytes.
fn largest(data: &Value) -> (String, usize) {
    let (mut path, mut at, mut bytes) = (String::new(), data, 0);
    for _ in 0..DEPTH {
        let Value::Object(members) = at else { break };
        let found = members.iter().map(|(name, value)| (size(value), name, value)).max_by_key(|(size, ..)| *size);
        let Some((size, name, value)) = found else { break };
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&name_of(name));
        (at, bytes) = (value, size);
    }
    (path, bytes)
}

/// An event of so many bytes whose data are to blame.
fn data_too_large(data: &Value, has: usize) -> TooLarge {
    let error = match largest(data) {
        (path, _) if path.is_empty() => format!("the event has {has} bytes, and at most {MAX_RECORD} are possible"),
        (path, bytes) => format!(
            "the event has {has} bytes, and at most {MAX_RECORD} are possible; the largest leaf is `{path}` with {bytes} bytes"
        ),
    };
    TooLarge { stage: "data".into(), error }
}

/// The data of an event, if an event can have so much.
///
/// # Errors
/// They are larger than any record may be.
pub(crate) fn data(data: &Value) -> Result<Vec<u8>, TooLarge> {
    json(data, MAX_RECORD).ok_or_else(|| data_too_large(data, size(data)))
}

/// Whether a key is short enough, before it is copied.
///
/// # Errors
/// It is not.
pub(crate) fn key(key: &[u8]) -> Result<(), TooLarge> {
    if key.len() <= MAX_KEY {
        return Ok(());
    }
    let error = format!("the key has {} bytes, and at most {MAX_KEY} are possible", key.len());
    Err(TooLarge { stage: "key".into(), error })
}

/// Whether an event with these data fits.
///
/// # Errors
/// It does not: its data or a header is too large.
pub(crate) fn event(event: &Outgoing, data: &Value) -> Result<(), TooLarge> {
    let has = event.size();
    if has <= MAX_RECORD {
        return Ok(());
    }
    let header = event
        .headers
        .iter()
        .max_by_key(|(_, value)| value.len())
        .filter(|(_, header)| event.value.as_ref().is_none_or(|value| value.len() < header.len()));
    match header {
        None => Err(data_too_large(data, has)),
        Some((name, value)) => Err(TooLarge {
            stage: name.trim_start_matches("ce_").to_owned(),
            error: format!(
                "the event has {has} bytes, and at most {MAX_RECORD} are possible; the largest part is its header \
                 `{name}` with {} bytes",
                value.len()
            ),
        }),
    }
}

/// An event beyond what one raw record may have written.
pub(crate) fn beyond_all() -> TooLarge {
    TooLarge {
        stage: "data".into(),
        error: format!(
            "the events before it took what those of one change may: {MAX_OUTPUTS} bytes together, or {TOO_LARGE} that are too \
             large"
        ),
    }
}

/// An event beyond those that one record of progress can name.
pub(crate) fn beyond_progress() -> TooLarge {
    TooLarge {
        stage: "jobs".into(),
        error: format!(
            "the events of this change and their jobs are more than a record of {MAX_RECORD} bytes can name"
        ),
    }
}

/// A name for people, cut.
pub(crate) fn name_of(text: &str) -> String {
    cut(text, NAME)
}

/// An explanation or error, cut.
pub(crate) fn detail(text: &str) -> String {
    cut(text, DETAIL)
}

fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
