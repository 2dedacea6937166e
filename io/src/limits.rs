//! Named bounds of this crate.

use std::time::Duration;

/// Page-cache misses waiting for a reader thread; beyond it the reading task waits.
pub const READ_QUEUE: usize = 256;

/// Reader threads unless configured otherwise.
pub const READ_THREADS: usize = 8;

/// Durable writes begun and waiting for a thread; beyond it whoever begins one carries it out on the spot.
pub const SYNC_QUEUE: usize = 64;

/// Threads that carry out durable writes begun by others: so many files are synced at a time.
pub const SYNC_THREADS: usize = 8;

/// How long the release of a directory's lock waits for writes that nobody waits for; then it is released behind them.
pub const LOCK_RELEASE_WAIT: Duration = Duration::from_secs(1);

/// Connections the kernel holds for a listener that has not yet accepted them; more are refused or retried.
pub const LISTEN_BACKLOG: u32 = 1_024;

/// Idle seconds after which a stream asks whether its peer is still there.
pub const KEEPALIVE_SECS: u32 = 300;

/// Unsynced changes a simulated file keeps apart; beyond it the older half counts as written back by the kernel.
#[cfg(feature = "sim")]
pub const SIM_PENDING_CHANGES: usize = 4_096;

/// Connections waiting for `accept` on a listener of the in-memory network; beyond it `connect` is refused.
#[cfg(feature = "sim")]
pub const SIM_ACCEPT_QUEUE: usize = 128;

/// Bytes in flight per direction of a stream of the in-memory network; beyond it a write waits.
#[cfg(feature = "sim")]
pub const SIM_STREAM_BYTES: usize = 65_536;

/// Simulated time after which [`sim::run`](crate::sim::run) takes its body for stuck.
#[cfg(feature = "sim")]
pub const SIM_RUN_LIMIT: Duration = Duration::from_secs(24 * 3_600);
