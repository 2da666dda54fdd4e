//! What the names of an expression mean: variables, types and functions, and what can be known of their arguments before
//! any change comes.

use crate::{
    error::{CompileError, Span},
    functions::{FUNCTIONS, Function, MACROS, Signature},
    names::{OPERATIONS, TYPES, variable, variables},
    node::{Kind, Literal, Node, Scope, Var},
    parse::Parser,
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
        let help = match closest(name, known) {
            Some(known) => format!("did you mean `{known}`?"),
            None if self.scope == Scope::Job => "known here are `data` and `event`".to_owned(),
            // `session.x-hasura-role` and `new.order-id` are read as differences.
            None if before.trim_end().ends_with('-') => {
                "a name with `-` is written in brackets: `new[\"order-id\"]`, `session[\"x-hasura-role\"]`".to_owned()
            }
            None => {
                format!("a column is written `new.{name}` or `old.{name}`, a text in quotes of its own: `\"'{name}'\"`")
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
    pub(super) fn called(&mut self, name: &str, name_at: u32, is_member: bool, mut arguments: Vec<Node>) -> Kind {
        let function = match self.resolve(name, is_member, arguments.len()) {
            Ok(function) => function,
            Err((message, help)) => return self.refuse(name_at, message, help.as_deref()),
        };
        self.check_arguments(function, &arguments);
        match (function, arguments.get(1).map(|argument| &argument.kind)) {
            (Function::Matches, Some(Kind::Literal(Literal::String(text)))) => {
                match strings::pattern(text, strings::PATTERN_SIZE) {
                    Ok(pattern) => Kind::Matches(Box::new(arguments.swap_remove(0)), pattern),
                    Err(message) => self.refuse(arguments[1].span.start, message, None),
                }
            }
            _ => Kind::Call(function, arguments),
        }
    }

    pub(super) fn not_called_like_this(&mut self, name: &str, at: u32) -> Kind {
        self.refuse(at, format!("`{name}` is not called like this"), Some(&macro_usage(name)))
    }

    fn resolve(&self, name: &str, member: bool, count: usize) -> Result<Function, (String, Option<String>)> {
        let Some(signature) = FUNCTIONS.iter().find(|signature| signature.name == name && self.offers(signature))
        else {
            let known = FUNCTIONS.iter().filter(|known| self.offers(known)).map(|known| known.name);
            if MACROS.contains(&name) {
                return Err((format!("`{name}` is not called like this"), Some(macro_usage(name))));
            }
            let help = match elsewhere(name) {
                Some(help) => Some(help.to_owned()),
                None => {
                    closest(name, known.chain(MACROS.iter().copied())).map(|known| format!("did you mean `{known}`?"))
                }
            };
            return Err((format!("there is no function `{name}`"), help));
        };
        if !signature.allows(member) || !(signature.least..=signature.most).contains(&count) {
            return Err((format!("`{name}` is not called like this"), Some(format!("write {}", signature.usage()))));
        }
        Ok(signature.function)
    }

    fn offers(&self, signature: &Signature) -> bool {
        self.scope != Scope::Job || !matches!(signature.function, Function::Changed | Function::Was | Function::Became)
    }

    /// What can be known about literal arguments before any change comes.
    fn check_arguments(&mut self, function: Function, arguments: &[Node]) {
        let zone_at = match function {
            Function::Field(_) | Function::Date => 1,
            Function::Changed | Function::Was | Function::Became => {
                return self.check_column(&arguments[0]);
            }
            _ => return,
        };
        if let Some(Node { kind: Kind::Literal(Literal::String(zone)), span, .. }) = arguments.get(zone_at)
            && let Err(message) = time::zone(zone)
        {
            self.refuse(span.start, message, None);
        }
    }

    fn check_column(&mut self, argument: &Node) {
        match &argument.kind {
            Kind::Literal(Literal::String(_)) | Kind::Local(_) => {}
            Kind::Select(inner, column) if matches!(inner.kind, Kind::Var(Var::Old | Var::New | Var::Row)) => {
                let help = format!("write the column's name in quotes: \"{column}\"");
                self.refuse(argument.span.start, "a column's name is wanted here, not its value".into(), Some(&help));
            }
            Kind::Literal(_) => {
                self.refuse(argument.span.start, "a column's name is wanted here".into(), Some("write it in quotes"));
            }
            _ => {}
        }
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

/// What functions of other languages are called here.
fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "lower" | "toLowerCase" | "toLower" | "lowercase" => "write `new.x.lowerAscii()`",
        "upper" | "toUpperCase" | "toUpper" | "uppercase" => "write `new.x.upperAscii()`",
        "length" | "len" | "count" => "write `size(new.x)`",
        "now" | "today" | "current_timestamp" => "the only clock is `received`, when the change came",
        "strip" => "write `new.x.trim()`",
        "includes" => "write `new.x.contains(\"…\")`, or `\"…\" in new.list`",
        "ifnull" | "IFNULL" | "nvl" | "COALESCE" => "write `coalesce(new.a, new.b)`",
        _ => return None,
    })
}

fn macro_usage(name: &str) -> String {
    match name {
        "has" => "write has(new.column)".to_owned(),
        "map" => "write new.list.map(x, …)".to_owned(),
        _ => format!("write new.list.{name}(x, x > 1)"),
    }
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
