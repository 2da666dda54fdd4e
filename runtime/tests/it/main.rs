//! The life of a process, over real sockets and tasks.

mod http;
mod supervise;
