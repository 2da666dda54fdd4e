//! Why a condition did not hold: the part that was false, and the values it saw, as a tree, which is also a sentence.
//!
//! An explanation evaluates parts of its condition anew, and is made on demand, for whoever asks: so what it may cost is one
//! [`Effort`], however many parts and conditions it looks at.

use std::{cell::Cell, io};

use contracts::{json, why::Explanation};
use serde::Serialize;
use serde_json::Value as Json;

use crate::{
    budget::MAX_STEPS,
    context::Bindings,
    convert::scalar_text,
    error::{Span, Stop},
    eval::Evaluator,
    functions::Function,
    node::{Kind, Literal, Node, Operator, Var},
    suggest::closest,
    types,
    value::{List, Map, Value},
};

/// How much of a value a sentence shows, in characters.
const SHOWN: usize = 80;
/// How much of the text of a part it shows, in characters.
const SHOWN_TEXT: usize = 1000;
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
        self.steps.set(self.steps.get().saturating_sub(u64::from(evaluator.context.budget.spent())));
    }

    fn said(&self, explanation: Explanation) -> Explanation {
        let Explanation { text, value, because, .. } = &explanation;
        let bytes = [Some(text), value.as_ref(), because.as_ref()].into_iter().flatten().map(String::len).sum();
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
        explanation
    }
}

pub(crate) struct Explainer<'a, 'e> {
    source: &'a str,
    bindings: Bindings<'a>,
    effort: &'e Effort,
}

impl<'a, 'e> Explainer<'a, 'e> {
    pub(crate) fn new(source: &'a str, bindings: &Bindings<'a>, effort: &'e Effort) -> Self {
        Self { source, bindings: *bindings, effort }
    }

    /// `None` if the condition holds.
    pub(crate) fn why_not(&self, node: &'a Node) -> Option<Explanation> {
        if self.effort.is_spent() {
            return Some(self.said(node.span, None, Some(SPENT.to_owned()), Vec::new()));
        }
        let evaluator = Evaluator::new(&self.bindings);
        let outcome = evaluator.condition(node);
        self.effort.evaluated(&evaluator);
        match outcome {
            Ok(true) => None,
            Ok(false) => Some(self.why_false(node)),
            Err(stop) => {
                let mut seen = Vec::new();
                if let (Stop::Failed(_), Some(part)) = (&stop, part_at(node, stop.span())) {
                    part.children().into_iter().for_each(|child| self.values(child, &mut seen));
                }
                Some(self.said(stop.span(), None, Some(self.without_value(&stop)), seen))
            }
        }
    }

    /// What made a condition hold: each of its terms with the values that it saw.
    pub(crate) fn why(&self, node: &'a Node) -> Vec<Explanation> {
        let terms = if let Kind::And(terms) = &node.kind { terms.as_slice() } else { std::slice::from_ref(node) };
        terms.iter().take_while(|_| !self.effort.is_spent()).map(|term| self.held(term)).collect()
    }

    fn held(&self, node: &'a Node) -> Explanation {
        let mut parts = Vec::new();
        match &node.kind {
            // The first that held was enough.
            Kind::Or(terms) => {
                if let Some(term) = terms.iter().find(|term| self.why_not(term).is_none()) {
                    return self.held(term);
                }
            }
            Kind::Call(Function::Changed | Function::Became | Function::Was, arguments) => {
                let (name, old, new) = self.columns(&arguments[0]);
                for (row, value) in [("old", old), ("new", new)] {
                    let Some(value) = value else { continue };
                    let (text, value) = (format!("{row}.{name}"), Some(show(value)));
                    parts.push(self.effort.said(Explanation { text, value, ..Explanation::default() }));
                }
            }
            _ => self.values(node, &mut parts),
        }
        self.said(node.span, Some("true".to_owned()), None, parts)
    }

    /// Why a part was false, in a sentence.
    fn because(&self, node: &Node, because: String) -> Explanation {
        self.said(node.span, no(), Some(because), Vec::new())
    }

    fn said(&self, span: Span, value: Option<String>, because: Option<String>, parts: Vec<Explanation>) -> Explanation {
        self.effort.said(Explanation { text: self.text(span), value, because, parts, ..Explanation::default() })
    }

