//! Between sockets and sessions.

mod accept;
mod quiet;
mod task;

pub(crate) use accept::accept;
