//! Look-up: event id → frame, stream version → frame, partition sequence → frame, for the active segment in memory
//! and for sealed ones in `.idx` files.

pub(crate) mod hash;
