//! One function per command: what it does, as a [`Work`](crate::session::Work) whose reply the session sends.

pub(crate) mod append;
mod caller;
mod client;
mod config_get;
mod dispatch;
pub(crate) mod follow;
mod info;
pub(crate) mod read;
mod system;

pub(crate) use caller::Caller;
pub(crate) use dispatch::{Target, run, target};
