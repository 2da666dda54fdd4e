use super::{super::CompileError, Expression, Scope};

#[track_caller]
fn refused(text: &str, at: &str, message: &str, help: &str) {
    refused_in(Scope::Change, text, at, message, help);
}

#[track_caller]
fn refused_in(scope: Scope, text: &str, at: &str, message: &str, help: &str) {
    let errors = Expression::compile(text, scope).expect_err(text);
    is(&errors[0], text, at, message, help);
}

#[track_caller]
fn always_fails(text: &str, at: &str, message: &str, help: &str) {
    always_fails_in(Scope::Change, text, at, message, help);
}

#[track_caller]
fn always_fails_in(scope: Scope, text: &str, at: &str, message: &str, help: &str) {
    let found = Expression::compile(text, scope).expect(text).mistakes();
    assert_eq!(found.len(), 1, "{found:?}");
    is(&found[0], text, at, message, help);
}

#[track_caller]
fn is(error: &CompileError, text: &str, at: &str, message: &str, help: &str) {
    let place = text.find(at).expect("the place is in the text");
    assert!(error.message.contains(message), "{text}: {error:?}");
    assert!(error.help.as_deref().unwrap_or_default().contains(help), "{text}: {error:?}");
    assert_eq!(error.offset, place, "{text}: {error:?}");
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    refused("chnaged(\"a\")", "chnaged", "no function `chnaged`", "`changed`");
    refused("true && new.a.startswith(\"b\")", "startswith", "no function `startswith`", "`startsWith`");
    refused("status == \"x\"", "status", "`status` is not known", "new.status");
    refused("nwe.a == 1", "nwe", "`nwe` is not known", "`new`");
    refused("table.nme == \"x\"", "table", "no `nme`", "table.name");
    refused("new.l.exist(x, x > 1)", "exist", "no function `exist`", "`exists`");
    refused("\"ü\" == \"ü\" && foo(1)", "foo", "no function `foo`", "");
    refused("new.a.changed(\"a\")", "changed", "not called like this", "changed(\"status\")");
    refused("became(\"a\")", "became", "not called like this", "became(\"status\", \"shipped\")");
    refused("now() > received", "now", "no function `now`", "`received`");
}

#[test]
fn scopes_know_different_names() {
    refused_in(Scope::Job, "new.a", "new", "`new` is not known", "`data`, `event`, `params`, `input`");
    refused_in(Scope::With, "params.a", "params", "`params` is not known", "`data`, `event`; a text is written");
    refused_in(Scope::Input, "input.a", "input", "`input` is not known", "`event`, `params`; a text is written");
    refused_in(Scope::Job, "changed(\"a\")", "changed", "no function", "");
    refused_in(Scope::Change, "data.a", "data", "`data` is not known", "");
    assert!(Expression::compile("data.a + new.a", Scope::Key).is_ok());
    assert!(Expression::compile("event.id + string(data.a)", Scope::Job).is_ok());
}

#[test]
fn literals_that_cannot_be_right_are_refused() {
    refused("op == \"update\"", "\"update\"", "`op` is never", "\"UPDATE\"");
    refused("\"UPSERT\" == op", "\"UPSERT\"", "`op` is never", "\"INSERT\"");
    refused("op in [\"INSERT\", \"Delete\"]", "\"Delete\"", "`op` is never", "\"DELETE\"");
    refused("changed(new.status)", "new.status", "column's name", "\"status\"");
    refused("new.a.matches(\"(\")", "\"(\"", "pattern is wrong", "");
    refused("date(new.a, \"Europe/Brelin\") < received", "\"Europe/Brelin\"", "no time zone", "");
    refused("new.a == 99999999999999999999", "99999999999999999999", "64 bits", ".0");
    refused("Move{a: 1} == 1", "{", "no types", "map");
}

#[test]
fn conversions_of_literals_that_always_fail_are_told() {
    let utc = "timestamp(\"2024-01-31T12:00:00Z\")";
    always_fails(
        "timestamp(new.t) > timestamp(\"2024-01-02\")",
        "\"2024-01-02\"",
        "\"2024-01-02\" has no time zone",
        utc,
    );
    always_fails("timestamp('soon') > received", "'soon'", "\"soon\" is no timestamp", utc);
    always_fails("received > timestamp(true)", "true", "true is a bool, and a string is wanted", utc);
    always_fails(
        "received - received > duration(\"5 minutes\")",
        "\"5 minutes\"",
        "\"5 minutes\" is no duration",
        "m, s",
    );
    always_fails("date(\"soon\", \"UTC\") < received", "\"soon\"", "is no date", "Europe/Berlin");
    always_fails("new.a == int(\"1.5\")", "\"1.5\"", "`int` always fails here", "");
    always_fails("new.a == bool(\"yes\")", "\"yes\"", "is no bool", "");
    always_fails_in(Scope::Job, "timestamp(\"2024-01-02\")", "\"2024", "has no time zone", utc);
    for fine in
        ["timestamp(new.t) > received", "timestamp(\"infinity\") > received", "coalesce(timestamp(null), received)"]
    {
        assert_eq!(Expression::compile(fine, Scope::Change).expect(fine).mistakes(), [], "{fine}");
    }
}

