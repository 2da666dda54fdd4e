//! What names of other languages are called here. Each advice stands alone: what it has in backticks can be written as it is.

use crate::node::Scope;

type Table = &'static [(&'static [&'static str], &'static str)];

/// Functions and methods of JavaScript, SQL, Python and of other uses of CEL.
const FUNCTIONS: Table = &[
    (&["toLowerCase", "toLower", "lowercase", "toLocaleLowerCase", "lcase", "downcase"], "write `lower(new.name)`"),
    (&["toUpperCase", "toUpper", "uppercase", "toLocaleUpperCase", "ucase", "upcase"], "write `upper(new.name)`"),
    (&["length", "len", "count", "cardinality", "array_length", "char_length"], "write `size(new.tags)`"),
    (&["empty", "isEmpty", "is_empty"], "write `size(new.tags) == 0`, or `coalesce(new.name, \"\") == \"\"`"),
    (
        &["now", "today", "current_timestamp", "current_date", "getdate", "sysdate", "clock_timestamp"],
        "the only clock is `received`, when the change came",
    ),
    (&["strip", "trimStart", "trimEnd", "btrim", "ltrim", "rtrim"], "write `new.name.trim()`, which trims both ends"),
    (
        &["includes", "contain", "include", "indexOf", "lastIndexOf", "strpos", "position", "instr", "search"],
        "write `new.name.contains(\"x\")`, of a list `\"x\" in new.tags`",
    ),
    (
        &["ifnull", "nvl", "isnull_or", "default", "fallback", "orValue", "or", "orElse", "dig", "at"],
        "write `coalesce(new.carrier, \"unknown\")`, or for what lies deeper `get(new, \"address.city\", \"unknown\")`",
    ),
    (&["isNull", "is_null", "isNil", "isUndefined"], "write `new.name == null`"),
    (
        &[
            "isNotNull",
            "notNull",
            "exists_not_null",
            "isDefined",
            "defined",
            "isset",
            "present",
            "hasValue",
            "hasOwnProperty",
            "hasKey",
        ],
        "write `new.name != null`, or `has(new.name)` for a column that may be missing",
    ),
    (&["some", "any", "find"], "write `new.tags.exists(x, x == \"a\")`"),
    (&["every"], "write `new.tags.all(x, x != \"a\")`"),
    (
        &["forEach", "collect", "select", "where"],
        "write `new.tags.filter(x, x != \"a\")` or `new.tags.map(x, lower(x))`",
    ),
    (
        &["match", "test", "regexp", "regex", "regexp_match", "regexp_like", "re_match", "like", "ilike", "similar"],
        "write `new.name.matches(\"^[a-z]+$\")`, or `new.name.startsWith(\"x\")`",
    ),
    (&["beginsWith", "hasPrefix", "starts_with", "startWith"], "write `new.name.startsWith(\"x\")`"),
    (&["hasSuffix", "ends_with", "endWith"], "write `new.name.endsWith(\"x\")`"),
    (
        &["substr", "slice", "charAt", "left", "mid"],
        "write `new.name.substring(0, 3)`, from one position to before another, counted from 0",
    ),
    (&["replaceAll"], "write `new.name.replace(\"-\", \"_\")`, which replaces all"),
    (
        &["concat", "append", "format", "sprintf", "printf"],
        "write `new.first + \" \" + new.last`; a number needs `string(new.id)`",
    ),
    (
        &["parseInt", "to_int", "toInteger", "cast", "toInt"],
        "write `int(new.total)`, or `num(new.total)` to keep the fraction",
    ),
    (&["Number", "parseFloat", "float", "to_number", "toNumber", "toDouble", "decimal"], "write `num(new.total)`"),
    (&["toString", "to_string", "to_char", "str", "text", "toText"], "write `string(new.id)`"),
    (
        &["stringify", "to_json", "toJson", "toJSON", "row_to_json", "to_jsonb", "jsonb_pretty"],
        "write `json(new.tags)`",
    ),
    (&["boolean", "toBoolean", "toBool", "truthy"], "write `bool(new.paid)`"),
    (
        &["getTime", "valueOf", "epoch", "unix", "to_unixtime", "unix_timestamp"],
        "write `int(timestamp(new.created_at))`, which counts seconds",
    ),
    (&["toISOString", "isoformat", "to_iso"], "a timestamp is written so by itself: `timestamp(new.created_at)`"),
    (
        &["moment", "dayjs", "parseDate", "to_timestamp", "to_date", "strptime", "Date", "datetime"],
        "write `timestamp(new.created_at)`, or `date(new.day, \"Europe/Berlin\")` for what has no zone",
    ),
    (&["getDay", "dayOfWeek", "weekday"], "write `received.getDayOfWeek(\"Europe/Berlin\")`, where 0 is Sunday"),
    (&["getYear", "year"], "write `received.getFullYear()`"),
    (&["month"], "write `received.getMonth()`, where 0 is January"),
    (&["hour"], "write `received.getHours(\"Europe/Berlin\")`"),
    (&["day"], "write `received.getDate(\"Europe/Berlin\")`"),
    (
        &["extract", "date_part", "date_trunc"],
        "write `received.getHours(\"Europe/Berlin\")`, `received.getFullYear()` …",
    ),
    (
        &["interval", "age", "datediff", "timedelta", "date_diff", "diff"],
        "times are subtracted: `received - timestamp(new.created_at) > duration(\"24h\")`",
    ),
    (&["seconds", "minutes", "hours", "days"], "write `duration(\"24h\")`, or `duration(\"1m\") * new.minutes`"),
    (&["abs"], "write `(new.total < 0 ? -new.total : new.total)`"),
    (&["round"], "write `(new.total < 0 ? int(new.total - 0.5) : int(new.total + 0.5))`"),
    (
        &["toFixed"],
        "write `int(new.total * 100 + 0.5) / 100.0`, a number with two places of what is not negative, or compare the number as it is",
    ),
    (
        &["pow", "power", "square", "sqrt"],
        "there are no powers and no roots: write `new.a * new.a`, and compare squares",
    ),
    (&["trunc", "truncate"], "write `int(new.total)`, which cuts the fraction"),
    (
        &["floor"],
        "write `int(new.total)` of what is not negative, else `(int(new.total) > new.total ? int(new.total) - 1 : int(new.total))`",
    ),
    (&["ceil", "ceiling"], "write `(int(new.total) < new.total ? int(new.total) + 1 : int(new.total))`"),
    (&["min", "least"], "write `(new.a < new.b ? new.a : new.b)`"),
    (&["max", "greatest"], "write `(new.a > new.b ? new.a : new.b)`"),
    (&["mod"], "write `new.id % 2`"),
    (
        &["typeof", "typeOf", "pg_typeof", "isString", "isNumber", "isArray", "isObject", "instanceof"],
        "write `type(new.name) == string`",
    ),
    (&["if", "iif", "iff", "ifelse", "decode"], "write `new.total > 100 ? \"large\" : \"small\"`"),
    (
        &[
            "isDistinctFrom",
            "is_distinct_from",
            "differs",
            "hasChanged",
            "columnHasChanged",
            "isChanged",
            "valueChanged",
            "modified",
        ],
        "write `changed(\"status\")`",
    ),
    (
        &["anyChanged", "changedAnyOf", "columnsHaveChanged", "anyColumnHasChanged", "changedOneOf"],
        "write `changedAny(\"city\", \"street\")`",
    ),
    (&["changedTo", "becomes", "transitionedTo", "became_value"], "write `became(\"status\", \"shipped\")`"),
    (&["changedFrom"], "write `changed(\"status\") && was(\"status\", \"paid\")`"),
    (&["oneOf", "in_array", "isIn", "within"], "write `new.status in [\"paid\", \"shipped\"]`"),
    (&["between"], "write `new.total >= 1 && new.total <= 9`"),
    (&["keys", "values", "entries"], "the macros go over the keys of a map: `new.meta.exists(key, key == \"a\")`"),
    (&["not"], "write `!(new.total > 100)`"),
    (
        &[
            "getObjectSafely",
            "json_extract",
            "json_value",
            "jsonb_extract_path",
            "jsonb_extract_path_text",
            "path",
            "lookup",
        ],
        "write `get(new, \"address.city\", \"unknown\")`",
    ),
];

