//! Named bounds of this crate. A bound that others must agree on lives here and nowhere else.

use std::time::Duration;

/// How often a read waits for the rebuild of a damaged index before it gives up: each time it can be another segment.
pub(crate) const INDEX_REPAIRS_PER_READ: u32 = 16;

/// Longest stream id in bytes; the shortest has 1.
pub const MAX_STREAM_ID_LEN: usize = 255;

/// Longest event name in bytes; an appended one has at least 1.
pub const MAX_EVENT_NAME_LEN: usize = 255;

/// Most events in one transaction.
pub const MAX_EVENTS_PER_TRANSACTION: usize = 65_535;

/// Longest extension area of one event in bytes.
pub const MAX_EXTENSIONS_LEN: usize = 65_535;

/// Most tags of one event.
pub const MAX_TAGS: usize = 64;

/// Longest tag, id, key, hash or nonce in an extension, in bytes; the shortest has 1.
pub const MAX_EXTENSION_VALUE_LEN: usize = 255;

/// Largest transaction body unless configured otherwise; never above a quarter of a segment.
pub const DEFAULT_MAX_TRANSACTION_BYTES: u64 = 16 << 20;

/// Smallest size limit of a segment; only tests go below 128 KiB.
pub const MIN_SEGMENT_SIZE_BYTES: u64 = 64 << 10;

/// Size limit of a segment unless configured otherwise.
pub const DEFAULT_SEGMENT_SIZE_BYTES: u64 = 256 << 20;

/// Largest size limit of a segment.
pub const MAX_SEGMENT_SIZE_BYTES: u64 = 10 << 30;

/// Largest segment number: ten digits of a file name.
pub const MAX_SEGMENT_NUMBER: u64 = 9_999_999_999;

/// A batch of frames is closed once it holds this many bytes. Part of the format: recovery reasons with it.
pub const MAX_BATCH_BYTES: u64 = 1 << 20;

/// A batch of frames is closed once it holds this many frames. Part of the format: recovery reasons with it.
pub const MAX_BATCH_FRAMES: u64 = 4096;

/// Bytes of a cached block unless configured otherwise.
pub const DEFAULT_BLOCK_BYTES: usize = 64 << 10;

/// Bytes of the block cache unless configured otherwise.
pub const DEFAULT_CACHE_BYTES: u64 = 256 << 20;

/// Most shards of the block cache; a small cache has fewer, since each must hold several blocks.
pub const MAX_CACHE_SHARDS: u64 = 16;

/// Longest range that is read through the block cache; a longer one would push out too much else.
pub const MAX_CACHED_RANGE: usize = 1 << 20;

/// Space in front of the log is made ready in steps of this many bytes.
pub const SPACE_STEP_BYTES: u64 = 16 << 20;

/// Zeros of a step are written in pieces of this length: the log of the same file waits for one of them at most.
pub(crate) const SPACE_PIECE_BYTES: usize = 512 << 10;

/// Time left to the log between two pieces. With it, space grows by some 300 MB a second.
pub(crate) const SPACE_PAUSE: Duration = Duration::from_millis(1);

/// A step that the writer itself must make is shorter: on a thread that also serves connections they wait for it.
pub(crate) const SPACE_URGENT_BYTES: u64 = 1 << 20;

/// Another step is made once less than this is ready in front of the log.
pub const SPACE_AHEAD_BYTES: u64 = 8 << 20;

/// A step is not filled with zeros while the log grows faster than this: batches are large then and share the
/// cost that zeros would save.
pub const ZERO_BELOW_BYTES_PER_SECOND: u64 = 32 << 20;

/// First read of a walk over frames; later ones double up to [`MAX_READ_AHEAD_BYTES`].
pub const MIN_READ_AHEAD_BYTES: usize = 256 << 10;

/// Largest read of a walk over frames, except for one larger frame.
pub const MAX_READ_AHEAD_BYTES: usize = 1 << 20;

/// Bytes that an event counts for in the transaction limit, beside its stream id, name, payload and metadata.
pub const EVENT_SIZE_OVERHEAD: u64 = 128;

/// Latest timestamp: what still fits milliseconds on the wire, in nanoseconds.
pub const MAX_TIMESTAMP_NS: u64 = 9_223_372_036_854_999_999;

/// Event data in one reply unless configured otherwise.
pub const DEFAULT_REPLY_MAX_BYTES: usize = 16 << 20;

/// Partitions of a new directory.
pub const DEFAULT_PARTITION_COUNT: u16 = 32;

/// Buckets of a new directory.
pub const DEFAULT_BUCKET_COUNT: u16 = 4;

/// Most buckets of a directory.
pub const MAX_BUCKET_COUNT: u16 = 1024;

/// Smallest segment size that a configuration may ask for; tests go down to [`MIN_SEGMENT_SIZE_BYTES`].
pub const CONFIG_MIN_SEGMENT_SIZE_BYTES: u64 = 128 << 10;

/// Appends in work per bucket unless configured otherwise; beyond it they wait their turn.
pub const DEFAULT_APPEND_BUFFER_COUNT: usize = 1000;

/// The longest an append waits for a place or for its sync, unless configured otherwise.
pub const DEFAULT_APPEND_TIMEOUT: Duration = Duration::from_secs(8);

