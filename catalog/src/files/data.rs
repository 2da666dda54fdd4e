//! `data`: a shape with an expression for each leaf.

use expressions::Scope;

use crate::{
    event::Data,
    report::Rule,
    yaml::{Content, Yaml},
};

use super::context::File;

/// Reads the shape; `None` if any leaf is wrong.
pub(super) fn data(file: &mut File<'_>, node: &Yaml) -> Option<Data> {
    if node.is_null() && node.tag.is_none() {
        return Some(Data::Null);
    }
    match &node.content {
        Content::Scalar(..) => file.expression("data", node, Scope::Change).map(Data::Leaf),
        Content::List(items) => {
            let items: Vec<Option<Data>> = items.iter().map(|item| data(file, item)).collect();
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
            let entries: Vec<Option<(String, Data)>> =
                entries.iter().map(|entry| data(file, &entry.value).map(|value| (entry.key.clone(), value))).collect();
            entries.into_iter().collect::<Option<_>>().map(Data::Map)
        }
    }
}