    fn without_value(&self, stop: &Stop) -> String {
        let text = stop.describe(self.source);
        let Some(change) = self.bindings.change else { return text };
        let operation = change.operation();
        match stop {
            Stop::Absent(_) if text.starts_with("old") && !operation.has_old() => {
                format!("{text}: {operation} has no old row")
            }
            Stop::Absent(_) if text.starts_with("new") && change.new_row().is_null() => {
                format!("{text}: {operation} has no new row")
            }
            _ => text,
        }
    }

    fn why_false(&self, node: &'a Node) -> Explanation {
        match &node.kind {
            // The first link that broke is enough: without it nothing else matters.
            Kind::And(terms) => {
                let broken = terms.iter().find_map(|term| self.why_not(term));
                broken.unwrap_or_else(|| self.seen(node))
            }
            Kind::Or(terms) => {
                // Each was false, or all of them would not be; once the effort is spent one says so for the rest.
                let mut parts: Vec<Explanation> = Vec::new();
                for part in terms.iter().filter_map(|term| self.why_not(term)) {
                    let is_last = part.because.as_deref() == Some(SPENT);
                    parts.push(part);
                    if is_last {
                        break;
                    }
                }
                Explanation { any_of: true, ..self.said(node.span, no(), None, parts) }
            }
            Kind::Call(Function::Changed, arguments) => self.because(node, self.not_changed(&arguments[0])),
            Kind::Call(Function::Became, arguments) => {
                let near = near(self.columns(&arguments[0]).2.and_then(Json::as_str), &arguments[1]);
                self.nearly(near, self.because(node, self.not_became(node, arguments)))
            }
            Kind::Call(Function::Was, arguments) => {
                let near = near(self.columns(&arguments[0]).1.and_then(Json::as_str), &arguments[1]);
                self.nearly(near, self.because(node, self.was_not(node, arguments)))
            }
            Kind::Equal { negated: false, sides } => {
                let near = self.near_to(&sides[0], &sides[1]).or_else(|| self.near_to(&sides[1], &sides[0]));
                self.nearly(near, self.seen(node))
            }
            Kind::In(sides) => self.nearly(self.near_to(&sides[0], &sides[1]), self.seen(node)),
            Kind::Literal(_) => self.because(node, format!("{} never holds", self.text(node.span))),
            _ => self.seen(node),
        }
    }

    /// Says what was nearly there; of a value that differs in case alone, that it does.
    fn nearly(&self, near: Option<Near>, explanation: Explanation) -> Explanation {
        match near {
            None => explanation,
            Some(Near::Slip(meant)) => Explanation { meant: Some(meant), ..explanation },
            Some(Near::Case(told)) => match explanation.because {
                Some(because) => Explanation { because: Some(format!("{because}; {told}")), ..explanation },
                None => {
                    let mut explanation = explanation;
                    explanation.parts.push(Explanation::only(told));
                    explanation
                }
            },
        }
    }

    fn near_to(&self, found: &'a Node, wanted: &'a Node) -> Option<Near> {
        if !path(found) && (!is_step(found) || within_macro(found)) {
            return None;
        }
        let evaluator = Evaluator::new(&self.bindings);
        let value = evaluator.eval(found).ok();
        self.effort.evaluated(&evaluator);
        match value? {
            Value::String(found) => near(Some(&found), wanted),
            _ => None,
        }
    }

