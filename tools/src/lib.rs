//! The tools that open the bus or a catalog, a file each.

pub mod catalog;
pub mod config;
pub mod doctor;
pub mod groups;
pub mod schemas;
pub mod topics;
