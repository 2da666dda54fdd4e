//! `rate`, `concurrency` and `circuit` of a job.

use expressions::{Expression, Scope, closest};

use crate::{
    flow::{Breaker, Circuit, Each, Per, Rate},
    job::DEFAULT_CONCURRENCY,
    report::Rule,
    yaml::{Content, Yaml},
};

use super::{
    context::File,
    keys,
    parameters::Uses,
    parts::{look, positive, whole},
};

/// The most that may begin in the time of a rate, and at once.
const MOST_RATE: u64 = 100_000;
/// The most runs side by side.
const MOST_CONCURRENCY: u64 = 10_000;
/// The most failures after which a circuit opens.
const MOST_FAILURES: u64 = 100_000;

/// `10/s`, or `{ limit: 10/s, by: data.customerId, burst: 5 }`.
pub(super) fn rate(file: &mut File<'_>, node: &Yaml, uses: &mut Uses) -> Option<Rate> {
    let Content::Map { .. } = node.content else {
        let (limit, per) = times(file, "rate", node)?;
        return Some(Rate { limit, per, burst: Rate::usual_burst(limit, per), by: None, is_by_key: false });
    };
    file.known_keys(node, keys::RATE);
    let Some(limit) = node.get("limit") else {
        let help = "write how many in which time: `rate: { limit: 10/s, by: data.customerId }`".to_owned();
        file.error(Rule::Job, node.start, "`rate` has no `limit`".into(), Some(help));
        return None;
    };
    let (limit, per) = times(file, "limit", limit)?;
    let burst = match node.get("burst") {
        Some(burst) => u32::try_from(whole(file, "burst", burst, MOST_RATE)?).ok()?,
        None => Rate::usual_burst(limit, per),
    };
    let by = match node.get("by") {
        Some(node) => Some(by(file, node, uses)?),
        None => None,
    };
    Some(Rate { limit, per, burst, by, is_by_key: false })
}

/// A number and its time.
fn times(file: &mut File<'_>, key: &str, node: &Yaml) -> Option<(u32, Per)> {
    let text = file.text_of(key, node)?.trim();
    let mut wrong = |message: String, help: String| {
        file.error(Rule::Job, node.start, message, Some(help));
        None
    };
    let Some((number, unit)) = text.split_once('/').map(|(number, unit)| (number.trim(), unit.trim())) else {
        let what = if text.parse::<f64>().is_ok() { format!("{text}/s") } else { "10/s".to_owned() };
        let help = format!("write how many in a second, a minute or an hour: `{what}`, `100/m`, `500/h`");
        return wrong(format!("`{key}` says no time: {text:?} is no rate"), help);
    };
    let Some((_, per)) = Per::ALL.into_iter().find(|(known, _)| *known == unit) else {
        let first = unit.chars().next().map(|first| first.to_ascii_lowercase().to_string()).unwrap_or_default();
        let help = match Per::ALL.iter().find(|(known, _)| *known == first) {
            Some((known, _)) => format!("did you mean `{number}/{known}`?"),
            None => "the times are `s`, `m` and `h`: `10/s`, `100/m`, `500/h`".to_owned(),
        };
        return wrong(format!("`{key}`: a rate has no time `{unit}`"), help);
    };
    // A sign is none of a number's digits.
    let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse::<u64>() {
        _ if !is_digits && !number.contains('.') => {
            wrong(format!("`{key}` is a whole number in a time, and {number:?} is none"), "as in `10/s`".to_owned())
        }
        Ok(0) => {
            let help = "pause it (`herald jobs pause`), or leave it out of the event".to_owned();
            wrong(format!("`{key}: {text}` would never let the job run"), help)
        }
        Ok(limit @ 1..=MOST_RATE) => Some((u32::try_from(limit).ok()?, per)),
        _ if number.contains('.') => {
            wrong(format!("`{key}` is a whole number in a time"), "half a run a second is `30/m`".to_owned())
        }
        _ => wrong(format!("`{key}` is a whole number from 1 to {MOST_RATE} in a time"), "as in `10/s`".to_owned()),
    }
}

