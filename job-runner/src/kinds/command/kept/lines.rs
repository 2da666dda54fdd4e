//! A program's stdout, line by line; no line takes more memory than an answer may.

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::ChildStdout,
};

use super::super::output::MAX_JSON;

/// How much is read at once, at least.
const CHUNK: usize = 16 * 1024;

/// What was read and not taken.
pub(super) struct Lines<P = ChildStdout> {
    pipe: P,
    buffer: Vec<u8>,
    /// How much of the buffer has been taken.
    taken: usize,
    /// How much of it has no line's end.
    looked: usize,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'l> {
    /// A line, without its end.
    Line(&'l [u8]),
    /// The program has closed its stdout, behind these bytes.
    End(&'l [u8]),
    /// A line that is too long begins like this.
    TooLong(&'l [u8]),
}

impl<P: AsyncRead + Unpin> Lines<P> {
    pub(super) fn new(pipe: P) -> Self {
        Self { pipe, buffer: Vec::new(), taken: 0, looked: 0 }
    }

    /// The next line. Nothing is lost if this is dropped before it has ended.
    pub(super) async fn next(&mut self) -> Next<'_> {
        loop {
            if let Some(at) = self.buffer[self.looked..].iter().position(|byte| *byte == b'\n') {
                let (from, end) = (self.taken, self.looked + at);
                (self.taken, self.looked) = (end + 1, end + 1);
                return Next::Line(&self.buffer[from..end]);
            }
            self.looked = self.buffer.len();
            if self.looked - self.taken > MAX_JSON {
                return Next::TooLong(&self.buffer[self.taken..]);
            }
            // Whatever was taken makes room.
            self.buffer.drain(..self.taken);
            (self.taken, self.looked) = (0, self.buffer.len());
            self.buffer.reserve(CHUNK);
            // What cannot be read any more has ended.
            if !matches!(self.pipe.read_buf(&mut self.buffer).await, Ok(1..)) {
                return Next::End(&self.buffer);
            }
        }
    }

    /// What was read behind the last line.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_however_they_are_cut_and_the_rest_is_told_at_the_end() {
        let pipe = (&b"{\"a\""[..]).chain(&b":1}\n\n{\"b\"}\r\nhalf"[..]);
        let mut lines = Lines::new(pipe);
        assert_eq!(lines.next().await, Next::Line(b"{\"a\":1}"));
        assert_eq!(lines.next().await, Next::Line(b""));
        assert_eq!(lines.rest(), b"{\"b\"}\r\nhalf");
        assert_eq!(lines.next().await, Next::Line(b"{\"b\"}\r"));
        assert_eq!(lines.next().await, Next::End(b"half"));
    }

    #[tokio::test]
    async fn a_line_that_never_ends_takes_no_more_memory_than_an_answer() {
        let mut lines = Lines::new(tokio::io::repeat(b'x'));
        assert!(matches!(lines.next().await, Next::TooLong(line) if line.len() > MAX_JSON));
        assert!(lines.buffer.capacity() <= 4 * MAX_JSON, "{}", lines.buffer.capacity());
    }
}
