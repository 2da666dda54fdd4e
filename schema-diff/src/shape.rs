//! What a schema wants, seen as one of a few shapes. A schema with several kinds of rules (a type, a choice, forms) is all of them at
//! once; only one of these at a time is compared.

use serde_json::{Map, Value};

use crate::Comparison;

pub(crate) type Object = Map<String, Value>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Writer,
    Reader,
}

/// A schema, or one kind of its rules.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'a> {
    Whole(&'a Value),
    Part(&'a Object, Part),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Reference,
    /// One of those that its `type` names.
    Type(Type),
    /// What its keywords want of values of that type, and of no others: it has no `type`.
    Implied(Type),
    Types,
    Enum,
    Const,
    AllOf,
    AnyOf,
    OneOf,
    Not,
    /// Rules of which only can be told whether they are the same.
    Others,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Number,
    Integer,
    Truth,
    Null,
    Map,
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Criterion {
    All,
    Any,
    One,
}

/// Rules of one type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Typed<'a> {
    pub(crate) rules: &'a Object,
    pub(crate) of: Type,
    /// Values of other types are refused.
    pub(crate) is_wanted: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Shape<'a> {
    Any,
    Never,
    Text(Typed<'a>),
    Number(Typed<'a>),
    Truth(Typed<'a>),
    Null(Typed<'a>),
    Map(Typed<'a>),
    List(Typed<'a>),
    Choice(Vec<&'a Value>),
    Combined(Criterion, Vec<Node<'a>>),
    Not(Node<'a>),
    /// Keywords that are held against each other as they are written.
    Unknown(Vec<(&'a str, &'a Value)>),
}

/// The keywords of each type, in the order in which they imply it.
const KEYWORDS: [(Type, &[&str]); 4] = [
    (
        Type::Map,
        &[
            "properties",
            "required",
            "additionalProperties",
            "patternProperties",
            "minProperties",
            "maxProperties",
            "dependencies",
            "dependentRequired",
            "dependentSchemas",
            "propertyNames",
            "unevaluatedProperties",
        ],
    ),
    (
        Type::List,
        &[
            "items",
            "prefixItems",
            "additionalItems",
            "minItems",
            "maxItems",
            "uniqueItems",
            "contains",
            "minContains",
            "maxContains",
            "unevaluatedItems",
        ],
    ),
    (Type::Number, &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    (Type::Text, &["minLength", "maxLength", "pattern", "format"]),
];

/// How many references are followed from one to the next.
const REFERENCES: usize = 64;

/// Rules over the whole that nothing else here understands.
const OTHERS: [&str; 5] = ["if", "then", "else", "$dynamicRef", "$recursiveRef"];

impl Type {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::Text,
            "number" => Self::Number,
            "integer" => Self::Integer,
            "boolean" => Self::Truth,
            "null" => Self::Null,
            "object" => Self::Map,
            "array" => Self::List,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Truth => "boolean",
            Self::Null => "null",
            Self::Map => "object",
            Self::List => "array",
        }
    }
}

impl Node<'_> {
    /// The same for the same schema, whoever leads there.
    pub(crate) fn identity(&self) -> (usize, u8) {
        match self {
            Node::Whole(value) => (std::ptr::from_ref::<Value>(value) as usize, 0),
            Node::Part(object, part) => (std::ptr::from_ref::<Object>(object) as usize, 1 + part.number()),
        }
    }
}

impl Part {
    fn number(self) -> u8 {
        match self {
            Self::Reference => 0,
            Self::Types => 1,
            Self::Enum => 2,
            Self::Const => 3,
            Self::AllOf => 4,
            Self::AnyOf => 5,
            Self::OneOf => 6,
            Self::Not => 7,
            Self::Others => 8,
            Self::Type(of) => 16 + of as u8,
            Self::Implied(of) => 32 + of as u8,
        }
    }
}

impl Shape<'_> {
    /// In a word or two.
    pub(crate) fn describe(&self) -> Option<String> {
        Some(match self {
            Shape::Any => "anything".to_owned(),
            Shape::Never => "nothing".to_owned(),
            Shape::Text(typed)
            | Shape::Number(typed)
            | Shape::Truth(typed)
            | Shape::Null(typed)
            | Shape::Map(typed)
            | Shape::List(typed) => typed.of.name().to_owned(),
            Shape::Choice(values) => format!("one of {} values", values.len()),
            Shape::Combined(Criterion::All, forms) => format!("{} rules at once", forms.len()),
            Shape::Combined(_, forms) => format!("one of {} forms", forms.len()),
            Shape::Not(_) => "what something else is not".to_owned(),
            Shape::Unknown(rules) => rules.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        })
    }
}

impl<'a> Comparison<'a> {
    pub(crate) fn shape(&self, node: Node<'a>, side: Side) -> Shape<'a> {
        match self.follow(node, side) {
            Node::Whole(Value::Bool(true)) => Shape::Any,
            Node::Whole(Value::Bool(false)) => Shape::Never,
            Node::Whole(Value::Object(object)) => {
                let parts = parts(object);
                match parts.as_slice() {
                    [] => Shape::Any,
                    [part] => Self::shape_of(object, *part),
                    _ => Shape::Combined(
                        Criterion::All,
                        parts.into_iter().map(|part| Node::Part(object, part)).collect(),
                    ),
                }
            }
            // No schema: whoever compiled it has refused it.
            Node::Whole(_) => Shape::Unknown(Vec::new()),
            Node::Part(object, part) => Self::shape_of(object, part),
        }
    }

    fn shape_of(object: &'a Object, part: Part) -> Shape<'a> {
        let forms = |name: &str, by| {
            let forms = object.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            Shape::Combined(by, forms.iter().map(Node::Whole).collect())
        };
        let typed = |of, is_wanted| {
            let typed = Typed { rules: object, of, is_wanted };
            match of {
                Type::Text => Shape::Text(typed),
                Type::Number | Type::Integer => Shape::Number(typed),
                Type::Truth => Shape::Truth(typed),
                Type::Null => Shape::Null(typed),
                Type::Map => Shape::Map(typed),
                Type::List => Shape::List(typed),
            }
        };
        match part {
            // One that leads somewhere was followed.
            Part::Reference => Shape::Unknown(named(object, &["$ref"])),
            Part::Type(of) => typed(of, true),
            Part::Implied(of) => typed(of, false),
            Part::Types => {
                let types = types(object).into_iter().map(|of| Node::Part(object, Part::Type(of)));
                Shape::Combined(Criterion::Any, types.collect())
            }
            Part::Enum => Shape::Choice(
                object.get("enum").and_then(Value::as_array).map(|all| all.iter().collect()).unwrap_or_default(),
            ),
            Part::Const => Shape::Choice(object.get("const").into_iter().collect()),
            Part::AllOf => forms("allOf", Criterion::All),
            Part::AnyOf => forms("anyOf", Criterion::Any),
            Part::OneOf => forms("oneOf", Criterion::One),
            Part::Not => object.get("not").map_or(Shape::Any, |not| Shape::Not(Node::Whole(not))),
            Part::Others => Shape::Unknown(named(object, &OTHERS)),
        }
    }

    /// A schema that is nothing but a reference is what that leads to. A circle of references leads nowhere.
    pub(crate) fn follow(&self, node: Node<'a>, side: Side) -> Node<'a> {
        let mut here = node;
        for _ in 0..REFERENCES {
            let to = match here {
                Node::Whole(Value::Object(object)) if parts(object) == [Part::Reference] => object.get("$ref"),
                Node::Part(object, Part::Reference) => object.get("$ref"),
                _ => return here,
            };
            match to.and_then(Value::as_str).and_then(|to| self.find(to, side)) {
                Some(found) => here = Node::Whole(found),
                None => return here,
            }
        }
        node
    }

    /// What a reference within a document leads to: `#`, `#/$defs/address`, `#address`.
    fn find(&self, reference: &str, side: Side) -> Option<&'a Value> {
        let root = self.roots[match side {
            Side::Writer => 0,
            Side::Reader => 1,
        }];
        let fragment = reference.strip_prefix('#')?;
        let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
        if fragment.is_empty() || fragment.starts_with('/') {
            root.pointer(&fragment)
        } else {
            anchored(root, &fragment)
        }
    }
}

fn anchored<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) if object.get("$anchor").and_then(Value::as_str) == Some(name) => Some(value),
        Value::Object(object) => object.values().find_map(|value| anchored(value, name)),
        Value::Array(items) => items.iter().find_map(|value| anchored(value, name)),
        _ => None,
    }
}

fn named<'a>(object: &'a Object, names: &[&str]) -> Vec<(&'a str, &'a Value)> {
    let found = object.iter().filter(|(name, _)| names.contains(&name.as_str()));
    found.map(|(name, value)| (name.as_str(), value)).collect()
}

/// The types that a schema names, `integer` beside `number` left out.
fn types(object: &Object) -> Vec<Type> {
    let named = match object.get("type") {
        Some(Value::String(name)) => Type::named(name).into_iter().collect(),
        Some(Value::Array(names)) => names.iter().filter_map(|name| Type::named(name.as_str()?)).collect(),
        _ => Vec::new(),
    };
    let has_numbers = named.contains(&Type::Number);
    named.into_iter().filter(|of| !(has_numbers && *of == Type::Integer)).collect()
}

/// The kinds of rules that a schema has.
fn parts(object: &Object) -> Vec<Part> {
    let mut parts = Vec::new();
    let has = |name: &str| object.contains_key(name);
    if has("$ref") {
        parts.push(Part::Reference);
    }
    match types(object).as_slice() {
        [] => {
            let implied = KEYWORDS.iter().filter(|(_, names)| names.iter().any(|name| has(name)));
            parts.extend(implied.map(|(of, _)| Part::Implied(*of)));
        }
        [of] => parts.push(Part::Type(*of)),
        _ => parts.push(Part::Types),
    }
    let simple = [
        ("enum", Part::Enum),
        ("const", Part::Const),
        ("allOf", Part::AllOf),
        ("anyOf", Part::AnyOf),
        ("oneOf", Part::OneOf),
        ("not", Part::Not),
    ];
    parts.extend(simple.into_iter().filter(|(name, _)| has(name)).map(|(_, part)| part));
    if OTHERS.iter().any(|name| has(name)) {
        parts.push(Part::Others);
    }
    parts
}
