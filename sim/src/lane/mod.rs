//! The lanes: what runs, and under which faults.

pub mod disk;
pub mod verify;
