//! What comes from now on, as it ends; what is still under way at the second look, too.

use std::{collections::HashMap, process::ExitCode, time::Duration};

use contracts::{
    ids::{CorrelationId, InvocationId},
    summary::{Invocation, State},
};
use tokio::time::sleep;

use super::{Listed, Options, page, read, show};
use crate::{http::Error, print};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// How many of the newest are looked at.
pub(super) const LOOKED_AT: usize = 200;

/// What was told of the newest.
#[derive(Debug, Default)]
struct Told(HashMap<(CorrelationId, InvocationId), Stage>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was under way, and nothing was said yet.
    Seen,
    /// It was said that it is under way.
    UnderWay,
    Complete,
}

impl Told {
    /// Which of the newest are to be told now, the oldest first; and whether others may have come that are beyond them.
    fn next(&mut self, newest: &[Invocation], is_all: bool) -> (Vec<usize>, bool) {
        let mut now = HashMap::with_capacity(newest.len());
        let (mut news, mut is_known) = (Vec::new(), self.0.is_empty() || newest.is_empty());
        for (index, one) in newest.iter().enumerate() {
            let key = (one.correlation.clone(), one.invocation);
            let before = self.0.get(&key).copied();
            is_known |= before.is_some();
            let stage = match (one.state, before) {
                (State::Complete, _) => Stage::Complete,
                (_, None) => Stage::Seen,
                (_, Some(_)) => Stage::UnderWay,
            };
            if stage != Stage::Seen && before != Some(stage) {
                news.push(index);
            }
            now.insert(key, stage);
        }
        self.0 = now;
        news.reverse();
        (news, !is_known && !is_all)
    }
}

/// Tells until it is interrupted. `known` is what came before: of that only the end of what is under way is told.
///
/// # Errors
/// The API refuses, or stdout cannot be written.
pub(super) async fn run(options: &Options, query: &[String], known: &[Invocation]) -> anyhow::Result<ExitCode> {
    let mut told = Told::default();
    told.next(known, true);
    // What was listed was told, complete or not.
    told.0.values_mut().filter(|stage| **stage == Stage::Seen).for_each(|stage| *stage = Stage::UnderWay);
    let mut is_away = false;
    loop {
        sleep(LOOK).await;
        let listed = match page(&options.api, query, None, LOOKED_AT).await {
            Err(error) if error.downcast_ref().is_some_and(Error::is_unreachable) => {
                if !std::mem::replace(&mut is_away, true) {
                    print::note(&format!("{}; trying again", crate::exit::told(&error)));
                }
                continue;
            }
            listed => listed?,
        };
        is_away = false;
        let newest = read(&listed)?;
        let (news, has_more) = told.next(&newest, listed.next.is_none());
        if has_more {
            print::note("… and others, more than are shown here");
        }
        let invocations = news.iter().map(|index| listed.invocations[*index].clone()).collect();
        show(&Listed { invocations, next: None }, options.json)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn one(id: &str, state: State) -> Invocation {
        let mut one = samples::two_events().invocations.remove(0);
        (one.invocation, one.state) = (InvocationId::derived("default", id), state);
        one
    }

    #[test]
    fn each_is_told_when_it_is_complete_and_once_while_it_is_under_way() {
        let mut told = Told::default();
        let (done, open) = (State::Complete, State::InProcess);
        assert_eq!(told.next(&[one("1", done)], true), (vec![0], false));
        assert_eq!(told.next(&[one("3", done), one("2", open), one("1", done)], true), (vec![0], false));
        assert_eq!(told.next(&[one("3", done), one("2", open), one("1", done)], true), (vec![1], false));
        assert_eq!(told.next(&[one("3", done), one("2", open), one("1", done)], true), (vec![], false));
        assert_eq!(told.next(&[one("4", done), one("2", done), one("3", done)], true), (vec![1, 0], false));
        // Of a flood the newest are told, and that there were more.
        assert_eq!(told.next(&[one("9", done), one("8", done)], false), (vec![1, 0], true));
        assert_eq!(told.next(&[one("9", done), one("8", done)], false), (vec![], false));
    }
}
