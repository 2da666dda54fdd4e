//! `herald eval`: the value of an expression, and where it is a condition that does not hold, why.

use std::process::ExitCode;

use catalog::{Change, ChangeParts, MAX_DATA};
use clap::Args;
use client::{
    exit::{self, Usage},
    print::{self, RED},
};
use contracts::hasura;
use expressions::{Bindings, CompileError, Effort, Expression, Room, Scope};
use jiff::Timestamp;
use serde_json::Value;

use super::{detect, given::Given};

/// What `herald eval` is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// An expression, as in `when` and `data`
    #[arg(value_name = "EXPRESSION", allow_hyphen_values = true)]
    expression: String,
    #[command(flatten)]
    given: Given,
}

/// Does it: 0 if it has a value; 1 if it is a condition that does not hold, or has no value.
///
/// # Errors
/// The expression or the payload cannot be used, or stdout cannot be written.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let text = &options.expression;
    let expression = Expression::compile(text, Scope::Change).map_err(|mistakes| Usage(told(text, &mistakes)))?;
    let body = options.given.body()?;
    let parts = ChangeParts { body: hasura::unwrap(&body), source: &options.given.source, received: Timestamp::now() };
    let change = Change::new(parts).map_err(|error| Usage(format!("it is no change of a table: {error}")))?;
    let bindings = Bindings { change: Some(&change), ..Bindings::default() };
    match expression.value(&bindings, &Room::new(MAX_DATA)) {
        Ok(Value::Bool(false)) => {
            print::line("false")?;
            if let Some(why) = expression.why_not(&bindings, &Effort::default()) {
                let mut out = String::new();
                detect::tree(&mut out, &why);
                print::line(out.trim_end())?;
            }
            Ok(ExitCode::from(exit::NO))
        }
        Ok(value) => print::line(&value.to_string()).map(|()| ExitCode::SUCCESS),
        Err(stop) => {
            print::line(&format!("{RED}no value{RED:#}: {}", print::clean(&expression.describe(&stop))))?;
            Ok(ExitCode::from(exit::NO))
        }
    }
}

/// Every mistake, under the text.
fn told(text: &str, mistakes: &[CompileError]) -> String {
    let each = mistakes.iter().map(|mistake| {
        let before = &text[..text.floor_char_boundary(mistake.offset)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let shown = text[before.len() - line.len()..].lines().next().unwrap_or_default();
        let help = mistake.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
        format!("{}\n  | {shown}\n  | {:pad$}^{help}", mistake.message, "", pad = line.chars().count())
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
