//! The tools that open the bus or a catalog, a file each.

pub mod catalog;
mod changes;
pub mod config;
pub mod doctor;
mod finding;
pub mod folder;
pub mod groups;
pub mod hasura;
pub mod init;
#[cfg_attr(not(feature = "kafka"), path = "without_kafka.rs")]
pub mod kafka;
pub mod report;
pub mod schema;
pub mod schemas;
pub mod send;
