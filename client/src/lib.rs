//! What speaks to a running Herald: its HTTP API and its webhook, how what they answer is shown on a terminal, and the tools that do
//! no more than that: `send`, `publish`, `show`, `tail`, and what an operator does with jobs.

pub mod address;
pub mod ask;
pub mod dlq;
pub mod exit;
mod fold;
pub mod http;
pub mod ids;
pub mod jobs;
pub mod live;
pub mod ls;
mod order;
pub mod page;
mod payload;
pub mod print;
pub mod publish;
pub mod render;
pub mod rerun;
pub mod send;
pub mod show;
pub mod sse;
pub mod status;
pub mod tail;
pub mod why;
