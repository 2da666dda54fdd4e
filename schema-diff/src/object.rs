//! Maps: their properties, and what their content model says of those that it does not describe.

use std::collections::{BTreeSet, HashSet};

use regex::Regex;
use serde_json::Value;

use crate::{
    Compared, Comparison, Kind, TooMuch,
    scalar::Bound,
    shape::{Node, Object, Shape, Side, Typed},
};

const BOUNDS: [Bound; 2] = [
    (
        "maxProperties",
        [
            Kind::MaxPropertiesAdded,
            Kind::MaxPropertiesRemoved,
            Kind::MaxPropertiesIncreased,
            Kind::MaxPropertiesDecreased,
        ],
    ),
    (
        "minProperties",
        [
            Kind::MinPropertiesAdded,
            Kind::MinPropertiesRemoved,
            Kind::MinPropertiesIncreased,
            Kind::MinPropertiesDecreased,
        ],
    ),
];

/// The schema of anything.
static ANY: Value = Value::Bool(true);

/// Rules of maps of which only is told whether they are the same.
const OTHERS: [&str; 2] = ["propertyNames", "unevaluatedProperties"];
pub(crate) const OTHER: [Kind; 3] = [Kind::KeywordAdded, Kind::KeywordRemoved, Kind::KeywordChanged];

/// What a map takes beside what it describes.
pub(crate) enum Content<'a> {
    Open,
    /// What a property of this name must meet.
    Partial(Node<'a>),
    Closed,
}

impl<'a> Comparison<'a> {
    pub(crate) fn compare_maps(&mut self, was: &Typed<'a>, is: &Typed<'a>) -> Compared {
        self.compare_types(was, is);
        let (was, is) = (was.rules, is.rules);
        self.compare_properties(was, is)?;
        self.compare_dependencies(was, is)?;
        self.compare_additional(was, is)?;
        self.compare_bounds(was, is, &BOUNDS);
        OTHERS.iter().for_each(|name| self.compare_keyword(was, is, name, OTHER));
        // What a pattern allowed is a further property without it.
        let is_open = match is.get("additionalProperties") {
            None => !is_closed_by(is, "unevaluatedProperties"),
            Some(further) => *further == Value::Bool(true),
        };
        let removed = if is_open { Kind::KeywordRemoved } else { Kind::KeywordChanged };
        self.compare_keyword(was, is, "patternProperties", [Kind::KeywordAdded, removed, Kind::KeywordChanged]);
        Ok(())
    }

    fn compare_properties(&mut self, was: &'a Object, is: &'a Object) -> Compared {
        let (old, new) = (map(was, "properties"), map(is, "properties"));
        let (old_required, new_required) = (texts(was.get("required")), texts(is.get("required")));
        // What is required and not described counts as described by anything.
        let described = |of: Option<&'a Object>| of.into_iter().flat_map(Object::keys).map(String::as_str);
        let names = described(old).chain(described(new)).chain(old_required.iter().copied());
        let names: BTreeSet<&str> = names.chain(new_required.iter().copied()).collect();
        for name in names {
            let find = |of: Option<&'a Object>| of.and_then(|of| of.get(name));
            let (before, now) = (find(old), find(new));
            let required = (old_required.contains(name), new_required.contains(name));
            self.at("properties", |it| {
                it.at(name, |it| match (before, now) {
                    (Some(before), Some(now)) => {
                        it.compare_required(required, Some(now));
                        it.compare(Node::Whole(before), Node::Whole(now))
                    }
                    (Some(before), None) => {
                        it.compare_required(required, None);
                        it.property_removed(before, name, is)
                    }
                    (None, Some(now)) => it.property_added(now, name, was, required),
                    (None, None) => {
                        it.compare_required(required, None);
                        Ok(())
                    }
                })
            })?;
        }
        Ok(())
    }

    fn compare_required(&mut self, required: (bool, bool), now: Option<&Value>) {
        let kind = match required {
            (false, true) if has_default(now) => Kind::RequiredAttributeWithDefaultAdded,
            (false, true) => Kind::RequiredAttributeAdded,
            (true, false) => Kind::RequiredAttributeRemoved,
            _ => return,
        };
        self.note(kind, None, None);
    }

    fn property_removed(&mut self, before: &'a Value, name: &str, is: &'a Object) -> Compared {
        match self.content(is, name, Side::Reader) {
            Content::Open => self.note(Kind::PropertyRemovedFromOpenContentModel, None, None),
            Content::Partial(further) => {
                let covered = self.compare_covered(Node::Whole(before), further)?;
                let [fits, breaks] = [
                    Kind::PropertyRemovedIsCoveredByPartiallyOpenContentModel,
                    Kind::PropertyRemovedNotCoveredByPartiallyOpenContentModel,
                ];
                self.note(if covered { fits } else { breaks }, None, None);
            }
            Content::Closed if matches!(self.shape(Node::Whole(before), Side::Writer), Shape::Never) => {
                self.note(Kind::PropertyWithFalseRemovedFromClosedContentModel, None, None);
            }
            Content::Closed => self.note(Kind::PropertyRemovedFromClosedContentModel, None, None),
        }
        Ok(())
    }