/// Bytes of entries in flight per bucket; beyond it appends wait their turn.
pub const MAX_IN_FLIGHT_BYTES: u64 = 64 << 20;

/// Appends that wait their turn per bucket; beyond it they are refused at once.
pub const MAX_WAITING_APPENDS: usize = 65_536;

/// Memory for stored blocks unless configured otherwise.
pub const DEFAULT_CACHE_CAPACITY_BYTES: u64 = DEFAULT_CACHE_BYTES;

/// Appends are refused while less is free, unless configured otherwise.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 64 << 20;

/// Longest manifest that is read.
pub const MAX_MANIFEST_BYTES: usize = 64 << 10;

/// Heads of streams remembered per bucket that only sealed segments know.
pub const HEAD_CACHE_ENTRIES: usize = 1 << 18;

/// Bytes of frames kept in memory per bucket for followers of the tail.
pub const RECENT_FRAMES_BYTES: usize = 4 << 20;

/// Events located at a time during a scan.
pub const SCAN_CHUNK_EVENTS: usize = 256;

/// Appends whose cold reads are made in one round; further ones follow in the next.
pub const COLD_READS_PER_ROUND: usize = 256;

/// How often appends that waited too long are looked for.
pub const EXPIRY_INTERVAL: Duration = Duration::from_millis(250);

/// Rolled segments per bucket that may wait for their index file; then the log waits.
pub const MAX_ROLLED_SEGMENTS: usize = 2;

/// Bodies of longer frames are written from where they are; shorter frames are copied together first.
pub const COPIED_FRAME_BYTES: u64 = 16 << 10;

/// Bytes of log between two checkpoints.
pub const DELTA_LOG_BYTES: u64 = 32 << 20;

/// Longest checkpoint file that is read; a longer one is as if damaged behind this.
pub const MAX_CHECKPOINT_BYTES: usize = 1 << 30;

/// Damaged places noted per bucket while serving; further ones are not listed.
pub const MAX_DAMAGES_NOTED: usize = 256;

/// Frames whose facts are taken from memory at a time, while a damaged segment is sealed.
pub const RECALLED_FRAMES: usize = 4096;

/// Frames of a stream, spread over a sealed segment, that are asked for its identity if its first one is damaged.
pub const IDENTITY_PROBES: u32 = 64;

/// Copies of damaged ranges kept per bucket.
pub const MAX_DAMAGED_BYTES: u64 = 64 << 20;

/// Longest single copy of a damaged range.
pub const MAX_DAMAGED_COPY_BYTES: u64 = 32 << 20;

/// Frames that a repair lists one by one; of more it tells the number and the ranges.
pub const MAX_LOST_FRAMES_LISTED: usize = 10_000;

/// Piece of a file copied at a time by a repair.
pub const REPAIR_COPY_BYTES: u64 = 1 << 20;

/// Piece of a file read at a time for its digest.
pub const DIGEST_READ_BYTES: u64 = 1 << 20;

/// Without new work checkpoints are extended after this long.
pub const CHECKPOINT_IDLE_INTERVAL: Duration = Duration::from_secs(5);

/// A seal that failed is tried again after this long, then after twice as long, and so on.
pub const SEAL_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The longest wait before a seal is tried again.
pub const SEAL_RETRY_MAX: Duration = Duration::from_secs(16);

/// Attempts to seal a segment that fail, unless for lack of space, before the bucket refuses appends.
pub const SEAL_ATTEMPTS: u32 = 8;

/// In quiet times as much is made ready in front of a log as it is long, but no more than this.
pub const SPACE_BURST_BYTES: u64 = 64 << 20;

/// And no more than this part of the free space for each bucket.
pub(crate) const SPACE_BURST_PART_OF_FREE: u64 = 64;

/// Times are quiet if all logs together grew by less than this since the last look at free space.
pub(crate) const SPACE_QUIET_BYTES: u64 = 256 << 10;

/// How often free space is looked at.
pub const SPACE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A close waits this long for appends in work.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// First read of a frame in the part of a file that is not cached yet; most frames end within it.
pub const UNSTABLE_READ_BYTES: usize = 2 << 10;

/// Event ids and streams that an offline check keeps in memory at once; more take further passes over the log.
pub const VERIFY_ENTRIES_PER_PASS: usize = 16 << 20;

/// Findings an offline check lists; further ones are only counted.
pub const MAX_FINDINGS: usize = 1000;

/// Sealed segments whose filters an append asks at once, some 0.1 µs each, before it would rather wait for a reader.
pub const INLINE_FILTERS: usize = 256;

/// Most syncs of a busy writer without a witness. Each costs a system call, and whether it reaches the disk before a
/// loss of power is up to the kernel, which waits for seconds.
pub(crate) const SYNCS_PER_WITNESS: u32 = 16;

/// A batch of more appends, or bytes, lets other writers on its thread write before it syncs.
pub(crate) const LONE_BATCH_APPENDS: usize = 1;

/// A batch of so many appends is written without waiting for what else has been received: more than a bucket gets from
/// 64 clients without pipelines, less than from a dozen with them.
pub(crate) const LARGE_BATCH_APPENDS: usize = 24;

/// Bytes of a lone batch.
pub(crate) const LONE_BATCH_BYTES: u64 = 32 << 10;
