//! What one evaluation may cost. Whoever writes a catalog is trusted not to be hostile, but not to foresee every row.

use std::cell::Cell;

use super::{Stop, node::Span};

/// How many steps one evaluation may take: an operation is one, and looking through something large costs in proportion.
pub const MAX_STEPS: u32 = 100_000;
/// How long a text may become that an expression makes, in bytes.
pub(crate) const MAX_TEXT: usize = 4 * 1024 * 1024;
/// How many elements a list may have that an expression makes.
pub(crate) const MAX_ELEMENTS: usize = 100_000;
/// How long the text of an expression may be, in bytes.
pub(crate) const MAX_SOURCE: usize = 32 * 1024;
/// How deeply an expression may nest.
pub(crate) const MAX_DEPTH: usize = 64;
/// How many operators the text of an expression may have. The parser recurses over a chain of them, and a stack is
/// finite.
pub(crate) const MAX_OPERATORS: usize = 400;

/// The steps that are left.
pub(crate) struct Budget(Cell<u32>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Cell::new(MAX_STEPS))
    }

    #[inline]
    pub(crate) fn spend(&self, steps: usize, span: Span) -> Result<(), Stop> {
        match u32::try_from(steps).ok().and_then(|steps| self.0.get().checked_sub(steps)) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => {
                self.0.set(0);
                Err(Stop::failed(span, format!("the expression took more than {MAX_STEPS} steps")))
            }
        }
    }
}

/// A text may only become so long.
pub(crate) fn check_text(length: usize, span: Span) -> Result<(), Stop> {
    if length > MAX_TEXT {
        return Err(Stop::failed(span, format!("the text would be longer than {MAX_TEXT} bytes")));
    }
    Ok(())
}

/// A list may only become so long.
pub(crate) fn check_elements(count: usize, span: Span) -> Result<(), Stop> {
    if count > MAX_ELEMENTS {
        return Err(Stop::failed(span, format!("the list would have more than {MAX_ELEMENTS} elements")));
    }
    Ok(())
}
