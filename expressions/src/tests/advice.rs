//! What people write who come from JavaScript, SQL or another CEL is answered with what is written here, and following the
//! answer ends there.

use std::collections::BTreeSet;

use super::super::{CompileError, Expression, Scope, advice, functions::FUNCTIONS, slips};

fn problems(text: &str, scope: Scope) -> Vec<CompileError> {
    let found = |compiled: Expression| [compiled.mistakes(), compiled.doubts()].concat();
    Expression::compile(text, scope).map_or_else(|errors| errors, found)
}

/// What stands in backticks in a text.
fn quoted(text: &str) -> Vec<&str> {
    // Within an expression there are no backticks, but for a column in them, which no advice has.
    text.split('`').skip(1).step_by(2).collect()
}

/// Written as in another language; a part of the answer; what is written then.
const SLIPS: &[(&str, &str, &str)] = &[
    // JavaScript.
    ("new.status === 'paid'", "`===` is no operator", "new.status == 'paid'"),
    ("new.status !== 'paid'", "`!==` is no operator", "new.status != 'paid'"),
    ("new.status = 'paid'", "`=` is no operator", "new.status == 'paid'"),
    ("new.a && = new.b", "`=` is no operator", "new.a == 1 && new.b == 2"),
    ("new.a &&= new.b", "`&&=` is no operator", "new.a == 1 && new.b == 2"),
    ("new.a ??= 1", "`??=` is no operator", "coalesce(new.a, 1)"),
    ("new.a += 1", "`+=` is no operator", "new.a + 1"),
    ("new.a++", "`++` is no operator", "new.a + 1"),
    ("new.a ** 2 > 1", "`**` is no operator", "new.a * new.a > 1"),
    ("(new.carrier ?? 'x') == 'x'", "coalesce(", "coalesce(new.carrier, 'x') == 'x'"),
    ("(new.carrier ?: 'x') == 'x'", "coalesce(", "coalesce(new.carrier, 'x') == 'x'"),
    ("new.address?.city == 'Köln'", "`?.` is no operator", "get(new, 'address.city', '') == 'Köln'"),
    ("new?.address?.city == 'Köln'", "`?.` is no operator", "new.address.city == 'Köln'"),
    ("new.total > 100 ? 'large'", "has both", "new.total > 100 ? 'large' : 'small'"),
    ("typeof new.name == 'string'", "type(new.name) == string", "type(new.name) == string"),
    ("new.name instanceof String", "type(new.name) == string", "type(new.name) == string"),
    ("new Date(new.at) < received", "timestamp(", "timestamp(new.at) < received"),
    ("new.at < Date.now()", "`received`", "timestamp(new.at) < received"),
    ("new.tags.some(t => t == 'a')", "new.tags.exists(x, x == \"a\")", "new.tags.exists(t, t == 'a')"),
    ("new.tags.includes('a')", "in new.tags", "'a' in new.tags"),
    ("/^a/.test(new.name)", "new.name.matches(", "new.name.matches('^a')"),
    ("new.name == `a`", "`\"a\"`", "new.name == \"a\""),
    ("new.name == `${new.first}`", "in other quotes", "new.name == new.first + 'x'"),
    ("JSON.stringify(new.tags) == ''", "json(new.tags)", "json(new.tags) == ''"),
    (
        "Math.abs(new.total) > 1",
        "write `(new.total < 0 ? -new.total : new.total)`",
        "(new.total < 0 ? -new.total : new.total) > 1",
    ),
    (
        "_.get(new, 'address.city') == 'a'",
        "get(new, \"address.city\", \"unknown\")",
        "get(new, 'address.city', 'unknown') == 'a'",
    ),
    ("new.name == undefined", "`null`", "new.name == null"),
    ("if (new.a) new.b else new.c", "is a reserved word", "new.total > 100 ? \"large\" : \"small\""),
    ("const a = 1", "without statements", "new.a == 1"),
    ("new.a == 1;", "leave it out", "new.a == 1"),
    ("dbEvent.new.status == 'paid'", "`new` and `old`", "new.status == 'paid'"),
    ("hasuraEvent.event.op == 'INSERT'", "`new` and `old`", "op == 'INSERT'"),
    ("columnHasChanged('status', payload)", "changed(\"status\")", "changed('status')"),
    ("Math.max(new.a, new.b) > 1", "(new.a > new.b ? new.a : new.b)", "(new.a > new.b ? new.a : new.b) > 1"),
    ("changed('a', 'b')", "or one of several columns `changedAny('a', 'b')`", "changedAny('a', 'b')"),
    ("changed('status', 'paid')", "for \"changed to\" write `became('status', 'paid')`", "became('status', 'paid')"),
    ("changed('n', 5)", "write `became('n', 5)`", "became('n', 5)"),
    (
        "changed('status', 'new', 'paid')",
        "`was('status', 'new') && became('status', 'paid')`",
        "was('status', 'new') && became('status', 'paid')",
    ),
    ("changed('a', 'b', 'c', 'd')", "write for one of several columns `changedAny(", "changedAny('a', 'b', 'c', 'd')"),
    ("has(new['my col'])", "write `'my col' in new`", "'my col' in new"),
    ("has(new.meta[0])", "write `0 in new.meta`", "0 in new.meta"),
    ("became(status, 'paid')", "in quotes: \"status\"", "became('status', 'paid')"),
    ("new.status == paid", "a text in quotes: `\"paid\"`", "new.status == \"paid\""),
    ("new.status == \"'paid'\"", "write \"paid\"", "new.status == \"paid\""),
    ("new.status in ['a', '\"paid\"']", "write \"paid\"", "new.status in ['a', 'paid']"),
    ("became('status', \"'paid'\")", "write \"paid\"", "became('status', 'paid')"),
    ("changedAny(['a', 'b'])", "write each name for itself", "changedAny('a', 'b')"),
    ("operation == 'INSERT'", "write `op`", "op == 'INSERT'"),
    // SQL.
    ("new.status <> 'paid'", "`<>` is no operator", "new.status != 'paid'"),
    ("new.a =< 5", "`=<` is no operator", "new.a <= 5"),
    ("new.name is null", "new.name == null", "new.name == null"),
    ("new.name IS NOT NULL", "new.name != null", "new.name != null"),
    ("new.status not in ['paid']", "!(new.status in [\"paid\"])", "!(new.status in ['paid'])"),
    ("!new.status in ['paid']", "binds more strongly", "!(new.status in ['paid'])"),
    ("new.status in ('paid', 'shipped')", "[\"paid\", \"shipped\"]", "new.status in ['paid', 'shipped']"),
    ("new.status IN ['paid']", "write `in`", "new.status in ['paid']"),
    ("new.name LIKE 'a%'", "startsWith", "new.name.startsWith('a')"),
    ("new.total BETWEEN 1 AND 5", "`new.total >= 1 && new.total <= 5`", "new.total >= 1 && new.total <= 5"),
    ("lower(new.a) between 'a' and 'b'", "new.total >= 1 && new.total <= 9", "new.a >= 'a' && new.a <= 'b'"),
    ("new.total > 1,000", "write `1000`", "new.total > 1000"),
    ("new.total > 1_000_000", "write `1000000`", "new.total > 1000000"),
    ("10 < new.total < 20", "write `10 < new.total && new.total < 20`", "10 < new.total && new.total < 20"),
    ("new.a == new.b == 1", "write `new.a == new.b && new.b == 1`", "new.a == new.b && new.b == 1"),
    ("size(new.tags) > '5'", "write 5, without quotes", "size(new.tags) > 5"),
    (
        "new.created_at.getHours('UTC') > 3",
        "`timestamp(new.created_at).getHours('UTC')`",
        "timestamp(new.created_at).getHours('UTC') > 3",
    ),
    ("new.a == 1 and new.b == 2", "write `&&`", "new.a == 1 && new.b == 2"),
    ("new.a == 1 OR new.b == 2", "write `||`", "new.a == 1 || new.b == 2"),
    ("not new.paid", "write `!`", "!new.paid"),
    ("true && NOT (new.paid)", "no function `NOT`", "!(new.paid)"),
    ("new.first || ' ' || new.last", "joined with `+`", "new.first + ' ' + new.last"),
    ("new.total::int > 5", "int(new.total)", "int(new.total) > 5"),
    ("new.address->>'city' == 'Köln'", "new.address.city", "new.address.city == 'Köln'"),
    ("new.name ~ '^a'", "matches(", "new.name.matches('^a')"),
    ("NEW.status == 'paid'", "did you mean `new`?", "new.status == 'paid'"),
    ("TG_OP == 'INSERT'", "write `op`", "op == 'INSERT'"),
    ("new.name == NULL", "`null`", "new.name == null"),
    ("LOWER(new.name) == 'a'", "did you mean `lower`?", "lower(new.name) == 'a'"),
    ("new.at < CURRENT_TIMESTAMP", "`received`", "timestamp(new.at) < received"),
    ("received - interval '1 day' > timestamp(new.at)", "duration(", "received - duration('24h') > timestamp(new.at)"),
    ("case when new.a > 1 then 2 else 3 end", "new.total > 100 ?", "new.a > 1 ? 2 : 3"),
    ("new.status IS DISTINCT FROM old.status", "new.name != null", "new.status != old.status"),
    ("new.a == 1 -- paid", "begins with `//`", "new.a == 1 // paid"),
    // Other uses of CEL, and templates.
    ("new.?address.?city == 'a'", "`.?` is no operator", "get(new, 'address.city', '') == 'a'"),
    ("new.tags[?0] == 'a'", "`[?` is no operator", "get(new, 'tags.0', '') == 'a'"),
    ("math.greatest(new.a, new.b) > 1", "(new.a > new.b ?", "(new.a > new.b ? new.a : new.b) > 1"),
    ("self.status == 'a'", "`new` and `old`", "new.status == 'a'"),
    ("oldObject.status == 'a'", "is `old`", "old.status == 'a'"),
    ("{{ new.status }} == 'a'", "leave out `{{` and `}}`", "new.status == 'a'"),
    ("${new.status} == 'a'", "leave out `${` and `}`", "new.status == 'a'"),
    ("$new.status == 'a'", "leave it out", "new.status == 'a'"),
    ("new.total ≥ 5", "write `>=`", "new.total >= 5"),
    ("new.status == “paid”", "are straight", "new.status == \"paid\""),
    ("new.status\u{a0}== 'a'", "a plain one", "new.status == 'a'"),
    ("new.name == 'it's'", "with the other ones around", "new.name == \"it's\""),
    ("new.name contains 'a'", "new.name.contains(", "new.name.contains('a')"),
    ("session.x-hasura-role == 'a'", "session[\"x-hasura-role\"]", "session[\"x-hasura-role\"] == 'a'"),
    // What can be read, and is never what is meant.
    ("'1' == 1", "never equal", "num('1') == 1"),
    ("string(new.id) in [1, 2]", "never equal", "string(new.id) in ['1', '2']"),
    ("lower(new.status) == 'Paid'", "is never 'Paid'", "lower(new.status) == \"paid\""),
    ("new.status.upperAscii() in ['Paid']", "is never 'Paid'", "new.status.upperAscii() in ['PAID']"),
    ("new.at == received", "never equal", "timestamp(new.at) == received"),
    ("changed('new.status')", "write the name of the column alone", "changed('status')"),
    (
        "was('options.express', true)",
        "within JSON",
        "get(old, \"options.express\", null) != get(new, \"options.express\", null)",
    ),
    ("true && size(new.tags)", "a number is no condition", "true && size(new.tags) != 0"),
    ("!lower(new.name)", "a string is no condition", "lower(new.name) == ''"),
];

