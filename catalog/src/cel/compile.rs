//! From `cel`'s tree to ours: names resolved, calls checked, literals prepared, and every node's place in the text.

mod loops;
mod names;
mod places;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, SelectExpr, SourceInfo,
    operators,
};

use super::{
    CompileError, Scope,
    budget::MAX_DEPTH,
    functions::{FUNCTIONS, Function, MACROS, Signature},
    node::{Kind, Literal, Macro, MacroKind, Node, Operator, Relation, Span, Var},
    parse::{Quoted, parse},
    strings,
    suggest::closest,
    time,
};
use loops::{links_of, loop_parts};
use names::{OPERATIONS, TYPES, variable, variables};

/// Parses and compiles.
pub(crate) fn compile(source: &str, scope: Scope) -> Result<Node, Vec<CompileError>> {
    let (tree, info, quoted) = parse(source)?;
    let mut compiler = Compiler { source, quoted, info, scope, locals: Vec::new(), errors: Vec::new(), depth: 0 };
    let node = compiler.node(&tree);
    if compiler.errors.is_empty() {
        return Ok(node);
    }
    compiler.errors.sort_by_key(|error| error.offset);
    Err(compiler.errors)
}

struct Compiler<'s> {
    source: &'s str,
    quoted: Quoted,
    info: SourceInfo,
    scope: Scope,
    locals: Vec<String>,
    errors: Vec<CompileError>,
    depth: usize,
}

