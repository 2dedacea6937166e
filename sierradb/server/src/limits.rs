//! Named bounds of this crate.

use std::time::Duration;

/// Requests of one connection in work; beyond it no more are read.
pub const MAX_REQUESTS_IN_FLIGHT: usize = 1_024;

/// Unsent reply bytes of one connection; beyond it no more requests are read.
pub const MAX_REPLY_BACKLOG_BYTES: usize = 8 << 20;

/// Reads of one connection that wait for the disk; a further request waits for one of them.
pub const MAX_ACTIVE_READS: usize = 16;

/// Subscriptions of one connection; a further one is refused.
pub const MAX_SUBSCRIPTIONS: usize = 1_024;

/// Events a subscription reads at a time.
pub const SUBSCRIPTION_BATCH_EVENTS: usize = 256;

/// Bytes of events a subscription reads at a time, but at least one event.
pub const SUBSCRIPTION_BATCH_BYTES: usize = 1 << 20;

/// Event data of all connections that subscriptions may hold in memory is this, times connections.
pub const MAX_PUSH_BACKLOG_BYTES: usize = 8 << 20;

/// Events in a scan reply without COUNT.
pub const DEFAULT_SCAN_COUNT: u64 = 100;

/// Buckets of a latency histogram: eight per power of two, up to about a minute.
pub const LATENCY_BUCKETS: usize = 200;

/// How long a stopping server waits for requests under way.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Seconds without traffic before the system asks whether the other end is there.
pub const KEEP_ALIVE_SECS: u32 = 300;

/// Push backlog at which throttled subscriptions go on.
pub const PUSH_RESUME_BYTES: usize = MAX_PUSH_BACKLOG_BYTES / 2;

/// Frames of one subscription that are written without a break; a reply waits for at most so many bytes.
pub const PUSH_CHUNK_BYTES: usize = 64 << 10;

/// Subscriptions of one connection that hold a batch in memory at a time; others wait their turn.
pub const SUBSCRIPTION_READERS: usize = 4;

/// Free space made in the receive buffer before a read.
pub const READ_BUFFER_BYTES: usize = 16 << 10;

/// Send and receive buffers larger than this are given back once they are empty.
pub const KEPT_BUFFER_BYTES: usize = 64 << 10;

/// Bytes read and thrown away after an answer that closes the connection, so that the answer arrives.
pub const LINGER_BYTES: usize = 1 << 20;

/// How long such a connection may linger.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Rounds of reading, working and writing before a connection lets others run.
pub const ROUNDS_PER_WAKE: usize = 32;

/// Pause after an accept that failed for want of descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a refused connection may take to read why.
pub const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Threads of the runtime: connections, subscriptions and bucket drivers run on them.
pub const RUNTIME_WORKERS: usize = 2;
