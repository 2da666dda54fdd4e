//! The functions that expressions may call: one table of names.

/// A function, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Changed,
    ChangedAny,
    Was,
    Became,
    Coalesce,
    Get,
    Size,
    Int,
    Uint,
    Double,
    Num,
    String,
    Json,
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
    Lower,
    Upper,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Substring,
    Replace,
    Field(Field),
}

impl Function {
    /// Whether its first argument is a text, and nothing else.
    pub(crate) fn is_of_text(self) -> bool {
        matches!(
            self,
            Self::Contains
                | Self::StartsWith
                | Self::EndsWith
                | Self::Matches
                | Self::Lower
                | Self::Upper
                | Self::LowerAscii
                | Self::UpperAscii
                | Self::Trim
                | Self::Split
                | Self::Substring
                | Self::Replace
        )
    }

    /// Whether its first argument is the name of a column, and it looks at both rows or one of them.
    pub(crate) fn is_about_changes(self) -> bool {
        matches!(self, Self::Changed | Self::ChangedAny | Self::Was | Self::Became)
    }
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
    /// A call, as it could be written where there are rows.
    pub(crate) example: &'static str,
}

const fn global(name: &'static str, least: usize, most: usize, function: Function, example: &'static str) -> Signature {
    Signature { name, style: Style::Global, least, most, function, example }
}

const fn member(name: &'static str, least: usize, most: usize, function: Function, example: &'static str) -> Signature {
    Signature { name, style: Style::Member, least, most, function, example }
}

const fn either(name: &'static str, count: usize, function: Function, example: &'static str) -> Signature {
    Signature { name, style: Style::Either, least: count, most: count, function, example }
}

const fn field(name: &'static str, field: Field, example: &'static str) -> Signature {
    member(name, 1, 2, Function::Field(field), example)
}

/// Every function. The macros are the parser's.
#[rustfmt::skip]
pub(crate) const FUNCTIONS: &[Signature] = &[
    global("changed", 1, 1, Function::Changed, r#"changed("status")"#),
    global("changedAny", 1, usize::MAX, Function::ChangedAny, r#"changedAny("city", "street")"#),
    global("was", 2, 2, Function::Was, r#"was("status", "paid")"#),
    global("became", 2, 2, Function::Became, r#"became("status", "shipped")"#),
    global("coalesce", 1, usize::MAX, Function::Coalesce, r#"coalesce(new.carrier, "unknown")"#),
    global("get", 3, 3, Function::Get, r#"get(new, "address.city", "unknown")"#),
    either("size", 1, Function::Size, "size(new.tags)"),
    global("int", 1, 1, Function::Int, "int(new.total)"),
    global("uint", 1, 1, Function::Uint, "uint(new.total)"),
    global("double", 1, 1, Function::Double, "double(new.total)"),
    global("num", 1, 1, Function::Num, "num(new.total)"),
    global("string", 1, 1, Function::String, "string(new.id)"),
    global("json", 1, 1, Function::Json, "json(new.tags)"),
    global("bool", 1, 1, Function::Bool, "bool(new.paid)"),
    global("bytes", 1, 1, Function::Bytes, "bytes(new.name)"),
    global("type", 1, 1, Function::Type, "type(new.total)"),
    global("dyn", 1, 1, Function::Dyn, "dyn(new.total)"),
    global("timestamp", 1, 1, Function::Timestamp, "timestamp(new.created_at)"),
    global("duration", 1, 1, Function::Duration, r#"duration("1h30m")"#),
    global("date", 2, 2, Function::Date, r#"date(new.day, "Europe/Berlin")"#),
    member("contains", 2, 2, Function::Contains, r#"new.name.contains("x")"#),
    member("startsWith", 2, 2, Function::StartsWith, r#"new.name.startsWith("x")"#),
    member("endsWith", 2, 2, Function::EndsWith, r#"new.name.endsWith("x")"#),
    either("matches", 2, Function::Matches, r#"new.name.matches("^[a-z]+$")"#),
    either("lower", 1, Function::Lower, "lower(new.name)"),
    either("upper", 1, Function::Upper, "upper(new.name)"),
    member("lowerAscii", 1, 1, Function::LowerAscii, "new.name.lowerAscii()"),
    member("upperAscii", 1, 1, Function::UpperAscii, "new.name.upperAscii()"),
    member("trim", 1, 1, Function::Trim, "new.name.trim()"),
    member("split", 2, 3, Function::Split, r#"new.name.split(",")"#),
    member("join", 1, 2, Function::Join, r#"new.tags.join(", ")"#),
    member("substring", 2, 3, Function::Substring, "new.name.substring(0, 3)"),
    member("replace", 3, 4, Function::Replace, r#"new.name.replace("-", "_")"#),
    field("getFullYear", Field::FullYear, "received.getFullYear()"),
    field("getMonth", Field::Month, "received.getMonth()"),
    field("getDate", Field::Date, r#"received.getDate("Europe/Berlin")"#),
    field("getDayOfMonth", Field::DayOfMonth, "received.getDayOfMonth()"),
    field("getDayOfWeek", Field::DayOfWeek, "received.getDayOfWeek()"),
    field("getDayOfYear", Field::DayOfYear, "received.getDayOfYear()"),
    field("getHours", Field::Hours, r#"received.getHours("Europe/Berlin")"#),
    field("getMinutes", Field::Minutes, "received.getMinutes()"),
    field("getSeconds", Field::Seconds, "received.getSeconds()"),
    field("getMilliseconds", Field::Milliseconds, "received.getMilliseconds()"),
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
}