impl Compiler<'_> {
    fn node(&mut self, expr: &IdedExpr) -> Node {
        self.depth += 1;
        let node = if self.depth > MAX_DEPTH * 8 {
            self.error(self.token(expr.id).start, format!("the expression nests deeper than {MAX_DEPTH}"), None);
            Node { kind: Kind::Literal(Literal::Null), span: Span::default() }
        } else {
            self.shallow(expr)
        };
        self.depth -= 1;
        node
    }

    fn shallow(&mut self, expr: &IdedExpr) -> Node {
        let token = self.token(expr.id);
        match &expr.expr {
            Expr::Literal(literal) => self.literal(literal, token),
            Expr::Ident(name) => self.ident(name, token),
            Expr::Select(select) => self.select(select, token),
            Expr::Call(call) => self.call(call, token),
            Expr::List(list) => {
                let items: Vec<Node> = list.elements.iter().map(|item| self.node(item)).collect();
                Node { kind: Kind::List(items), span: self.bracketed(token) }
            }
            Expr::Map(map) => {
                let entries = map.entries.iter().filter_map(|entry| self.entry(entry)).collect();
                Node { kind: Kind::Map(entries), span: self.bracketed(token) }
            }
            Expr::Comprehension(parts) => self.comprehension(parts, token),
            Expr::Struct(message) => {
                let help = "write a map: {\"key\": value}";
                self.refuse(token, format!("there are no types like `{}` here", message.type_name), Some(help))
            }
            Expr::Unspecified => self.refuse(token, "this cannot be read".into(), None),
        }
    }

    fn entry(&mut self, entry: &IdedEntryExpr) -> Option<(Node, Node)> {
        match &entry.expr {
            EntryExpr::MapEntry(entry) => Some((self.node(&entry.key), self.node(&entry.value))),
            EntryExpr::StructField(_) => None,
        }
    }

    /// Numbers that are no ints are taken from the text: the parser has already rounded them to a float.
    fn literal(&mut self, literal: &LiteralValue, token: Span) -> Node {
        let mut span = token;
        let literal = match literal {
            LiteralValue::Null => Literal::Null,
            LiteralValue::Boolean(value) => Literal::Bool(*value.inner()),
            LiteralValue::Int(value) => {
                span = self.with_sign(token, *value.inner() < 0);
                Literal::Int(*value.inner())
            }
            LiteralValue::UInt(value) => {
                i64::try_from(*value.inner()).map_or_else(|_| Literal::Number(value.inner().to_string()), Literal::Int)
            }
            LiteralValue::Double(value) => {
                span = self.with_sign(token, value.inner().is_sign_negative());
                Literal::Number(json_number(self.slice(token), value.inner().is_sign_negative()))
            }
            LiteralValue::String(value) => Literal::String(value.inner().to_owned()),
            LiteralValue::Bytes(value) => Literal::Bytes(value.inner().to_vec()),
        };
        Node { kind: Kind::Literal(literal), span }
    }

    fn ident(&mut self, name: &str, token: Span) -> Node {
        let name = name.trim_start_matches('.');
        if let Some(slot) = self.locals.iter().rposition(|local| local == name) {
            return Node { kind: Kind::Local(slot), span: token };
        }
        if let Some(var) = variable(name, self.scope) {
            return Node { kind: Kind::Var(var), span: token };
        }
        if let Some(name) = TYPES.iter().find(|known| **known == name) {
            return Node { kind: Kind::Literal(Literal::Type(name)), span: token };
        }
        let known = variables(self.scope).map(|(known, _)| known).chain(self.locals.iter().map(String::as_str));
        let help = match closest(name, known) {
            Some(known) => format!("did you mean `{known}`?"),
            None if self.scope == Scope::Job => "known here are `data` and `event`".to_owned(),
            // `session.x-hasura-role` and `new.order-id` are read as differences.
            None if self.slice(Span { start: 0, end: token.start }).trim_end().ends_with('-') => {
                "a name with `-` is written in brackets: `new[\"order-id\"]`, `session[\"x-hasura-role\"]`".to_owned()
            }
            None => {
                format!("a column is written `new.{name}` or `old.{name}`, a text in quotes of its own: `\"'{name}'\"`")
            }
        };
        self.refuse(token, format!("`{name}` is not known here"), Some(&help))
    }

    fn select(&mut self, select: &SelectExpr, token: Span) -> Node {
        if select.test {
            let inner = self.node(&select.operand);
            let start = self.word_before(token.start);
            let span = Span { start, end: self.closing(token.start) };
            return Node { kind: Kind::Has(Box::new(inner), select.field.clone()), span };
        }
        let inner = self.node(&select.operand);
        let span = Span { start: inner.span.start, end: self.word_after(token.end) };
        if matches!(inner.kind, Kind::Var(Var::Table)) {
            return self.table_part(&select.field, span);
        }
        Node { kind: Kind::Select(Box::new(inner), select.field.clone()), span }
    }

    fn table_part(&mut self, field: &str, span: Span) -> Node {
        match field {
            "schema" => Node { kind: Kind::Var(Var::TableSchema), span },
            "name" => Node { kind: Kind::Var(Var::TableName), span },
            _ => self.refuse(span, format!("a table has no `{field}`"), Some("write `table.schema` or `table.name`")),
        }
    }

    fn call(&mut self, call: &CallExpr, token: Span) -> Node {
        if let Some(node) = self.operator(call, token) {
            return node;
        }
        let target = call.target.as_ref().map(|target| self.node(target));
        let start = target.as_ref().map_or_else(|| self.word_before(token.start), |target| target.span.start);
        let name_at = self.word_before(token.start);
        let span = Span { start, end: self.closing(token.start) };
        let is_member = target.is_some();
        let arguments: Vec<Node> =
            target.into_iter().chain(call.args.iter().map(|arg| self.node(arg)).collect::<Vec<_>>()).collect();
        match self.resolve(&call.func_name, is_member, arguments.len()) {
            Ok(function) => {
                self.check_arguments(function, &arguments);
                self.called(function, arguments, span)
            }
            Err((message, help)) => {
                self.error(name_at, message, help);
                Node { kind: Kind::Literal(Literal::Null), span }
            }
        }
    }

    fn called(&mut self, function: Function, mut arguments: Vec<Node>, span: Span) -> Node {
        if function == Function::Matches
            && let Some(Node { kind: Kind::Literal(Literal::String(text)), span: at }) = arguments.get(1)
        {
            match strings::pattern(text, strings::PATTERN_SIZE) {
                Ok(pattern) => {
                    return Node { kind: Kind::Matches(Box::new(arguments.swap_remove(0)), pattern), span };
                }
                Err(message) => self.error(at.start, message, None),
            }
        }
        Node { kind: Kind::Call(function, arguments), span }
    }

    fn resolve(&self, name: &str, member: bool, count: usize) -> Result<Function, (String, Option<String>)> {
        let name = name.trim_start_matches('.');
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
        if let Some(Node { kind: Kind::Literal(Literal::String(zone)), span }) = arguments.get(zone_at)
            && let Err(message) = time::zone(zone)
        {
            self.error(span.start, message, None);
        }
    }

    fn check_column(&mut self, argument: &Node) {
        match &argument.kind {
            Kind::Literal(Literal::String(_)) | Kind::Local(_) => {}
            Kind::Select(inner, column) if matches!(inner.kind, Kind::Var(Var::Old | Var::New | Var::Row)) => {
                let help = format!("write the column's name in quotes: \"{column}\"");
                self.error(argument.span.start, "a column's name is wanted here, not its value".into(), Some(help));
            }
            Kind::Literal(_) => {
                self.error(
                    argument.span.start,
                    "a column's name is wanted here".into(),
                    Some("write it in quotes".into()),
                );
            }
            _ => {}
        }
    }

    fn operator(&mut self, call: &CallExpr, token: Span) -> Option<Node> {
        let pair = |kind: fn(Box<[Node; 2]>) -> Kind, this: &mut Self| this.binary(call, kind);
        Some(match call.func_name.as_str() {
            operators::LOGICAL_AND => self.chain(call, operators::LOGICAL_AND, Kind::And),
            operators::LOGICAL_OR => self.chain(call, operators::LOGICAL_OR, Kind::Or),
            operators::LOGICAL_NOT => self.unary(call, token, Kind::Not),
            operators::NEGATE => self.unary(call, token, Kind::Negate),
            operators::EQUALS => self.equality(call, false),
            operators::NOT_EQUALS => self.equality(call, true),
            operators::LESS => pair(|sides| Kind::Compare(Relation::Less, sides), self),
            operators::LESS_EQUALS => pair(|sides| Kind::Compare(Relation::LessOrEqual, sides), self),
            operators::GREATER => pair(|sides| Kind::Compare(Relation::Greater, sides), self),
            operators::GREATER_EQUALS => pair(|sides| Kind::Compare(Relation::GreaterOrEqual, sides), self),
            operators::ADD => pair(|sides| Kind::Arithmetic(Operator::Add, sides), self),
            operators::SUBSTRACT => pair(|sides| Kind::Arithmetic(Operator::Subtract, sides), self),
            operators::MULTIPLY => pair(|sides| Kind::Arithmetic(Operator::Multiply, sides), self),
            operators::DIVIDE => pair(|sides| Kind::Arithmetic(Operator::Divide, sides), self),
            operators::MODULO => pair(|sides| Kind::Arithmetic(Operator::Remainder, sides), self),
            operators::IN => self.membership(call),
            operators::INDEX => {
                let mut node = pair(Kind::Index, self);
                lower_session(&mut node);
                node.span.end = self.closing(token.start);
                node
            }
            operators::CONDITIONAL => self.conditional(call),
            _ => return None,
        })
    }

    fn binary(&mut self, call: &CallExpr, kind: impl Fn(Box<[Node; 2]>) -> Kind) -> Node {
        let (left, right) = (self.node(&call.args[0]), self.node(&call.args[1]));
        let span = self.balanced(left.span.start, right.span.end);
        Node { kind: kind(Box::new([left, right])), span }
    }

    fn equality(&mut self, call: &CallExpr, negated: bool) -> Node {
        let node = self.binary(call, |sides| Kind::Equal { negated, sides });
        if let Kind::Equal { sides, .. } = &node.kind {
            let [left, right] = sides.as_ref();
            for (var, text) in [(left, right), (right, left)] {
                self.check_operation(var, text);
            }
        }
        node
    }

    fn membership(&mut self, call: &CallExpr) -> Node {
        let mut node = self.binary(call, Kind::In);
        lower_session(&mut node);
        if let Kind::In(pair) = &node.kind
            && let [var, Node { kind: Kind::List(items), .. }] = pair.as_ref()
        {
            items.iter().for_each(|item| self.check_operation(var, item));
        }
        node
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
            self.error(text.span.start, format!("`op` is never {value:?}"), Some(help));
        }
    }

    fn unary(&mut self, call: &CallExpr, token: Span, kind: impl Fn(Box<Node>) -> Kind) -> Node {
        let inner = self.node(&call.args[0]);
        let span = self.balanced(token.start, inner.span.end);
        Node { kind: kind(Box::new(inner)), span }
    }

    fn conditional(&mut self, call: &CallExpr) -> Node {
        let parts = [self.node(&call.args[0]), self.node(&call.args[1]), self.node(&call.args[2])];
        let span = self.balanced(parts[0].span.start, parts[2].span.end);
        Node { kind: Kind::If(Box::new(parts)), span }
    }

    /// The parser makes a balanced tree of `a && b && c`; we want the chain back.
    fn chain(&mut self, call: &CallExpr, operator: &str, kind: impl Fn(Vec<Node>) -> Kind) -> Node {
        let mut links = Vec::new();
        links_of(call, operator, &mut links);
        let terms: Vec<Node> = links.into_iter().map(|link| self.node(link)).collect();
        let (start, end) = (terms[0].span.start, terms[terms.len() - 1].span.end);
        let span = self.balanced(start, end);
        Node { kind: kind(terms), span }
    }

    /// Recognises what the parser made of a macro, by the shape of its loop.
    fn comprehension(&mut self, parts: &ComprehensionExpr, token: Span) -> Node {
        let over = self.node(&parts.iter_range);
        let span = Span { start: over.span.start, end: self.closing(token.start) };
        if self.locals.len() >= MAX_DEPTH {
            return self.refuse(span, "too many macros inside each other".into(), None);
        }
        self.locals.push(parts.iter_var.clone());
        let loop_parts = loop_parts(parts);
        let made = loop_parts.map(|(kind, test, result)| Macro {
            kind,
            over,
            test: test.map(|test| self.node(test)),
            result: result.map(|result| self.node(result)),
        });
        self.locals.pop();
        match made {
            Some(made) => Node { kind: Kind::Macro(Box::new(made)), span },
            None => self.refuse(span, "this macro is not known here".into(), None),
        }
    }

    fn refuse(&mut self, span: Span, message: String, help: Option<&str>) -> Node {
        self.error(span.start, message, help.map(str::to_owned));
        Node { kind: Kind::Literal(Literal::Null), span }
    }

    fn error(&mut self, offset: u32, message: String, help: Option<String>) {
        self.errors.push(CompileError { offset: offset as usize, message, help });
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

/// A literal of CEL's grammar by JSON's: a digit on both sides of the point.
fn json_number(text: &str, negative: bool) -> String {
    let text = text.trim_start_matches('-').trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { "0" } else { fraction };
    format!("{}{whole}.{fraction}{exponent}", if negative { "-" } else { "" })
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
