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
