//! What may go wrong, and where: mistakes of the text, and evaluations that end without a value.

use crate::budget::NoRoom;

/// A part of the expression's text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// That part of the text.
    pub(crate) fn of<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.start as usize..self.end as usize).unwrap_or(source)
    }
}

/// A mistake in an expression, found before anything ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// Where it begins, in bytes of the expression's text.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where we know.
    pub help: Option<String>,
}

impl CompileError {
    pub(crate) fn new(offset: usize, message: impl Into<String>, help: Option<&str>) -> Self {
        Self { offset, message: message.into(), help: help.map(str::to_owned) }
    }
}

/// Why an evaluation ended without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A column, key or element that the operation needed is missing or null. Passes through operators as an error
    /// does (so `true || absent` is true), but ends as "not detected" instead of as a failure.
    Absent(Absence),
    /// A wrong type, a division by zero, a text that is no timestamp, a budget spent.
    Failed(Box<Failure>),
    /// The value does not fit where it is to go.
    TooLarge(Span, NoRoom),
}

/// What was absent, by its place in the expression; costs nothing to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    pub(crate) span: Span,
    /// Whether it was there as null, or not there at all.
    pub(crate) null: bool,
}

/// An error of the evaluation, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) span: Span,
    pub(crate) message: String,
}

impl Stop {
    /// In words, with the text of the part that was absent or failed.
    pub(crate) fn describe(&self, source: &str) -> String {
        let text = self.span().of(source);
        let message = match self {
            Self::Absent(_) if text == "null" => return "the value is null".to_owned(),
            Self::Absent(Absence { null: true, .. }) => return format!("{text} is null"),
            Self::Absent(_) => return format!("{text} is missing"),
            Self::Failed(failure) => failure.message.clone(),
            Self::TooLarge(_, full) => full.to_string(),
        };
        if message.starts_with("is ") {
            return format!("{text} {message}");
        }
        if text == source.trim() { message } else { format!("{text}: {message}") }
    }

    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Absent(absence) => absence.span,
            Self::Failed(failure) => failure.span,
            Self::TooLarge(span, _) => *span,
        }
    }

    pub(crate) fn failed(span: Span, message: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failure { span, message: message.into() }))
    }

    pub(crate) fn missing(span: Span) -> Self {
        Self::Absent(Absence { span, null: false })
    }

    pub(crate) fn null(span: Span) -> Self {
        Self::Absent(Absence { span, null: true })
    }
}