/// What runs are told apart by.
fn by(file: &mut File<'_>, node: &Yaml, uses: &mut Uses) -> Option<Expression> {
    if !matches!(node.content, Content::Scalar(..)) {
        let help = "one value of several is `[data.a, data.b].join(\"/\")`".to_owned();
        file.error(Rule::Job, node.start, format!("`by` is {}, and an expression is wanted", node.kind()), Some(help));
        return None;
    }
    let expression = file.expression("by", node, Scope::With)?;
    if expression.is_composite() {
        let help = "name one value of it, as in `by: data.customerId`".to_owned();
        let message = "`by` makes a list or a map, and runs are told apart by a text, a number or a truth value";
        file.error(Rule::Job, node.start, message.into(), Some(help));
        return None;
    }
    look(file, node, &expression, uses);
    Some(expression)
}

/// `16`, or `{ limit: 4, by: data.accountId, total: 16 }`: how many in all, and how many of each.
pub(super) fn concurrency(file: &mut File<'_>, node: &Yaml, uses: &mut Uses) -> Option<(usize, Option<Each>)> {
    let number = |file: &mut File<'_>, key: &str, node: &Yaml| {
        whole(file, key, node, MOST_CONCURRENCY).and_then(|value| usize::try_from(value).ok())
    };
    let Content::Map { .. } = node.content else { return Some((number(file, "concurrency", node)?, None)) };
    file.known_keys(node, keys::CONCURRENCY);
    let (Some(limit), Some(of)) = (node.get("limit"), node.get("by")) else {
        let help = "write `concurrency: { limit: 4, by: data.accountId }`, or only a number: `concurrency: 4`";
        file.error(Rule::Job, node.start, "`concurrency` wants a `limit` and a `by`".into(), Some(help.into()));
        return None;
    };
    let limit_at = limit.start;
    let limit = number(file, "limit", limit)?;
    let total = match node.get("total") {
        Some(total) => number(file, "total", total)?,
        None => DEFAULT_CONCURRENCY,
    };
    if limit > total {
        let message = format!("`limit` is {limit}, and no more than {total} run side by side in all");
        let help = format!("write a smaller one, or `total: {limit}` or more");
        file.error(Rule::Job, limit_at, message, Some(help));
        return None;
    }
    Some((total, Some(Each { limit, by: by(file, of, uses)? })))
}

/// `off`, `on`, or `{ failures: 20, pause: 10s, most: 5m }`.
pub(super) fn circuit(file: &mut File<'_>, node: &Yaml) -> Option<Circuit> {
    let Content::Map { entries, .. } = &node.content else {
        return match node.scalar() {
            Some("on") => Some(Circuit::On(Breaker::default())),
            Some("off") => Some(Circuit::Off),
            other => {
                let help = match other.and_then(|other| closest(other, ["on", "off"])) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "write `circuit: { failures: 20, pause: 10s, most: 5m }`".to_owned(),
                };
                file.error(Rule::Job, node.start, "`circuit` is `on`, `off` or a map".into(), Some(help));
                None
            }
        };
    };
    file.known_keys(node, keys::CIRCUIT);
    let mut breaker = Breaker::default();
    for entry in entries {
        match entry.key.as_str() {
            "failures" => {
                let found = whole(file, "failures", &entry.value, MOST_FAILURES);
                breaker.failures = found.and_then(|found| u32::try_from(found).ok()).unwrap_or(breaker.failures);
            }
            "pause" => breaker.pause = positive(file, "pause", &entry.value).unwrap_or(breaker.pause),
            "most" => breaker.most = positive(file, "most", &entry.value).unwrap_or(breaker.most),
            _ => {}
        }
    }
    if breaker.pause > breaker.most {
        if node.get("most").is_some() {
            file.error(Rule::Job, node.start, "`circuit` begins above its `most`".into(), None);
        }
        breaker.most = breaker.pause;
    }
    Some(Circuit::On(breaker))
}
