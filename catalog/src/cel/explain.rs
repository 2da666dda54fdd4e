//! Why a condition did not hold, in a sentence: the part that was false, and the values it saw.
//!
//! An explanation evaluates parts of its condition anew, and is made on demand, for whoever asks: so what it may cost is one
//! [`Effort`], however many parts and conditions it looks at.

use std::{cell::Cell, io};

use serde::Serialize;
use serde_json::Value as Json;

use crate::change::has_old;

use super::{
    Bindings, Expression, MAX_STEPS, Stop,
    convert::scalar_text,
    eval::Evaluator,
    functions::Function,
    node::{Kind, Literal, Node, Var},
    value::Value,
};

/// How much of a value a sentence shows, in characters.
const SHOWN: usize = 80;
/// How many values a sentence shows.
const SHOWN_VALUES: usize = 4;
/// How many bytes explanations may have together.
const MAX_BYTES: usize = 64 * 1024;
/// What is said once the effort is spent.
const SPENT: &str = "explaining it takes more than one explanation may";

/// What explanations may still cost, in steps of evaluation and in bytes of text.
#[derive(Debug)]
pub struct Effort {
    steps: Cell<u64>,
    bytes: Cell<usize>,
}

impl Default for Effort {
    /// Ten evaluations' worth of steps, and 64 KiB.
    fn default() -> Self {
        Self { steps: Cell::new(10 * u64::from(MAX_STEPS)), bytes: Cell::new(MAX_BYTES) }
    }
}

impl Effort {
    /// Whether nothing more is looked at.
    pub fn is_spent(&self) -> bool {
        self.steps.get() == 0 || self.bytes.get() == 0
    }

    fn evaluated(&self, evaluator: &Evaluator<'_>) {
        self.steps.set(self.steps.get().saturating_sub(u64::from(evaluator.budget.spent())));
    }

    fn said(&self, text: String) -> String {
        self.bytes.set(self.bytes.get().saturating_sub(text.len()));
        text
    }
}

pub(crate) struct Explanation<'a, 'e> {
    expression: &'a Expression,
    bindings: Bindings<'a>,
    effort: &'e Effort,
}

impl<'a, 'e> Explanation<'a, 'e> {
    pub(crate) fn new(expression: &'a Expression, bindings: &Bindings<'a>, effort: &'e Effort) -> Self {
        Self { expression, bindings: *bindings, effort }
    }

    /// `None` if the condition holds.
    pub(crate) fn condition(&self) -> Option<String> {
        self.why_not(&self.expression.root)
    }

    fn why_not(&self, node: &'a Node) -> Option<String> {
        if self.effort.is_spent() {
            return Some(SPENT.to_owned());
        }
        let evaluator = Evaluator::new(&self.bindings);
        let outcome = evaluator.condition(node);
        self.effort.evaluated(&evaluator);
        match outcome {
            Ok(true) => None,
            Ok(false) => Some(self.why_false(node)),
            Err(stop) => Some(self.effort.said(self.without_value(&stop))),
        }
    }

    fn without_value(&self, stop: &Stop) -> String {
        let text = self.expression.describe(stop);
        let Some(change) = self.bindings.change else { return text };
        let operation = change.operation();
        match stop {
            Stop::Absent(_) if text.starts_with("old") && !has_old(operation) => {
                format!("{text}: {operation} has no old row")
            }
            Stop::Absent(_) if text.starts_with("new") && change.new_row().is_null() => {
                format!("{text}: {operation} has no new row")
            }
            _ => text,
        }
    }

    fn why_false(&self, node: &'a Node) -> String {
        match &node.kind {
            // The first link that broke is enough: without it nothing else matters.
            Kind::And(terms) => terms.iter().find_map(|term| self.why_not(term)).unwrap_or_default(),
            Kind::Or(terms) => {
                // Each was false, or all of them would not be; once the effort is spent one says so for the rest.
                let mut reasons: Vec<String> = Vec::new();
                for reason in terms.iter().filter_map(|term| self.why_not(term)) {
                    let is_last = reason == SPENT;
                    reasons.push(reason);
                    if is_last {
                        break;
                    }
                }
                reasons.join(", and ")
            }
            _ => self.effort.said(self.leaf(node)),
        }
    }

    fn leaf(&self, node: &'a Node) -> String {
        match &node.kind {
            Kind::Call(Function::Changed, arguments) => self.not_changed(&arguments[0]),
            Kind::Call(Function::Became, arguments) => self.not_became(node, arguments),
            Kind::Call(Function::Was, arguments) => self.was_not(node, arguments),
            Kind::Literal(_) => format!("{} never holds", self.text(node)),
            _ => self.generic(node),
        }
    }

    fn not_changed(&self, column: &'a Node) -> String {
        let (name, old, new) = self.columns(column);
        match (old, new) {
            (Some(_), Some(_)) => format!("{name} did not change"),
            (old, new) => self.no_column(&name, old.is_none(), new.is_none()),
        }
    }

