//! What a schema does not allow of some data, in words.

use std::fmt;

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

/// How much of a value, a pattern or a path is shown, in characters.
const SHOWN: usize = 80;
/// How many of several are named.
const NAMED: usize = 5;

/// One thing that a schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the data, as a JSON Pointer (RFC 6901): `/lines/3/sku`.
    pub pointer: String,
    message: String,
}

/// In a sentence: "`lines[3].sku` is missing".
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Violation {
    pub(super) fn of(error: &ValidationError<'_>, data: &Value) -> Self {
        let pointer = error.instance_path().to_string();
        let subject = Subject::new(&pointer, data);
        let message = match error.kind() {
            // As the library has it where there are no `properties`.
            Kind::FalseSchema if error.schema_path().to_string().ends_with("/additionalProperties") => {
                format!("{} members, and the schema allows none", subject.has())
            }
            kind => subject.told(kind),
        };
        Self { pointer, message }
    }

    /// The data are refused, and to say by what would take too long.
    pub(super) fn unknown() -> Self {
        let message = "the data are not what the schema allows; they nest too deeply to say where";
        Self { pointer: String::new(), message: message.to_owned() }
    }
}

/// A part of the data, and what it is called.
struct Subject<'d> {
    /// Empty for the data as a whole.
    path: String,
    value: &'d Value,
    data: &'d Value,
}

impl<'d> Subject<'d> {
    fn new(pointer: &str, data: &'d Value) -> Self {
        Self { path: path(pointer, data), value: data.pointer(pointer).unwrap_or(&Value::Null), data }
    }

    /// The subject with its verb, in both numbers: `("are", "is")`.
    fn does(&self, (all, one): (&str, &str)) -> String {
        match self.path.as_str() {
            "" => format!("the data {all}"),
            path => format!("`{}` {one}", cut(path)),
        }
    }

    fn is(&self) -> String {
        self.does(("are", "is"))
    }

    fn has(&self) -> String {
        self.does(("have", "has"))
    }

    /// A member of it, by the path that the data have to it.
    fn member(&self, name: &str) -> String {
        let name = step(name);
        let whole =
            if self.path.is_empty() { name.trim_start_matches('.').to_owned() } else { self.path.clone() + &name };
        format!("`{}`", cut(&whole))
    }

