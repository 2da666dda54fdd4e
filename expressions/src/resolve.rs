//! What the names of an expression mean: variables, types and functions, and what can be known of their arguments before
//! any change comes.

use crate::{
    advice::{self, in_scope},
    error::{CompileError, Span},
    functions::{FUNCTIONS, Function, MACROS, Signature},
    get,
    names::{OPERATIONS, TYPES, variable, variables},
    node::{Kind, Literal, Node, Scope, Var},
    parse::{Parsed, Parser},
    strings,
    suggest::closest,
    time,
};

impl Parser<'_> {
    pub(super) fn ident(&mut self, name: &str, span: Span) -> Kind {
        if let Some(slot) = self.locals.iter().rposition(|local| local == name) {
            return Kind::Local(slot);
        }
        if let Some(var) = variable(name, self.scope) {
            return Kind::Var(var);
        }
        if let Some(name) = TYPES.iter().find(|known| **known == name) {
            return Kind::Literal(Literal::Type(name));
        }
        let known = variables(self.scope).map(|(known, _)| known).chain(self.locals.iter().map(String::as_str));
        let before = &self.source[..span.start as usize];
        let no_rows = self.scope.brought().filter(|_| variable(name, Scope::Change).is_some()).map(advice::no_rows);
        let help = match (no_rows.or_else(|| advice::name(name, self.scope)), closest(name, known)) {
            (Some(advice), _) if self.scope.has_rows() || self.scope.brought().is_some() => advice,
            (_, Some(known)) => format!("did you mean `{known}`?"),
            _ if self.scope == Scope::Job && name == "payload" => {
                "add `input: payload` to the job, and write `input`".to_owned()
            }
            _ if !self.scope.has_rows() => {
                let known: Vec<String> = variables(self.scope).map(|(name, _)| format!("`{name}`")).collect();
                // Elsewhere a text stands around the expression.
                let text =
                    if self.scope == Scope::Job { String::new() } else { format!("; a text is written `\"{name}\"`") };
                format!("known here are {}{text}", known.join(", "))
            }
            _ if before.trim_end().ends_with("--") => "a comment begins with `//`".to_owned(),
            // `session.x-hasura-role` and `new.order-id` are read as differences.
            _ if before.trim_end().ends_with('-') => {
                "a name with `-` is written in brackets: `new[\"order-id\"]`, `session[\"x-hasura-role\"]`".to_owned()
            }
            _ => {
                format!("a column is written `new.{name}` or `old.{name}`, a text in quotes: `\"{name}\"`")
            }
        };
        self.refuse(span.start, format!("`{name}` is not known here"), Some(&help))
    }

    pub(super) fn select(&mut self, inner: Node, field: &str, span: Span) -> Kind {
        if !matches!(inner.kind, Kind::Var(Var::Table)) {
            return Kind::Select(Box::new(inner), field.to_owned());
        }
        match field {
            "schema" => Kind::Var(Var::TableSchema),
            "name" => Kind::Var(Var::TableName),
            _ => self.refuse(
                span.start,
                format!("a table has no `{field}`"),
                Some("write `table.schema` or `table.name`"),
            ),
        }
    }

    /// What a call means.
    pub(super) fn called(
        &mut self,
        name: &str,
        name_at: u32,
        is_member: bool,
        mut arguments: Vec<Node>,
    ) -> Parsed<Kind> {
        let function = match self.resolve(name, is_member, arguments.len()) {
            Ok(function) => function,
            // Of `JSON.parse(x)` it is enough to say what is written for `JSON`.
            Err(_) if is_member && self.is_refused(&arguments[0]) => {
                self.namespaced(name, &arguments[0]);
                return Ok(Kind::Literal(Literal::Null));
            }
            Err((message, help)) => {
                let help = self.instead_of_changed(name, is_member, &arguments).or(help);
                return Ok(self.refuse(name_at, message, help.as_deref()));
            }
        };
        self.check_arguments(function, &arguments);
        Ok(match (function, arguments.as_mut_slice()) {
            (Function::Matches, [_, Node { kind: Kind::Literal(Literal::String(text)), span, .. }]) => {
                match strings::pattern(text, strings::PATTERN_SIZE) {
                    Ok(pattern) => Kind::Matches(Box::new(arguments.swap_remove(0)), pattern),
                    Err(message) => self.refuse(span.start, message, None),
                }
            }
            (Function::ChangedAny, _) => self.any_changed(arguments)?,
            (
                Function::Get,
                [
                    Node { kind: Kind::Var(Var::Session), .. },
                    Node { kind: Kind::Literal(Literal::String(name)), .. },
                    _,
                ],
            ) => {
                name.make_ascii_lowercase();
                Kind::Call(function, arguments)
            }
            _ => Kind::Call(function, arguments),
        })
    }

    /// One of several columns has changed: what is said of each is joined by `||`.
    fn any_changed(&mut self, columns: Vec<Node>) -> Parsed<Kind> {
        let each = columns.into_iter().map(|column| {
            let span = column.span;
            self.node(span, Kind::Call(Function::Changed, vec![column]))
        });
        each.collect::<Parsed<_>>().map(Kind::Or)
    }

    /// Of `Math.abs(x)` it is said what is written for `abs`: there is a namespace of numbers in many languages, and each of its
    /// functions is something else here.
    fn namespaced(&mut self, name: &str, target: &Node) {
        if !target.span.of(self.source).eq_ignore_ascii_case("math") {
            return;
        }
        let Some(advice) = advice::function(name, self.scope) else { return };
        let error = self.errors.iter_mut().rev().find(|error| error.offset == target.span.start as usize);
        error.into_iter().for_each(|error| error.help = Some(advice.clone()));
    }

    /// What may be meant by a `changed` of more than one column, or of a column and a value, in the words of who wrote it.
    fn instead_of_changed(&self, name: &str, is_member: bool, arguments: &[Node]) -> Option<String> {
        let ([column, more @ ..], "changed", false) = (arguments, name, is_member) else { return None };
        let last = more.last()?;
        let text = |node: &Node| node.span.of(self.source);
        if !self.scope.has_rows() || !is_text(column) || arguments.iter().any(|argument| self.is_refused(argument)) {
            return None;
        }
        let column = text(column);
        let became = match more {
            [value] => format!("for \"changed to\" write `became({column}, {})`", text(value)),
            [from, to] => {
                format!(
                    "for \"changed from … to\" write `was({column}, {}) && became({column}, {})`",
                    text(from),
                    text(to)
                )
            }
            _ => String::new(),
        };
        if !more.iter().all(is_text) {
            return Some(became).filter(|became| !became.is_empty());
        }
        let listed = &self.source[arguments[0].span.start as usize..last.span.end as usize];
        let any = format!("for one of several columns `changedAny({listed})`");
        Some(if became.is_empty() { format!("write {any}") } else { format!("{became}, {any}") })
    }

    /// Whether a node stands in for something that was refused.
    fn is_refused(&self, node: &Node) -> bool {
        self.errors.iter().any(|error| error.offset == node.span.start as usize)
    }

    pub(super) fn not_called_like_this(&mut self, name: &str, at: u32) -> Kind {
        self.refuse(at, format!("`{name}` is not called like this"), Some(&macro_usage(name, self.scope)))
    }

    /// Of `has(new["a b"])` it is said how that is asked for.
    pub(super) fn has_element(&mut self, [inner, key]: &[Node; 2], at: u32) -> Kind {
        let help = format!("write `{} in {}`", key.span.of(self.source), inner.span.of(self.source));
        self.refuse(at, "`has` is not called like this".to_owned(), Some(&help))
    }

    /// The function of this name, if it may be called like this; else what is said.
    fn resolve(&self, name: &str, member: bool, count: usize) -> Result<Function, (String, Option<String>)> {
        let Some(signature) = FUNCTIONS.iter().find(|signature| signature.name == name && self.offers(signature))
        else {
            if MACROS.contains(&name) {
                return Err((format!("`{name}` is not called like this"), Some(macro_usage(name, self.scope))));
            }
            return Err((format!("there is no function `{name}`"), self.meant_by(name)));
        };
        if !signature.allows(member) || !(signature.least..=signature.most).contains(&count) {
            let usage = match signature.function {
                Function::Changed if !member && count > 1 => "write `changedAny(\"city\", \"street\")`".to_owned(),
                _ => in_scope(&format!("write `{}`", signature.example), self.scope),
            };
            return Err((format!("`{name}` is not called like this"), Some(usage)));
        }
        Ok(signature.function)
    }

    /// What may be meant by the name of a function that there is not.
    fn meant_by(&self, name: &str) -> Option<String> {
        if FUNCTIONS.iter().any(|known| known.name == name) {
            if let Some(brought) = self.scope.brought() {
                return Some(advice::no_rows(brought));
            }
            return Some(
                "a job sees the event's `data`; what has changed is for the event's `when` and `data`".to_owned(),
            );
        }
        let known = || {
            FUNCTIONS.iter().filter(|known| self.offers(known)).map(|known| known.name).chain(MACROS.iter().copied())
        };
        let did_you_mean = |known: &str| format!("did you mean `{known}`?");
        let same = known().find(|known| known.eq_ignore_ascii_case(name)).map(did_you_mean);
        same.or_else(|| advice::function(name, self.scope)).or_else(|| closest(name, known()).map(did_you_mean))
    }

    fn offers(&self, signature: &Signature) -> bool {
        self.scope.has_rows() || !signature.function.is_about_changes()
    }

    /// What can be known about literal arguments before any change comes.
    fn check_arguments(&mut self, function: Function, arguments: &[Node]) {
        if function.is_about_changes() {
            let columns = if function == Function::ChangedAny { arguments } else { &arguments[..1] };
            columns.iter().for_each(|column| self.check_column(column));
        }
        let check = match function {
            Function::Field(_) | Function::Date => |zone: &str| time::zone(zone).map(|_| ()),
            Function::Get => get::check_path,
            _ => return,
        };
        if let Some(Node { kind: Kind::Literal(Literal::String(text)), span, .. }) = arguments.get(1)
            && let Err(message) = check(text)
        {
            self.refuse(span.start, message, None);
        }
    }

    fn check_column(&mut self, argument: &Node) {
        if self.is_refused(argument) {
            return self.unquoted(argument);
        }
        match &argument.kind {
            Kind::Literal(Literal::String(_)) | Kind::Local(_) => {}
            Kind::Select(inner, column) if matches!(inner.kind, Kind::Var(Var::Old | Var::New | Var::Row)) => {
                let help = format!("write the column's name in quotes: \"{column}\"");
                self.refuse(argument.span.start, "a column's name is wanted here, not its value".into(), Some(&help));
            }
            Kind::List(_) => {
                let help = "write each name for itself: `changedAny(\"city\", \"street\")`";
                self.refuse(argument.span.start, "a column's name is wanted here, not a list".into(), Some(help));
            }
            Kind::Literal(_) => {
                self.refuse(argument.span.start, "a column's name is wanted here".into(), Some("write it in quotes"));
            }
            _ => {}
        }
    }

    /// Of `changed(status)` one thing is said: that the name stands in quotes.
    fn unquoted(&mut self, argument: &Node) {
        let (start, name) = (argument.span.start as usize, argument.span.of(self.source));
        if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return;
        }
        let error = self.errors.iter_mut().find(|error| error.offset == start);
        error.into_iter().for_each(|error| error.help = Some(format!("write the column's name in quotes: \"{name}\"")));
    }

    /// What can be known of operands that are literals.
    pub(super) fn check_operands(&mut self, node: &mut Node) {
        lower_session(node);
        match &node.kind {
            Kind::Equal { sides, .. } => {
                let [left, right] = sides.as_ref();
                self.check_operation(left, right);
                self.check_operation(right, left);
            }
            Kind::In(pair) => {
                if let [var, Node { kind: Kind::List(items), .. }] = pair.as_ref() {
                    items.iter().for_each(|item| self.check_operation(var, item));
                }
            }
            _ => {}
        }
    }

    /// `op == "update"` would never hold.
    fn check_operation(&mut self, var: &Node, text: &Node) {
        let Kind::Literal(Literal::String(value)) = &text.kind else { return };
        if matches!(var.kind, Kind::Var(Var::Op)) && !OPERATIONS.contains(&value.as_str()) {
            let upper = value.to_uppercase();
            let help = match OPERATIONS.contains(&upper.as_str()) {
                true => format!("`op` is in upper case: \"{upper}\""),
                false => "`op` is \"INSERT\", \"UPDATE\", \"DELETE\" or \"MANUAL\"".to_owned(),
            };
            self.refuse(text.span.start, format!("`op` is never {value:?}"), Some(&help));
        }
    }

    /// Notes a mistake, and stands in for what it was made in.
    fn refuse(&mut self, at: u32, message: String, help: Option<&str>) -> Kind {
        self.errors.push(CompileError::new(at as usize, message, help));
        Kind::Literal(Literal::Null)
    }
}

fn is_text(node: &Node) -> bool {
    matches!(node.kind, Kind::Literal(Literal::String(_)))
}

fn macro_usage(name: &str, scope: Scope) -> String {
    let usage = match name {
        "has" => "write `has(new.name)`".to_owned(),
        "map" => "write `new.tags.map(x, lower(x))`".to_owned(),
        _ => format!("write `new.tags.{name}(x, x != \"a\")`"),
    };
    in_scope(&usage, scope)
}

/// Names of session variables are the same in any case: `session["X-Hasura-Role"]` and `"X-Hasura-Role" in session`.
fn lower_session(node: &mut Node) {
    let (Kind::Index(pair) | Kind::In(pair)) = &mut node.kind else { return };
    if let [Node { kind: Kind::Var(Var::Session), .. }, name] | [name, Node { kind: Kind::Var(Var::Session), .. }] =
        pair.as_mut()
        && let Kind::Literal(Literal::String(text)) = &mut name.kind
    {
        text.make_ascii_lowercase();
    }
}
