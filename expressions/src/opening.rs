//! What a condition begins with. Many conditions of a table begin alike, and where that is false the rest does not matter.

use crate::{
    Expression,
    context::Bindings,
    eval::Evaluator,
    functions::Function,
    node::{Kind, Literal, Node},
};

/// The first of the terms that all have to hold, or the part of it that is asked first.
#[derive(Debug, Clone)]
pub struct Opening {
    condition: Expression,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Whether the column changed, of `changed` and `became`.
    Change,
    /// The term.
    Whole,
}

impl Opening {
    /// The openings of a condition, the broadest first, each with a text that two have only if they are the same.
    pub fn of(condition: &Expression) -> Vec<(String, Self)> {
        let first = first(&condition.root);
        let opening = |part| Self { condition: condition.clone(), part };
        let change = match &first.kind {
            Kind::Call(Function::Changed | Function::Became, arguments) => match &arguments[0].kind {
                Kind::Literal(Literal::String(column)) => Some((format!("changed {column}"), opening(Part::Change))),
                _ => None,
            },
            _ => None,
        };
        // The form for debugging has all of a term, and its places, too.
        change.into_iter().chain([(format!("whole {first:?}"), opening(Part::Whole))]).collect()
    }

    /// Whether it is false, and so the condition. It is asked with fewer steps than the condition would have left: one
    /// that runs out of them is not false here either.
    pub fn is_false(&self, bindings: &Bindings<'_>) -> bool {
        let (evaluator, first) = (Evaluator::new(bindings), first(&self.condition.root));
        let paid = evaluator.context.budget.spend(2, first.span);
        let holds = match (self.part, &first.kind) {
            (Part::Change, Kind::Call(_, arguments)) => evaluator.changed(&arguments[0]),
            _ => evaluator.condition(first),
        };
        paid.is_ok() && holds == Ok(false)
    }
}

fn first(root: &Node) -> &Node {
    if let Kind::And(terms) = &root.kind { &terms[0] } else { root }
}
