//! From text to the compiled tree, in one pass: a loop over operators by their power, which recurses only where the text
//! nests. Names are resolved as they are met, by `resolve`.

use crate::{
    budget::{MAX_DEPTH, MAX_HEIGHT, MAX_NODES},
    error::{CompileError, Span},
    functions::MACROS,
    literal,
    node::{Kind, Literal, Macro, MacroKind, Node, Scope},
    operators::{Waiting, infix},
    scan::{self, Token, scan},
    slips,
};

/// Names that CEL keeps for languages that it may be put into.
const RESERVED: &str =
    " as break const continue else for function if import let loop package namespace return var void while ";
const KEYWORDS: [&str; 4] = ["true", "false", "null", "in"];
/// What may follow a value.
const BEHIND_A_VALUE: &str = "an operator or the end";
const VALUE: &str = "a value";

pub(crate) type Parsed<T> = Result<T, CompileError>;

fn is_reserved(name: &str) -> bool {
    RESERVED.split(' ').any(|word| word == name)
}

/// An expression while it is read.
pub(crate) struct Parser<'s> {
    pub(super) source: &'s str,
    pub(super) scope: Scope,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    nodes: usize,
    /// The brackets that are open here.
    open: Vec<Token>,
    /// The variables of the macros around.
    pub(super) locals: Vec<String>,
    /// What can be read and means nothing; reading goes on behind it.
    pub(super) errors: Vec<CompileError>,
}

/// Reads a whole expression. Of mistakes in how it is written the first is reported; of names that mean nothing, all.
pub(crate) fn parse(source: &str, scope: Scope) -> Result<Node, Vec<CompileError>> {
    let mut tokens = scan(source).map_err(|error| vec![error])?;
    tokens.retain(|token| token.kind != scan::Kind::Comment);
    if tokens.is_empty() {
        return Err(vec![CompileError::new(0, "the expression is empty", None)]);
    }
    let (open, locals, errors) = Default::default();
    let mut parser = Parser { source, scope, tokens, at: 0, depth: 0, nodes: 0, open, locals, errors };
    let root = parser.expression().and_then(|root| match parser.peek() {
        None => Ok(root),
        Some(_) => Err(parser.unexpected(BEHIND_A_VALUE)),
    });
    let root = root.map_err(|error| vec![error])?;
    if parser.errors.is_empty() {
        return Ok(root);
    }
    parser.errors.sort_by_key(|error| error.offset);
    Err(parser.errors)
}

