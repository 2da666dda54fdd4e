//! One file while it is read: its text, its tree, and where its problems go.

use std::{collections::BTreeSet, fmt::Display, str::FromStr, sync::Arc};

use expressions::{CompileError, Expression, Rows, Scope, comment};

use crate::{
    report::{Location, Problem, Rule, Severity},
    sources::Source,
    yaml::{self, Content, ErrorKind, Style, Yaml, line_column, offset_in_file},
};

use super::keys;

/// What to write when YAML has eaten a part of an expression.
pub(super) const BLOCK_HELP: &str =
    "write the expression in block style: `|` behind the colon, and the expression indented on the next line";
/// What to write for a list of conditions.
const LIST_HELP: &str =
    "join them with `&&`: `when: new.a == 1 && new.b == 2`, or in block style, `|`, with one on each line";
/// What to write for a condition in the form of Hasura's permissions.
const MAP_HELP: &str = "a condition is an expression: `when: new.status == \"paid\"`";
/// What an event's key is made of.
pub(super) const KEY_HELP: &str = "a key is made of texts, numbers and truth values: an expression, `key: new.id`, or a list of some, `key: [new.tenant, new.id]`";

/// Everything found so far, over all files.
#[derive(Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    /// The names of shared jobs whose definitions have an error, which is told once.
    broken_jobs: BTreeSet<String>,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.found
    }
}

/// A file being read.
pub(super) struct File<'f> {
    source: &'f Source,
    problems: &'f mut Problems,
    /// The rows that its expressions see, where their columns are known.
    pub(super) rows: Option<Rows>,
}

impl<'f> File<'f> {
    pub(super) fn new(source: &'f Source, problems: &'f mut Problems) -> Self {
        Self { source, problems, rows: None }
    }

    pub(super) fn path(&self) -> Arc<str> {
        self.source.path.as_str().into()
    }

    /// How many errors there are, of the files before it, too.
    pub(super) fn errors(&self) -> usize {
        self.problems.found.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// The line and column of a byte.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        line_column(self.text(), offset)
    }

