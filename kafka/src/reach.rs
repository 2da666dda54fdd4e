//! Which of this process's clients find no broker that they can use, and why: for whoever asks whether the process is ready, and
//! for a client that must know whether others do.

use std::collections::BTreeMap;

use tokio::sync::watch;

/// Who reaches no broker, with the reason. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Reach(watch::Sender<BTreeMap<String, String>>);

impl Reach {
    /// That one finds no broker. It is said once, until it does again.
    pub(crate) fn lost(&self, who: &str, reason: &str) {
        self.0.send_if_modified(|lost| {
            let news = !lost.contains_key(who);
            if news {
                tracing::warn!(reason, "{who}: no broker can be used; trying again until one can");
                lost.insert(who.to_owned(), reason.to_owned());
            }
            news
        });
    }

    /// That one does, or is gone.
    pub(crate) fn found(&self, who: &str) {
        self.0.send_if_modified(|lost| {
            let news = lost.remove(who).is_some();
            if news {
                tracing::info!("{who}: the brokers can be used again");
            }
            news
        });
    }

    /// Why this one finds no broker, if so.
    pub(crate) fn why(&self, who: &str) -> Option<String> {
        self.0.borrow().get(who).cloned()
    }

    /// Everybody who reaches no broker now, with the reason, and whenever that changes.
    pub fn follow(&self) -> watch::Receiver<BTreeMap<String, String>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_lost_is_told_with_the_first_reason_until_it_is_found() {
        let reach = Reach::default();
        let mut told = reach.follow();
        reach.lost("a group", "no answer");
        reach.lost("a group", "still none");
        assert!(told.has_changed().is_ok_and(|changed| changed));
        assert_eq!(told.borrow_and_update().get("a group").map(String::as_str), Some("no answer"));
        reach.lost("a group", "still none");
        assert!(told.has_changed().is_ok_and(|changed| !changed));
        reach.found("a group");
        assert!(told.borrow_and_update().is_empty());
    }
}