/// Names that stand for something else elsewhere, or that other languages begin their calls with.
const NAMES: Table = &[
    (&["undefined", "nil", "None", "NULL", "Null", "nothing", "NaN"], "write `null`, as in `new.name == null`"),
    (&["True", "TRUE", "yes", "YES"], "write `true`"),
    (&["False", "FALSE", "no", "NO"], "write `false`"),
    (
        &[
            "dbEvent",
            "hasuraEvent",
            "event",
            "record",
            "body",
            "this",
            "self",
            "object",
            "item",
            "input",
            "value",
            "it",
        ],
        "the rows are `new` and `old`, as in `new.status`; the whole body is `payload`",
    ),
    (&["data"], "a column is written `new.status` or `old.status`; `data` is known in `key` and in a job's options"),
    (&["after", "newRow", "new_row", "current", "oldObject_new"], "the row after the change is `new`"),
    (
        &["before", "oldRow", "old_row", "previous", "prev", "original", "oldObject"],
        "the row before the change is `old`",
    ),
    (&["operation", "TG_OP", "action", "method", "type_of_event"], "write `op`, as in `op == \"UPDATE\"`"),
    (&["schema", "table_schema", "TG_TABLE_SCHEMA"], "write `table.schema`"),
    (&["table_name", "tableName", "TG_TABLE_NAME"], "write `table.name`"),
    (
        &["session_variables", "sessionVariables", "headers", "claims", "hasura"],
        "write `session[\"x-hasura-role\"]`, or `role` and `user`",
    ),
    (
        &["current_user", "userId", "user_id", "session_user"],
        "write `user`, the user of the session, or `new.user_id` for a column",
    ),
    (
        &[
            "now",
            "today",
            "current_timestamp",
            "CURRENT_TIMESTAMP",
            "current_date",
            "CURRENT_DATE",
            "NOW",
            "localtimestamp",
            "timestamp_now",
        ],
        "the only clock is `received`, when the change came",
    ),
    (
        &["Date", "moment", "dayjs", "DateTime", "datetime"],
        "write `timestamp(new.created_at)`; the only clock is `received`",
    ),
    (
        &["Math", "math"],
        "there is none: write `int(new.total)` to cut the fraction, `(new.total < 0 ? -new.total : new.total)` for what is without a sign",
    ),
    (&["JSON"], "write `json(new.tags)` for the text; what is JSON in a row need not be parsed: `new.meta.a`"),
    (&["Object"], "the macros go over the keys of a map: `new.meta.exists(key, key == \"a\")`"),
    (&["Array"], "write `type(new.tags) == list`"),
    (&["Number", "Boolean"], "write `num(new.total)`, `bool(new.paid)`"),
    (&["String", "strings"], "write `string(new.id)`"),
    (&["_", "lodash"], "write `get(new, \"address.city\", \"unknown\")`"),
    (&["optional"], "write `coalesce(new.carrier, \"unknown\")`, or `get(new, \"address.city\", \"unknown\")`"),
    (
        &["cel", "sets", "lists", "base64", "regex"],
        "there are no extensions of CEL; its macros are, as in `new.tags.exists(x, x == \"a\")`",
    ),
    (
        &["process", "env", "ENV", "context"],
        "an expression sees the change alone: `new.status`, `session[\"x-hasura-role\"]`",
    ),
    (&["interval", "INTERVAL"], "write `duration(\"24h\")`"),
];