    /// The text without a byte order mark, as the tree's places count.
    fn text(&self) -> &'f str {
        self.source.text.strip_prefix('\u{feff}').unwrap_or(&self.source.text)
    }

    /// The file's own name without its ending.
    pub(super) fn stem(&self) -> &'f str {
        let file = self.source.path.rsplit('/').next().unwrap_or_default();
        file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml")).unwrap_or(file)
    }

    /// Notes that this file was to define a job, and does not.
    pub(super) fn job_is_broken(&mut self) {
        self.problems.broken_jobs.insert(self.stem().to_owned());
    }

    /// Whether a job of that name has a definition with an error.
    pub(super) fn is_broken_job(&self, name: &str) -> bool {
        self.problems.broken_jobs.contains(name)
    }

    /// The name that the file's own name says, if it is one.
    pub(super) fn name<N: FromStr<Err: Display>>(&mut self, help: &str) -> Option<N> {
        match self.stem().parse() {
            Ok(name) => Some(name),
            Err(error) => {
                let message = format!("the file's name is no name: {error}");
                let [dots, dashes] = [".", "-"].map(|sign| self.stem().replace(['_', ' '], sign));
                let help = match dots.parse::<N>() {
                    Ok(_) => format!("{help}: `{dots}.yaml` or `{dashes}.yaml`"),
                    Err(_) => help.to_owned(),
                };
                self.add(Severity::Error, Rule::Name, None, message, Some(help));
                None
            }
        }
    }

    /// The file's map, or `None` after saying what is wrong with it.
    pub(super) fn read(&mut self) -> Option<Yaml> {
        match yaml::read(self.text()) {
            Ok(Some(node)) if matches!(node.content, Content::Map { .. }) => Some(node),
            Ok(Some(node)) if !node.is_null() => {
                self.error(Rule::Shape, node.start, format!("the file is {}, and a map is wanted", node.kind()), None);
                None
            }
            Ok(_) => {
                self.whole_file(Rule::Shape, "the file is empty".into());
                None
            }
            Err(error) => {
                let offset = error.offset.min(self.text().len());
                let (message, help) = match error.kind {
                    ErrorKind::Syntax => (format!("this is no YAML: {}", error.message), self.help_with_yaml(offset)),
                    ErrorKind::Unwanted => (error.message, None),
                };
                self.error(Rule::File, offset, message, help);
                None
            }
        }
    }

    /// What to write where YAML stumbled: over a bracket that nothing closes, over a line that holds an expression, which a key tells
    /// that takes one, or a value that begins like one; over a text with `: ` in it; or over the sign for all tables.
    fn help_with_yaml(&self, offset: usize) -> Option<String> {
        let text = self.text();
        let here = text.get(..offset).map_or(0, |before| before.rfind('\n').map_or(0, |at| at + 1));
        let line = text.get(here..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let before = text.get(..here.saturating_sub(1)).and_then(|before| before.lines().last()).unwrap_or_default();
        let table = line.split_once("table:").map(|(_, tables)| tables.trim_start_matches([' ', '[']));
        if table.is_some_and(|table| table.starts_with('*')) {
            return Some("all tables are spelt `table: \"*\"`, with the quotes".to_owned());
        }
        if let Some(open) = yaml::unclosed(text, offset) {
            let (number, column) = self.position(open);
            let bracket = &text[open..=open];
            return Some(format!("the `{bracket}` of line {number}, column {column}, is not closed"));
        }
        let colon = line.find(':').filter(|_| !line.trim_start().starts_with(['"', '\'', '{', '[']));
        if colon.is_some_and(|colon| offset <= here + colon && line.starts_with(' ')) {
            return Some("keys of one map begin in one column: indent this one as those beside it".to_owned());
        }
        if line.contains("${") && line.contains('{') {
            let help = "within `{ }` a text with `${…}` stands in quotes: `{ message: \"Order ${data.id}\" }`";
            return Some(help.to_owned());
        }
        let is_expression = [line, before].into_iter().any(|line| {
            let Some((key, value)) = line.split_once(':') else { return false };
            let key = key.trim().trim_start_matches("- ");
            let begins = |signs: &[char]| value.trim_start().starts_with(signs);
            matches!(key, "when" | "key") || begins(&['!', '"', '\'', '&', '*', '%', '@', '`'])
        });
        if is_expression {
            return Some(BLOCK_HELP.to_owned());
        }
        let (key, value) = line.split_once(": ")?;
        if !value.contains(": ") {
            return None;
        }
        Some(match value.trim_start().starts_with(['{', '[']) {
            true => "a text with `: ` in it stands in quotes".to_owned(),
            false if value.contains(['"', '\'', '(', '=', '&', '?']) => BLOCK_HELP.to_owned(),
            false => format!("a text with `: ` in it stands in quotes: `{}: \"{}\"`", key.trim(), value.trim()),
        })
    }

    pub(super) fn error(&mut self, rule: Rule, offset: usize, message: String, help: Option<String>) {
        self.add(Severity::Error, rule, Some(offset), message, help);
    }

    /// An error of the file as a whole.
    pub(super) fn whole_file(&mut self, rule: Rule, message: String) {
        self.add(Severity::Error, rule, None, message, None);
    }

    /// A warning at a place, with what to do.
    pub(super) fn warning(&mut self, rule: Rule, offset: usize, message: String, help: &str) {
        self.add(Severity::Warning, rule, Some(offset), message, Some(help.to_owned()));
    }

    /// A secret among a job's options; without its line, which would show it.
    pub(super) fn secret(&mut self, offset: usize, message: String) {
        let help =
            "take it out, name its environment variable under `job-runner.environment`, and let the program read that";
        self.warning(Rule::Job, offset, message, help);
        if let Some(problem) = self.problems.found.last_mut() {
            problem.text.clear();
        }
    }

    /// A warning about the file as a whole.
    pub(super) fn whole_file_warning(&mut self, rule: Rule, message: String, help: &str) {
        self.add(Severity::Warning, rule, None, message, Some(help.to_owned()));
    }

    fn add(&mut self, severity: Severity, rule: Rule, offset: Option<usize>, message: String, help: Option<String>) {
        let (line, column) = offset.map_or((0, 0), |offset| self.position(offset));
        let text = match line {
            0 => String::new(),
            _ => self.text().lines().nth(line - 1).unwrap_or_default().to_owned(),
        };
        let place = Location { file: self.source.path.clone(), line, column };
        self.problems.push(Problem { severity, rule, place, message, help, text });
    }

    /// What no row of a described table has: see [`Rule::Column`].
    pub(super) fn column(&mut self, offset: usize, message: String, help: String) {
        self.warning(Rule::Column, offset, message, &help);
    }

    /// What fails for every change, and needs no expression for it.
    pub(super) fn always_fails(&mut self, offset: usize, message: String, help: String) {
        self.warning(Rule::AlwaysFails, offset, message, &help);
    }

    /// A schema that is none: see [`Rule::Schema`].
    pub(super) fn schema(&mut self, offset: usize, message: String, help: Option<String>) {
        self.add(Severity::Warning, Rule::Schema, Some(offset), message, help);
    }

    /// A value of the wrong shape.
    pub(super) fn wrong_shape(&mut self, key: &str, node: &Yaml, wanted: &str) {
        let message = format!("`{key}` is {}, and {wanted} is wanted", node.kind());
        self.error(Rule::Shape, node.start, message, None);
    }

    /// A scalar that is not empty, as text.
    pub(super) fn text_of<'y>(&mut self, key: &str, node: &'y Yaml) -> Option<&'y str> {
        match node.scalar().filter(|_| !node.is_null()) {
            Some(text) => Some(text),
            None => {
                self.wrong_shape(key, node, "a text");
                None
            }
        }
    }

    /// Refuses the keys that are not known here, each with the one that may be meant. Whether there are such.
    pub(super) fn known_keys(&mut self, node: &Yaml, known: &[&str]) -> bool {
        let errors = self.errors();
        for entry in node.entries().unwrap_or_default() {
            if known.contains(&entry.key.as_str()) {
                continue;
            }
            let help = keys::instead_of(&entry.key, known.iter().copied())
                .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
            self.error(Rule::Shape, entry.start, format!("the key `{}` is unknown", entry.key), Some(help));
        }
        self.errors() > errors
    }

    /// Compiles an expression in its place.
    pub(super) fn expression(&mut self, key: &str, node: &Yaml, scope: Scope) -> Option<Expression> {
        if let Some(tag) = &node.tag {
            let message = format!("YAML reads `{tag}` as a tag, not as an expression");
            self.error(Rule::Expression, node.start, message, Some(BLOCK_HELP.to_owned()));
            return None;
        }
        let Content::Scalar(text, style) = &node.content else {
            let message = format!("`{key}` is {}, and an expression is wanted", node.kind());
            let help = match &node.content {
                _ if scope.is_key() => KEY_HELP,
                Content::List(_) => LIST_HELP,
                Content::Map { .. } if key == "when" => MAP_HELP,
                _ => BLOCK_HELP,
            };
            self.error(Rule::Expression, node.start, message, Some(scope.say(help)));
            return None;
        };
        if node.is_null() {
            let wanted = if scope.is_key() { "an expression" } else { "a condition" };
            let help = format!("write {wanted}, or leave the key out");
            self.error(Rule::Expression, node.start, format!("`{key}` is empty"), Some(help));
            return None;
        }
        match Expression::compile(text, scope) {
            Ok(_) if self.is_swallowed_by_a_comment(node, text, *style) || self.goes_on_in_a_comment(node, *style) => {
                None
            }
            Ok(expression) => {
                let mut mistakes = expression.mistakes();
                if key == "when" {
                    mistakes.extend(expression.no_condition());
                }
                let misuses =
                    self.rows.as_ref().map(|rows| expression.misuses(rows, key == "when")).unwrap_or_default();
                self.told(node, (text, *style), [mistakes, misuses, expression.doubts()]);
                Some(expression)
            }
            Err(errors) => {
                self.expression_errors(key, node, (text, *style), errors);
                None
            }
        }
    }

    fn expression_errors(&mut self, key: &str, node: &Yaml, (text, style): (&str, Style), errors: Vec<CompileError>) {
        let cut = style == Style::Plain && self.is_cut_by_a_comment(node);
        let quote = self.text().get(node.start..).and_then(|rest| rest.chars().next());
        for error in errors {
            let offset = offset_in_file(self.text(), (node.start, style), text, error.offset);
            let (message, help) = match style {
                // YAML takes the quotes off that a leaf begins with, and an expression within `"` has others.
                Style::Plain | Style::Quoted if key != "when" && is_word(text) => {
                    let within = |help: String| help.replace(&format!("\"{text}\""), &format!("\"'{text}'\""));
                    (error.message, error.help.map(within))
                }
                Style::Quoted if quote == Some('"') => (error.message, error.help.map(in_other_quotes)),
                Style::Plain if cut => {
                    let message = format!("{}: YAML takes what follows `#` for a comment", error.message);
                    (message, Some(BLOCK_HELP.to_owned()))
                }
                // YAML has cut or split it, as far as one can see.
                Style::Plain if error.help.is_none() && is_cut(text) => (error.message, Some(BLOCK_HELP.to_owned())),
                _ => (error.message, error.help),
            };
            self.error(Rule::Expression, offset, message, help);
        }
    }

    /// The place of a byte of a scalar's text, and the line it is on.
    pub(super) fn place_within(&self, node: &Yaml, text: &str, style: Style, offset: usize) -> (Location, String) {
        let (line, column) = self.position(offset_in_file(self.text(), (node.start, style), text, offset));
        let shown = self.text().lines().nth(line - 1).unwrap_or_default();
        (Location { file: self.source.path.clone(), line, column }, shown.to_owned())
    }

    /// What fails for every change.
    pub(super) fn mistakes(&mut self, node: &Yaml, text: &str, style: Style, mistakes: Vec<CompileError>) {
        for mistake in mistakes {
            let offset = offset_in_file(self.text(), (node.start, style), text, mistake.offset);
            self.add(Severity::Warning, Rule::AlwaysFails, Some(offset), mistake.message, mistake.help);
        }
    }

    /// What fails for every change, what cannot be meant of the columns that there are, and what hardly is: of one place the first.
    fn told(&mut self, node: &Yaml, (text, style): (&str, Style), found: [Vec<CompileError>; 3]) {
        let mut places = BTreeSet::new();
        for (rule, found) in [Rule::AlwaysFails, Rule::Column, Rule::Expression].into_iter().zip(found) {
            let new: Vec<CompileError> = found.into_iter().filter(|error| !places.contains(&error.offset)).collect();
            places.extend(new.iter().map(|error| error.offset));
            for error in new {
                let offset = offset_in_file(self.text(), (node.start, style), text, error.offset);
                self.add(Severity::Warning, rule, Some(offset), error.message, error.help);
            }
        }
    }

    /// Says so if YAML made one line of several, in which what follows `//` counts as a comment to its end.
    fn is_swallowed_by_a_comment(&mut self, node: &Yaml, text: &str, style: Style) -> bool {
        let is_joined = style != Style::Block
            && self.text().get(node.start..node.end).is_some_and(|written| written.trim_end().contains('\n'));
        let Some(comment) = comment(text).filter(|_| is_joined) else { return false };
        let offset = offset_in_file(self.text(), (node.start, style), text, comment);
        let message = "YAML joins these lines, so everything behind `//` would be a comment";
        self.error(Rule::Expression, offset, message.into(), Some(BLOCK_HELP.to_owned()));
        true
    }

    fn is_cut_by_a_comment(&self, node: &Yaml) -> bool {
        self.comment_behind(node).is_some()
    }

    /// What YAML takes for a comment behind a value on its line.
    fn comment_behind(&self, node: &Yaml) -> Option<&'f str> {
        let rest = self.text().get(node.end..)?;
        rest.lines().next()?.trim_start().strip_prefix('#')
    }

    /// Says so if an expression is whole, and its comment reads as if it went on there: a part of it would not count.
    fn goes_on_in_a_comment(&mut self, node: &Yaml, style: Style) -> bool {
        let comment = self.comment_behind(node).filter(|_| style != Style::Block).unwrap_or_default().trim();
        let Some(operator) = ["&&", "||"].into_iter().find(|operator| comment.starts_with(operator)) else {
            return false;
        };
        let message =
            format!("YAML takes `# {operator} …` for a comment, so this part of the expression would not count");
        let help = "take it away, or write it in block style, `|`, where a comment begins with `//`";
        self.error(Rule::Expression, node.start, message, Some(help.to_owned()));
        true
    }

    /// The errors of a text with expressions in it.
    pub(super) fn template_errors(&mut self, node: &Yaml, text: &str, style: Style, errors: Vec<CompileError>) {
        for error in errors {
            let offset = offset_in_file(self.text(), (node.start, style), text, error.offset);
            self.error(Rule::Expression, offset, error.message, error.help);
        }
    }
}

/// Whether a text is one word, which a text is that was meant as one.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// What to write where YAML's own quotes are `"`.
fn in_other_quotes(help: String) -> String {
    if help.contains('\'') { help } else { help.replace('"', "'") }
}

/// Whether a text ends within a bracket or a text of its own, as it does where YAML split it.
fn is_cut(text: &str) -> bool {
    let count = |signs: &[char]| text.matches(signs).count();
    count(&['(', '[', '{']) != count(&[')', ']', '}']) || count(&['"']) % 2 == 1 || count(&['\'']) % 2 == 1
}
