//! Named bounds of this crate.

/// Page-cache misses waiting for a reader thread; beyond it the reading task waits.
pub const READ_POOL_QUEUE: usize = 256;

/// Reader threads unless configured otherwise.
pub const READ_THREADS: usize = 8;

/// Connections the kernel holds for a listener that has not yet accepted them; more are refused or retried.
pub const LISTEN_BACKLOG: u32 = 1_024;

/// Idle seconds after which a stream asks whether its peer is still there.
pub const KEEPALIVE_SECS: u32 = 300;
