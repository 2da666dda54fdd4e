//! What a check says: how bad, what, where, and what to do.

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but something is risky, or cannot be known.
    Warning,
    /// It does not work, or will not for long.
    Problem,
}

impl Level {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check, as in `topics`.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What it is.
    pub what: String,
    /// Where: addresses, topics, groups, settings.
    pub places: Vec<String>,
    /// What to do; empty where nothing is to be done.
    pub advice: String,
}

impl Finding {
    /// Something that is as it should be.
    pub fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, what: what.into(), places: Vec::new(), advice: String::new() }
    }

    /// Something risky, and what to do.
    pub fn warning(check: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, what: what.into(), places: Vec::new(), advice: advice.into() }
    }

    /// Something that does not work, and what to do.
    pub fn problem(check: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::warning(check, what, advice) }
    }

    /// The same at a place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.places.push(place.into());
        self
    }
}

/// The same findings as one with all their places, in the order in which they first came.
pub(crate) fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let mut out: Vec<Finding> = Vec::new();
    for finding in findings {
        let same = |it: &&mut Finding| {
            (it.check, it.level, &it.what, &it.advice) == (finding.check, finding.level, &finding.what, &finding.advice)
        };
        match out.iter_mut().find(same) {
            Some(known) => known.places.extend(finding.places),
            None => out.push(finding),
        }
    }
    out
}

/// A time as people say it.
pub(crate) fn span(time: std::time::Duration) -> String {
    let millis = time.as_millis();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")] {
        // 90 minutes are told as such, and not as an hour and a half.
        if millis >= unit && (millis.is_multiple_of(unit) || millis >= 10 * unit) {
            return format!("{} {name}", millis / unit);
        }
    }
    format!("{millis} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_at_many_places_is_told_once() {
        let one = |place: &str| Finding::warning("topics", "too small", "enlarge it").at(place);
        let merged = merged(vec![one("a"), Finding::ok("brokers", "3"), one("b")]);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].places, ["a", "b"]);
    }

    #[test]
    fn times_are_told_in_units_that_fit() {
        let told = |millis: u64| span(std::time::Duration::from_millis(millis));
        assert_eq!(told(6000), "6 s");
        assert_eq!(told(1500), "1500 ms");
        assert_eq!(told(90 * 60_000), "90 min");
        assert_eq!(told(7 * 86_400_000), "7 d");
        assert_eq!(told(26 * 3_600_000 + 5000), "26 h");
    }
}