/// What a function of another language is called here.
pub(crate) fn function(name: &str, scope: Scope) -> Option<String> {
    let advice = find(FUNCTIONS, name)?;
    match scope.brought() {
        Some(brought) if OF_CHANGES.iter().any(|function| advice.contains(function)) => Some(no_rows(brought)),
        _ => Some(in_scope(advice, scope)),
    }
}

/// What a variable or a namespace of another language is called here; none where that is about rows, and there are none.
pub(crate) fn name(name: &str, scope: Scope) -> Option<String> {
    let advice = find(NAMES, name)?;
    let has_session = !matches!(scope, Scope::Scheduled | Scope::ScheduledKey);
    let is_there = |word: &&str| advice.contains(word) && !(has_session && OF_SESSION.contains(word));
    if scope.brought().is_some() && OF_ROWS.iter().chain(&OF_SESSION).any(is_there) {
        return None;
    }
    Some(in_scope(advice, scope))
}

/// What an advice has that is about the functions of changes.
const OF_CHANGES: [&str; 4] = ["`changed(", "`changedAny(", "`became(", "`was("];
/// What an advice has that is about rows, and about who wrote one.
const OF_ROWS: [&str; 6] = ["row", "`old", "`op`", "table.", "column", "the change alone"];
const OF_SESSION: [&str; 2] = ["session", "`user`"];

