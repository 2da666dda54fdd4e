//! The operators between two operands: how strongly they bind, and what they make.

use std::mem::discriminant;

use crate::node::{Kind, Node, Operator, Relation};

/// What an operator makes of its operands.
pub(crate) enum Infix {
    Pair(fn(Box<[Node; 2]>) -> Kind),
    Chain(fn(Vec<Node>) -> Kind),
}

/// What stands before an operator, until it is known where its right side ends.
pub(crate) struct Waiting {
    pub(crate) start: u32,
    pub(crate) operand: Node,
    /// The other links of a chain.
    pub(crate) more: Vec<Node>,
    pub(crate) power: u8,
    pub(crate) operator: Infix,
}

impl Waiting {
    /// Whether it has its right side when an operator of this power comes.
    pub(crate) fn ends_before(&self, power: u8) -> bool {
        self.power > power || self.power == power && !matches!(self.operator, Infix::Chain(_))
    }

    /// What it is with its right side.
    pub(crate) fn with(self, right: Node) -> Kind {
        match self.operator {
            Infix::Pair(kind) => kind(Box::new([self.operand, right])),
            Infix::Chain(kind) => chain(kind, [self.operand].into_iter().chain(self.more).chain([right])),
        }
    }
}

/// How strongly an operator binds, and what it makes.
pub(crate) fn infix(text: &str) -> Option<(u8, Infix)> {
    Some(match text {
        "||" => (1, Infix::Chain(Kind::Or)),
        "&&" => (2, Infix::Chain(Kind::And)),
        "==" => (3, Infix::Pair(|sides| Kind::Equal { negated: false, sides })),
        "!=" => (3, Infix::Pair(|sides| Kind::Equal { negated: true, sides })),
        "<" => (3, Infix::Pair(|sides| Kind::Compare(Relation::Less, sides))),
        "<=" => (3, Infix::Pair(|sides| Kind::Compare(Relation::LessOrEqual, sides))),
        ">" => (3, Infix::Pair(|sides| Kind::Compare(Relation::Greater, sides))),
        ">=" => (3, Infix::Pair(|sides| Kind::Compare(Relation::GreaterOrEqual, sides))),
        "in" => (3, Infix::Pair(Kind::In)),
        "+" => (4, Infix::Pair(|sides| Kind::Arithmetic(Operator::Add, sides))),
        "-" => (4, Infix::Pair(|sides| Kind::Arithmetic(Operator::Subtract, sides))),
        "*" => (5, Infix::Pair(|sides| Kind::Arithmetic(Operator::Multiply, sides))),
        "/" => (5, Infix::Pair(|sides| Kind::Arithmetic(Operator::Divide, sides))),
        "%" => (5, Infix::Pair(|sides| Kind::Arithmetic(Operator::Remainder, sides))),
        _ => return None,
    })
}

/// One chain of what brackets made several, so that its length costs no depth.
fn chain(kind: fn(Vec<Node>) -> Kind, terms: impl Iterator<Item = Node>) -> Kind {
    let outer = discriminant(&kind(Vec::new()));
    let links = |term: Node| match discriminant(&term.kind) == outer {
        true => match term.kind {
            Kind::And(links) | Kind::Or(links) => links,
            _ => Vec::new(),
        },
        false => vec![term],
    };
    kind(terms.flat_map(links).collect())
}
