//! Replication of SierraDB: which nodes hold a bucket, and who stands for election when.
//!
//! Both are pure functions: no clock, no chance, no sockets. The simulator and every node compute the same.

#![deny(clippy::float_arithmetic)]

pub mod limits;
mod placement;
mod replica;

pub use placement::{Move, Placement, PlacementNode, moves, place, score};
pub use replica::ElectionSlots;
