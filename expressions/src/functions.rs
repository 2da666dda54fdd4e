//! The functions that expressions may call: one table of names.

/// A function, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Changed,
    Was,
    Became,
    Coalesce,
    Size,
    Int,
    Uint,
    Double,
    String,
    Bool,
    Bytes,
    Type,
    Dyn,
    Timestamp,
    Duration,
    Date,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Substring,
    Replace,
    Field(Field),
}

/// What the accessors of a timestamp return, counted as CEL counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    FullYear,
    /// From 0.
    Month,
    /// Of the month, from 1.
    Date,
    /// Of the month, from 0.
    DayOfMonth,
    /// From 0, Sunday.
    DayOfWeek,
    /// From 0.
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `name(a, b)`
    Global,
    /// `a.name(b)`
    Member,
    /// Both ways; the object is the first argument.
    Either,
}

/// A row of the table: the arguments are counted with the object of a member call.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    style: Style,
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) function: Function,
}

const fn global(name: &'static str, least: usize, most: usize, function: Function) -> Signature {
    Signature { name, style: Style::Global, least, most, function }
}

const fn member(name: &'static str, least: usize, most: usize, function: Function) -> Signature {
    Signature { name, style: Style::Member, least, most, function }
}

const fn field(name: &'static str, field: Field) -> Signature {
    member(name, 1, 2, Function::Field(field))
}

/// Every function. The macros are the parser's.
pub(crate) const FUNCTIONS: &[Signature] = &[
    global("changed", 1, 1, Function::Changed),
    global("was", 2, 2, Function::Was),
    global("became", 2, 2, Function::Became),
    global("coalesce", 1, usize::MAX, Function::Coalesce),
    Signature { name: "size", style: Style::Either, least: 1, most: 1, function: Function::Size },
    global("int", 1, 1, Function::Int),
    global("uint", 1, 1, Function::Uint),
    global("double", 1, 1, Function::Double),
    global("string", 1, 1, Function::String),
    global("bool", 1, 1, Function::Bool),
    global("bytes", 1, 1, Function::Bytes),
    global("type", 1, 1, Function::Type),
    global("dyn", 1, 1, Function::Dyn),
    global("timestamp", 1, 1, Function::Timestamp),
    global("duration", 1, 1, Function::Duration),
    global("date", 2, 2, Function::Date),
    member("contains", 2, 2, Function::Contains),
    member("startsWith", 2, 2, Function::StartsWith),
    member("endsWith", 2, 2, Function::EndsWith),
    Signature { name: "matches", style: Style::Either, least: 2, most: 2, function: Function::Matches },
    member("lowerAscii", 1, 1, Function::LowerAscii),
    member("upperAscii", 1, 1, Function::UpperAscii),
    member("trim", 1, 1, Function::Trim),
    member("split", 2, 3, Function::Split),
    member("join", 1, 2, Function::Join),
    member("substring", 2, 3, Function::Substring),
    member("replace", 3, 4, Function::Replace),
    field("getFullYear", Field::FullYear),
    field("getMonth", Field::Month),
    field("getDate", Field::Date),
    field("getDayOfMonth", Field::DayOfMonth),
    field("getDayOfWeek", Field::DayOfWeek),
    field("getDayOfYear", Field::DayOfYear),
    field("getHours", Field::Hours),
    field("getMinutes", Field::Minutes),
    field("getSeconds", Field::Seconds),
    field("getMilliseconds", Field::Milliseconds),
];

/// The names of CEL's macros.
pub(crate) const MACROS: &[&str] = &["has", "all", "exists", "exists_one", "map", "filter"];

impl Signature {
    /// Whether it may be called this way.
    pub(crate) fn allows(&self, member: bool) -> bool {
        match self.style {
            Style::Either => true,
            Style::Member => member,
            Style::Global => !member,
        }
    }

    /// How to write a call, for a message.
    pub(crate) fn usage(&self) -> String {
        let count = if self.most == usize::MAX { self.least + 1 } else { self.most };
        let names = ["a", "b", "c", "d"];
        let dots = if self.most == usize::MAX { ", …" } else { "" };
        match self.style {
            // Their first argument is a column's name.
            Style::Global if matches!(self.function, Function::Changed) => format!("{}(\"column\")", self.name),
            Style::Global if matches!(self.function, Function::Was | Function::Became) => {
                format!("{}(\"column\", value)", self.name)
            }
            Style::Global => format!("{}({}{dots})", self.name, names[..count.min(4)].join(", ")),
            _ => format!("a.{}({})", self.name, names[1..count.min(4)].join(", ")),
        }
    }
}
