//! Figures for operators.

/// A snapshot of counters; taken without stopping anything, so its parts may differ by a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Per bucket, by number.
    pub buckets: Vec<BucketStats>,
    /// The block cache.
    pub cache: CacheStats,
    /// Free bytes of the file system, as last looked at.
    pub disk_free_bytes: u64,
}

impl Stats {
    /// Events visible in all partitions.
    pub fn events(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.events).sum()
    }

    /// Streams in all partitions.
    pub fn streams(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.streams).sum()
    }
}

/// Figures of one bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketStats {
    /// Events visible.
    pub events: u64,
    /// Streams known (an upper bound once segments are sealed: a stream counts once per segment it touches).
    pub streams: u64,
    /// Segment files.
    pub segments: u64,
    /// Of these, sealed.
    pub sealed: u64,
    /// Bytes of log used.
    pub log_bytes: u64,
    /// Appends in work.
    pub append_in_flight: u64,
    /// Syncs completed since the start.
    pub syncs: u64,
    /// Events of segments that are not sealed yet: those that the live index holds.
    pub live_events: u64,
    /// Memory of the live index, in bytes.
    pub live_index_bytes: u64,
    /// Why the bucket takes no appends, if so.
    pub refusing: Option<String>,
    /// Damaged ranges known.
    pub damaged_ranges: u64,
    /// Where they begin: first the end of what can be read of the log, if that is not its real end, then places
    /// met while serving, at most [`MAX_DAMAGES_NOTED`](crate::limits::MAX_DAMAGES_NOTED).
    pub damaged: Vec<DamagedPlace>,
}

/// Where a log is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedPlace {
    /// Segment.
    pub segment: u64,
    /// Byte of its file.
    pub offset: u64,
    /// What is wrong there.
    pub cause: String,
}

/// Figures of the block cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Look-ups answered from memory.
    pub hits: u64,
    /// Look-ups that read a file.
    pub misses: u64,
    /// Blocks held.
    pub entries: u64,
    /// Bytes held.
    pub memory_bytes: u64,
    /// Bytes allowed.
    pub max_bytes: u64,
    /// Size of a block.
    pub block_size_bytes: u64,
    /// Blocks given up for others.
    pub evictions: u64,
}
