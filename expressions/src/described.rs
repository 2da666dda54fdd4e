//! What is wrong with an expression where the columns of its rows are known: names that no column has, values that a column never
//! has, and types that do not fit. Each fails, or is never true, for every change of the table.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    error::CompileError,
    functions::Function,
    get, literal,
    node::{Kind, Literal, Node, Operator},
    suggest::closest,
};

/// How many names or values a sentence lists.
const LISTED: usize = 8;
/// What numbers are that JSON has no numbers for: they come as texts.
const NO_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// As what a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A number, also where it is sent as a text.
    Number,
    /// A text: also a time, a UUID, an enum.
    Text,
    /// True or false.
    Bool,
    /// A list.
    List,
    /// Whatever comes.
    Any,
}

/// What is known of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As what it is read.
    pub read: ColumnType,
    /// Its type in the database's words.
    pub written: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// The texts that it can have, where these are known: those of an enum. Else empty.
    pub values: Vec<String>,
}

/// All columns of the rows that an expression sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The table, for messages.
    pub table: String,
    /// Where its columns are described, for messages.
    pub described: String,
    /// The columns, by name.
    pub columns: Arc<BTreeMap<String, Column>>,
}

impl Rows {
    /// What to write where no column has that name.
    pub fn advice(&self, name: &str) -> String {
        match closest(name, self.columns.keys().map(String::as_str)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!(
                "{} has {}; if the table has it, add it there",
                self.described,
                list(self.columns.keys().map(String::as_str))
            ),
        }
    }
}

impl Column {
    /// What to write where the column never has that text.
    pub fn advice(&self, text: &str) -> String {
        match closest(text, self.values.iter().map(String::as_str)) {
            Some(known) => format!("did you mean {known:?}?"),
            None => format!("its values are {}", list(self.values.iter().map(String::as_str))),
        }
    }
}

/// The first of some names, and how many more there are.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let shown = names.take(LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// Everything that is wrong, in the order of the text.
pub(crate) fn misuses(root: &Node, source: &str, rows: &Rows, is_condition: bool) -> Vec<CompileError> {
    let mut look = Look { rows, source, found: Vec::new() };
    if is_condition {
        look.condition(root);
    }
    look.node(root);
    look.found.sort_by_key(|error| error.offset);
    look.found
}

struct Look<'l> {
    rows: &'l Rows,
    source: &'l str,
    found: Vec<CompileError>,
}