/// Why there is nothing that changed, and what there is.
pub(crate) fn no_rows(brought: &str) -> String {
    format!(
        "there are no rows here, and nothing that has changed; what came is `{brought}`, as in `{brought}.status == \"paid\"`"
    )
}

fn find(table: Table, name: &str) -> Option<&'static str> {
    let found = table.iter().find(|(names, _)| names.contains(&name));
    let any_case = || table.iter().find(|(names, _)| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
    found.or_else(any_case).map(|(_, advice)| *advice)
}

/// A text with expressions about rows, for that scope: a job has no rows, but the event's data; where no change is looked at, there is
/// what came instead.
pub(crate) fn in_scope(text: &str, scope: Scope) -> String {
    if let Some(brought) = scope.brought() {
        return renamed(text, brought)
            .replace("when the change came", "when it came")
            .replace("a column is written", "what came is written")
            .replace("for a column that", "for what");
    }
    match scope {
        Scope::With | Scope::Input | Scope::Job => text
            .replace("new.", "data.")
            .replace("(new,", "(data,")
            .replace("`received`, when the change came", "`event.time`, when the change came")
            .replace("received", "timestamp(event.time)"),
        _ => text.to_owned(),
    }
}

impl Scope {
    /// A text with expressions about rows as it is said in this scope.
    pub fn say(self, text: &str) -> String {
        in_scope(text, self)
    }
}

/// A text in which the variable `new` has another name.
fn renamed(text: &str, name: &str) -> String {
    const NEW: &str = "new";
    let (mut out, mut rest, mut before) = (String::with_capacity(text.len() + 16), text, None);
    while let Some(at) = rest.find(NEW) {
        let (head, tail) = (&rest[..at], &rest[at + NEW.len()..]);
        let last = head.chars().next_back().or(before);
        let is_var = last.is_none_or(|c| !c.is_alphanumeric() && !['_', '.', '"', '\''].contains(&c))
            && tail.starts_with(['.', ',', '[', ')', '`']);
        out.push_str(head);
        out.push_str(if is_var { name } else { NEW });
        (rest, before) = (tail, Some('w'));
    }
    out.push_str(rest);
    out
}

/// All advice, for a test that follows it.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().chain(NAMES).map(|(_, advice)| *advice)
}

#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = (bool, &'static str)> {
    let each = |is_function| {
        move |(names, _): &'static (&'static [&'static str], &str)| names.iter().map(move |name| (is_function, *name))
    };
    FUNCTIONS.iter().flat_map(each(true)).chain(NAMES.iter().flat_map(each(false)))
}
