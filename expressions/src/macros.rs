//! `all`, `exists`, `exists_one`, `filter` and `map`, over a list or the keys of a map.

use crate::{
    error::Stop,
    eval::Evaluator,
    node::{Macro, MacroKind, Node},
    value::Value,
};

/// Runs a macro: its variable is on the stack of locals while an element is looked at.
pub(crate) fn run<'a>(evaluator: &Evaluator<'a>, parts: &'a Macro) -> Result<Value<'a>, Stop> {
    let over = evaluator.present(&parts.over)?;
    let elements = over.elements().ok_or_else(|| {
        Stop::failed(parts.over.span, format!("is {}, and a list or a map is wanted here", over.kind()))
    })?;
    evaluator.context.budget.spend(elements.len(), parts.over.span)?;
    let each = |index: usize, node: &'a Node| match elements.get(index) {
        Some(element) => {
            evaluator.locals.borrow_mut().push(element);
            let result = evaluator.eval(node);
            evaluator.locals.borrow_mut().pop();
            result
        }
        None => Ok(Value::Null),
    };
    let test = |index: usize| match &parts.test {
        Some(node) => condition(each(index, node), node),
        None => Ok(true),
    };
    match parts.kind {
        MacroKind::All => decide(elements.len(), test, false),
        MacroKind::Exists => decide(elements.len(), test, true),
        MacroKind::ExistsOne => {
            let mut found = 0;
            for index in 0..elements.len() {
                found += usize::from(test(index)?);
            }
            Ok(Value::Bool(found == 1))
        }
        MacroKind::Map => {
            let mut kept = Vec::new();
            for index in 0..elements.len() {
                if test(index)? {
                    evaluator.context.budget.make(size_of::<Value<'_>>(), parts.over.span)?;
                    match &parts.result {
                        Some(node) => kept.push(each(index, node)?),
                        None => kept.extend(elements.get(index)),
                    }
                }
            }
            Ok(Value::list(kept))
        }
    }
}

fn condition(result: Result<Value<'_>, Stop>, node: &Node) -> Result<bool, Stop> {
    match result? {
        Value::Bool(value) => Ok(value),
        Value::Null => Err(Stop::null(node.span)),
        other => Err(Stop::failed(node.span, format!("is {}, and a condition is true or false", other.kind()))),
    }
}

/// One decisive element decides, whatever the others are; else one without a value leaves the whole without one.
fn decide<'a>(count: usize, test: impl Fn(usize) -> Result<bool, Stop>, decisive: bool) -> Result<Value<'a>, Stop> {
    let mut stopped: Option<Stop> = None;
    for index in 0..count {
        match test(index) {
            Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
            Ok(_) => {}
            Err(stop) => {
                if stopped.is_none() || matches!((&stopped, &stop), (Some(Stop::Absent(_)), Stop::Failed(_))) {
                    stopped = Some(stop);
                }
            }
        }
    }
    stopped.map_or(Ok(Value::Bool(!decisive)), Err)
}
