//! Between sockets and sessions.

mod accept;
mod task;

pub(crate) use accept::accept;
