//! What clients do: operations drawn from keyed streams, payloads whose every byte is attributable.

pub mod client;
mod convert;
pub mod generate;
pub mod payload;
