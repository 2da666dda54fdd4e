//! What is wrong with a catalog: each problem with its place, the line it is on, and where we can, what to write.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; the catalog works.
    Warning,
    /// There is no catalog until it is mended.
    Error,
}

/// Which rule a problem is about, where someone must be able to tell it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The file cannot be read as YAML, or lies where no file belongs.
    File,
    /// A key is unknown, missing, twice, or of the wrong shape.
    Shape,
    /// A name obeys no rule or exists already.
    Name,
    /// An expression is wrong.
    Expression,
    /// A condition can never hold.
    NeverHolds,
    /// A part of an expression fails for every change: an error of who writes it, a warning in a catalog that is on the bus.
    AlwaysFails,
    /// A column, or a value of one, that no row of a described table has: an error of who writes it, a warning in a catalog that is
    /// on the bus.
    Column,
    /// A table that is not described, where others are, or a type that nobody knows: perhaps a slip.
    Table,
    /// A job's options are wrong.
    Job,
    /// The schema is none: an error of who writes it, a warning in a catalog that is on the bus.
    Schema,
    /// The sample is missing, or it, or what a test shows, is refused by the schema: an error of `check`, a warning in `dev`.
    Sample,
    /// Two events detect the same.
    Twin,
    /// There is nothing to do.
    Empty,
}

/// A place in a file of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file, relative to the catalog's folder.
    pub file: String,
    /// From 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Whether the catalog can be used in spite of it.
    pub severity: Severity,
    /// Which rule.
    pub rule: Rule,
    /// Where.
    #[serde(flatten)]
    pub place: Location,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line it is on, as it was written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// Everything that was found, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether anything forbids using the catalog.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// How many problems are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// The errors, and the warnings.
    pub fn by_severity(&self) -> (Vec<&Problem>, Vec<&Problem>) {
        self.problems.iter().partition(|problem| problem.severity == Severity::Error)
    }

    /// Adds a problem; see [`Report::sort`].
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Makes errors of the warnings of one rule: what `check` does with [`Rule::Sample`].
    pub fn promote(&mut self, rule: Rule) {
        for problem in self.problems.iter_mut().filter(|problem| problem.rule == rule) {
            problem.severity = Severity::Error;
        }
    }

    /// Orders by file, line and column.
    pub fn sort(&mut self) {
        self.problems.sort_by(|a, b| {
            (&a.place.file, a.place.line, a.place.column).cmp(&(&b.place.file, b.place.line, b.place.column))
        });
    }
}

/// Errors first.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (errors, warnings) = self.by_severity();
        for (index, problem) in errors.into_iter().chain(warnings).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        writeln!(f, "{severity}: {}", shown(&self.message))?;
        let Location { file, line, column } = &self.place;
        let file = shown(file);
        if *line == 0 {
            writeln!(f, "  --> {file}")?;
        } else {
            let gutter = line.to_string().len();
            writeln!(f, "{:gutter$}--> {file}:{line}:{column}", "")?;
            if !self.text.is_empty() {
                writeln!(f, "{:gutter$} |", "")?;
                let (text, before) = excerpt(&self.text, column.saturating_sub(1));
                writeln!(f, "{line} | {}", shown(&text))?;
                // Tabs stay tabs, so that the caret stands where the eye looks.
                let lead: String = text.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                writeln!(f, "{:gutter$} | {lead}^", "")?;
            }
        }
        if let Some(help) = &self.help {
            writeln!(f, "  help: {}", shown(help))?;
        }
        Ok(())
    }
}

/// A text of a file as it may stand on a terminal: what could move the cursor, or turn the text around, is one `�` for each
/// character, so that a caret below stands where it did.
pub fn shown(text: &str) -> String {
    let is_bidi =
        |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_command = |c: char| c.is_control() && !matches!(c, '\t' | '\n') || is_bidi(c);
    text.chars().map(|c| if is_command(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// How much of a line is shown, in characters.
const SHOWN: usize = 160;

/// What is shown of a line around a place in it, and how many characters stand before the place there.
fn excerpt(line: &str, before: usize) -> (Cow<'_, str>, usize) {
    if line.chars().nth(SHOWN).is_none() {
        return (line.into(), before);
    }
    let from = before.saturating_sub(SHOWN / 2);
    let (lead, shown) = (if from > 0 { "…" } else { "" }, line.chars().skip(from).take(SHOWN).collect::<String>());
    let tail = if line.chars().nth(from + SHOWN).is_some() { "…" } else { "" };
    (format!("{lead}{shown}{tail}").into(), before - from + lead.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_file_cannot_command_the_terminal() {
        let text = "when: \u{1b}[2J\u{9b}31m\u{202e} x\r".to_owned();
        let place = Location { file: "events/\u{1b}c.yaml".into(), line: 1, column: 10 };
        let (severity, rule, message) = (Severity::Error, Rule::Shape, "`\u{7}` is unknown".to_owned());
        let problem = Problem { severity, rule, place, message, help: Some("did you mean `\u{9d}`?".into()), text };
        let told = problem.to_string();
        assert!(told.contains("1 | when: �[2J�31m� x�\n  |          ^"), "{told}");
        assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{told:?}");
    }

    #[test]
    fn of_a_long_line_what_is_around_the_place_is_shown() {
        let line = |length| format!("{}!{}", "a".repeat(length), "b".repeat(5000));
        assert_eq!(excerpt("short", 3), ("short".into(), 3));
        for length in [0, 10, 80, 81, 5000] {
            let line = line(length);
            let (shown, before) = excerpt(&line, length);
            assert_eq!(shown.chars().nth(before), Some('!'), "{shown}");
            assert!(shown.chars().count() <= SHOWN + 2 && shown.ends_with('…'), "{shown}");
        }
    }
}
