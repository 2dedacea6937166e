//! The words of the wire: commands, arguments, replies and errors of SierraDB.
//!
//! Everything in here is a pure function of its arguments: no clock, no chance, no sockets, no await. Server, client,
//! fuzzers and simulated clients share it, so that what one writes the other reads.

mod error_code;
mod value;

pub use error_code::{ErrorCode, Retry};
pub use value::{Sink, Value, ValueBuilder};
