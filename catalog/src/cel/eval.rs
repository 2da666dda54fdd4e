//! The evaluator: walks the compiled tree over borrowed values.

use std::{borrow::Cow, cell::RefCell};

use super::{
    Bindings, Stop,
    budget::Budget,
    compare,
    functions::{self, Function},
    macros,
    node::{Kind, Literal, Node, Operator, Relation, Span, Var},
    number, strings, time,
    value::Value,
};

/// One evaluation: what the variables stand for, the variables of the macros around, the steps left.
pub(crate) struct Evaluator<'a> {
    bindings: Bindings<'a>,
    pub(crate) locals: RefCell<Vec<Value<'a>>>,
    pub(crate) budget: Budget,
    /// The patterns that were computed, compiled.
    pub(crate) patterns: RefCell<Vec<regex::Regex>>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(bindings: &Bindings<'a>) -> Self {
        let (locals, patterns) = Default::default();
        Self { bindings: *bindings, locals, budget: Budget::new(), patterns }
    }

    /// A condition: true, false, or no value.
    pub(crate) fn condition(&self, node: &'a Node) -> Result<bool, Stop> {
        self.budget.spend(1, node.span)?;
        self.truth(node)
    }

    /// The same, paid for already. What is a condition by its kind is told without making a value of it.
    fn truth(&self, node: &'a Node) -> Result<bool, Stop> {
        match &node.kind {
            Kind::Not(inner) => self.condition(inner).map(|value| !value),
            Kind::And(terms) => self.logic(terms, false),
            Kind::Or(terms) => self.logic(terms, true),
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
        self.budget.spend(1, node.span)?;
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
                self.budget.make(items.len() * size_of::<Value<'_>>(), node.span)?;
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
            Kind::Call(function, arguments)
                if !matches!(function, Function::Changed | Function::Was | Function::Became) =>
            {
                functions::call(self, *function, arguments, node.span)
            }
            _ => self.truth(node).map(Value::Bool),
        }
    }

    fn variable(&self, var: Var, span: Span) -> Result<Value<'a>, Stop> {
        let json = match var {
            Var::Data => self.bindings.data,
            Var::Event => self.bindings.event,
            _ => {
                let change = self.bindings.change.ok_or_else(|| Stop::missing(span))?;
                return Ok(match var {
                    Var::Op => Value::String(change.op()),
                    Var::TableSchema => Value::String(change.schema()),
                    Var::TableName => Value::String(change.table()),
                    Var::Table => Value::Map(std::rc::Rc::new(vec![
                        (Value::String("name"), Value::String(change.table())),
                        (Value::String("schema"), Value::String(change.schema())),
                    ])),
                    Var::Old => Value::of_json(change.old()),
                    Var::New => Value::of_json(change.new_row()),
                    Var::Row => Value::of_json(change.row()),
                    Var::Session => change.session().map_or_else(|| Value::Map(Default::default()), Value::JsonMap),
                    Var::User => change.user().map_or(Value::Null, Value::String),
                    Var::Role => change.role().map_or(Value::Null, Value::String),
                    Var::Trigger => change.trigger().map_or(Value::Null, Value::String),
                    Var::Source => Value::String(change.source()),
                    Var::Received => Value::Timestamp(change.received()),
                    _ => Value::of_json(change.body()),
                });
            }
        };
        json.map(Value::of_json).ok_or_else(|| Stop::missing(span))
    }

    #[inline]
    fn select(&self, inner: &'a Node, field: &str, span: Span) -> Result<Value<'a>, Stop> {
        let object = self.eval(inner)?;
        if let Value::JsonMap(map) = &object {
            return map.get(field).map(Value::of_json).ok_or_else(|| Stop::missing(span));
        }
        match &object {
            Value::Map(_) => {
                self.budget.look(object.looked_through(), span)?;
                object.get(&Value::String(field)).ok_or_else(|| Stop::missing(span))
            }
            Value::Null => Err(Stop::null(inner.span)),
            // The columns of a row that is no object are missing: a manual invocation may carry anything.
            _ if !inner.rows().is_empty() => Err(Stop::missing(span)),
            other => Err(Stop::failed(inner.span, format!("is {}, and has no `{field}`", other.kind()))),
        }
    }

    fn has(&self, inner: &'a Node, field: &str) -> Result<bool, Stop> {
        match self.eval(inner) {
            Ok(object @ (Value::JsonMap(_) | Value::Map(_) | Value::Null)) => {
                Ok(object.get(&Value::String(field)).is_some())
            }
            // A row that is no object has no columns.
            Ok(_) if !inner.rows().is_empty() => Ok(false),
            Ok(other) => Err(Stop::failed(inner.span, format!("is {}, and has no fields", other.kind()))),
            Err(Stop::Absent(_)) => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    fn index(&self, pair: &'a [Node; 2], span: Span) -> Result<Value<'a>, Stop> {
        let (object, key) = (self.present(&pair[0])?, self.present(&pair[1])?);
        let found = match (&object, &key) {
            (Value::JsonList(_) | Value::List(_), Value::Int(index)) => {
                usize::try_from(*index).ok().and_then(|index| object.elements()?.get(index))
            }
            (Value::JsonList(_) | Value::List(_), other) => {
                return Err(Stop::failed(
                    pair[1].span,
                    format!("is {}, and a list is indexed by an int", other.kind()),
                ));
            }
            (Value::JsonMap(_) | Value::Map(_), _) => {
                self.budget.look(object.looked_through(), span)?;
                object.get(&key)
            }
            _ if !pair[0].rows().is_empty() => None,
            (other, _) => return Err(Stop::failed(pair[0].span, format!("is {}, and has no elements", other.kind()))),
        };
        found.ok_or_else(|| Stop::missing(span))
    }

    fn map(&self, entries: &'a [(Node, Node)], span: Span) -> Result<Value<'a>, Stop> {
        self.budget.make(entries.len() * 2 * size_of::<Value<'_>>(), span)?;
        let mut pairs: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = self.present(key)?;
            if !matches!(name.type_name(), "string" | "int" | "bool" | "double") {
                return Err(Stop::failed(key.span, format!("is {}, and the key of a map is a scalar", name.kind())));
            }
            self.budget.look(pairs.len(), span)?;
            if pairs.iter().any(|(other, _)| compare::equal_scalars(other, &name)) {
                return Err(Stop::failed(key.span, "the map has this key already"));
            }
            pairs.push((name, self.eval(value)?));
        }
        Ok(Value::Map(std::rc::Rc::new(pairs)))
    }

    fn negate(&self, inner: &'a Node) -> Result<Value<'a>, Stop> {
        match self.present(inner)? {
            Value::Duration(duration) => Ok(Value::Duration(-duration)),
            value => number::negate(&value).map_err(|message| Stop::failed(inner.span, message)),
        }
    }

    /// `&&` (`decisive` is false) and `||` (true): a decisive term wins over terms without a value, as CEL has it. Of
    /// those a failure is reported rather than an absence, so that no mistake hides behind a null.
    fn logic(&self, terms: &'a [Node], decisive: bool) -> Result<bool, Stop> {
        let mut stopped: Option<Stop> = None;
        for term in terms {
            match self.condition(term) {
                Ok(value) if value == decisive => return Ok(decisive),
                Ok(_) => {}
                Err(stop) => {
                    if !matches!(stopped, Some(Stop::Failed(_)))
                        && (stopped.is_none() || matches!(stop, Stop::Failed(_)))
                    {
                        stopped = Some(stop);
                    }
                }
            }
        }
        stopped.map_or(Ok(!decisive), Err)
    }

    /// Null equals only null. Beside a written `null` a missing column counts as null; elsewhere it is absent.
    fn equal(&self, sides: &'a [Node; 2]) -> Result<bool, Stop> {
        let (left, right) = (self.side(&sides[0], &sides[1])?, self.side(&sides[1], &sides[0])?);
        compare::equal(&self.budget, &left, &right, sides[0].span)
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
        self.budget.look(compare::words(&left).min(compare::words(&right)), span)?;
        let order = compare::order(&left, &right).ok_or_else(|| {
            let hint = match (left.type_name(), right.type_name()) {
                ("string", "int" | "double") | ("int" | "double", "string") => "; convert the text with double()",
                ("string", "timestamp") | ("timestamp", "string") => "; convert the text with timestamp() or date()",
                _ => "",
            };
            Stop::failed(span, format!("{} has no order with {}{hint}", left.kind(), right.kind()))
        })?;
        Ok(match relation {
            Relation::Less => order.is_lt(),
            Relation::LessOrEqual => order.is_le(),
            Relation::Greater => order.is_gt(),
            Relation::GreaterOrEqual => order.is_ge(),
        })
    }

    fn arithmetic(&self, operator: Operator, pair: &'a [Node; 2], span: Span) -> Result<Value<'a>, Stop> {
        let (left, right) = (self.present(&pair[0])?, self.present(&pair[1])?);
        self.budget.spend(left.weight() + right.weight(), span)?;
        if operator == Operator::Add
            && let Some(result) = strings::concatenate(&self.budget, &left, &right, span)
        {
            return result;
        }
        if let Some(result) = time::arithmetic(operator, &left, &right) {
            return result.map_err(|message| Stop::failed(span, message));
        }
        let is_number = |value: &Value<'_>| matches!(value.type_name(), "int" | "double");
        if !is_number(&left) || !is_number(&right) {
            return Err(Stop::failed(span, format!("cannot compute with {} and {}", left.kind(), right.kind())));
        }
        number::arithmetic(operator, &left, &right).map_err(|message| Stop::failed(span, message))
    }

    /// `in`: an element of a list, or a key of a map.
    fn contains(&self, pair: &'a [Node; 2]) -> Result<bool, Stop> {
        let wanted = self.eval(&pair[0])?;
        // The usual list is written in the condition: look at it without making it.
        if let Kind::List(items) = &pair[1].kind
            && items.iter().all(|item| matches!(item.kind, Kind::Literal(_)))
        {
            self.budget.spend(items.len(), pair[1].span)?;
            return Ok(items.iter().any(|item| match &item.kind {
                Kind::Literal(literal) => compare::equal_scalars(&wanted, &Value::of_literal(literal)),
                _ => false,
            }));
        }
        let list = self.present(&pair[1])?;
        self.budget.spend(list.weight(), pair[1].span)?;
        match &list {
            Value::JsonMap(_) | Value::Map(_) => Ok(list.get(&wanted).is_some()),
            Value::JsonList(_) | Value::List(_) => {
                for item in list.elements().iter().flat_map(|items| items.iter()) {
                    if compare::equal(&self.budget, &wanted, &item, pair[1].span)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            other => Err(Stop::failed(pair[1].span, format!("is {}, and `in` wants a list or a map", other.kind()))),
        }
    }

    fn matches(&self, inner: &'a Node, pattern: &regex::Regex) -> Result<bool, Stop> {
        let text = self.present(inner)?;
        self.budget.spend(text.weight(), inner.span)?;
        match text.as_str() {
            Some(text) => Ok(pattern.is_match(text)),
            None => Err(Stop::failed(inner.span, format!("is {}, and `matches` wants a string", text.kind()))),
        }
    }

    /// Both rows have the column, and its values differ.
    pub(crate) fn changed(&self, node: &'a Node) -> Result<bool, Stop> {
        let column = self.column(node)?;
        let Some(change) = self.bindings.change else { return Ok(false) };
        match (change.old().get(&*column), change.new_row().get(&*column)) {
            (Some(old), Some(new)) => {
                let (old, new) = (Value::of_json(old), Value::of_json(new));
                Ok(!compare::equal(&self.budget, &old, &new, node.span)?)
            }
            _ => Ok(false),
        }
    }

    /// The old row has the column with that value.
    pub(crate) fn was(&self, column: &'a Node, value: &'a Node) -> Result<bool, Stop> {
        let column = self.column(column)?;
        let wanted = self.eval(value)?;
        let old = self.bindings.change.and_then(|change| change.old().get(&*column));
        self.is(old, &wanted, value.span)
    }

    /// The column changed, and its new value is this.
    pub(crate) fn became(&self, column: &'a Node, value: &'a Node) -> Result<bool, Stop> {
        if !self.changed(column)? {
            return Ok(false);
        }
        let name = self.column(column)?;
        let wanted = self.eval(value)?;
        let new = self.bindings.change.and_then(|change| change.new_row().get(&*name));
        self.is(new, &wanted, value.span)
    }

    /// Whether a column is there and has that value.
    fn is(&self, column: Option<&'a serde_json::Value>, wanted: &Value<'a>, span: Span) -> Result<bool, Stop> {
        column.map_or(Ok(false), |column| compare::equal(&self.budget, &Value::of_json(column), wanted, span))
    }

    /// The name of a column, which is almost always written.
    #[inline]
    fn column(&self, node: &'a Node) -> Result<Cow<'a, str>, Stop> {
        if let Kind::Literal(Literal::String(name)) = &node.kind {
            return self.budget.spend(1, node.span).map(|()| Cow::Borrowed(name.as_str()));
        }
        match self.present(node)? {
            Value::String(name) => Ok(Cow::Borrowed(name)),
            Value::Text(name) => Ok(Cow::Owned(name.to_string())),
            other => Err(Stop::failed(node.span, format!("is {}, and a column's name is wanted here", other.kind()))),
        }
    }
}

fn is_null(node: &Node) -> bool {
    matches!(node.kind, Kind::Literal(Literal::Null))
}
