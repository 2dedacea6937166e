//! Named bounds of this crate.

/// Page-cache misses waiting for a reader thread; beyond it the reading task waits.
pub const READ_POOL_QUEUE: usize = 256;

/// Reader threads unless configured otherwise.
pub const READ_THREADS: usize = 8;
