//! Lists: the items that stand at a place of their own, and all further ones.

use serde_json::Value;

use crate::{
    Compared, Comparison, Kind,
    object::{Content, OTHER, is_closed_by},
    scalar::Bound,
    shape::{Node, Object, Shape, Side, Typed},
};

const BOUNDS: [Bound; 2] = [
    ("maxItems", [Kind::MaxItemsAdded, Kind::MaxItemsRemoved, Kind::MaxItemsIncreased, Kind::MaxItemsDecreased]),
    ("minItems", [Kind::MinItemsAdded, Kind::MinItemsRemoved, Kind::MinItemsIncreased, Kind::MinItemsDecreased]),
];

/// Rules of lists of which only is told whether they are the same.
const OTHERS: [&str; 3] = ["contains", "maxContains", "unevaluatedItems"];

/// The items of a list: those at a place of their own (`prefixItems`, before 2020-12 `items`), and the keyword and schema of all others
/// (`items`, before `additionalItems`).
struct Items<'a> {
    first: &'a [Value],
    further: (&'static str, Option<&'a Value>),
}

impl<'a> Items<'a> {
    fn of(rules: &'a Object) -> Self {
        let list = |name: &str| rules.get(name).and_then(Value::as_array).map(Vec::as_slice);
        match (list("prefixItems"), list("items")) {
            (Some(first), _) => Self { first, further: ("items", rules.get("items")) },
            (None, Some(first)) => Self { first, further: ("additionalItems", rules.get("additionalItems")) },
            (None, None) => Self { first: &[], further: ("items", rules.get("items")) },
        }
    }

    fn content(&self) -> Content<'a> {
        match self.further.1 {
            None | Some(Value::Bool(true)) => Content::Open,
            Some(Value::Bool(false)) => Content::Closed,
            Some(schema) => Content::Partial(Node::Whole(schema)),
        }
    }
}

/// What a reader takes where it says `unevaluatedItems` is not known to be more than nothing.
fn reader_content<'a>(rules: &Object, items: &Items<'a>) -> Content<'a> {
    match items.content() {
        Content::Open if items.further.1.is_none() && is_closed_by(rules, "unevaluatedItems") => Content::Closed,
        content => content,
    }
}

impl<'a> Comparison<'a> {
    pub(crate) fn compare_lists(&mut self, was: &Typed<'a>, is: &Typed<'a>) -> Compared {
        self.compare_types(was, is);
        let (was, is) = (was.rules, is.rules);
        let (old, new) = (Items::of(was), Items::of(is));
        for at in 0..old.first.len().max(new.first.len()) {
            let (before, now) = (old.first.get(at), new.first.get(at));
            self.at("items", |it| {
                it.at(at.to_string(), |it| match (before, now) {
                    (Some(before), Some(now)) => it.compare(Node::Whole(before), Node::Whole(now)),
                    (Some(before), None) => it.item_removed(before, reader_content(is, &new)),
                    (None, Some(now)) => it.item_added(now, old.content()),
                    (None, None) => Ok(()),
                })
            })?;
        }
        let kinds = [
            Kind::AdditionalItemsAdded,
            Kind::AdditionalItemsRemoved,
            Kind::AdditionalItemsExtended,
            Kind::AdditionalItemsNarrowed,
        ];
        self.at(new.further.0, |it| it.compare_further(old.content(), new.content(), kinds))?;
        self.compare_bounds(was, is, &BOUNDS);
        let unique = |rules: &Object| rules.get("uniqueItems") == Some(&Value::Bool(true));
        match (unique(was), unique(is)) {
            (false, true) => self.at("uniqueItems", |it| it.note(Kind::UniqueItemsAdded, None, None)),
            (true, false) => self.at("uniqueItems", |it| it.note(Kind::UniqueItemsRemoved, None, None)),
            _ => {}
        }
        OTHERS.iter().for_each(|name| self.compare_keyword(was, is, name, OTHER));
        // Without it, one is the least.
        let removed = if is.contains_key("contains") { Kind::KeywordChanged } else { Kind::KeywordRemoved };
        self.compare_keyword(was, is, "minContains", [Kind::KeywordAdded, removed, Kind::KeywordChanged]);
        Ok(())
    }

    fn item_removed(&mut self, before: &'a Value, content: Content<'a>) -> Compared {
        let kind = match content {
            Content::Open => Kind::ItemRemovedFromOpenContentModel,
            Content::Partial(further) if self.compare_covered(Node::Whole(before), further)? => {
                Kind::ItemRemovedIsCoveredByPartiallyOpenContentModel
            }
            Content::Partial(_) => Kind::ItemRemovedNotCoveredByPartiallyOpenContentModel,
            Content::Closed if matches!(self.shape(Node::Whole(before), Side::Writer), Shape::Never) => {
                Kind::ItemWithFalseRemovedFromClosedContentModel
            }
            Content::Closed => Kind::ItemRemovedFromClosedContentModel,
        };
        self.note(kind, None, None);
        Ok(())
    }

    fn item_added(&mut self, now: &'a Value, content: Content<'a>) -> Compared {
        let kind = match content {
            Content::Open if matches!(self.shape(Node::Whole(now), Side::Reader), Shape::Any) => {
                Kind::ItemWithEmptySchemaAddedToOpenContentModel
            }
            Content::Open => Kind::ItemAddedToOpenContentModel,
            Content::Partial(further) if self.compare_covered(further, Node::Whole(now))? => {
                Kind::ItemAddedIsCoveredByPartiallyOpenContentModel
            }
            Content::Partial(_) => Kind::ItemAddedNotCoveredByPartiallyOpenContentModel,
            Content::Closed => Kind::ItemAddedToClosedContentModel,
        };
        self.note(kind, None, None);
        Ok(())
    }
}
