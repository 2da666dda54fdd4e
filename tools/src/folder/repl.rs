//! Expressions line after line, against one change that can be looked at and edited: on a terminal with a line editor, else as a
//! script reads its standard input.

use std::{
    io::{self, BufRead as _},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use client::{
    exit::{self, Usage, told},
    print,
};
use contracts::hasura;
use rustyline::{DefaultEditor, error::ReadlineError};

use super::{
    eval,
    given::{self, Body},
    rows,
};

const HELP: &str = "\
An expression shows its value; a condition that does not hold, the clause that decided.
  :payload FILE        what Hasura sends, from a file
  :set new.status=paid a column of a row; without `new.` or `old.` of both
  :show                the change that expressions look at
  :help                this
  :quit                ends it, as Ctrl-D does";

/// Reads lines until there are no more; a line that is wrong is told, and ends nothing. What a script piped in ends with the worst
/// status that any of its lines would have alone.
///
/// # Errors
/// The terminal or standard input cannot be read, or stdout cannot be written.
pub(super) fn run(mut body: Body, is_terminal: bool) -> anyhow::Result<ExitCode> {
    let mut lines = if is_terminal {
        print::note("expressions, as in `when` and `data`; :help says what else there is, :quit ends it");
        Lines::Editor(Box::new(DefaultEditor::new().context("cannot use the terminal")?))
    } else {
        Lines::Stdin
    };
    let mut status = 0;
    while let Some(line) = lines.next()? {
        match answer(line.trim(), &mut body) {
            Ok(Answer::Said(text)) => print::line(&text)?,
            Ok(Answer::Value { text, holds }) => {
                print::line(&text)?;
                status = status.max(if holds { 0 } else { exit::NO });
            }
            Ok(Answer::Nothing) => {}
            Ok(Answer::End) => break,
            Err(error) => {
                print::error(&told(&error));
                status = exit::USAGE;
            }
        }
    }
    Ok(if is_terminal { ExitCode::SUCCESS } else { ExitCode::from(status) })
}

enum Lines {
    Editor(Box<DefaultEditor>),
    Stdin,
}

impl Lines {
    fn next(&mut self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Editor(editor) => match editor.readline("» ") {
                Ok(line) => {
                    // What cannot be kept is only not there when it is asked for.
                    let _ = editor.add_history_entry(&line);
                    Ok(Some(line))
                }
                // Ctrl-C takes the line back.
                Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
                Err(ReadlineError::Eof) => Ok(None),
                Err(error) => Err(error).context("cannot read the terminal"),
            },
            Self::Stdin => {
                let mut line = String::new();
                let read = io::stdin().lock().read_line(&mut line).context("cannot read standard input")?;
                Ok((read > 0).then_some(line))
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Answer {
    Said(String),
    /// Of an expression; and whether it has a value that is not false.
    Value {
        text: String,
        holds: bool,
    },
    Nothing,
    End,
}

fn answer(line: &str, body: &mut Body) -> anyhow::Result<Answer> {
    let (command, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    Ok(match command {
        "" => Answer::Nothing,
        ":quit" | ":q" | ":exit" => Answer::End,
        ":help" | ":h" | ":?" => Answer::Said(HELP.to_owned()),
        ":show" => Answer::Said(serde_json::to_string_pretty(&body.value)?),
        ":payload" if argument.is_empty() => return Err(Usage(":payload takes a file".to_owned()).into()),
        ":payload" => {
            body.value = hasura::unwrap(&given::read(Path::new(argument))?).clone();
            Answer::Nothing
        }
        ":set" => {
            rows::set_in(&mut body.value, argument).map_err(Usage)?;
            Answer::Nothing
        }
        _ if command.starts_with(':') => {
            return Err(Usage(format!("there is no {command}; :help says what there is")).into());
        }
        _ => {
            let (text, holds) = eval::evaluate(&eval::compile(line, body.scope())?, body)?;
            Answer::Value { text, holds }
        }
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn body() -> Body {
        let value = json!({
            "table": { "name": "orders" },
            "event": { "op": "UPDATE", "data": { "old": { "status": "placed" }, "new": { "status": "placed" } } },
        });
        Body { value, source: "default".into(), received: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn expressions_see_what_was_set_and_commands_say_what_is_wrong_with_them() {
        let mut body = body();
        let mut said = |line: &str| match answer(line, &mut body) {
            Ok(Answer::Said(text) | Answer::Value { text, .. }) => text,
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(said("1 + 1"), "2");
        assert!(said("became(\"status\", \"paid\")").starts_with("false\n    became(\"status\", \"paid\")"));
        assert_eq!(said(":set new.status=paid"), "Nothing");
        assert_eq!(said("became(\"status\", \"paid\")"), "true");
        assert_eq!(said("  "), "Nothing");
        assert!(said(":show").contains("\"paid\""));
        assert!(said(":help").contains(":payload"));
        assert!(said(":nonsense").starts_with("error: there is no :nonsense"));
        assert!(said(":payload /no/such/file").contains("cannot read /no/such/file"));
        assert!(said(":set x").contains("new.status=shipped"));
        assert_eq!((said(":set id=7"), said("old.id + new.id")), ("Nothing".to_owned(), "14".to_owned()));
        assert!(said("chnaged(\"a\")").contains("^"));
        assert_eq!(said(":q"), "End");
        let mut list = Body { value: json!([1]), ..self::body() };
        assert!(answer(":set new.a=1", &mut list).is_err_and(|error| error.to_string().contains("has no new row")));
    }
}
