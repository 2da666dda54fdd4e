//! `herald eval`: the value of an expression, and where it is a condition that does not hold, why; once, or line after line.

use std::{io::IsTerminal as _, process::ExitCode};

use catalog::{Change, ChangeParts, MAX_DATA, Occasion};
use clap::Args;
use client::{
    exit::{self, Usage},
    print::{self, RED},
    render::tree,
};
use contracts::hasura;
use expressions::{Bindings, CompileError, Effort, Expression, Room, Scope};
use serde_json::{Value, json};

use super::{
    given::{Body, Given, no_body},
    repl,
};

/// What `herald eval` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// An expression, as in `when` and `data`; without one they are read line by line, and :help says what else there is
    #[arg(value_name = "EXPRESSION", allow_hyphen_values = true)]
    expression: Option<String>,
    #[command(flatten)]
    given: Given,
}

/// Does it: 0 if it has a value; 1 if it is a condition that does not hold, or has no value. Of several lines that are piped in, the
/// worst of each.
///
/// # Errors
/// The expression or the payload cannot be used, or stdout cannot be written.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let Some(text) = &options.expression else {
        let mut body = options.given.body()?;
        if !options.given.is_something() {
            body.value["event"] = json!({ "op": "UPDATE", "data": { "old": {}, "new": {} } });
        }
        return repl::run(body, std::io::stdin().is_terminal());
    };
    // What is wrong with the expression is told before what is wrong with the body, whose kind says what may be named.
    let body = options.given.body();
    let scope = body.as_ref().map_or(Scope::Change, Body::scope);
    let expression = compile(text, scope)?;
    let (told, holds) = evaluate(&expression, &body?)?;
    print::line(&told)?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(exit::NO) })
}

/// Compiles an expression.
///
/// # Errors
/// Its mistakes, each under the text.
pub(super) fn compile(text: &str, scope: Scope) -> Result<Expression, Usage> {
    Expression::compile(text, scope).map_err(|mistakes| Usage(told(text, &mistakes)))
}

/// The value of an expression, or what it lacks, as it is shown; and whether it has a value that is not false.
///
/// # Errors
/// The body is no change of a table.
pub(super) fn evaluate(expression: &Expression, given: &Body) -> Result<(String, bool), Usage> {
    let body = hasura::unwrap(&given.value);
    let parts = ChangeParts { body, source: &given.source, received: given.received };
    let change = Change::of(Occasion::of(body), parts).map_err(|error| Usage(no_body(&error)))?;
    let bindings = Bindings { change: Some(&change), ..Bindings::default() };
    Ok(match expression.value(&bindings, &Room::new(MAX_DATA)) {
        Ok(Value::Bool(false)) => {
            let mut out = "false\n".to_owned();
            if let Some(why) = expression.why_not(&bindings, &Effort::default()) {
                tree::clause(&mut out, &why);
            }
            (out.trim_end().to_owned(), false)
        }
        Ok(value) => (value.to_string(), true),
        Err(stop) => (format!("{RED}no value{RED:#}: {}", print::clean(&expression.describe(&stop))), false),
    })
}

/// Every mistake, under the text.
fn told(text: &str, mistakes: &[CompileError]) -> String {
    let each = mistakes.iter().map(|mistake| {
        let before = &text[..text.floor_char_boundary(mistake.offset)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let shown = text[before.len() - line.len()..].lines().next().unwrap_or_default();
        let help = mistake.help.as_ref().map(|help| format!("\n  help: {}", catalog::shown(help))).unwrap_or_default();
        let (message, shown) = (catalog::shown(&mistake.message), catalog::shown(shown));
        format!("{message}\n  | {shown}\n  | {:pad$}^{help}", "", pad = line.chars().count())
    });
    each.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_shown_under_the_text() {
        let text = "true &&\n  \u{e9} == chnaged(\"a\")";
        let text = text.replace('\u{e9}', "\"é\"");
        let mistakes = Expression::compile(&text, Scope::Change).expect_err("a mistake");
        assert_eq!(told(&text, &mistakes).lines().nth(2), Some("  |          ^"));
    }
}