    /// A condition that was false, with the values that it saw.
    fn seen(&self, node: &'a Node) -> Explanation {
        let mut values = Vec::new();
        self.values(node, &mut values);
        self.said(node.span, no(), None, values)
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
            (Some(old), Some(new)) if json::equal(old, new) => {
                format!("{}: {name} did not change (it is {})", self.text(node.span), show(new))
            }
            (Some(_), Some(new)) => format!("{}: {name} changed to {}", self.text(node.span), show(new)),
            (old, new) => self.no_column(&name, old.is_none(), new.is_none()),
        }
    }

    fn was_not(&self, node: &'a Node, arguments: &'a [Node]) -> String {
        let (name, old, _) = self.columns(&arguments[0]);
        match old {
            Some(old) => format!("{}: {name} was {}", self.text(node.span), show(old)),
            None => self.no_column(&name, true, false),
        }
    }

    fn no_column(&self, name: &str, no_old: bool, no_new: bool) -> String {
        let Some(change) = self.bindings.change else { return format!("there is no column {name}") };
        let operation = change.operation();
        match (no_old, no_new) {
            (true, _) if !operation.has_old() => {
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

    /// The paths that a part is made of, and what was computed of them, with their values, each once.
    fn values(&self, node: &'a Node, found: &mut Vec<Explanation>) {
        if found.len() >= SHOWN_VALUES || self.effort.is_spent() {
            return;
        }
        let is_step = is_step(node) && !within_macro(node);
        let is_path = match &node.kind {
            Kind::Select(..) | Kind::Index(..) => path(node),
            Kind::Var(var) => !matches!(
                var,
                Var::Old
                    | Var::New
                    | Var::Row
                    | Var::Payload
                    | Var::Session
                    | Var::Body("payload" | "input" | "action")
            ),
            _ => false,
        };
        let mut parts = Vec::new();
        if !is_path {
            let into = if is_step { &mut parts } else { &mut *found };
            node.children().into_iter().for_each(|child| self.values(child, into));
        }
        if is_path || is_step {
            let evaluator = Evaluator::new(&self.bindings);
            let (value, because) = match evaluator.eval(node) {
                Ok(value) => (Some(show_value(&value)), None),
                Err(stop) => (None, Some(stop.describe(self.source))),
            };
            self.effort.evaluated(&evaluator);
            let part = self.said(node.span, value, because, parts);
            if !found.contains(&part) {
                found.push(part);
            }
        }
    }

    fn text(&self, span: Span) -> String {
        let text = span.of(self.source);
        let text = match text.char_indices().nth(SHOWN_TEXT) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        if text.contains('\n') { text.split_whitespace().collect::<Vec<_>>().join(" ") } else { text }
    }
}

/// A text that is wanted, and almost the one that was found.
enum Near {
    /// It differs by no more than a slip: as JSON.
    Slip(String),
    /// It differs by case: a sentence.
    Case(String),
}

fn near(found: Option<&str>, wanted: &Node) -> Option<Near> {
    let text = |node: &'_ Node| match &node.kind {
        Kind::Literal(Literal::String(text)) => Some(text.clone()),
        _ => None,
    };
    let (found, wanted): (&str, Vec<String>) = match &wanted.kind {
        Kind::List(items) => (found?, items.iter().filter_map(text).collect()),
        _ => (found?, text(wanted).into_iter().collect()),
    };
    let meant = closest(found, wanted.iter().map(String::as_str)).filter(|meant| *meant != found)?;
    if meant.to_lowercase() == found.to_lowercase() {
        return Some(Near::Case(format!("{} is not {}: they differ by case", show(found), show(meant))));
    }
    // Of two letters one is half.
    let is_long = |text: &str| text.chars().nth(2).is_some();
    (is_long(found) && is_long(meant)).then(|| Near::Slip(show(meant)))
}

/// The part of a node that stands there.
fn part_at(node: &Node, span: Span) -> Option<&Node> {
    if node.span == span { Some(node) } else { node.children().into_iter().find_map(|child| part_at(child, span)) }
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

/// Whether the value of a part is shown on the way to its condition's: a quotient, what is computed with times, and what a
/// function makes.
fn is_step(node: &Node) -> bool {
    match &node.kind {
        Kind::Arithmetic(Operator::Divide, _) => true,
        Kind::Arithmetic(..) => types::is_of_time(node) && looks_at_change(node),
        Kind::Call(function, _) => !function.is_about_changes() && !types::is_condition(node) && looks_at_change(node),
        _ => false,
    }
}

/// Whether a part depends on more than what is written in it.
fn looks_at_change(node: &Node) -> bool {
    matches!(node.kind, Kind::Var(_)) || node.children().into_iter().any(looks_at_change)
}

/// Whether a part looks at a variable of a macro, which has a value only within.
fn within_macro(node: &Node) -> bool {
    matches!(node.kind, Kind::Local(_)) || node.children().into_iter().any(within_macro)
}

fn no() -> Option<String> {
    Some("false".to_owned())
}

/// A value of an evaluation, shortened.
fn show_value(value: &Value<'_>) -> String {
    match value {
        Value::Map(Map::Json(map)) => show(map),
        Value::List(List::Json(items)) => show(items),
        Value::Null => show(&Json::Null),
        Value::String(text) => show(&**text),
        Value::Timestamp(_) | Value::Duration(_) | Value::Type(_) => show(&scalar_text(value)),
        other => match scalar_text(other) {
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
