//! An expression as the generator makes it, and its text.

/// What the reference evaluates.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// As it is written: `1.50`, `null`, `true`; a text without its quotes is [`Written::Text`].
    Literal(&'static str),
    Text(&'static str),
    /// `old`, `new`, `row`, `op` or the variable of a macro.
    Variable(&'static str),
    Member(Box<Written>, &'static str),
    Element(Box<Written>, Box<Written>),
    List(Vec<Written>),
    Map(Vec<(&'static str, Written)>),
    Not(Box<Written>),
    Minus(Box<Written>),
    /// Two operands, and the operator between them.
    Between(Box<Written>, &'static str, Box<Written>),
    Choice(Box<[Written; 3]>),
    Call(&'static str, Vec<Written>),
    /// The same, written behind its first argument.
    Method(&'static str, Vec<Written>),
    /// `over.name(variable, test)`.
    Macro(Box<Written>, &'static str, &'static str, Box<Written>),
}

/// How strongly an operator binds.
fn power(operator: &str) -> u8 {
    match operator {
        "||" => 1,
        "&&" => 2,
        "+" | "-" => 4,
        "*" | "/" | "%" => 5,
        _ => 3,
    }
}

impl Written {
    /// With no more brackets than are needed.
    pub(super) fn text(&self) -> String {
        let list = |items: &[Self]| items.iter().map(Self::text).collect::<Vec<_>>().join(", ");
        match self {
            Self::Literal(text) | Self::Variable(text) => (*text).to_owned(),
            Self::Text(text) => format!("{text:?}"),
            Self::Member(of, name) => format!("{}.{name}", of.within(7)),
            Self::Element(of, key) => format!("{}[{}]", of.within(7), key.text()),
            Self::List(items) => format!("[{}]", list(items)),
            Self::Map(entries) => {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key:?}: {}", value.text())).collect();
                format!("{{{}}}", entries.join(", "))
            }
            Self::Not(of) => format!("!{}", of.within(6)),
            Self::Minus(of) => format!("-{}", of.within(6)),
            Self::Between(left, operator, right) => {
                let power = power(operator);
                format!("{} {operator} {}", left.within(power), right.within(power + 1))
            }
            Self::Choice(parts) => {
                let [condition, one, other] = parts.as_ref();
                format!("{} ? {} : {}", condition.within(1), one.within(1), other.text())
            }
            Self::Call(name, arguments) => format!("{name}({})", list(arguments)),
            Self::Method(name, arguments) => format!("{}.{name}({})", arguments[0].within(7), list(&arguments[1..])),
            Self::Macro(over, name, variable, test) => {
                format!("{}.{name}({variable}, {})", over.within(7), test.text())
            }
        }
    }

    /// In brackets, where something around it binds more strongly.
    fn within(&self, around: u8) -> String {
        let own = match self {
            Self::Choice(_) => 0,
            Self::Between(_, operator, _) => power(operator),
            Self::Not(_) | Self::Minus(_) => 6,
            Self::Literal(text) if text.starts_with('-') => 6,
            _ => 8,
        };
        if own < around { format!("({})", self.text()) } else { self.text() }
    }
}
