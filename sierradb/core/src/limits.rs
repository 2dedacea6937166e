//! Named bounds of this crate. A bound that others must agree on lives here and nowhere else.

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

/// Another step is made once less than this is ready in front of the log.
pub const SPACE_AHEAD_BYTES: u64 = 8 << 20;

/// A step is not filled with zeros while the log grows faster than this: batches are large then and share the
/// cost that zeros would save.
pub const ZERO_BELOW_BYTES_PER_SECOND: u64 = 32 << 20;

/// First read of a walk over frames; later ones double up to [`MAX_READ_AHEAD_BYTES`].
pub const MIN_READ_AHEAD_BYTES: usize = 256 << 10;

/// Largest read of a walk over frames, except for one larger frame.
pub const MAX_READ_AHEAD_BYTES: usize = 1 << 20;
