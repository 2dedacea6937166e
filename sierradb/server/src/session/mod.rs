//! One connection without its socket: requests in, replies in order out.

pub(crate) mod order;
mod reply;
pub(crate) mod state;
pub(crate) mod step;

pub(crate) use order::Work;
pub(crate) use reply::{Prepared, Reply, fields};
pub(crate) use step::Session;