    fn property_added(&mut self, now: &'a Value, name: &str, was: &'a Object, required: (bool, bool)) -> Compared {
        match self.content(was, name, Side::Writer) {
            Content::Open => {
                let any = matches!(self.shape(Node::Whole(now), Side::Reader), Shape::Any);
                let [fits, breaks] =
                    [Kind::PropertyWithEmptySchemaAddedToOpenContentModel, Kind::PropertyAddedToOpenContentModel];
                self.note(if any { fits } else { breaks }, None, None);
                self.compare_required(required, Some(now));
                return Ok(());
            }
            Content::Partial(further) => {
                let covered = self.compare_covered(further, Node::Whole(now))?;
                let [fits, breaks] = [
                    Kind::PropertyAddedIsCoveredByPartiallyOpenContentModel,
                    Kind::PropertyAddedNotCoveredByPartiallyOpenContentModel,
                ];
                self.note(if covered { fits } else { breaks }, None, None);
            }
            Content::Closed => {}
        }
        let kind = match required.1 {
            true if has_default(Some(now)) => Kind::RequiredPropertyWithDefaultAddedToUnopenContentModel,
            true => Kind::RequiredPropertyAddedToUnopenContentModel,
            false => Kind::OptionalPropertyAddedToUnopenContentModel,
        };
        self.note(kind, None, None);
        Ok(())
    }

    /// Notes what differs, and whether it fits.
    pub(crate) fn compare_covered(&mut self, writer: Node<'a>, reader: Node<'a>) -> Result<bool, TooMuch> {
        let found = self.apart(writer, reader)?;
        let fits = found.iter().all(|change| !change.breaks());
        self.changes.extend(found);
        Ok(fits)
    }

    /// What a reader takes where it says `unevaluatedProperties` is not known to be more than nothing.
    fn content(&self, rules: &'a Object, name: &str, side: Side) -> Content<'a> {
        let patterns = map(rules, "patternProperties");
        for (pattern, schema) in patterns.into_iter().flatten() {
            if Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(name)) {
                return Content::Partial(Node::Whole(schema));
            }
        }
        match rules.get("additionalProperties") {
            None if side == Side::Reader && is_closed_by(rules, "unevaluatedProperties") => Content::Closed,
            None | Some(Value::Bool(true)) if patterns.is_none_or(Object::is_empty) => Content::Open,
            // Beside patterns, what none of them is about may be anything.
            None | Some(Value::Bool(true)) => Content::Partial(Node::Whole(&ANY)),
            Some(Value::Bool(false)) => Content::Closed,
            Some(schema) => Content::Partial(Node::Whole(schema)),
        }
    }

    fn compare_additional(&mut self, was: &'a Object, is: &'a Object) -> Compared {
        let of = |rules: &'a Object| match rules.get("additionalProperties") {
            None | Some(Value::Bool(true)) => Content::Open,
            Some(Value::Bool(false)) => Content::Closed,
            Some(schema) => Content::Partial(Node::Whole(schema)),
        };
        let kinds = [
            Kind::AdditionalPropertiesAdded,
            Kind::AdditionalPropertiesRemoved,
            Kind::AdditionalPropertiesExtended,
            Kind::AdditionalPropertiesNarrowed,
        ];
        self.at("additionalProperties", |it| it.compare_further(of(was), of(is), kinds))
    }

    /// What may stand beside what is described.
    pub(crate) fn compare_further(
        &mut self,
        was: Content<'a>,
        is: Content<'a>,
        [added, removed, extended, narrowed]: [Kind; 4],
    ) -> Compared {
        let kind = match (was, is) {
            (Content::Closed, Content::Closed) | (Content::Open, Content::Open) => return Ok(()),
            (Content::Partial(was), Content::Partial(is)) => return self.compare(was, is),
            (Content::Closed, _) => added,
            (_, Content::Closed) => removed,
            (Content::Partial(_), Content::Open) => extended,
            (Content::Open, Content::Partial(_)) => narrowed,
        };
        self.note(kind, None, None);
        Ok(())
    }

    /// `dependentRequired` and `dependentSchemas`, which were `dependencies` before 2019-09.
    fn compare_dependencies(&mut self, was: &'a Object, is: &'a Object) -> Compared {
        for keyword in ["dependencies", "dependentRequired", "dependentSchemas"] {
            let (old, new) = (map(was, keyword), map(is, keyword));
            let names = old.into_iter().chain(new).flat_map(Object::keys).collect::<BTreeSet<_>>();
            for name in names {
                let find = |of: Option<&'a Object>| of.and_then(|of| of.get(name));
                let (before, now) = (find(old), find(new));
                self.at(keyword, |it| it.at(name.as_str(), |it| it.compare_dependency(before, now)))?;
            }
        }
        Ok(())
    }

    fn compare_dependency(&mut self, before: Option<&'a Value>, now: Option<&'a Value>) -> Compared {
        let kind = match (before, now) {
            (None, None) => return Ok(()),
            (None, Some(Value::Array(_))) => Kind::DependencyArrayAdded,
            (None, Some(_)) => Kind::DependencySchemaAdded,
            (Some(Value::Array(_)), None) => Kind::DependencyArrayRemoved,
            (Some(_), None) => Kind::DependencySchemaRemoved,
            (Some(Value::Array(_)), Some(Value::Array(_))) => {
                let (before, now) = (texts(before), texts(now));
                match (before.is_subset(&now), now.is_subset(&before)) {
                    (true, true) => return Ok(()),
                    (true, false) => Kind::DependencyArrayExtended,
                    (false, true) => Kind::DependencyArrayNarrowed,
                    (false, false) => Kind::DependencyArrayChanged,
                }
            }
            (Some(before), Some(now)) => return self.compare(Node::Whole(before), Node::Whole(now)),
        };
        self.note(kind, None, None);
        Ok(())
    }
}

/// Whether what nothing else is about may be refused.
pub(crate) fn is_closed_by(rules: &Object, keyword: &str) -> bool {
    rules.get(keyword).is_some_and(|further| *further != Value::Bool(true))
}

fn map<'a>(rules: &'a Object, name: &str) -> Option<&'a Object> {
    rules.get(name).and_then(Value::as_object)
}

fn texts(list: Option<&Value>) -> HashSet<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn has_default(schema: Option<&Value>) -> bool {
    schema.is_some_and(|schema| schema.get("default").is_some())
}
