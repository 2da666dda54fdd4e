//! What several options of a job have in common: expressions that are looked at, durations and whole numbers.

use std::time::Duration;

use contracts::duration;
use expressions::{Expression, Member};

use crate::{
    job::Need,
    report::Rule,
    yaml::{Content, Yaml},
};

use super::{context::File, parameters::Uses};

/// Says what an expression names and is not there, and notes what it needs.
pub(super) fn look(file: &mut File<'_>, node: &Yaml, expression: &Expression, uses: &mut Uses) {
    let Content::Scalar(text, style) = &node.content else { return };
    // What is wrong with the expression alone was said when it was compiled.
    let alone = expression.mistakes();
    let (mut mistakes, members) = uses.look(expression);
    mistakes.retain(|mistake| !alone.contains(mistake));
    file.mistakes(node, text, *style, mistakes);
    uses.needs.extend(needs(file, node, members));
}

pub(super) fn needs(file: &File<'_>, node: &Yaml, members: Vec<Member>) -> Vec<Need> {
    let Content::Scalar(text, style) = &node.content else { return Vec::new() };
    let need = |member: Member| {
        let (place, text) = file.place_within(node, text, *style, member.offset);
        Need { name: member.name, place, text }
    };
    members.into_iter().map(need).collect()
}

pub(super) fn span(file: &mut File<'_>, key: &str, node: &Yaml) -> Option<Duration> {
    let text = file.text_of(key, node)?;
    match duration::parse(text) {
        Ok(found) => Some(found),
        Err(error) => {
            file.error(Rule::Job, node.start, format!("`{key}`: {error}"), None);
            None
        }
    }
}

pub(super) fn positive(file: &mut File<'_>, key: &str, node: &Yaml) -> Option<Duration> {
    let found = span(file, key, node)?;
    if found.is_zero() {
        let help = format!("write how long, as in `{key}: 30s`, or leave it out for the default");
        file.error(Rule::Job, node.start, format!("`{key}` is nothing, and a time is wanted"), Some(help));
        return None;
    }
    Some(found)
}

pub(super) fn whole(file: &mut File<'_>, key: &str, node: &Yaml, most: u64) -> Option<u64> {
    let found = node.to_json().as_u64().filter(|value| (1..=most).contains(value));
    if found.is_none() {
        file.error(Rule::Job, node.start, format!("`{key}` is a whole number from 1 to {most}"), None);
    }
    found
}
