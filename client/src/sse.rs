//! Server-sent events, read piece by piece as they arrive. Source: the WHATWG HTML standard, section 9.2.
//!
//! Pure: bytes in, events out. What is kept between two pieces is bounded.

/// The longest event that is taken, in bytes: a summary may hold the results of a thousand jobs.
const MAX_EVENT: usize = 64 * 1024 * 1024;

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its kind; `message` where the stream names none.
    pub kind: String,
    /// Its id; empty where it has none.
    pub id: String,
    /// Its data, lines joined by a line feed.
    pub data: String,
}

/// One event is longer than any that Herald sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {MAX_EVENT} bytes")]
pub struct TooLong;

/// What has arrived of the event under way.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    kind: String,
    id: String,
    data: String,
    has_data: bool,
}

impl Parser {
    /// Takes the next piece and hands every event that it completes to `each`.
    ///
    /// # Errors
    /// [`TooLong`]; the stream cannot be read any further.
    pub fn push(&mut self, mut piece: &[u8], mut each: impl FnMut(Event)) -> Result<(), TooLong> {
        // Lines end in LF or CRLF; a lone CR, which the standard also allows, no server that we speak to sends.
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&piece[..end]);
            piece = &piece[end + 1..];
            let line = std::mem::take(&mut self.line);
            if let Some(event) = self.take_line(line.strip_suffix(b"\r").unwrap_or(&line)) {
                each(event);
            }
        }
        self.line.extend_from_slice(piece);
        if self.line.len() + self.data.len() > MAX_EVENT { Err(TooLong) } else { Ok(()) }
    }

    fn take_line(&mut self, line: &[u8]) -> Option<Event> {
        if line.is_empty() {
            return self.dispatch();
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "id" => value.clone_into(&mut self.id),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            // An empty field is a comment, which keeps the connection alive; fields that are not used here are passed over.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let [kind, id, data] = [&mut self.kind, &mut self.id, &mut self.data].map(std::mem::take);
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(Event { kind, id, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] =
        b": hello\n\nevent: summary\nid: 7\ndata: {\"a\":\ndata:1}\n\ndata\r\n\r\nevent: lost\n\nevent: end\ndata: \n\n";

    fn read(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.push(piece, |event| events.push(event)).expect("the stream is short");
        }
        events
    }

    #[test]
    fn comments_are_passed_over_and_lines_of_data_joined() {
        let event = |kind: &str, id: &str, data: &str| Event { kind: kind.into(), id: id.into(), data: data.into() };
        assert_eq!(
            read(&[STREAM]),
            [event("summary", "7", "{\"a\":\n1}"), event("message", "", ""), event("end", "", "")]
        );
    }

    #[test]
    fn an_event_under_way_is_not_told() {
        assert_eq!(read(&[b"event: summary\ndata: 1\n"]), []);
    }

    proptest! {
        #[test]
        fn where_the_pieces_end_makes_no_difference(cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &STREAM[ends[0]..ends[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[STREAM]));
        }
    }
}