    fn told(&self, kind: &Kind) -> String {
        let (is, has) = (self.is(), self.has());
        match kind {
            Kind::Type { kind } => {
                let wanted = match kind {
                    TypeKind::Single(one) => wanted(&one.to_string()).to_owned(),
                    TypeKind::Multiple(several) => {
                        let names: Vec<String> =
                            several.iter().map(|one| wanted(&one.to_string()).to_owned()).collect();
                        names.join(" or ")
                    }
                };
                format!("{is} {}, and {wanted} is wanted", self.kind())
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                format!("{} is missing", self.member(name))
            }
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let names: Vec<String> = unexpected.iter().take(NAMED).map(|name| self.member(name)).collect();
                let (verb, more) = match unexpected.len() {
                    1 => ("is", String::new()),
                    all if all > NAMED => ("are", format!(" and {} more", all - NAMED)),
                    _ => ("are", String::new()),
                };
                format!("{}{more} {verb} not in the schema, which allows nothing else", names.join(", "))
            }
            Kind::Enum { options } => {
                let all = options.as_array().map(Vec::as_slice).unwrap_or_default();
                let named: Vec<String> = all.iter().take(NAMED).map(|option| cut(&option.to_string())).collect();
                let more = if all.len() > NAMED { format!(" and {} others", all.len() - NAMED) } else { String::new() };
                format!("{is} {}, which is none of {}{more}", self.shown(), named.join(", "))
            }
            Kind::Constant { expected_value } => {
                format!("{is} {}, and only {} is allowed", self.shown(), cut(&expected_value.to_string()))
            }
            Kind::Minimum { limit } => format!("{is} {}, which is below {limit}", self.shown()),
            Kind::Maximum { limit } => format!("{is} {}, which is above {limit}", self.shown()),
            Kind::ExclusiveMinimum { limit } => format!("{is} {}, which is not above {limit}", self.shown()),
            Kind::ExclusiveMaximum { limit } => format!("{is} {}, which is not below {limit}", self.shown()),
            Kind::MultipleOf { multiple_of } => format!("{is} {}, which is no multiple of {multiple_of}", self.shown()),
            Kind::MinLength { limit } => format!("{has} {}, and at least {limit} are wanted", self.length()),
            Kind::MaxLength { limit } => format!("{has} {}, and at most {limit} are allowed", self.length()),
            Kind::MinItems { limit } => format!("{has} {}, and at least {limit} are wanted", self.length()),
            Kind::MaxItems { limit } => format!("{has} {}, and at most {limit} are allowed", self.length()),
            Kind::AdditionalItems { limit } => format!("{has} {}, and at most {limit} are allowed", self.length()),
            Kind::UnevaluatedItems { .. } => format!("{has} items that are not in the schema, which allows no others"),
            Kind::MinProperties { limit } => format!("{has} {}, and at least {limit} are wanted", self.length()),
            Kind::MaxProperties { limit } => format!("{has} {}, and at most {limit} are allowed", self.length()),
            Kind::Pattern { pattern } => {
                format!("{is} {}, which does not match `{}`", self.shown(), cut(pattern))
            }
            Kind::Format { format } => format!("{is} {}, which is no `{format}`{}", self.shown(), example(format)),
            Kind::UniqueItems => format!("{has} an item twice"),
            Kind::Contains => format!("{has} no item, or too few or too many, of those that `contains` wants"),
            Kind::Not { .. } => format!("{is} what `not` forbids"),
            Kind::FalseSchema => format!("{is} not allowed"),
            Kind::PropertyNames { error } => {
                let name = error.instance().to_string();
                format!("{has} a member {}, and a name like that is not allowed", cut(&name))
            }
            Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
                let nearest = nearest(kind).map(|error| format!("; the nearest: {}", Violation::of(error, self.data)));
                format!("{is} none of what `{}` allows{}", kind.keyword(), nearest.unwrap_or_default())
            }
            Kind::OneOfMultipleValid { .. } => format!("{is} more than one of what `oneOf` allows"),
            other => format!("{is} not what `{}` allows", other.keyword()),
        }
    }

    /// The value, where it is short.
    fn shown(&self) -> String {
        match self.value {
            Value::Array(_) | Value::Object(_) => self.kind(),
            value => cut(&value.to_string()),
        }
    }

    /// What it is; a number that is none of those wanted as it is.
    fn kind(&self) -> String {
        match self.value {
            Value::Number(number) => cut(&number.to_string()),
            Value::Bool(value) => value.to_string(),
            Value::Null => "null".to_owned(),
            Value::String(_) => "a text".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        }
    }

    /// How many characters, items or members it has.
    fn length(&self) -> String {
        match self.value {
            Value::String(text) => count(text.chars().count(), "character", "characters"),
            Value::Array(items) => count(items.len(), "item", "items"),
            Value::Object(members) => count(members.len(), "member", "members"),
            _ => "too little or too much".to_owned(),
        }
    }
}

/// Of several forms that do not fit, what is wrong with the one that is meant most likely: whose first error lies deepest, or is
/// about something else than the type. Within forms of forms, the innermost.
fn nearest(kind: &Kind) -> Option<&ValidationError<'static>> {
    let (Kind::AnyOf { context } | Kind::OneOfNotValid { context }) = kind else { return None };
    let nearest = context.iter().filter_map(|errors| errors.first()).max_by_key(|error| {
        let depth = error.instance_path().to_string().matches('/').count();
        (depth, !matches!(error.kind(), Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. }))
    })?;
    self::nearest(nearest.kind()).or(Some(nearest))
}

fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// A type of JSON Schema, as we call it.
fn wanted(name: &str) -> &str {
    match name {
        "string" => "a text",
        "number" => "a number",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

/// What a value of a format looks like, where rows often have another.
fn example(format: &str) -> &'static str {
    match format {
        "date-time" => ": it has a zone, as in 2026-03-02T09:41:07Z",
        "date" => ", as in 2026-03-02",
        "time" => ": it has a zone, as in 09:41:07Z",
        _ => "",
    }
}

/// A JSON Pointer as people write a path: `lines[3].sku`.
fn path(pointer: &str, data: &Value) -> String {
    let (mut path, mut at) = (String::new(), Some(data));
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let is_item = at.is_some_and(Value::is_array);
        at = match at {
            Some(Value::Array(items)) => part.parse().ok().and_then(|index: usize| items.get(index)),
            Some(Value::Object(members)) => members.get(&part),
            _ => None,
        };
        path.push_str(&if is_item { format!("[{part}]") } else { step(&part) });
    }
    path.trim_start_matches('.').to_owned()
}

fn step(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'));
    if is_plain { format!(".{name}") } else { format!("[{name:?}]") }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
