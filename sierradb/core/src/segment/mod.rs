//! The bytes of the log: segment files, frames, transactions, events, extensions.
//!
//! A bucket's log is a row of segment files. A segment is a header and frames; a frame is one log entry, and a
//! log entry of kind [`frame::FrameKind::Transaction`] holds events. Nothing in here decides anything about
//! streams, versions or commits: it turns values into bytes and checked bytes into values.

pub(crate) mod aftermath;
pub(crate) mod checkpoint;
pub(crate) mod event_codec;
pub(crate) mod extension;
pub(crate) mod file;
#[cfg(test)]
mod fixture;
pub(crate) mod frame;
pub(crate) mod mask;
pub(crate) mod reader;
pub(crate) mod space;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod window;
