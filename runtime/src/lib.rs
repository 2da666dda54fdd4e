//! The life of a process: its configuration, its listeners, its tasks, what it logs and whether it is well.
//!
//! Nothing here knows what Herald does. A role reads its configuration with [`config::load`], sets up [`telemetry`], binds
//! its [`listener`]s, and hands its stages to a [`supervise::Supervisor`], which ends them in order once [`signals`] say so. What outsiders see of
//! it, [`health`], [`problem`] responses, bounded [`answers`] and [`auth`], is the same for every role.

pub mod answers;
pub mod auth;
pub mod config;
pub mod files;
pub mod finding;
pub mod health;
pub mod listener;
pub mod meter;
pub mod problem;
pub mod routes;
pub mod signals;
pub mod supervise;
pub mod telemetry;
