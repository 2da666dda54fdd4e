//! Why a condition did not hold, in a sentence: the part that was false, and the values it saw.

use serde_json::Value as Json;

use crate::change::has_old;

use super::{
    Bindings, Expression, MAX_DATA, Room, Stop,
    convert::{scalar_text, to_json},
    eval::Evaluator,
    functions::Function,
    node::{Kind, Literal, Node, Var},
};

/// How much of a value a sentence shows, in characters.
const SHOWN: usize = 80;
/// How many values a sentence shows.
const SHOWN_VALUES: usize = 4;

pub(crate) struct Explanation<'a> {
    expression: &'a Expression,
    bindings: Bindings<'a>,
}

impl<'a> Explanation<'a> {
    pub(crate) fn new(expression: &'a Expression, bindings: &Bindings<'a>) -> Self {
        Self { expression, bindings: *bindings }
    }

    /// `None` if the condition holds.
    pub(crate) fn condition(&self) -> Option<String> {
        self.why_not(&self.expression.root)
    }

    fn why_not(&self, node: &'a Node) -> Option<String> {
        let outcome = Evaluator::new(&self.bindings).condition(node);
        match outcome {
            Ok(true) => None,
            Ok(false) => Some(self.why_false(node)),
            Err(stop) => Some(self.without_value(&stop)),
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
                let reasons: Vec<String> = terms.iter().filter_map(|term| self.why_not(term)).collect();
                reasons.join(", and ")
            }
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
        let name = match Evaluator::new(&self.bindings).eval(column) {
            Ok(value) => scalar_text(&value).unwrap_or_default(),
            Err(_) => String::new(),
        };
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
        let evaluator = Evaluator::new(&self.bindings);
        let shown =
            match evaluator.eval(node).and_then(|value| to_json(&evaluator, &value, node.span, &Room::new(MAX_DATA))) {
                Ok(value) => format!("{} = {}", self.text(node), show(&value)),
                Err(stop) => self.expression.describe(&stop),
            };
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

/// A value as JSON, shortened.
fn show(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
