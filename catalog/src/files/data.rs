//! A shape with an expression for each leaf: `data`, what an event gives to a job's parameters, what a job works on.

use contracts::hasura::Occasion;
use expressions::{Expression, Scope};

use crate::{
    data::Data,
    report::Rule,
    yaml::{Content, Yaml},
};

use super::context::File;

/// Who looks at each expression in its place, once it is compiled.
pub(super) type Look<'l> = &'l mut dyn FnMut(&mut File<'_>, &Yaml, &Expression);

/// Reads an event's data; `None` if any leaf is wrong.
pub(super) fn data(file: &mut File<'_>, node: &Yaml, occasion: Occasion) -> Option<Data> {
    shape(file, ("data", Scope::of(occasion)), node, &mut |_, _, _| {})
}

/// Reads the shape below a key; `None` if any leaf is wrong.
pub(super) fn shape(file: &mut File<'_>, of: (&str, Scope), node: &Yaml, look: Look<'_>) -> Option<Data> {
    if node.is_null() && node.tag.is_none() {
        return Some(Data::Null);
    }
    match &node.content {
        Content::Scalar(..) => {
            let expression = file.expression(of.0, node, of.1)?;
            look(file, node, &expression);
            Some(Data::Leaf(expression))
        }
        Content::List(items) => {
            let items: Vec<Option<Data>> = items.iter().map(|item| shape(file, of, item, look)).collect();
            items.into_iter().collect::<Option<_>>().map(Data::List)
        }
        Content::Map { entries, flow } => {
            let split = *flow && entries.iter().any(|entry| entry.key.contains([')', ']', '"', '\'']));
            if split {
                let message = "YAML splits an expression at its commas within `{ }`";
                let help = "leave out the `{ }` and write one entry on each line, indented";
                file.error(Rule::Expression, node.start, message.into(), Some(help.to_owned()));
                return None;
            }
            let mut read = |entry: &crate::yaml::Entry| {
                shape(file, of, &entry.value, look).map(|value| (entry.key.clone(), value))
            };
            let entries: Vec<Option<(String, Data)>> = entries.iter().map(&mut read).collect();
            entries.into_iter().collect::<Option<_>>().map(Data::Map)
        }
    }
}