impl<'s> Parser<'s> {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    /// The text of the next token; empty at the end.
    fn next_text(&self) -> &'s str {
        self.peek().map_or("", |token| token.text(self.source))
    }

    /// Where the next token begins.
    fn start(&self) -> u32 {
        self.peek().map_or(self.source.len(), |token| token.start) as u32
    }

    /// From there to the end of what was read last.
    fn span(&self, start: u32) -> Span {
        let last = self.at.checked_sub(1).and_then(|last| self.tokens.get(last));
        Span { start, end: last.map_or(0, |token| token.end) as u32 }
    }

    /// Steps over a sign or keyword, if it is the next.
    fn take(&mut self, text: &str) -> bool {
        let is_next = self.next_text() == text;
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, text: &str, expected: &str) -> Parsed<()> {
        if self.take(text) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// The next token if it is a name that may be one here.
    fn name(&self) -> Option<&'s str> {
        let token = self.peek().filter(|token| token.kind == scan::Kind::Name)?;
        Some(token.text(self.source)).filter(|name| !KEYWORDS.contains(name))
    }

    /// The next token is not what may stand here.
    fn unexpected(&self, expected: &str) -> CompileError {
        match self.peek() {
            Some(token) => slips::unexpected(self.source, token.start, expected, self.open.last().copied()),
            None => slips::too_early(self.source, expected, self.open.last().copied()),
        }
    }

    /// Every node is made here, and counted.
    pub(super) fn node(&mut self, span: Span, kind: Kind) -> Parsed<Node> {
        let node = Node::new(kind, span);
        self.nodes += 1;
        let start = span.start as usize;
        if self.nodes > MAX_NODES {
            return Err(CompileError::new(start, format!("the expression has more than {MAX_NODES} parts"), None));
        }
        if node.height as usize > MAX_HEIGHT {
            let message = format!("more than {MAX_HEIGHT} operators work on the result of one another");
            let help = "use `in [...]` for a choice of values, or several events";
            return Err(CompileError::new(start, message, Some(help)));
        }
        Ok(node)
    }

    /// `condition ? one : other`, or what stands in its place.
    fn expression(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("the expression nests deeper than {MAX_DEPTH}");
            return Err(CompileError::new(self.start() as usize, message, None));
        }
        let start = self.start();
        let mut node = self.operation()?;
        if self.take("?") {
            node = self.choice(start, node)?;
        }
        self.depth -= 1;
        Ok(node)
    }

    fn choice(&mut self, start: u32, condition: Node) -> Parsed<Node> {
        let first = self.at;
        let chosen = self.operation()?;
        self.expect(":", "`:`").map_err(|error| self.or_optional(first, error))?;
        let parts = [condition, chosen, self.expression()?];
        self.node(self.span(start), Kind::If(Box::new(parts)))
    }

    /// Of `new.a?.b` it is said that `?.` is no operator.
    fn or_optional(&self, behind: usize, error: CompileError) -> CompileError {
        let dot = self.tokens.get(behind).filter(|token| token.text(self.source) == ".");
        dot.and_then(|dot| slips::sign(self.source, dot.start)).unwrap_or(error)
    }

    /// Operands and the operators between them. What stands before an operator waits until one comes that binds no
    /// stronger, so that this takes no stack, however many there are.
    fn operation(&mut self) -> Parsed<Node> {
        let mut waiting: Vec<Waiting> = Vec::new();
        loop {
            let mut start = self.start();
            let mut right = self.prefix()?;
            let next = infix(self.next_text());
            let power = next.as_ref().map_or(0, |(power, _)| *power);
            while let Some(left) = waiting.pop_if(|left| left.ends_before(power)) {
                start = left.start;
                right = self.join(left, right)?;
            }
            let Some((power, operator)) = next else { return Ok(right) };
            self.at += 1;
            match waiting.last_mut().filter(|left| left.power == power) {
                Some(chain) => chain.more.push(right),
                None => waiting.push(Waiting { start, operand: right, more: Vec::new(), power, operator }),
            }
        }
    }

    fn join(&mut self, left: Waiting, right: Node) -> Parsed<Node> {
        let start = left.start;
        let mut node = self.node(self.span(start), left.with(right))?;
        self.check_operands(&mut node);
        Ok(node)
    }

    fn prefix(&mut self) -> Parsed<Node> {
        let first = self.at;
        while matches!(self.next_text(), "!" | "-") {
            self.at += 1;
        }
        let mut signs = self.tokens[first..self.at].to_vec();
        let is_number = self.peek().is_some_and(|token| token.kind == scan::Kind::Number);
        let minus = signs.pop_if(|sign| is_number && sign.text(self.source) == "-");
        let start = minus.map_or(self.start(), |minus| minus.start as u32);
        let mut node = self.primary(start, minus.is_some())?;
        node = self.postfix(start, node)?;
        for sign in signs.into_iter().rev() {
            let inner = Box::new(node);
            let kind = if sign.text(self.source) == "!" { Kind::Not(inner) } else { Kind::Negate(inner) };
            node = self.node(self.span(sign.start as u32), kind)?;
        }
        Ok(node)
    }

    /// What stands before every dot, bracket and operator. (Its parts are functions of their own for the stack's sake.)
    fn primary(&mut self, start: u32, negative: bool) -> Parsed<Node> {
        match (self.peek().map(|token| token.kind), self.next_text()) {
            (_, "(") => self.group(),
            (_, "[") => self.list(start),
            (_, "{") => self.map(start),
            // A name of the outermost scope, of which there is only one.
            (_, ".") => {
                self.at += 1;
                self.named()
            }
            (Some(scan::Kind::Name), name) if !KEYWORDS.contains(&name) => self.named(),
            _ => self.literal(start, negative),
        }
    }

    fn literal(&mut self, start: u32, negative: bool) -> Parsed<Node> {
        let Some(token) = self.peek() else { return Err(self.unexpected(VALUE)) };
        let literal = match (token.kind, token.text(self.source)) {
            (scan::Kind::Text, _) => literal::text(self.source, token)?,
            (scan::Kind::Number, _) => literal::number(self.source, token, negative)?,
            (_, "true") => Literal::Bool(true),
            (_, "false") => Literal::Bool(false),
            (_, "null") => Literal::Null,
            _ => return Err(self.unexpected(VALUE)),
        };
        self.at += 1;
        self.node(self.span(start), Kind::Literal(literal))
    }

    fn group(&mut self) -> Parsed<Node> {
        self.enter();
        let node = self.expression()?;
        self.leave(")", "an operator or `)`")?;
        Ok(node)
    }

    fn list(&mut self, start: u32) -> Parsed<Node> {
        self.enter();
        let items = self.entries("]", Self::expression)?;
        self.node(self.span(start), Kind::List(items))
    }

    fn map(&mut self, start: u32) -> Parsed<Node> {
        self.enter();
        let entries = self.entries("}", |this| {
            let key = this.expression()?;
            this.expect(":", "an operator or `:`")?;
            Ok((key, this.expression()?))
        })?;
        self.node(self.span(start), Kind::Map(entries))
    }

    /// A variable, a type or a call.
    fn named(&mut self) -> Parsed<Node> {
        let Some(name) = self.name() else { return Err(self.unexpected(VALUE)) };
        let start = self.start();
        if is_reserved(name) {
            return Err(CompileError::new(
                start as usize,
                format!("`{name}` is a reserved word of CEL"),
                Some(&slips::reserved(name)),
            ));
        }
        if name.starts_with('`') {
            let text = name.trim_matches('`');
            let help = format!("a text has other quotes, `\"{text}\"`; a column is written `new[\"{text}\"]`");
            return Err(CompileError::new(start as usize, "a name in backticks stands behind a dot", Some(&help)));
        }
        self.at += 1;
        match self.next_text() {
            "{" => Err(self.no_types(name)),
            "(" if name == "has" => self.has(start),
            "(" => self.call(name, start, start, None),
            _ => {
                let kind = self.ident(name, self.span(start));
                self.node(self.span(start), kind)
            }
        }
    }

    fn no_types(&self, name: &str) -> CompileError {
        let help = "write a map: {\"key\": value}";
        CompileError::new(self.start() as usize, format!("there are no types like `{name}` here"), Some(help))
    }

    /// Fields, elements and calls behind a value.
    fn postfix(&mut self, start: u32, mut node: Node) -> Parsed<Node> {
        loop {
            node = match self.next_text() {
                "." => {
                    self.at += 1;
                    self.member(start, node)?
                }
                "[" => self.index(start, node)?,
                "{" if matches!(node.kind, Kind::Select(..)) => {
                    return Err(self.no_types(self.span(start).of(self.source)));
                }
                _ => return Ok(node),
            };
        }
    }

    fn index(&mut self, start: u32, node: Node) -> Parsed<Node> {
        self.enter();
        let key = self.expression()?;
        self.leave("]", "an operator or `]`")?;
        let mut node = self.node(self.span(start), Kind::Index(Box::new([node, key])))?;
        self.check_operands(&mut node);
        Ok(node)
    }

    /// What stands behind a dot.
    fn member(&mut self, start: u32, node: Node) -> Parsed<Node> {
        let Some(name) = self.name() else { return Err(self.unexpected("a name")) };
        let name_at = self.start();
        self.at += 1;
        if self.next_text() != "(" {
            let kind = self.select(node, name.trim_matches('`'), self.span(start));
            return self.node(self.span(start), kind);
        }
        if MACROS.contains(&name)
            && let [variable, comma] = self.tokens.get(self.at + 1..self.at + 3).unwrap_or_default()
            && variable.kind == scan::Kind::Name
            && comma.text(self.source) == ","
        {
            return self.comprehension(start, name, name_at, node);
        }
        self.call(name, name_at, start, Some(node))
    }

    /// `has(a.b)`: whether it is there.
    fn has(&mut self, start: u32) -> Parsed<Node> {
        let mut arguments = self.arguments(None)?;
        let span = self.span(start);
        let kind = match arguments.pop().map(|argument| argument.kind) {
            Some(Kind::Select(inner, field)) if arguments.is_empty() => Kind::Has(inner, field),
            Some(Kind::Index(pair)) if arguments.is_empty() => self.has_element(&pair, start),
            // The parts of a table, which are always there.
            Some(Kind::Var(var)) if arguments.is_empty() && var.is_part_of_table() => {
                Kind::Literal(Literal::Bool(true))
            }
            _ => self.not_called_like_this("has", start),
        };
        self.node(span, kind)
    }

    /// A macro from its opening bracket on: a variable, and what is said of each element that it stands for.
    fn comprehension(&mut self, start: u32, name: &str, name_at: u32, over: Node) -> Parsed<Node> {
        self.enter();
        let variable = self.name().filter(|name| !is_reserved(name));
        let variable = variable.ok_or_else(|| self.unexpected("the name of a variable"))?;
        self.at += 2;
        self.locals.push(variable.to_owned());
        let parts = self.entries(")", Self::expression)?;
        self.locals.pop();
        let span = self.span(start);
        let mut parts = parts.into_iter();
        let (kind, test, result) = match (name, parts.next(), parts.next(), parts.next()) {
            ("all", test @ Some(_), None, None) => (MacroKind::All, test, None),
            ("exists", test @ Some(_), None, None) => (MacroKind::Exists, test, None),
            ("exists_one", test @ Some(_), None, None) => (MacroKind::ExistsOne, test, None),
            ("filter", test @ Some(_), None, None) => (MacroKind::Map, test, None),
            ("map", result @ Some(_), None, None) => (MacroKind::Map, None, result),
            ("map", test @ Some(_), result @ Some(_), None) => (MacroKind::Map, test, result),
            _ => {
                let kind = self.not_called_like_this(name, name_at);
                return self.node(span, kind);
            }
        };
        self.node(span, Kind::Macro(Box::new(Macro { kind, over, test, result })))
    }

    /// A call of a function from its opening bracket on; of a member call the first argument is what it is called on.
    fn call(&mut self, name: &str, name_at: u32, start: u32, target: Option<Node>) -> Parsed<Node> {
        let is_member = target.is_some();
        let arguments = self.arguments(target)?;
        let kind = self.called(name, name_at, is_member, arguments)?;
        self.node(self.span(start), kind)
    }

    /// What stands between the brackets of a call, behind the value that it is called on.
    fn arguments(&mut self, target: Option<Node>) -> Parsed<Vec<Node>> {
        self.enter();
        let mut arguments: Vec<Node> = target.into_iter().collect();
        arguments.extend(self.entries(")", Self::expression)?);
        Ok(arguments)
    }

    /// Steps over an opening bracket.
    fn enter(&mut self) {
        self.open.extend(self.peek());
        self.at += 1;
    }

    fn leave(&mut self, bracket: &str, expected: &str) -> Parsed<()> {
        self.expect(bracket, expected)?;
        self.open.pop();
        Ok(())
    }

    /// Entries with commas between them, up to and with the closing bracket; a list and a map may end in a comma.
    fn entries<T>(&mut self, close: &str, mut entry: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut entries = Vec::new();
        while self.next_text() != close {
            entries.push(entry(self)?);
            if !self.take(",") {
                break;
            }
            if close == ")" && self.next_text() == close {
                return Err(self.unexpected(VALUE));
            }
        }
        self.leave(close, &format!("an operator, `,` or `{close}`"))?;
        Ok(entries)
    }
}
