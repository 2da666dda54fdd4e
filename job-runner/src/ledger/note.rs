//! How a note is written: one character of format, then for each span three numbers: the gap to the span before (to the
//! position, for the first), the length beyond one, and what it is.
//!
//! A number is five bits to a character of base64url, the lowest first; the sixth bit says that more follow. Most numbers
//! are small, so that a span is three or four characters: fewer than bytes in base64 or base85 would take.
//!
//! A span is a row of neighbours of which the same is true. It may cover offsets that are holes or not the job's: those
//! never become anything else.

use bus::{Note, Offset, Position};

use super::Begun;

/// The format that this version writes. A note of it also says that the start of its group is recorded. (Format 1 was
/// bytes, of which no bus is left.)
const FORMAT: char = '2';

/// The digits, by value.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// In a digit: another one of the same number follows.
const MORE: u8 = 0x20;

/// What is known of a span's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// They are finished.
    Finished,
    /// So many attempts of each have begun.
    Begun(Begun),
}

impl Code {
    fn number(self) -> u64 {
        match self {
            Self::Finished => 0,
            Self::Begun(Begun { attempts, told }) => u64::from(attempts) * 2 - u64::from(!told),
        }
    }

    fn of(number: u64) -> Option<Self> {
        if number == 0 {
            return Some(Self::Finished);
        }
        let attempts = u32::try_from(number.div_ceil(2)).ok()?;
        Some(Self::Begun(Begun { attempts, told: number.is_multiple_of(2) }))
    }
}

/// A row of neighbours, from the first to the last offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) code: Code,
}

/// Why a note cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Another version wrote it.
    #[error(
        "its note has format {0:?}, and this version reads format {FORMAT:?}; run the version that wrote it, or a newer one"
    )]
    Format(char),
    /// It is damaged, or something else altogether.
    #[error("its note is damaged at character {0}")]
    Damaged(usize),
}

/// How many characters a span takes.
pub(super) fn weight(gap: u64, length: u64, code: Code) -> usize {
    size(gap) + size(length) + size(code.number())
}

fn size(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(5)
}

/// Writes the note of a position at `next`.
pub(super) fn encode(next: u64, spans: &[Span]) -> Note {
    let mut out = String::from(FORMAT);
    let mut before = next;
    for span in spans {
        for number in [span.first - before, span.last - span.first, span.code.number()] {
            write(&mut out, number);
        }
        before = span.last;
    }
    Note::new(out).expect("invariant: the ledger takes nothing more long before its note is full")
}

fn write(out: &mut String, mut number: u64) {
    loop {
        let (low, rest) = ((number & 0x1f) as u8, number >> 5);
        let digit = if rest > 0 { low | MORE } else { low };
        out.push(DIGITS[usize::from(digit)].into());
        if rest == 0 {
            return;
        }
        number = rest;
    }
}

/// Reads the note of a position. No note at all is that of a position that something else has set.
pub(super) fn decode(position: &Position) -> Result<Vec<Span>, NoteError> {
    let text = position.note.as_str();
    match text.chars().next() {
        None => return Ok(Vec::new()),
        Some(FORMAT) => {}
        Some(other) => return Err(NoteError::Format(other)),
    }
    let bytes = text.as_bytes();
    let mut spans: Vec<Span> = Vec::new();
    let (mut at, mut before) = (1, position.next);
    while at < bytes.len() {
        let damaged = NoteError::Damaged(at);
        let mut number = || read(bytes, &mut at);
        let (Some(gap), Some(length), Some(code)) = (number(), number(), number()) else { return Err(damaged) };
        let first = before.0.checked_add(gap).filter(|_| gap > 0 || spans.is_empty());
        let last = first.and_then(|first| first.checked_add(length)).filter(|last| *last < u64::MAX);
        match (first, last, Code::of(code)) {
            (Some(first), Some(last), Some(code)) => spans.push(Span { first, last, code }),
            _ => return Err(damaged),
        }
        before = Offset(last.unwrap_or_default());
    }
    Ok(spans)
}

fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(5) {
        let digit = value(*bytes.get(*at)?)?;
        *at += 1;
        let bits = u64::from(digit & !MORE);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if digit & MORE == 0 {
            return Some(number);
        }
    }
    None
}

/// The value of a digit.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}
