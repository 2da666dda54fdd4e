//! A quick look at a change: what the conditions of several events begin with is asked once for all of them.

use std::collections::BTreeMap;

use contracts::hasura::Change;
use expressions::{Bindings, Opening};

use crate::event::Event;

/// What is known of one change already.
pub struct Glance<'c> {
    openings: &'c [Opening],
    change: &'c Change<'c>,
    /// By opening, whether it is false.
    asked: Vec<Option<bool>>,
}

impl<'c> Glance<'c> {
    pub(crate) fn new(openings: &'c [Opening], change: &'c Change<'c>) -> Self {
        Self { openings, change, asked: vec![None; openings.len()] }
    }

    /// Whether an event of the catalog did not happen, for its condition begins with what is false. Never so of one that
    /// [`Event::evaluate`] calls detected, failed or too large; of one that it calls not detected it may be.
    pub fn rules_out(&mut self, event: &Event) -> bool {
        let Self { openings, change, asked } = self;
        let bindings = Bindings { change: Some(change), ..Bindings::default() };
        event.openings.iter().any(|at| *asked[*at].get_or_insert_with(|| openings[*at].is_false(&bindings)))
    }
}

/// Numbers the openings that two events or more have, notes them in the events, and returns them.
pub(crate) fn share(events: &mut [Event]) -> Vec<Opening> {
    let mut known: BTreeMap<String, (Opening, Vec<usize>)> = BTreeMap::new();
    for (at, event) in events.iter_mut().enumerate() {
        event.openings.clear();
        for (text, opening) in event.when().map(Opening::of).unwrap_or_default() {
            known.entry(text).or_insert_with(|| (opening, Vec::new())).1.push(at);
        }
    }
    // An opening of one event alone is asked by its condition. Texts are in an order that has the broadest first.
    let shared = known.into_values().filter(|(_, having)| having.len() > 1).enumerate();
    shared
        .map(|(number, (opening, having))| {
            having.into_iter().for_each(|at| events[at].openings.push(number));
            opening
        })
        .collect()
}
