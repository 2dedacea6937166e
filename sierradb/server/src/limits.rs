//! Named bounds of this crate.

use std::time::Duration;

/// Requests of one connection in work; beyond it no more are read.
pub const MAX_REQUESTS_IN_FLIGHT: usize = 1_024;

/// Bytes of appends in work on the whole node; beyond it no connection is read until some ended.
pub const MAX_APPEND_BYTES_IN_WORK: usize = 512 << 20;

/// Event data of finished reads that wait for their turn on one connection; beyond it no more requests are run.
pub const MAX_HELD_REPLY_BYTES: usize = 8 << 20;

/// Reads of one connection that wait for the disk; a further request waits for one of them.
pub const MAX_ACTIVE_READS: usize = 16;

/// Subscriptions of one connection; a further one is refused.
pub const MAX_SUBSCRIPTIONS: usize = 1_024;

/// Events a subscription reads at a time.
pub const SUBSCRIPTION_BATCH_EVENTS: usize = 256;

/// Bytes of events a subscription reads at a time, but at least one event.
pub const SUBSCRIPTION_BATCH_BYTES: usize = 1 << 20;

/// Buckets of a latency histogram: eight per power of two, up to about a minute.
pub const LATENCY_BUCKETS: usize = 200;

/// How long a stopping server waits for requests under way.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Seconds without traffic before the system asks whether the other end is there.
pub const KEEP_ALIVE_SECS: u32 = 300;

/// Subscriptions of one connection that hold a batch in memory at a time; others wait their turn.
pub const SUBSCRIPTION_READERS: usize = 4;

/// How long a connection that ends with an answer is read on, so that the answer arrives.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Rounds of reading, working and writing before a connection lets others run.
pub const ROUNDS_PER_WAKE: usize = 32;

/// Turns that few replies wait for those of further appends of the same connection, to be written with them.
pub const GATHER_TURNS: usize = 16;

/// Replies of so many bytes do not wait for company: one write of them is large enough.
pub const GATHER_REPLY_BYTES: usize = 8 << 10;

/// Damaged places that INFO lists; of more it tells the number.
pub const INFO_DAMAGED_PLACES: usize = 16;

/// A scan of fewer events is done before another thread would have begun it.
pub const LONG_SCAN_EVENTS: u64 = 16;