    fn not_became(&self, node: &'a Node, arguments: &'a [Node]) -> String {
        let (name, old, new) = self.columns(&arguments[0]);
        match (old, new) {
            (Some(old), Some(new)) if contracts::json::equal(old, new) => {
                format!("{}: {name} did not change (it is {})", self.text(node), show(new))
            }
            (Some(_), Some(new)) => format!("{}: {name} changed to {}", self.text(node), show(new)),
            (old, new) => self.no_column(&name, old.is_none(), new.is_none()),
        }
    }

    fn was_not(&self, node: &'a Node, arguments: &'a [Node]) -> String {
        let (name, old, _) = self.columns(&arguments[0]);
        match old {
            Some(old) => format!("{}: {name} was {}", self.text(node), show(old)),
            None => self.no_column(&name, true, false),
        }
    }

    fn no_column(&self, name: &str, no_old: bool, no_new: bool) -> String {
        let Some(change) = self.bindings.change else { return format!("there is no column {name}") };
        let operation = change.operation();
        match (no_old, no_new) {
            (true, _) if !has_old(operation) => {
                format!("{operation} has no old row, so {name} has nothing to differ from")
            }
            (_, true) if change.new_row().is_null() => {
                format!("{operation} has no new row, so {name} has no new value")
            }
            (true, true) => format!("neither row has a column {name}"),
            (true, false) => format!("the old row has no column {name}"),
            _ => format!("the new row has no column {name}"),
        }
    }

    fn columns(&self, column: &'a Node) -> (String, Option<&'a Json>, Option<&'a Json>) {
        let evaluator = Evaluator::new(&self.bindings);
        let name = match evaluator.eval(column) {
            Ok(value) => scalar_text(&value).unwrap_or_default(),
            Err(_) => String::new(),
        };
        self.effort.evaluated(&evaluator);
        let Some(change) = self.bindings.change else { return (name, None, None) };
        let (old, new) = (change.old().get(&name), change.new_row().get(&name));
        (name, old, new)
    }

    /// `new.price > 5 is false (new.price = 3)`
    fn generic(&self, node: &'a Node) -> String {
        let mut values = Vec::new();
        self.values(node, &mut values);
        let text = self.text(node);
        if values.is_empty() { format!("{text} is false") } else { format!("{text} is false ({})", values.join(", ")) }
    }

    /// The paths that a part reads, with their values, each once.
    fn values(&self, node: &'a Node, found: &mut Vec<String>) {
        if found.len() >= SHOWN_VALUES {
            return;
        }
        let is_path = match &node.kind {
            Kind::Select(..) | Kind::Index(..) => path(node),
            Kind::Var(var) => !matches!(var, Var::Old | Var::New | Var::Row | Var::Payload | Var::Session),
            _ => false,
        };
        if !is_path {
            node.children().into_iter().for_each(|child| self.values(child, found));
            return;
        }
        if self.effort.is_spent() {
            return;
        }
        let evaluator = Evaluator::new(&self.bindings);
        let shown = match evaluator.eval(node) {
            Ok(value) => format!("{} = {}", self.text(node), show_value(&value)),
            Err(stop) => self.expression.describe(&stop),
        };
        self.effort.evaluated(&evaluator);
        if !found.contains(&shown) {
            found.push(shown);
        }
    }

    fn text(&self, node: &Node) -> String {
        let text = self.expression.text(node.span);
        if text.contains('\n') { text.split_whitespace().collect::<Vec<_>>().join(" ") } else { text.to_owned() }
    }
}

/// Whether a node only walks from a variable to a value.
fn path(node: &Node) -> bool {
    match &node.kind {
        Kind::Var(_) => true,
        Kind::Select(inner, _) => path(inner),
        Kind::Index(pair) => {
            path(&pair[0]) && matches!(pair[1].kind, Kind::Literal(Literal::Int(_) | Literal::String(_)))
        }
        _ => false,
    }
}

/// A value of an evaluation, shortened.
fn show_value(value: &Value<'_>) -> String {
    match value {
        Value::JsonMap(map) => show(map),
        Value::JsonList(items) => show(items),
        Value::Null => show(&Json::Null),
        text if text.as_str().is_some() => show(&text.as_str()),
        other => match scalar_text(other) {
            Some(text) if matches!(other, Value::Timestamp(_) | Value::Duration(_) | Value::Type(_)) => show(&text),
            // A number, whose digits nobody bounds.
            Some(text) => match text.char_indices().nth(SHOWN) {
                Some((at, _)) => format!("{}…", &text[..at]),
                None => text,
            },
            None => other.kind().to_owned(),
        },
    }
}

/// A value as JSON, shortened, and no more of it written than is shown.
fn show(value: &(impl Serialize + ?Sized)) -> String {
    struct First(Vec<u8>);
    impl io::Write for First {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A character has at most four bytes.
            let room = (4 * SHOWN + 4).saturating_sub(self.0.len());
            self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() > room { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut first = First(Vec::new());
    let whole = serde_json::to_writer(&mut first, value).is_ok();
    let text = String::from_utf8_lossy(&first.0);
    match text.char_indices().nth(SHOWN) {
        None if !whole => format!("{text}…"),
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}
