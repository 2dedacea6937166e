//! The lanes: what runs, and under which faults.

pub mod disk;
mod trouble;
pub mod verify;