impl<'l> Look<'l> {
    fn say(&mut self, at: usize, message: String, help: String) {
        self.found.push(CompileError { offset: at, message, help: Some(help) });
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            Kind::Select(inner, field) | Kind::Has(inner, field) => self.field(inner, field),
            Kind::Index(pair) => match text(&pair[1]) {
                Some(name) if !pair[0].rows().is_empty() => self.exists(name, pair[1].span.start as usize),
                _ => {}
            },
            Kind::Call(function, arguments) if function.is_about_changes() => self.call(arguments),
            Kind::Call(Function::Get, arguments) => self.path(arguments),
            Kind::Call(function, arguments) if function.is_of_text() => self.wants_text(&arguments[0]),
            Kind::Matches(text, _) => self.wants_text(text),
            Kind::And(terms) | Kind::Or(terms) => terms.iter().for_each(|term| self.condition(term)),
            Kind::Not(inner) => self.condition(inner),
            Kind::If(parts) => self.condition(&parts[0]),
            Kind::Equal { sides, .. } => self.equal(sides),
            Kind::Compare(_, sides) => self.compare(sides),
            Kind::In(pair) => self.among(pair),
            Kind::Arithmetic(operator, sides) => self.compute(*operator, sides),
            _ => {}
        }
        node.children().into_iter().for_each(|child| self.node(child));
    }

    fn field(&mut self, inner: &Node, field: &str) {
        let from = inner.span.end as usize;
        let at = self.source.get(from..).and_then(|rest| rest.find(field)).map_or(from, |at| from + at);
        if !inner.rows().is_empty() {
            return self.exists(field, at);
        }
        if let Some((name, column)) = self.column(inner)
            && !matches!(column.read, ColumnType::Any)
        {
            let message = format!("`{name}` is {}, and has no `{field}`", column.written);
            let help = match field.to_lowercase().as_str() {
                "length" | "size" | "count" if matches!(column.read, ColumnType::List | ColumnType::Text) => {
                    format!("write `size({})`", inner.span.of(self.source))
                }
                _ => "only a JSON column has fields".to_owned(),
            };
            self.say(at, message, help);
        }
    }

    fn exists(&mut self, name: &str, at: usize) {
        if !self.rows.columns.contains_key(name) {
            let Rows { table, .. } = self.rows;
            self.say(at, format!("{table} has no column `{name}`"), self.rows.advice(name));
        }
    }

    /// `changed`, `was` and `became`.
    fn call(&mut self, arguments: &[Node]) {
        let Some(name) = arguments.first().and_then(text) else { return };
        self.exists(name, arguments[0].span.start as usize);
        let (Some(column), Some(value)) = (self.rows.columns.get(name), arguments.get(1)) else { return };
        match value.kind {
            Kind::Literal(Literal::Null) if !column.nullable => {
                let message = format!("`{name}` is never null");
                let help = format!("{} says `nullable: false` of it", self.rows.described);
                self.say(value.span.start as usize, message, help);
            }
            _ => self.fits(name, column, value),
        }
    }

    /// `get`, of which the first name of the path is a column's, and the next one within it.
    fn path(&mut self, arguments: &[Node]) {
        let (false, Some(path)) = (arguments[0].rows().is_empty(), text(&arguments[1])) else { return };
        let at = arguments[1].span.start as usize;
        let mut names = get::names(path);
        let (Some(name), within) = (names.next(), names.next()) else { return };
        self.exists(name, at);
        if let Some(column) = self.rows.columns.get(name)
            && let Some(within) = within
            && !matches!(column.read, ColumnType::Any | ColumnType::List)
        {
            let message = format!("`{name}` is {}, and has no `{within}`", column.written);
            self.say(at, message, "only a JSON column has fields".into());
        }
    }

    /// What a function takes that is for texts.
    fn wants_text(&mut self, node: &Node) {
        let Some((name, column)) = self.column(node) else { return };
        if !matches!(column.read, ColumnType::Text | ColumnType::Any) {
            let message = format!("`{name}` is {}, and a text is wanted here", column.written);
            let text = node.span.of(self.source);
            let help = match column.read {
                ColumnType::List => format!("for what is in it write `\"…\" in {text}`"),
                _ => format!("write `string({text})`"),
            };
            self.say(node.span.start as usize, message, help);
        }
    }

    fn equal(&mut self, sides: &[Node; 2]) {
        let [left, right] = sides;
        match (self.column(left), self.column(right)) {
            (Some((name, column)), None) => self.fits(name, column, right),
            (None, Some((name, column))) => self.fits(name, column, left),
            (Some(_), Some(_)) => self.compare(sides),
            _ => {}
        }
    }

    fn among(&mut self, pair: &[Node; 2]) {
        let [left, right] = pair;
        if !right.rows().is_empty()
            && let Some(name) = text(left)
        {
            return self.exists(name, left.span.start as usize);
        }
        if let (Some((name, column)), Kind::List(items)) = (self.column(left), &right.kind) {
            items.iter().for_each(|item| self.fits(name, column, item));
        }
    }

    /// Two sides that have an order with one another, or are equal, only if they are of one type.
    fn compare(&mut self, sides: &[Node; 2]) {
        let [left, right] = sides;
        if let (Some(a), Some(b)) = (self.read(left), self.read(right))
            && a != b
            && (self.column(left).is_some() || self.column(right).is_some())
        {
            let message = format!("{} is compared with {}", self.kind(left, a), self.kind(right, b));
            let number = literal::unquoted(left).or_else(|| literal::unquoted(right));
            let help = match number.filter(|_| [a, b].contains(&ColumnType::Number)) {
                Some(number) => format!("write {number}, without quotes"),
                None => "compare what is of one type".to_owned(),
            };
            self.say(left.span.start as usize, message, help);
        }
    }

    fn compute(&mut self, operator: Operator, sides: &[Node; 2]) {
        let [left, right] = sides;
        let (Some(a), Some(b)) = (self.read(left), self.read(right)) else { return };
        let joins = |read| operator == Operator::Add && matches!(read, ColumnType::Text | ColumnType::List);
        let is_fine = a == b && (a == ColumnType::Number || joins(a));
        if !is_fine && (self.column(left).is_some() || self.column(right).is_some()) {
            let message = format!("cannot compute with {} and {}", self.kind(left, a), self.kind(right, b));
            self.say(left.span.start as usize, message, "`string(x)` makes a text, `num(x)` a number".into());
        }
    }

    /// What stands where true or false is wanted.
    fn condition(&mut self, node: &Node) {
        let Some((name, column)) = self.column(node) else { return };
        let text = node.span.of(self.source);
        let help = match column.read {
            ColumnType::Number => format!("0 and 1 are no truth values: write `{text} == 1`"),
            ColumnType::Text => format!("compare it: `{text} == \"…\"`"),
            ColumnType::List => format!("write `size({text}) > 0`"),
            ColumnType::Bool | ColumnType::Any => return,
        };
        let message = format!("`{name}` is {}, and a condition is true or false", column.written);
        self.say(node.span.start as usize, message, help);
    }

    /// A value that a column is compared with by equality.
    fn fits(&mut self, name: &str, column: &Column, value: &Node) {
        let Kind::Literal(literal) = &value.kind else { return };
        let at = value.span.start as usize;
        let shown = value.span.of(self.source);
        let written = &column.written;
        let (message, help) = match (column.read, literal) {
            (ColumnType::Text, Literal::String(text)) if !column.values.is_empty() && !column.values.contains(text) => {
                (format!("`{name}` is never {text:?}"), column.advice(text))
            }
            (ColumnType::Number, Literal::String(text)) if !NO_NUMBERS.contains(&text.as_str()) => {
                let help = match text.trim().parse::<serde_json::Number>() {
                    Ok(number) => format!("write {number}, without quotes"),
                    Err(_) => "compare it with a number".to_owned(),
                };
                (format!("`{name}` is {written}, a number, which no text equals"), help)
            }
            (ColumnType::Number, Literal::Bool(value)) => (
                format!("`{name}` is {written}, a number: 0 and 1 are no truth values"),
                format!("write {} instead of {shown}", u8::from(*value)),
            ),
            (ColumnType::Text, Literal::Int(_) | Literal::Number(_) | Literal::Bool(_)) => {
                (format!("`{name}` is {written}, a text, which {shown} never equals"), format!("write \"{shown}\""))
            }
            (ColumnType::Bool, Literal::Int(_) | Literal::Number(_) | Literal::String(_)) => {
                let wanted = if matches!(shown.trim_matches(['"', '\'']), "0" | "false" | "f" | "no") {
                    "false"
                } else {
                    "true"
                };
                (format!("`{name}` is {written}, which {shown} never equals"), format!("write {wanted}"))
            }
            (ColumnType::List, Literal::Int(_) | Literal::Number(_) | Literal::String(_) | Literal::Bool(_)) => (
                format!("`{name}` is {written}, a list, which {shown} never equals"),
                format!("for what is in it write `{shown} in new.{name}`"),
            ),
            _ => return,
        };
        self.say(at, message, help);
    }

    /// The column that a node is.
    fn column<'n>(&self, node: &'n Node) -> Option<(&'n str, &'l Column)> {
        let name = match &node.kind {
            Kind::Select(inner, field) if !inner.rows().is_empty() => field,
            Kind::Index(pair) if !pair[0].rows().is_empty() => text(&pair[1])?,
            _ => return None,
        };
        self.rows.columns.get(name).map(|column| (name, column))
    }

    /// As what a column or a literal is read, if that is known.
    fn read(&self, node: &Node) -> Option<ColumnType> {
        let read = match &node.kind {
            Kind::Literal(Literal::Bool(_)) => ColumnType::Bool,
            Kind::Literal(Literal::Int(_) | Literal::Number(_)) => ColumnType::Number,
            Kind::Literal(Literal::String(_)) => ColumnType::Text,
            _ => self.column(node)?.1.read,
        };
        (read != ColumnType::Any).then_some(read)
    }

    fn kind(&self, node: &Node, read: ColumnType) -> String {
        let kind = match read {
            ColumnType::Number => "a number",
            ColumnType::Text => "a text",
            ColumnType::Bool => "a truth value",
            ColumnType::List => "a list",
            ColumnType::Any => "a value",
        };
        format!("{kind} (`{}`)", node.span.of(self.source))
    }
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Literal(Literal::String(text)) => Some(text),
        _ => None,
    }
}
