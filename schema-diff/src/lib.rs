//! Whether who reads with one JSON Schema can read what was written with another: the rules of the Confluent Schema Registry for JSON
//! Schema, one [`Change`] for each difference, by name and place. Pure.
//!
//! The rules look at the *content model* of a map. Who reads with `properties: {a: …}` alone takes any other property, too, so that the
//! model is *open*: a property that the reader describes anew may stand in what was written before, with any value. With
//! `additionalProperties: false` it is *closed*, and with a schema there, or with `patternProperties`, it is *partially open*.
//!
//! Where these rules differ from the Registry's, they are the stricter or the more exact: see `docs/schemas.md`.

mod array;
mod combined;
mod kind;
mod object;
mod scalar;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;
use shape::{Criterion, Node, Shape, Side};

pub use crate::kind::Kind;

/// How many pairs of schemas are compared at most: forms within forms, each against each, grow quickly.
const PAIRS: usize = 100_000;
/// How deep schemas nest that are compared.
const DEPTH: usize = 128;

/// One difference between the schema of who wrote and the schema of who reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where, as a path within the schemas: `#/properties/total/maximum`.
    pub place: String,
    pub kind: Kind,
    /// What the writer's schema says there; none if nothing, or more than can be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// What the reader's schema says there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
}

impl Change {
    /// Whether who reads may meet what their schema refuses.
    pub fn breaks(&self) -> bool {
        self.kind.breaks()
    }
}

/// Schemas that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    #[error("more than {PAIRS} pairs of schemas would have to be compared; write fewer forms within forms")]
    Pairs,
    #[error("the schemas nest deeper than {DEPTH} levels")]
    Depth,
}

/// What differs for who reads with the one schema what was written with the other: `compare(old, new)` answers whether a new schema
/// is *backward* compatible, `compare(new, old)` whether it is *forward* compatible.
///
/// # Errors
/// There is too much to be compared.
pub fn compare(writer: &Value, reader: &Value) -> Result<Vec<Change>, TooMuch> {
    let mut comparison =
        Comparison { roots: [writer, reader], path: Vec::new(), changes: Vec::new(), open: HashSet::new(), pairs: 0 };
    comparison.compare(Node::Whole(writer), Node::Whole(reader))?;
    Ok(comparison.changes)
}

/// What is under way.
struct Comparison<'a> {
    /// The whole documents, which references lead into.
    roots: [&'a Value; 2],
    path: Vec<String>,
    changes: Vec<Change>,
    /// What is being compared further up: a schema that contains itself is compared once.
    open: HashSet<(Identity, Identity)>,
    pairs: usize,
}

type Compared = Result<(), TooMuch>;
/// See [`Node::identity`].
type Identity = (usize, u8);

impl<'a> Comparison<'a> {
    fn compare(&mut self, writer: Node<'a>, reader: Node<'a>) -> Compared {
        self.pairs += 1;
        if self.pairs > PAIRS {
            return Err(TooMuch::Pairs);
        }
        if self.path.len() > DEPTH {
            return Err(TooMuch::Depth);
        }
        let (writer, reader) = (self.follow(writer, Side::Writer), self.follow(reader, Side::Reader));
        let identity = (writer.identity(), reader.identity());
        if !self.open.insert(identity) {
            return Ok(());
        }
        let compared = self.compare_shapes(writer, reader);
        self.open.remove(&identity);
        compared
    }

    fn compare_shapes(&mut self, writer: Node<'a>, reader: Node<'a>) -> Compared {
        let (was, is) = (self.shape(writer, Side::Writer), self.shape(reader, Side::Reader));
        if self.compare_with_forms(writer, &was, reader, &is)? {
            return Ok(());
        }
        if let (Node::Whole(writer), Node::Whole(reader)) = (writer, reader) {
            self.compare_annotations(writer, reader);
        }
        match (&was, &is) {
            (Shape::Never, _) | (_, Shape::Any) => {}
            (Shape::Text(was), Shape::Text(is)) => self.compare_texts(was, is),
            (Shape::Number(was), Shape::Number(is)) => self.compare_numbers(was, is),
            (Shape::Map(was), Shape::Map(is)) => self.compare_maps(was, is)?,
            (Shape::List(was), Shape::List(is)) => self.compare_lists(was, is)?,
            (Shape::Choice(was), Shape::Choice(is)) => self.compare_choices(was, is),
            (Shape::Combined(was_by, was), Shape::Combined(is_by, is)) => {
                self.compare_combined((*was_by, was), (*is_by, is))?;
            }
            (Shape::Not(was), Shape::Not(is)) => self.compare_not(*was, *is)?,
            (Shape::Truth(was), Shape::Truth(is)) | (Shape::Null(was), Shape::Null(is)) => self.compare_types(was, is),
            (Shape::Unknown(was), Shape::Unknown(is)) if was == is => {}
            _ => self.note(Kind::TypeChanged, was.describe(), is.describe()),
        }
        Ok(())
    }

    /// A schema against several forms, or the other way round, where one of the forms decides. False if that does not settle it.
    fn compare_with_forms(
        &mut self,
        writer: Node<'a>,
        was: &Shape<'a>,
        reader: Node<'a>,
        is: &Shape<'a>,
    ) -> Result<bool, TooMuch> {
        let (pairs, several): (Vec<_>, _) = match (was, is) {
            (Shape::Combined(..), Shape::Combined(..)) | (Shape::Never, _) | (_, Shape::Any) => return Ok(false),
            (_, Shape::Combined(by, forms)) if forms.len() == 1 || *by != Criterion::All => {
                let several = (forms.len() > 1).then_some(Kind::SumTypeExtended);
                (forms.iter().map(|form| (writer, *form)).collect(), several)
            }
            // What meets all of the forms meets each.
            (Shape::Combined(by, forms), _) if forms.len() == 1 || *by == Criterion::All => {
                let several = (forms.len() > 1).then_some(Kind::ProductTypeNarrowed);
                (forms.iter().map(|form| (*form, reader)).collect(), several)
            }
            _ => return Ok(false),
        };
        for (writer, reader) in pairs {
            let found = self.apart(writer, reader)?;
            if found.iter().all(|change| !change.breaks()) {
                self.changes.extend(found);
                if let Some(kind) = several {
                    self.note(kind, None, None);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What would be found, without noting it.
    fn apart(&mut self, writer: Node<'a>, reader: Node<'a>) -> Result<Vec<Change>, TooMuch> {
        let before = std::mem::take(&mut self.changes);
        let compared = self.compare(writer, reader);
        let found = std::mem::replace(&mut self.changes, before);
        compared.map(|()| found)
    }

    /// Below a part of the path.
    fn at<T>(&mut self, step: impl Into<String>, compare: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.into());
        let out = compare(self);
        self.path.pop();
        out
    }

    fn note(&mut self, kind: Kind, writer: Option<String>, reader: Option<String>) {
        let escaped = self.path.iter().map(|step| step.replace('~', "~0").replace('/', "~1"));
        let place = std::iter::once("#".to_owned()).chain(escaped).collect::<Vec<_>>().join("/");
        self.changes.push(Change { place, kind, writer, reader });
    }
}
