//! Rust client of SierraDB on the redis crate.
