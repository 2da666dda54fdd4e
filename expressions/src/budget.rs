//! What one evaluation may cost. Whoever writes a catalog is trusted not to be hostile, but not to foresee every row.

use std::{cell::Cell, io};

use serde::Serialize;

use crate::error::{Span, Stop};

/// How many steps one evaluation may take: an operation is one, and looking through something large costs in proportion.
pub(crate) const MAX_STEPS: u32 = 100_000;
/// How many bytes of texts, lists and maps one evaluation may make on its way.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How deeply the text of an expression may nest: brackets, arguments, and choices within choices.
pub(crate) const MAX_DEPTH: usize = 128;
/// How many operators, fields and indexes may each work on the result of the one before, as in `a + b + c`.
pub(crate) const MAX_HEIGHT: usize = 512;
/// How many nodes an expression may have.
pub(crate) const MAX_NODES: usize = 10_000;

/// How many elements, or words of a text, are compared for one step.
const LOOKS: u32 = 32;

/// What is left to one evaluation: steps, and bytes to make.
pub(crate) struct Budget {
    steps: Cell<u32>,
    /// Looked at since the last whole step.
    looks: Cell<u32>,
    bytes: Cell<usize>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { steps: Cell::new(MAX_STEPS), looks: Cell::new(0), bytes: Cell::new(MAX_BYTES) }
    }

    /// How many steps were taken.
    pub(crate) fn spent(&self) -> u32 {
        MAX_STEPS - self.steps.get()
    }

    #[inline]
    pub(crate) fn spend(&self, steps: usize, span: Span) -> Result<(), Stop> {
        match u32::try_from(steps).ok().and_then(|steps| self.steps.get().checked_sub(steps)) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => {
                self.steps.set(0);
                Err(Stop::failed(span, format!("the expression took more than {MAX_STEPS} steps")))
            }
        }
    }

    /// Pays for comparing: so many elements or words, of which a step has [`LOOKS`].
    #[inline]
    pub(crate) fn look(&self, count: usize, span: Span) -> Result<(), Stop> {
        let looks = self.looks.get() as usize + count;
        self.looks.set((looks % LOOKS as usize) as u32);
        self.spend(looks / LOOKS as usize, span)
    }

    /// Pays for a text, list or map of so many bytes, before it is made.
    pub(crate) fn make(&self, bytes: usize, span: Span) -> Result<(), Stop> {
        match self.bytes.get().checked_sub(bytes) {
            Some(left) => {
                self.bytes.set(left);
                Ok(())
            }
            None => {
                self.bytes.set(0);
                Err(Stop::failed(span, format!("the expression made more than {MAX_BYTES} bytes of texts and lists")))
            }
        }
    }
}

/// How many bytes of JSON may still be made. One is shared by all the expressions of one output, so that their sum is
/// bounded.
#[derive(Debug)]
pub struct Room {
    left: Cell<usize>,
    limit: usize,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { left: Cell::new(limit), limit }
    }

    /// Whether more was to be taken than there was.
    pub fn is_full(&self) -> bool {
        self.left.get() == 0
    }

    /// Takes what a value has as JSON, without making it, and looks no further than there is room.
    ///
    /// # Errors
    /// There is not so much left; then nothing is.
    pub fn fit(&self, value: &impl Serialize) -> Result<(), NoRoom> {
        serde_json::to_writer(Taken(self), value).map_err(|_| NoRoom(self.limit))
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// There are not so many left; then none are.
    pub fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(NoRoom(self.limit))
    }
}

/// Counts what is written as taken.
struct Taken<'r>(&'r Room);

impl io::Write for Taken<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.take(bytes.len()).map(|()| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output would be too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("with this it would have more than {0} bytes")]
pub struct NoRoom(usize);
