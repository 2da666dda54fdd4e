//! Annotations, types, texts, numbers and choices.

use std::{cmp::Ordering, str::FromStr as _};

use bigdecimal::{BigDecimal, Zero as _};
use contracts::json;
use serde_json::Value;

use crate::{
    Change, Compared, Comparison, Kind,
    shape::{Node, Object, Type, Typed},
};

/// What becomes of a bound: it is new, gone, greater or smaller.
pub(crate) type Bound = (&'static str, [Kind; 4]);

const TEXTS: [Bound; 2] = [
    ("maxLength", [Kind::MaxLengthAdded, Kind::MaxLengthRemoved, Kind::MaxLengthIncreased, Kind::MaxLengthDecreased]),
    ("minLength", [Kind::MinLengthAdded, Kind::MinLengthRemoved, Kind::MinLengthIncreased, Kind::MinLengthDecreased]),
];

const NUMBERS: [Bound; 4] = [
    ("maximum", [Kind::MaximumAdded, Kind::MaximumRemoved, Kind::MaximumIncreased, Kind::MaximumDecreased]),
    ("minimum", [Kind::MinimumAdded, Kind::MinimumRemoved, Kind::MinimumIncreased, Kind::MinimumDecreased]),
    (
        "exclusiveMaximum",
        [
            Kind::ExclusiveMaximumAdded,
            Kind::ExclusiveMaximumRemoved,
            Kind::ExclusiveMaximumIncreased,
            Kind::ExclusiveMaximumDecreased,
        ],
    ),
    (
        "exclusiveMinimum",
        [
            Kind::ExclusiveMinimumAdded,
            Kind::ExclusiveMinimumRemoved,
            Kind::ExclusiveMinimumIncreased,
            Kind::ExclusiveMinimumDecreased,
        ],
    ),
];

/// How much of a value is shown.
const SHOWN: usize = 60;

/// A value for people.
pub(crate) fn show(value: &Value) -> Option<String> {
    let text = value.to_string();
    (text.len() <= SHOWN).then_some(text)
}

impl<'a> Comparison<'a> {
    pub(crate) fn compare_annotations(&mut self, writer: &Value, reader: &Value) {
        for (name, kind) in [
            ("title", Kind::TitleChanged),
            ("description", Kind::DescriptionChanged),
            ("default", Kind::DefaultChanged),
        ] {
            let (was, is) = (writer.get(name), reader.get(name));
            if !same(was, is) {
                self.at(name, |it| it.note(kind, was.and_then(show), is.and_then(show)));
            }
        }
    }

    /// Whether values of other types are refused, as well.
    pub(crate) fn compare_types(&mut self, was: &Typed<'a>, is: &Typed<'a>) {
        let kind = match (was.is_wanted, is.is_wanted) {
            (false, true) => Kind::TypeNarrowed,
            (true, false) => Kind::TypeExtended,
            _ => return,
        };
        let name = |typed: &Typed<'_>| typed.rules.get("type").and_then(show);
        let (was, is) = (name(was), name(is));
        self.at("type", |it| it.note(kind, was, is));
    }

    pub(crate) fn compare_texts(&mut self, was: &Typed<'a>, is: &Typed<'a>) {
        self.compare_types(was, is);
        self.compare_bounds(was.rules, is.rules, &TEXTS);
        for (name, [added, removed, changed]) in [
            ("pattern", [Kind::PatternAdded, Kind::PatternRemoved, Kind::PatternChanged]),
            ("format", [Kind::FormatAdded, Kind::FormatRemoved, Kind::FormatChanged]),
        ] {
            self.compare_keyword(was.rules, is.rules, name, [added, removed, changed]);
        }
    }

    pub(crate) fn compare_numbers(&mut self, was: &Typed<'a>, is: &Typed<'a>) {
        self.compare_types(was, is);
        let kind = match (was.of, is.of) {
            (Type::Integer, Type::Number) => Some(Kind::TypeExtended),
            (Type::Number, Type::Integer) => Some(Kind::TypeNarrowed),
            _ => None,
        };
        if let Some(kind) = kind {
            let name = |typed: &Typed<'_>| typed.rules.get("type").and_then(show);
            let (was, is) = (name(was), name(is));
            self.at("type", |it| it.note(kind, was, is));
        }
        self.compare_bounds(was.rules, is.rules, &NUMBERS);
        self.compare_multiples(was.rules.get("multipleOf"), is.rules.get("multipleOf"));
    }

    fn compare_multiples(&mut self, was: Option<&Value>, is: Option<&Value>) {
        let kind = match (was, is) {
            (None, None) => return,
            (None, Some(_)) => Kind::MultipleOfAdded,
            (Some(_), None) => Kind::MultipleOfRemoved,
            (Some(was), Some(is)) if json::equal(was, is) => return,
            (Some(was), Some(is)) if divides(was, is) => Kind::MultipleOfExpanded,
            (Some(was), Some(is)) if divides(is, was) => Kind::MultipleOfReduced,
            _ => Kind::MultipleOfChanged,
        };
        self.at("multipleOf", |it| it.note(kind, was.and_then(show), is.and_then(show)));
    }

    /// Bounds that are numbers; what is none is passed over.
    pub(crate) fn compare_bounds(&mut self, was: &Object, is: &Object, bounds: &[Bound]) {
        for (name, [added, removed, increased, decreased]) in bounds {
            let number = |rules: &Object| rules.get(*name).filter(|value| value.is_number()).cloned();
            let (was, is) = (number(was), number(is));
            let kind = match (&was, &is) {
                (None, None) => continue,
                (None, Some(_)) => added,
                (Some(_), None) => removed,
                (Some(was), Some(is)) => match json::compare_numbers(&was.to_string(), &is.to_string()) {
                    Ordering::Less => increased,
                    Ordering::Greater => decreased,
                    Ordering::Equal => continue,
                },
            };
            self.at(*name, |it| it.note(*kind, was.as_ref().and_then(show), is.as_ref().and_then(show)));
        }
    }

    /// A rule of which only can be told whether it is there and the same.
    pub(crate) fn compare_keyword(
        &mut self,
        was: &Object,
        is: &Object,
        name: &str,
        [added, removed, changed]: [Kind; 3],
    ) {
        let (was, is) = (was.get(name), is.get(name));
        let kind = match (was, is) {
            (None, Some(_)) => added,
            (Some(_), None) => removed,
            _ if same(was, is) => return,
            _ => changed,
        };
        self.at(name, |it| it.note(kind, was.and_then(show), is.and_then(show)));
    }

    pub(crate) fn compare_choices(&mut self, was: &[&Value], is: &[&Value]) {
        let missing = |of: &[&Value], among: &[&Value]| {
            let lacks = |value: &&&Value| !among.iter().any(|other| json::equal(value, other));
            of.iter().filter(lacks).map(|value| (*value).clone()).collect::<Vec<Value>>()
        };
        let (gone, new) = (missing(was, is), missing(is, was));
        let kind = match (gone.is_empty(), new.is_empty()) {
            (true, true) => return,
            (true, false) => Kind::EnumArrayExtended,
            (false, true) => Kind::EnumArrayNarrowed,
            (false, false) => Kind::EnumArrayChanged,
        };
        let list = |values: Vec<Value>| (!values.is_empty()).then(|| show(&Value::Array(values))).flatten();
        let (gone, new) = (list(gone), list(new));
        self.at("enum", |it| it.note(kind, gone, new));
    }

    /// What the reader excludes must be among what the writer excludes.
    pub(crate) fn compare_not(&mut self, was: Node<'a>, is: Node<'a>) -> Compared {
        self.roots.swap(0, 1);
        let narrowed = self.apart(is, was);
        self.roots.swap(0, 1);
        let fits = |found: Vec<Change>| found.iter().all(|change| !change.breaks());
        let kind = match (fits(narrowed?), fits(self.apart(was, is)?)) {
            (true, true) => return Ok(()),
            (true, false) => Kind::NotTypeNarrowed,
            (false, _) => Kind::NotTypeExtended,
        };
        self.at("not", |it| it.note(kind, None, None));
        Ok(())
    }
}

pub(crate) fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => json::equal(a, b),
        _ => false,
    }
}

/// Whether a number divides another.
fn divides(divisor: &Value, number: &Value) -> bool {
    let read = |value: &Value| BigDecimal::from_str(&value.to_string()).ok();
    match (read(divisor), read(number)) {
        (Some(divisor), Some(number)) if !divisor.is_zero() => (number % divisor).is_zero(),
        _ => false,
    }
}