#[test]
fn operations_of_types_that_do_not_fit_are_told() {
    always_fails("received > \"2024-01-02\"", "received", "a timestamp has no order with a string", "timestamp(");
    always_fails(
        "true && 3600 < received - timestamp(new.t)",
        "3600",
        "a number has no order with a duration",
        "duration(",
    );
    always_fails(
        "received + 3600 > timestamp(new.t)",
        "received",
        "compute with a timestamp and a number",
        "duration(",
    );
    always_fails("received > duration(\"1h\")", "received", "no order with a duration", "received - timestamp(");
    always_fails("new.at < received", "new", "a value of a row has no order with a timestamp", "timestamp(new.at)");
    always_fails("new['at'].x > timestamp(new.t)", "new", "a value of a row has no order", "timestamp(new.at)");
    always_fails(
        "received - new.at > duration(\"1h\")",
        "received",
        "compute with a timestamp and a value of a row",
        "convert",
    );
    always_fails_in(Scope::Job, "event.time < timestamp(data.t)", "event", "a value of a row", "convert");
    always_fails("size(new.l) > \"3\"", "size", "a number has no order with a string", "write 3, without quotes");
    always_fails(
        "duration(new.t) * received > duration(\"1h\")",
        "duration",
        "compute with a duration and a timestamp",
        "",
    );
    for fine in [
        "received > timestamp(new.t) - duration(\"1h\")",
        "received - timestamp(new.t) > -duration(\"1h\")",
        "new.t > \"2024-01-02\" && new.n > 3 && op > \"A\" && user < \"b\"",
        "new.n > 1 && new.n + 1 > old.n && new.t > 'a' && new.n < old.n && -new.n < 1",
        "timestamp(new.t) > date(old.t, 'UTC') && {'a': received}.a > received",
        "dyn(received) > 1 || dyn(1) == \"1\"",
        "coalesce(new.t, received) > 1",
        "duration(new.t) * 2 > duration(\"1h\") / new.n && 1.5 * duration(new.t) / duration(\"1m\") > 3",
    ] {
        assert_eq!(Expression::compile(fine, Scope::Change).expect(fine).mistakes(), [], "{fine}");
    }
}

#[test]
fn slips_of_syntax_are_said_in_words() {
    refused("new.a = 1", "= 1", "`=` is no operator", "==");
    refused("new.a == 1 and new.b == 2", "and", "unexpected `and`", "&&");
    refused("new.a == 1 & new.b == 2", "& new", "`&` is no operator", "&&");
    refused("new.a == \"x", "\"x", "closing quote", "");
    let errors = Expression::compile("(new.a == 1", Scope::Change).expect_err("it ends too early");
    assert!(errors[0].message.contains("ends too early"), "{errors:?}");
    assert!(errors[0].help.as_deref().unwrap_or_default().contains("`(` is not closed"), "{errors:?}");
    assert!(Expression::compile("  ", Scope::Change).is_err());
    refused("new.a == 1 new.b", "new.b", "unexpected `new`", "");
    refused("if == 1", "if", "reserved", "");
}

#[test]
fn every_mistake_is_reported_at_its_place() {
    let text = "foo(1) &&\n  bar(2)";
    let errors = Expression::compile(text, Scope::Change).expect_err("two mistakes");
    assert_eq!(errors.iter().map(|error| error.offset).collect::<Vec<_>>(), [0, 12]);
}

#[test]
fn places_behind_letters_beyond_ascii_are_exact() {
    refused("\"äöü\" == \"x\" and new.b", "and", "unexpected `and`", "&&");
    refused("\"äöß\" == new.ü", "ü", "has no meaning here", "[\"ü\"]");
    refused("new.a == \"ä\" &&\n  \"ö\" = new.b", "= new", "`=` is no operator", "==");
    refused("\"日本\" == 1 # 2", "#", "has no meaning here", "");
}