#[test]
fn what_others_write_is_answered_and_following_the_answer_ends_there() {
    let mut wrong = Vec::new();
    for (written, answer, followed) in SLIPS {
        let found = problems(written, Scope::Change);
        let told = told(&found);
        if !told.contains(answer) {
            wrong.push(format!("{written}: {told}"));
        }
        for error in problems(followed, Scope::Change) {
            wrong.push(format!("{written}: {followed}: {error:?}"));
        }
        let advised: Vec<&str> =
            found.iter().take(1).flat_map(|error| &error.help).flat_map(|help| quoted(help)).collect();
        for advised in advised {
            if !is_operator(advised) && !problems(advised, Scope::Change).is_empty() {
                wrong.push(format!("{written}: `{advised}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn told(found: &[CompileError]) -> String {
    found
        .first()
        .map(|error| format!("{}; {}", error.message, error.help.as_deref().unwrap_or_default()))
        .unwrap_or_default()
}

/// What an advice may have in backticks beside an expression.
fn is_operator(text: &str) -> bool {
    const OTHERS: [&str; 16] = ["==", "!=", "<", "<=", ">", ">=", "&&", "||", "!", "+", "-", "*", "/", "%", "in", "//"];
    OTHERS.contains(&text)
        || matches!(text, "." | "$" | "${" | "}" | "{{" | "}}" | "data" | "key")
        || FUNCTIONS.iter().any(|known| known.name == text)
}

#[test]
fn every_advice_can_be_followed() {
    let mut wrong = Vec::new();
    for advice in advice::all().chain(slips::all()) {
        for advised in quoted(advice) {
            let found = problems(advised, Scope::Change);
            if !is_operator(advised) && !found.is_empty() {
                wrong.push(format!("{advice}: `{advised}`: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for known in FUNCTIONS {
        assert_eq!(problems(known.example, Scope::Change), [], "{}", known.example);
        let in_job = advice::in_scope(known.example, Scope::Job);
        assert!(known.function.is_about_changes() || problems(&in_job, Scope::Job).is_empty(), "{in_job}");
    }
}

#[test]
fn every_name_of_another_language_is_answered() {
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for (is_function, name) in advice::names() {
        assert!(seen.insert((is_function, name)), "{name} is there twice");
        let written = match is_function {
            true => vec![format!("new.name.{name}(1)"), format!("{name}(new.name)")],
            false => vec![format!("{name} == 1")],
        };
        for written in written {
            let help =
                problems(&written, Scope::Change).into_iter().next().and_then(|error| error.help).unwrap_or_default();
            if !help.contains('`') || help.contains("a column is written") && name != "data" {
                wrong.push(format!("{written}: {help}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Where no change is looked at.
const WITHOUT_ROWS: [Scope; 5] =
    [Scope::Scheduled, Scope::ScheduledKey, Scope::Action, Scope::ActionKey, Scope::Answer];

#[test]
fn what_is_no_change_is_answered_without_rows() {
    let mut wrong = Vec::new();
    for scope in WITHOUT_ROWS {
        let brought = scope.brought().expect("what came");
        let written = SLIPS.iter().map(|(written, ..)| (*written).to_owned());
        let names = advice::names().map(|(is_function, name)| match is_function {
            true => format!("{name}({brought}.name)"),
            false => format!("{name} == 1"),
        });
        for written in written.chain(names) {
            let written = written.replace("new.", &format!("{brought}."));
            for error in problems(&written, scope) {
                let advised = error.help.iter().flat_map(|help| quoted(help));
                for advised in advised.filter(|advised| !is_operator(advised)) {
                    let found = problems(advised, scope);
                    if found.iter().any(|error| {
                        error.message.contains("is not known here") || error.message.contains("no function")
                    }) {
                        wrong.push(format!("{scope:?}: {written}: `{advised}`: {found:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_schedule_is_answered_with_what_it_knows() {
    let rows = "there are no rows here, and nothing that has changed; what came is `payload`";
    for (written, answer) in [
        ("new.name == 'a'", rows),
        ("old.name == 'a'", rows),
        ("op == 'INSERT'", rows),
        ("session['x-hasura-role'] == 'a'", rows),
        ("changed('a')", rows),
        ("became('a', 'b')", rows),
        ("hasChanged('a')", rows),
        ("payload.name.toLowerCase() == 'a'", "`lower(payload.name)`"),
        ("size(payload.tags)", "compare it: `payload.total != 0`"),
        ("'paid'", "compare it: `payload.status == 'paid'`"),
        ("now() == payload.at", "the only clock is `received`, when it came"),
        ("scheduled_time.getHours() > 3", "`timestamp(scheduled_time).getHours()`"),
        (
            "status == 'a'",
            "known here are `payload`, `scheduled_time`, `name`, `comment`, `id`, `created_at`, `source`, `received`",
        ),
    ] {
        let found = match problems(written, Scope::Scheduled) {
            found if found.is_empty() => {
                Expression::compile(written, Scope::Scheduled).map_or_else(|errors| errors, |it| it.no_condition())
            }
            found => found,
        };
        assert!(told(&found).contains(answer), "{written}: {found:?}");
    }
    assert!(told(&problems("new.a == 1", Scope::Action)).contains("what came is `input`"));
    assert_eq!(problems("session['x-hasura-role'] == role && input.a == 1 && action.name == 'x'", Scope::Action), []);
    assert_eq!(problems("{'id': event.id, 'of': input.a}", Scope::Answer), []);
}

#[test]
fn a_job_is_answered_with_what_it_knows() {
    for (written, answer) in [
        ("data.name.toLowerCase()", "lower(data.name)"),
        ("now()", "`event.time`"),
        ("new.name", "known here are `data`, `event`, `params`, `input`"),
        ("changed('a')", "a job sees the event's `data`"),
        ("nvl(data.a, 1)", "get(data, \"address.city\""),
    ] {
        let found = problems(written, Scope::Job);
        assert!(told(&found).contains(answer), "{written}: {found:?}");
    }
}
