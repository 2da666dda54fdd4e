//! The compiled tree: names resolved, literals prepared, patterns and zones checked.

use std::cmp::Ordering;

use contracts::hasura::{Occasion, Row};
use regex::Regex;

use crate::{error::Span, functions::Function};

/// One expression within the expression.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// How many nodes are on top of one another here, this one counted: how far whoever walks it recurses.
    pub(crate) height: u16,
}

/// A value written in the text.
#[derive(Debug, Clone)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is no 64-bit integer, as JSON would write it: its digits decide, not a float.
    Number(String),
    String(String),
    Bytes(Vec<u8>),
    /// `int`, `string` …, as `type()` returns them.
    Type(&'static str),
}

/// Which variables an expression may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `when` and `data`: the change.
    Change,
    /// `key`: the change, and `data` as it was computed.
    Key,
    /// `when` and `data` of an event that is detected in a scheduled trigger's body.
    Scheduled,
    /// Its `key`.
    ScheduledKey,
    /// `when` and `data` of an event that is detected in an action.
    Action,
    /// Its `key`.
    ActionKey,
    /// What the caller of an action is answered: the action, and the ids of the event.
    Answer,
    /// What an event gives a shared job: `data` and `event`.
    With,
    /// What a job works on: the same, its `params`, and the `payload` that the event was found in.
    Input,
    /// The options of a job: the event, its `params`, and its `input`.
    Job,
}

impl Scope {
    /// That of `when` and `data`.
    pub fn of(occasion: Occasion) -> Self {
        match occasion {
            Occasion::Change => Self::Change,
            Occasion::Scheduled => Self::Scheduled,
            Occasion::Action => Self::Action,
        }
    }

    /// That of `key`.
    pub fn key_of(occasion: Occasion) -> Self {
        match occasion {
            Occasion::Change => Self::Key,
            Occasion::Scheduled => Self::ScheduledKey,
            Occasion::Action => Self::ActionKey,
        }
    }

    /// Whether it is that of a `key`.
    pub fn is_key(self) -> bool {
        matches!(self, Self::Key | Self::ScheduledKey | Self::ActionKey)
    }

    /// Whether there is a change, with its rows.
    pub(crate) fn has_rows(self) -> bool {
        matches!(self, Self::Change | Self::Key)
    }

    /// What stands in the place of the rows: what came with what is no change.
    pub(crate) fn brought(self) -> Option<&'static str> {
        match self {
            Self::Scheduled | Self::ScheduledKey => Occasion::Scheduled.carried(),
            Self::Action | Self::ActionKey | Self::Answer => Occasion::Action.carried(),
            Self::Change | Self::Key | Self::With | Self::Input | Self::Job => None,
        }
    }
}

/// The variables of all scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Var {
    Op,
    Table,
    TableSchema,
    TableName,
    Old,
    New,
    Row,
    Session,
    User,
    Role,
    Trigger,
    Source,
    Received,
    Payload,
    /// A member of a body that is no change: `payload` and `comment` of a scheduled trigger's, `input` of an action's.
    Body(&'static str),
    Data,
    Event,
    Params,
    Input,
}

impl Var {
    /// Whether it is what `table.schema` or `table.name` stands for.
    pub(crate) fn is_part_of_table(self) -> bool {
        matches!(self, Self::TableSchema | Self::TableName)
    }
}

/// `<`, `<=`, `>`, `>=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    /// Whether it holds between two values in this order.
    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// The operators that compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a node does.
#[derive(Debug)]
pub(crate) enum Kind {
    Literal(Literal),
    Var(Var),
    /// A variable of a macro, by its place on the stack of them.
    Local(usize),
    Select(Box<Node>, String),
    Has(Box<Node>, String),
    Index(Box<[Node; 2]>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// `&&` and `||` as long chains, so that an explanation can name the link that broke.
    And(Vec<Node>),
    Or(Vec<Node>),
    If(Box<[Node; 3]>),
    Equal {
        negated: bool,
        sides: Box<[Node; 2]>,
    },
    Compare(Relation, Box<[Node; 2]>),
    Arithmetic(Operator, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Call(Function, Vec<Node>),
    /// `matches` with a pattern that is a literal, compiled once.
    Matches(Box<Node>, Regex),
    Macro(Box<Macro>),
}

/// Which of CEL's macros over lists and maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MacroKind {
    All,
    Exists,
    ExistsOne,
    /// `map`, and `filter`, which makes of each element what it was.
    Map,
}

/// A macro over a list or the keys of a map.
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) kind: MacroKind,
    pub(crate) over: Node,
    /// What is tested; `map` with two arguments tests nothing.
    pub(crate) test: Option<Node>,
    /// What `map` makes of each element that passed.
    pub(crate) result: Option<Node>,
}

impl Node {
    pub(crate) fn new(kind: Kind, span: Span) -> Self {
        let mut node = Self { kind, span, height: 0 };
        node.height = 1 + node.children().into_iter().map(|child| child.height).max().unwrap_or(0);
        node
    }

    /// The rows that it stands for, if it is a variable of them.
    pub(crate) fn rows(&self) -> &'static [Row] {
        match self.kind {
            Kind::Var(Var::Old) => &[Row::Old],
            Kind::Var(Var::New) => &[Row::New],
            // The row after, or where there is none, the row before.
            Kind::Var(Var::Row) => &[Row::Old, Row::New],
            _ => &[],
        }
    }

    /// The parts of this node, in the order of the text.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Literal(_) | Kind::Var(_) | Kind::Local(_) => Vec::new(),
            Kind::Select(inner, _) | Kind::Has(inner, _) | Kind::Not(inner) | Kind::Negate(inner) => vec![inner],
            Kind::Matches(inner, _) => vec![inner],
            Kind::Index(pair) | Kind::Compare(_, pair) | Kind::Arithmetic(_, pair) | Kind::In(pair) => {
                pair.iter().collect()
            }
            Kind::Equal { sides, .. } => sides.iter().collect(),
            Kind::If(parts) => parts.iter().collect(),
            Kind::List(items) | Kind::And(items) | Kind::Or(items) | Kind::Call(_, items) => items.iter().collect(),
            Kind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Kind::Macro(parts) => std::iter::once(&parts.over).chain(&parts.test).chain(&parts.result).collect(),
        }
    }
}
