//! Between sockets and sessions.

mod accept;
mod gather;
mod quiet;
mod task;

pub(crate) use accept::accept;
