//! The words of the wire: commands, arguments, replies and errors of SierraDB.
//!
//! Everything in here is a pure function of its arguments: no clock, no chance, no sockets, no await. Server, client,
//! fuzzers and simulated clients share it, so that what one writes the other reads.

mod args;
pub mod command;
mod error_code;
mod glob;
pub mod id;
mod keyword;
pub mod limits;
mod parse_error;
mod partition;
mod quote;
mod range;
mod refusal;
pub mod reply;
mod request;
mod stream_id;
mod value;
mod version;

pub use args::{Args, Upper, parse_number, set_once};
pub use command::Command;
pub use error_code::{ErrorCode, Retry};
pub use glob::glob_matches;
pub use parse_error::{OptionNote, ParseError};
pub use partition::{NoSuchPartition, PartitionId, PartitionItem, PartitionSelector, PartitionSet};
pub use quote::Quoted;
pub use range::{Range, RangeEnd, RangeStart};
pub use refusal::Refusal;
pub use request::{Request, RequestWords, Span, Word};
pub use stream_id::{EventName, EventNameError, StreamId, StreamIdError};
pub use value::{Sink, Value, ValueBuilder};
pub use version::{CurrentVersion, ExpectedVersion};
