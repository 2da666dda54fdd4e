//! Files ─▶ a checked, compiled catalog: which events exist, how each is detected in a change, and which jobs it asks for.
//!
//! [`Sources`] are the files as they are; [`Catalog::compile`] checks and compiles them, and reports every problem with its
//! place. [`Catalog::candidates`] finds the events that a [`Change`] may be, a [`Glance`] rules out most
//! that are none, [`Event::evaluate`] decides, and [`Event::why_not`] explains. [`wire`] is the catalog as it travels on the bus.
//!
//! Everything here is a function of its arguments: no clock, no network, and one file ([`Sources::read`]) that reads a disk.
//! So an evaluation can be repeated, by a replay or by someone who asks why, and gives the same answer.

#![warn(missing_docs)]

mod answer;
mod catalog;
mod data;
mod data_schema;
mod described;
mod detector;
mod diff;
mod event;
mod files;
mod filling;
mod flow;
mod glance;
mod job;
mod likely;
mod report;
mod rule_test;
pub mod schema;
mod sources;
mod template;
mod why;
mod window;
pub mod wire;
mod yaml;

pub use answer::Answer;
pub use catalog::{Catalog, Kinds, NameTaken, Outcome};
pub use contracts::hasura::{Change, ChangeError, ChangeParts, Occasion, Op as Operation};
pub use data::MAX_DATA;
pub use data_schema::{DataSchema, Violation};
pub use described::Described;
pub use detector::{Called, DEFAULT_OPERATIONS, Detection, Detector, Mismatch, OPERATIONS, Selector, Table, Tables};
pub use diff::{Changed, Changes, Key, What, differences};
pub use event::{Event, ListedJob, MAX_KEY, Reason, Stage, Verdict};
pub use expressions::Effort;
pub use filling::{Filled, Filler, Filling, Parameter, With};
pub use flow::{Breaker, By, Circuit, Each, Flow, Per, Rate, told_apart};
pub use glance::Glance;
pub use job::{Backoff, DEFAULT_ATTEMPTS, DEFAULT_CONCURRENCY, DEFAULT_TIMEOUT, Job, Order};
pub use likely::Likely;
pub use report::{Location, Problem, Report, Rule, Severity, shown};
pub use rule_test::{Expectation, ExpectedJob, Happens, RuleTest, TestBody, TestChange};
pub use sources::{FOLDERS, MAX_FILE, ReadError, Source, Sources};
pub use template::{ATTRIBUTES, JobContext, Part, Piece, RenderError, Template};
pub use why::Whys;
pub use window::{Common, Deliver, Gathering, MOST_QUIETS};
pub use yaml::json_of as json_of_yaml;
