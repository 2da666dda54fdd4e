//! The evaluator: walks the compiled tree over borrowed values.

use std::cell::RefCell;

use crate::{
    arguments::Arguments,
    calls, compare,
    context::{Bindings, Context},
    convert,
    error::{Span, Stop},
    functions::Function,
    get, json_text, macros,
    node::{Kind, Literal, Node, Operator, Relation, Var},
    strings, time,
    value::{List, Map, Text, Value},
};

/// One evaluation, and the variables of the macros around.
pub(crate) struct Evaluator<'a> {
    pub(crate) context: Context<'a>,
    locals: RefCell<Vec<Value<'a>>>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(bindings: &Bindings<'a>) -> Self {
        Self { context: Context::new(bindings), locals: RefCell::default() }
    }

    /// Looks at something while a macro's variable is this element.
    pub(crate) fn with<T>(&self, element: Value<'a>, look: impl FnOnce() -> T) -> T {
        self.locals.borrow_mut().push(element);
        let seen = look();
        self.locals.borrow_mut().pop();
        seen
    }

    /// A condition: true, false, or no value.
    pub(crate) fn condition(&self, node: &'a Node) -> Result<bool, Stop> {
        self.context.budget.spend(1, node.span)?;
        self.truth(node)
    }

    /// The same, paid for already. What is a condition by its kind is told without making a value of it.
    fn truth(&self, node: &'a Node) -> Result<bool, Stop> {
        match &node.kind {
            Kind::Not(inner) => self.condition(inner).map(|value| !value),
            Kind::And(terms) => decide(terms.iter().map(|term| self.condition(term)), false),
            Kind::Or(terms) => decide(terms.iter().map(|term| self.condition(term)), true),
            Kind::Equal { negated, sides } => self.equal(sides).map(|equal| equal != *negated),
            Kind::Compare(relation, pair) => self.compare(*relation, pair, node.span),
            Kind::In(pair) => self.contains(pair),
            Kind::Has(inner, field) => self.has(inner, field),
            Kind::Matches(inner, pattern) => self.matches(inner, pattern),
            Kind::Call(Function::Changed, arguments) => self.changed(&arguments[0]),
            Kind::Call(Function::Was, arguments) => self.was(&arguments[0], &arguments[1]),
            Kind::Call(Function::Became, arguments) => self.became(&arguments[0], &arguments[1]),
            _ => match self.value(node)? {
                Value::Bool(value) => Ok(value),
                Value::Null => Err(Stop::null(node.span)),
                other => Err(Stop::failed(node.span, format!("is {}, and a condition is true or false", other.kind()))),
            },
        }
    }

    /// A value that an operation needs: null counts as absent.
    #[inline]
    pub(crate) fn present(&self, node: &'a Node) -> Result<Value<'a>, Stop> {
        match self.eval(node)? {
            Value::Null => Err(Stop::null(node.span)),
            value => Ok(value),
        }
    }

    /// The value of a node.
    pub(crate) fn eval(&self, node: &'a Node) -> Result<Value<'a>, Stop> {
        self.context.budget.spend(1, node.span)?;
        self.value(node)
    }

    /// The same, paid for already.
    fn value(&self, node: &'a Node) -> Result<Value<'a>, Stop> {
        match &node.kind {
            Kind::Literal(literal) => Ok(Value::of_literal(literal)),
            Kind::Var(var) => self.variable(*var, node.span),
            Kind::Local(slot) => Ok(self.locals.borrow().get(*slot).cloned().unwrap_or(Value::Null)),
            Kind::Select(inner, field) => self.select(inner, field, node.span),
            Kind::Index(pair) => self.index(pair, node.span),
            Kind::List(items) => {
                self.context.budget.make(items.len() * size_of::<Value<'_>>(), node.span)?;
                items.iter().map(|item| self.eval(item)).collect::<Result<_, _>>().map(Value::list)
            }
            Kind::Map(entries) => self.map(entries, node.span),
            Kind::Negate(inner) => self.negate(inner),
            Kind::If(parts) => {
                let chosen = if self.condition(&parts[0])? { &parts[1] } else { &parts[2] };
                self.eval(chosen)
            }
            Kind::Arithmetic(operator, pair) => self.arithmetic(*operator, pair, node.span),
            Kind::Macro(parts) => macros::run(self, parts),
            Kind::Call(function, arguments) if !function.is_about_changes() => {
                self.call(*function, arguments, node.span)
            }
            _ => self.truth(node).map(Value::Bool),
        }
    }

    fn variable(&self, var: Var, span: Span) -> Result<Value<'a>, Stop> {
        let json = match var {
            Var::Data => self.context.bindings.data,
            Var::Event => self.context.bindings.event,
            Var::Params => self.context.bindings.params,
            Var::Input => self.context.bindings.input,
            Var::Payload if self.context.bindings.payload.is_some() => self.context.bindings.payload,
            _ => {
                let change = self.context.bindings.change.ok_or_else(|| Stop::missing(span))?;
                return Ok(match var {
                    Var::Op => Value::str(change.op()),
                    Var::TableSchema => Value::str(change.schema()),
                    Var::TableName => Value::str(change.table()),
                    Var::Table => Value::map(vec![
                        (Value::str("name"), Value::str(change.table())),
                        (Value::str("schema"), Value::str(change.schema())),
                    ]),
                    Var::Old => Value::of_json(change.old()),
                    Var::New => Value::of_json(change.new_row()),
                    Var::Row => Value::of_json(change.row()),
                    Var::Session => {
                        change.session().map_or_else(|| Value::map(Vec::new()), |map| Value::Map(Map::Json(map)))
                    }
                    Var::User => change.user().map_or(Value::Null, Value::str),
                    Var::Role => change.role().map_or(Value::Null, Value::str),
                    Var::Trigger => change.trigger().map_or(Value::Null, Value::str),
                    Var::Source => Value::str(change.source()),
                    Var::Received => Value::Timestamp(change.received()),
                    Var::Body(name) => Value::of_json(change.member(name)),
                    _ => Value::of_json(change.body()),
                });
            }
        };
        json.map(Value::of_json).ok_or_else(|| Stop::missing(span))
    }

    #[inline]
    fn select(&self, inner: &'a Node, field: &str, span: Span) -> Result<Value<'a>, Stop> {
        match self.eval(inner)? {
            Value::Map(map) => {
                self.context.budget.look(map.looked_through(), span)?;
                map.field(field).ok_or_else(|| Stop::missing(span))
            }
            Value::Null => Err(Stop::null(inner.span)),
            // The columns of a row that is no object are missing: a manual invocation may carry anything.
            _ if !inner.rows().is_empty() => Err(Stop::missing(span)),
            other => {
                let hint = if field == "length" { "; its length is `size(…)`" } else { "" };
                Err(Stop::failed(inner.span, format!("is {}, and has no `{field}`{hint}", other.kind())))
            }
        }
    }

    fn has(&self, inner: &'a Node, field: &str) -> Result<bool, Stop> {
        match self.eval(inner) {
            Ok(Value::Map(map)) => Ok(map.field(field).is_some()),
            Ok(Value::Null) | Err(Stop::Absent(_)) => Ok(false),
            // A row that is no object has no columns.
            Ok(_) if !inner.rows().is_empty() => Ok(false),
            Ok(other) => Err(Stop::failed(inner.span, format!("is {}, and has no fields", other.kind()))),
            Err(failed) => Err(failed),
        }
    }

    fn index(&self, pair: &'a [Node; 2], span: Span) -> Result<Value<'a>, Stop> {
        let found = match (self.present(&pair[0])?, self.present(&pair[1])?) {
            (Value::List(list), key) => {
                let index = if let Value::Number(number) = &key { number.whole() } else { None };
                let index = index.ok_or_else(|| {
                    Stop::failed(pair[1].span, format!("is {}, and a list is indexed by a whole number", key.kind()))
                })?;
                usize::try_from(index).ok().and_then(|index| list.get(index))
            }
            (Value::Map(map), key) => {
                self.context.budget.look(map.looked_through(), span)?;
                map.get(&key)
            }
            _ if !pair[0].rows().is_empty() => None,
            (other, _) => return Err(Stop::failed(pair[0].span, format!("is {}, and has no elements", other.kind()))),
        };
        found.ok_or_else(|| Stop::missing(span))
    }

    fn map(&self, entries: &'a [(Node, Node)], span: Span) -> Result<Value<'a>, Stop> {
        self.context.budget.make(entries.len() * 2 * size_of::<Value<'_>>(), span)?;
        let mut pairs: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = self.present(key)?;
            if !matches!(name, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
                return Err(Stop::failed(key.span, format!("is {}, and the key of a map is a scalar", name.kind())));
            }
            self.context.budget.look(pairs.len(), span)?;
            if pairs.iter().any(|(other, _)| compare::equal_scalars(other, &name)) {
                return Err(Stop::failed(key.span, "the map has this key already"));
            }
            pairs.push((name, self.eval(value)?));
        }
        Ok(Value::map(pairs))
    }

    fn negate(&self, inner: &'a Node) -> Result<Value<'a>, Stop> {
        match self.present(inner)? {
            Value::Duration(duration) => Ok(Value::Duration(-duration)),
            Value::Number(number) => {
                number.negate().map(Value::Number).map_err(|message| Stop::failed(inner.span, message))
            }
            other => Err(Stop::failed(inner.span, format!("{} is no number", other.kind()))),
        }
    }

    /// Null equals only null. Beside a written `null` a missing column counts as null; elsewhere it is absent.
    fn equal(&self, sides: &'a [Node; 2]) -> Result<bool, Stop> {
        let (left, right) = (self.side(&sides[0], &sides[1])?, self.side(&sides[1], &sides[0])?);
        compare::equal(&self.context.budget, &left, &right, sides[0].span)
    }

    #[inline]
    fn side(&self, node: &'a Node, other: &Node) -> Result<Value<'a>, Stop> {
        match self.eval(node) {
            Err(Stop::Absent(_)) if is_null(other) => Ok(Value::Null),
            result => result,
        }
    }

    fn compare(&self, relation: Relation, pair: &'a [Node; 2], span: Span) -> Result<bool, Stop> {
        let (left, right) = (self.present(&pair[0])?, self.present(&pair[1])?);
        self.context.budget.look(compare::words(&left).min(compare::words(&right)), span)?;
        let order = compare::order(&left, &right).ok_or_else(|| {
            let hint = match (&left, &right) {
                (Value::String(text), Value::Number(_)) => convert::to_number(text, &pair[0]),
                (Value::Number(_), Value::String(text)) => convert::to_number(text, &pair[1]),
                (Value::String(_), Value::Timestamp(_)) | (Value::Timestamp(_), Value::String(_)) => {
                    "; convert the text with timestamp() or date()".to_owned()
                }
                _ => String::new(),
            };
            Stop::failed(span, format!("{} has no order with {}{hint}", left.kind(), right.kind()))
        })?;
        Ok(relation.holds(order))
    }

    fn arithmetic(&self, operator: Operator, pair: &'a [Node; 2], span: Span) -> Result<Value<'a>, Stop> {
        let (left, right) = (self.present(&pair[0])?, self.present(&pair[1])?);
        self.context.budget.spend(left.weight() + right.weight(), span)?;
        if operator == Operator::Add
            && let Some(result) = strings::concatenate(&self.context.budget, &left, &right, span)
        {
            return result;
        }
        let result = match (&left, &right) {
            (Value::Number(left), Value::Number(right)) => left.compute(operator, right).map(Value::Number),
            _ => time::arithmetic(operator, &left, &right)
                .unwrap_or_else(|| Err(format!("cannot compute with {} and {}", left.kind(), right.kind()))),
        };
        result.map_err(|message| Stop::failed(span, message))
    }

    /// `in`: an element of a list, or a key of a map.
    fn contains(&self, pair: &'a [Node; 2]) -> Result<bool, Stop> {
        let wanted = self.eval(&pair[0])?;
        // The usual list is written in the condition: look at it without making it.
        if let Kind::List(items) = &pair[1].kind
            && items.iter().all(|item| matches!(item.kind, Kind::Literal(_)))
        {
            self.context.budget.spend(items.len(), pair[1].span)?;
            return Ok(items.iter().any(|item| match &item.kind {
                Kind::Literal(literal) => compare::equal_scalars(&wanted, &Value::of_literal(literal)),
                _ => false,
            }));
        }
        let list = self.present(&pair[1])?;
        self.context.budget.spend(list.weight(), pair[1].span)?;
        match &list {
            Value::Map(map) => Ok(map.get(&wanted).is_some()),
            Value::List(items) => self.is_among(&wanted, items, pair[1].span),
            other => Err(Stop::failed(pair[1].span, format!("is {}, and `in` wants a list or a map", other.kind()))),
        }
    }

    fn is_among(&self, wanted: &Value<'a>, items: &List<'a>, span: Span) -> Result<bool, Stop> {
        for item in items.iter() {
            if compare::equal(&self.context.budget, wanted, &item, span)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn matches(&self, inner: &'a Node, pattern: &regex::Regex) -> Result<bool, Stop> {
        let text = self.present(inner)?;
        self.context.budget.spend(text.weight(), inner.span)?;
        match text {
            Value::String(text) => Ok(pattern.is_match(&text)),
            other => Err(Stop::failed(inner.span, format!("is {}, and `matches` wants a string", other.kind()))),
        }
    }

    /// A function; all but a few take values that are there.
    fn call(&self, function: Function, nodes: &'a [Node], span: Span) -> Result<Value<'a>, Stop> {
        match function {
            Function::Coalesce => self.coalesce(nodes),
            Function::Get => self.get(nodes, span),
            Function::Dyn => self.eval(&nodes[0]),
            Function::Json => {
                let text = json_text::of(&self.context.budget, &self.eval(&nodes[0])?, span)?;
                Ok(Value::text(text))
            }
            Function::Type => Ok(Value::Type(self.eval(&nodes[0])?.type_name())),
            _ => {
                let values = nodes.iter().map(|node| self.present(node)).collect::<Result<_, _>>()?;
                calls::call(function, &Arguments::new(&self.context, span, nodes, values)?)
            }
        }
    }

    /// The first value that is neither null nor missing; null if there is none.
    fn coalesce(&self, nodes: &'a [Node]) -> Result<Value<'a>, Stop> {
        for node in nodes {
            match self.eval(node) {
                Ok(Value::Null) | Err(Stop::Absent(_)) => {}
                other => return other,
            }
        }
        Ok(Value::Null)
    }

    /// What a path leads to; where that is null or not there, the default.
    fn get(&self, nodes: &'a [Node], span: Span) -> Result<Value<'a>, Stop> {
        let Value::String(path) = self.present(&nodes[1])? else {
            return Err(Stop::failed(nodes[1].span, "a path is a text: names with dots between them, `address.city`"));
        };
        get::check_path(&path).map_err(|message| Stop::failed(nodes[1].span, message))?;
        let mut found = match self.eval(&nodes[0]) {
            Err(Stop::Absent(_)) => Value::Null,
            from => from?,
        };
        for name in get::names(&path) {
            self.context.budget.spend(1, span)?;
            found = match get::within(&self.context.budget, &found, name, span)? {
                Some(Value::Null) | None => return self.eval(&nodes[2]),
                Some(value) => value,
            };
        }
        Ok(found)
    }

    /// Both rows have the column, and its values differ.
    pub(crate) fn changed(&self, node: &'a Node) -> Result<bool, Stop> {
        let column = self.column(node)?;
        let Some(change) = self.context.bindings.change else { return Ok(false) };
        match (change.old().get(&*column), change.new_row().get(&*column)) {
            (Some(old), Some(new)) => {
                let (old, new) = (Value::of_json(old), Value::of_json(new));
                Ok(!compare::equal(&self.context.budget, &old, &new, node.span)?)
            }
            _ => Ok(false),
        }
    }

    /// The old row has the column with that value.
    pub(crate) fn was(&self, column: &'a Node, value: &'a Node) -> Result<bool, Stop> {
        let column = self.column(column)?;
        let wanted = self.eval(value)?;
        let old = self.context.bindings.change.and_then(|change| change.old().get(&*column));
        self.is(old, &wanted, value.span)
    }

    /// The column changed, and its new value is this.
    pub(crate) fn became(&self, column: &'a Node, value: &'a Node) -> Result<bool, Stop> {
        if !self.changed(column)? {
            return Ok(false);
        }
        let name = self.column(column)?;
        let wanted = self.eval(value)?;
        let new = self.context.bindings.change.and_then(|change| change.new_row().get(&*name));
        self.is(new, &wanted, value.span)
    }

    /// Whether a column is there and has that value.
    fn is(&self, column: Option<&'a serde_json::Value>, wanted: &Value<'a>, span: Span) -> Result<bool, Stop> {
        column.map_or(Ok(false), |column| compare::equal(&self.context.budget, &Value::of_json(column), wanted, span))
    }

    /// The name of a column, which is almost always written.
    #[inline]
    fn column(&self, node: &'a Node) -> Result<Text<'a>, Stop> {
        if let Kind::Literal(Literal::String(name)) = &node.kind {
            return self.context.budget.spend(1, node.span).map(|()| Text::Borrowed(name));
        }
        match self.present(node)? {
            Value::String(name) => Ok(name),
            other => Err(Stop::failed(node.span, format!("is {}, and a column's name is wanted here", other.kind()))),
        }
    }
}

/// `&&` and `all` (`decisive` is false), `||` and `exists` (true): a decisive term wins over terms without a value, as CEL
/// has it. Of those a failure is reported rather than an absence, so that no mistake hides behind a null.
pub(crate) fn decide(terms: impl Iterator<Item = Result<bool, Stop>>, decisive: bool) -> Result<bool, Stop> {
    let mut stopped: Option<Stop> = None;
    for term in terms {
        match term {
            Ok(value) if value == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(stop) => {
                if stopped.is_none() || matches!((&stopped, &stop), (Some(Stop::Absent(_)), Stop::Failed(_))) {
                    stopped = Some(stop);
                }
            }
        }
    }
    stopped.map_or(Ok(!decisive), Err)
}

fn is_null(node: &Node) -> bool {
    matches!(node.kind, Kind::Literal(Literal::Null))
}
