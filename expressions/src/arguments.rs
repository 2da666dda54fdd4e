//! The arguments of a call: evaluated, present, and of the type that the function wants.

use std::rc::Rc;

use crate::{
    context::Context,
    error::{Span, Stop},
    node::Node,
    value::Value,
};

/// Evaluated arguments; none of them is null.
pub(crate) struct Arguments<'e, 'a> {
    pub(crate) context: &'e Context<'a>,
    pub(crate) span: Span,
    nodes: &'a [Node],
    values: Vec<Value<'a>>,
}

impl<'e, 'a> Arguments<'e, 'a> {
    /// Pays for looking at them.
    pub(crate) fn new(
        context: &'e Context<'a>,
        span: Span,
        nodes: &'a [Node],
        values: Vec<Value<'a>>,
    ) -> Result<Self, Stop> {
        context.budget.spend(values.iter().map(Value::weight).sum(), span)?;
        Ok(Self { context, span, nodes, values })
    }

    pub(crate) fn count(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn value(&self, index: usize) -> &Value<'a> {
        &self.values[index]
    }

    pub(crate) fn text(&self, index: usize) -> Result<&str, Stop> {
        match &self.values[index] {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(index, "a string")),
        }
    }

    /// A text that the call made.
    pub(crate) fn made(&self, text: impl Into<Rc<str>> + AsRef<str>) -> Result<Value<'a>, Stop> {
        self.context.budget.make(text.as_ref().len(), self.span)?;
        Ok(Value::text(text))
    }

    /// How many at most: all, if the argument is not there or negative.
    pub(crate) fn limit(&self, index: usize) -> Result<usize, Stop> {
        match self.values.get(index) {
            None => Ok(usize::MAX),
            Some(Value::Number(number)) if number.whole().is_some_and(|value| value < 0) => Ok(usize::MAX),
            Some(_) => self.position(index),
        }
    }

    /// A position or a count: a whole number that is not negative.
    pub(crate) fn position(&self, index: usize) -> Result<usize, Stop> {
        let Value::Number(number) = &self.values[index] else { return Err(self.wrong(index, "an int")) };
        let value = number.whole().ok_or_else(|| self.wrong(index, "a whole number"))?;
        usize::try_from(value).map_err(|_| Stop::failed(self.nodes[index].span, "the position is negative"))
    }

    /// The error for an argument of the wrong type.
    pub(crate) fn wrong(&self, index: usize, wanted: &str) -> Stop {
        self.wrong_unless(index, wanted, "")
    }

    /// The same, and what to do.
    pub(crate) fn wrong_unless(&self, index: usize, wanted: &str, hint: &str) -> Stop {
        let message = format!("is {}, and {wanted} is wanted here{hint}", self.values[index].kind());
        Stop::failed(self.nodes[index].span, message)
    }

    /// An error of the call as a whole.
    pub(crate) fn failed(&self, message: impl Into<String>) -> Stop {
        Stop::failed(self.span, message)
    }
}
