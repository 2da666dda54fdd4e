//! How a job is held back on its way to whatever it works for: how often its attempts begin, how many of one value go on at
//! a time, and when a target that fails throughout is left alone.

use std::time::Duration;

use contracts::json;
use expressions::{Bindings, Expression, Room};
use serde_json::Value;

use crate::{
    data::MAX_DATA,
    event::{Event, MAX_KEY},
    template::JobContext,
};

/// How many attempts of a job may begin, and when.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// How many begin in a time; none for as many as come.
    pub rate: Option<Rate>,
    /// How many of one value go on at a time; none for as many as the job has.
    pub each: Option<Each>,
    /// What happens when the target fails throughout.
    pub circuit: Circuit,
}

/// What runs are told apart by.
pub type By = Expression;

/// At most so many attempts begin in a time.
#[derive(Debug, Clone)]
pub struct Rate {
    /// How many.
    pub limit: u32,
    /// In which time.
    pub per: Per,
    /// How many may begin at once after a while without any.
    pub burst: u32,
    /// Of one value of what; without it over all runs of the job.
    pub by: Option<By>,
    /// Whether all runs of one value are of one partition, as whoever knows the job's events finds.
    pub is_by_key: bool,
}

/// The time of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// `/s`.
    Second,
    /// `/m`.
    Minute,
    /// `/h`.
    Hour,
}

/// At most so many runs of one value go on at a time in one process.
#[derive(Debug, Clone)]
pub struct Each {
    /// How many.
    pub limit: usize,
    /// Of what.
    pub by: By,
}

/// What happens when a job's target fails throughout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Circuit {
    /// What is usual for the job's kind.
    #[default]
    Usual,
    /// Nothing: every run spends its attempts.
    Off,
    /// Runs wait, and the target is tried from time to time.
    On(Breaker),
}

/// When a target counts as failing throughout, and how it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// After so many failures of the target in a row.
    pub failures: u32,
    /// How long until it is tried for the first time; twice as long after each failure.
    pub pause: Duration,
    /// Never longer than this.
    pub most: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 20, pause: Duration::from_secs(10), most: Duration::from_secs(300) }
    }
}

impl Per {
    /// All of them, by the letter that is written.
    pub const ALL: [(&'static str, Self); 3] = [("s", Self::Second), ("m", Self::Minute), ("h", Self::Hour)];

    /// How long it is.
    pub fn span(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

impl Rate {
    /// The burst of a rate that says none: what may begin in a tenth of a second, so that the time that a commit takes costs no part of a
    /// high rate.
    pub fn usual_burst(limit: u32, per: Per) -> u32 {
        u32::try_from(u64::from(limit).div_ceil(10 * per.span().as_secs())).unwrap_or(1).max(1)
    }

    /// The same for a job of these events: `by` is the only event's own key, or is not.
    #[must_use]
    pub fn of(self, events: &[Option<&Event>]) -> Self {
        let is_key = |by: &Expression, event: &Event| match event.key() {
            [key] => key.source().trim() == by.source().trim(),
            _ => false,
        };
        let is_by_key = match (&self.by, events) {
            (Some(by), [Some(event)]) => is_key(by, event),
            _ => false,
        };
        Self { is_by_key, ..self }
    }

    /// Whether it tells runs apart as another does.
    pub fn is_by_the_same(&self, other: &Self) -> bool {
        let text = |rate: &Self| rate.by.as_ref().map(|by| by.source().trim().to_owned());
        text(self) == text(other)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = Per::ALL.iter().find(|(_, per)| *per == self.per).map_or("", |(unit, _)| unit);
        write!(f, "{}/{unit}", self.limit)?;
        self.by.as_ref().map_or(Ok(()), |by| write!(f, " by {by}"))
    }
}

/// The text that a run is told apart by.
///
/// # Errors
/// There is none for that event, and why.
pub fn told_apart(by: &By, context: &JobContext<'_>) -> Result<String, String> {
    let bindings = Bindings { data: Some(context.data), event: Some(context.event), ..Bindings::default() };
    let value = by.value(&bindings, &Room::new(MAX_DATA)).map_err(|stop| by.describe(&stop))?;
    let what = match &value {
        Value::Null => "null",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
        Value::String(_) | Value::Number(_) | Value::Bool(_) => {
            let text = json::key([&value]).expect("it is not null");
            if text.len() > MAX_KEY {
                return Err(format!("`{by}` has {} bytes, and at most {MAX_KEY} are possible", text.len()));
            }
            return Ok(text);
        }
    };
    Err(format!(
        "`{by}` is {what}, and runs are told apart by a text, a number or a truth value; name another, or say what stands in its \
         place: `coalesce({by}, \"none\")`"
    ))
}
