//! Records that are joined: of a topic whose values are lines, those that one commit has for one partition become one record.
//!
//! What a record costs (its headers, its place in an index, a call of the client) is then paid once for many facts.

use bytes::Bytes;
use contracts::topics;

use crate::record::{Outgoing, Topic};

/// The most bytes of a value that was joined.
pub const MOST: usize = 256 * 1024;

/// Whether the values of a topic are lines.
pub fn are_in(topic: &Topic) -> bool {
    topics::LINES.contains(&topic.as_str())
}

/// Lines that become one record.
#[derive(Debug)]
pub struct Lines {
    /// The first, whose key stays as long as the others have the same.
    first: Outgoing,
    /// All of them, once there is a second.
    joined: Vec<u8>,
}

impl Lines {
    /// Begins with a record, if it is one of lines that may be joined.
    pub fn begin(record: &Outgoing) -> Option<Self> {
        (are_in(&record.topic) && record.value.is_some() && record.headers.is_empty())
            .then(|| Self { first: record.clone(), joined: Vec::new() })
    }

    /// Adds a record, unless it is none of lines, or there would be more than `most` bytes; answers whether it did.
    pub fn add(&mut self, record: &Outgoing, most: usize) -> bool {
        let (Some(first), Some(next)) = (&self.first.value, &record.value) else { return false };
        let have = if self.joined.is_empty() { first.len() } else { self.joined.len() };
        if record.topic != self.first.topic || !record.headers.is_empty() || have + 1 + next.len() > most {
            return false;
        }
        if self.joined.is_empty() {
            self.joined.reserve(4 * have);
            self.joined.extend_from_slice(first);
        }
        self.joined.push(b'\n');
        self.joined.extend_from_slice(next);
        if record.key != self.first.key {
            self.first.key = None;
        }
        true
    }

    /// The record that they became.
    pub fn finish(self) -> Outgoing {
        let Self { first, joined } = self;
        if joined.is_empty() { first } else { Outgoing { value: Some(Bytes::from(joined)), ..first } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, value: &str) -> Outgoing {
        Outgoing::new(Topic::progress(), key.to_owned(), value.to_owned())
    }

    #[test]
    fn lines_are_joined_and_keep_the_key_that_all_have() {
        let mut lines = Lines::begin(&line("a", "1")).expect("a line");
        assert_eq!(lines.first, line("a", "1"));
        assert!(lines.add(&line("a", "2"), MOST));
        assert_eq!(lines.first.key.as_deref(), Some(&b"a"[..]));
        assert!(lines.add(&line("b", "3"), 5));
        assert!(!lines.add(&line("b", "4"), 5), "there is no room for it");
        assert!(!lines.add(&Outgoing::new("raw", "a", "5"), MOST), "it is of another topic");
        let joined = lines.finish();
        assert_eq!((joined.key, joined.value.as_deref()), (None, Some(&b"1\n2\n3"[..])));
        assert!(Lines::begin(&Outgoing::new("raw", "a", "1")).is_none(), "its records are no lines");
    }

    #[test]
    fn one_alone_is_as_it_was() {
        assert_eq!(Lines::begin(&line("a", "1")).expect("a line").finish(), line("a", "1"));
    }
}
