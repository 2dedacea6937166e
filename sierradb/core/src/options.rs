//! How a database is opened.

use std::time::Duration;

use crate::error::OpenError;
use crate::limits;
use crate::segment::space::Preallocate;

/// Plain settings of a database. Sizes and counts marked *fixed* are written to the manifest when the directory is
/// created; afterwards other values are an error (partitions, buckets) or ignored with a warning (segment size).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseOptions {
    /// Partitions, 1 to 65,535, a multiple of `bucket_count`. *Fixed.* Default 32.
    pub partition_count: u16,
    /// Buckets (independent logs), 1 to 1,024. *Fixed.* Default 4.
    pub bucket_count: u16,
    /// Size at which a segment file is rolled, 131,072 bytes to 10 GiB. *Fixed.* Default 256 MiB.
    pub segment_size_bytes: u64,
    /// Largest transaction by the rule of [`Transaction::size_bytes`](crate::Transaction::size_bytes); at most a
    /// quarter of a segment. `None`: 16 MiB, lowered to fit.
    pub max_transaction_bytes: Option<u64>,
    /// Appends in work per bucket; further ones wait their turn. Default 1,000.
    pub append_buffer_count: usize,
    /// The longest an append waits for a place, and for its sync. Default 8 s.
    pub append_timeout: Duration,
    /// Threads that write; bucket b belongs to thread b modulo this. `None`: one per bucket.
    pub write_threads: Option<usize>,
    /// Memory for blocks of stored files. Default 256 MiB.
    pub cache_capacity_bytes: u64,
    /// Bytes of stored files read and kept together, rounded up to a multiple of 4,096. Default 64 KiB.
    pub cache_block_bytes: usize,
    /// Appends are refused while the file system has less free. Default 64 MiB.
    pub min_free_bytes: u64,
    /// How segment files grow.
    pub preallocate: Preallocate,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            partition_count: limits::DEFAULT_PARTITION_COUNT,
            bucket_count: limits::DEFAULT_BUCKET_COUNT,
            segment_size_bytes: limits::DEFAULT_SEGMENT_SIZE_BYTES,
            max_transaction_bytes: None,
            append_buffer_count: limits::DEFAULT_APPEND_BUFFER_COUNT,
            append_timeout: limits::DEFAULT_APPEND_TIMEOUT,
            write_threads: None,
            cache_capacity_bytes: limits::DEFAULT_CACHE_CAPACITY_BYTES,
            cache_block_bytes: limits::DEFAULT_BLOCK_BYTES,
            min_free_bytes: limits::DEFAULT_MIN_FREE_BYTES,
            preallocate: Preallocate::Zero,
        }
    }
}

impl DatabaseOptions {
    /// Opens the directory `dir` with these options on this machine; see [`Database::open`](crate::Database::open).
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(self, dir: impl AsRef<std::path::Path>) -> Result<crate::Database, OpenError> {
        crate::Database::open_os(dir.as_ref(), self)
    }

    /// Checks ranges and relations.
    ///
    /// # Errors
    /// [`OpenError::Options`] with the rule that is broken.
    pub fn validate(&self) -> Result<(), OpenError> {
        let broken = |rule: String| Err(OpenError::Options { rule });
        let (partitions, buckets) = (self.partition_count, self.bucket_count);
        if buckets == 0 || buckets > limits::MAX_BUCKET_COUNT {
            return broken(format!(
                "bucket.count {buckets} is out of range: 1 to {}",
                limits::MAX_BUCKET_COUNT
            ));
        }
        if partitions < buckets {
            return broken(format!("too few partitions ({partitions}) for {buckets} buckets"));
        }
        if !partitions.is_multiple_of(buckets) {
            return broken(format!(
                "partition.count {partitions} is not a multiple of bucket.count {buckets}"
            ));
        }
        let size = self.segment_size_bytes;
        if size < limits::MIN_SEGMENT_SIZE_BYTES {
            return broken(format!(
                "segment size {size} is too small (minimum: {} bytes)",
                limits::CONFIG_MIN_SEGMENT_SIZE_BYTES
            ));
        }
        if size > limits::MAX_SEGMENT_SIZE_BYTES {
            return broken(format!(
                "segment size {size} is too large (maximum: {} bytes)",
                limits::MAX_SEGMENT_SIZE_BYTES
            ));
        }
        if let Some(max) = self.max_transaction_bytes
            && (max == 0 || max > size / 4)
        {
            return broken(format!(
                "append.max_transaction_bytes {max} is out of range: 1 to {} (a quarter of a segment)",
                size / 4
            ));
        }
        if self.append_buffer_count == 0 {
            return broken("replication.buffer_size must be at least 1".to_owned());
        }
        Ok(())
    }

    /// The transaction limit in force for segments of `segment_size_bytes`.
    pub(crate) fn transaction_limit(&self, segment_size_bytes: u64) -> u64 {
        let quarter = segment_size_bytes / 4;
        self.max_transaction_bytes.unwrap_or(limits::DEFAULT_MAX_TRANSACTION_BYTES).min(quarter)
    }
}
