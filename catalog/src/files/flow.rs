//! `rate` of a job.

use expressions::{Expression, Scope};

use crate::{
    flow::{Per, Rate},
    report::Rule,
    yaml::{Content, Yaml},
};

use super::{
    context::File,
    keys,
    options::{look, whole},
    parameters::Uses,
};

/// The most that may begin in the time of a rate, and at once.
const MOST_RATE: u64 = 100_000;

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
    match number.parse::<u64>() {
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
