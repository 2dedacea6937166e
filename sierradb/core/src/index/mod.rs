//! Look-up: event id → frame, stream version → frame, partition sequence → frame, for the active segment in memory
//! and for sealed ones in `.idx` files.

mod blocks;
pub(crate) mod hash;
pub(crate) mod heads;
pub(crate) mod live;
pub(crate) mod streams;
mod table;
