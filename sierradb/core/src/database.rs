//! The public door: delegates to the store and its buckets.

use std::path::Path;
use std::sync::Arc;

use sierradb_io::Io;
use sierradb_protocol::{PartitionId, StreamId};
use uuid::Uuid;

use crate::bucket::waiters::PendingAppend;
use crate::error::{AppendError, OpenError, ReadError};
use crate::event::{AppendResult, EventBatch, EventRecord, ReadRange};
use crate::feed::{Watch, WatchAll};
use crate::options::DatabaseOptions;
use crate::stats::Stats;
use crate::store::Store;
use crate::transaction::{Arrival, Transaction};

/// An open event store: one directory, one process. Cheap to clone; all clones share it.
///
/// It needs no async runtime of its caller: it brings its own threads, and its futures may be awaited anywhere.
/// Dropping the last clone stops its tasks like a crash would, which is safe; [`Database::close`] is tidier and
/// makes the next start faster.
#[derive(Debug, Clone)]
pub struct Database {
    store: Arc<Store>,
}

impl Database {
    /// Opens or creates the database in `dir` with default options. Blocks while it recovers; may be called inside
    /// an async runtime.
    ///
    /// On return every event that was ever acknowledged is readable, or its bucket reports the damage.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_os(dir.as_ref(), DatabaseOptions::default())
    }

    pub(crate) fn open_os(dir: &Path, options: DatabaseOptions) -> Result<Self, OpenError> {
        let dir = dir.to_owned();
        sierradb_io::os::wait(async move { Self::open_with(Io::os(), &dir, options).await })
    }

    /// The same in a given world.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_with(
        io: Io,
        dir: &Path,
        options: DatabaseOptions,
    ) -> Result<Self, OpenError> {
        Ok(Self { store: Store::open(io, dir, options).await? })
    }

    /// Appends a transaction: all its events or none. On return they are durable: written and synced.
    ///
    /// Repeating a transaction with the same event ids and contents returns the first result again, with
    /// [`AppendResult::duplicate`] set.
    ///
    /// # Errors
    /// [`AppendError`].
    pub async fn append_events(
        &self,
        transaction: Transaction,
    ) -> Result<AppendResult, AppendError> {
        self.begin_append(transaction).await
    }

    /// Queues a transaction at once and returns its answer as a future. Appends begun one after another by one
    /// thread are judged in that order, and those waiting together share a sync. Dropping the future does not take
    /// the append back.
    pub fn begin_append(&self, transaction: Transaction) -> PendingAppend {
        self.store.begin_append(transaction, None)
    }

    /// The same for who has read the clocks already, for several appends at once. Times of appends never go back in a
    /// bucket, whatever is given here; a wall time beyond the latest timestamp counts as that one. The other time must
    /// come from the clock of this database's world, since the wait for the disk is counted from it.
    pub fn begin_append_at(&self, transaction: Transaction, arrival: Arrival) -> PendingAppend {
        self.store.begin_append(transaction, Some(arrival))
    }

    /// The event with this id, in whichever partition: the one the id's hash bits hint at first, then the others.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_event(&self, event_id: Uuid) -> Result<Option<EventRecord>, ReadError> {
        self.store.read_event(event_id).await
    }

    /// Events of a stream by version.
    ///
    /// # Errors
    /// [`ReadError`]. Events before a damaged one are returned; only a read that begins at it fails.
    pub async fn read_stream(
        &self,
        partition: PartitionId,
        stream_id: &StreamId,
        range: ReadRange,
    ) -> Result<EventBatch, ReadError> {
        self.store.read_stream(partition, stream_id, range).await
    }

    /// Events of a partition by sequence.
    ///
    /// # Errors
    /// As [`Database::read_stream`].
    pub async fn read_partition(
        &self,
        partition: PartitionId,
        range: ReadRange,
    ) -> Result<EventBatch, ReadError> {
        self.store.read_partition(partition, range).await
    }

    /// Version of the last event of a stream; `None` if it has none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn stream_version(
        &self,
        partition: PartitionId,
        stream_id: &StreamId,
    ) -> Result<Option<u64>, ReadError> {
        self.store.stream_version(partition, stream_id).await
    }

    /// Sequence of the last event of a partition; `None` if it has none.
    ///
    /// # Errors
    /// [`ReadError::NoSuchPartition`].
    pub fn partition_sequence(&self, partition: PartitionId) -> Result<Option<u64>, ReadError> {
        self.store.partition_sequence(partition)
    }

    /// Follows the watermark of one partition.
    ///
    /// # Errors
    /// [`ReadError::NoSuchPartition`].
    pub fn watch(&self, partition: PartitionId) -> Result<Watch, ReadError> {
        self.store.watch(partition)
    }

    /// Follows the watermarks of all partitions.
    pub fn watch_all(&self) -> WatchAll {
        self.store.watch_all()
    }

    /// The partition that a key belongs to.
    pub fn partition_of_key(&self, partition_key: Uuid) -> PartitionId {
        self.store.partition_of_key(partition_key)
    }

    /// Number of partitions; their ids are 0 to this minus one.
    pub fn partition_count(&self) -> u16 {
        self.store.settings().partition_count
    }

    /// Number of buckets.
    pub fn bucket_count(&self) -> u16 {
        self.store.settings().bucket_count
    }

    /// The transaction limit in force, in bytes.
    pub fn max_transaction_bytes(&self) -> u64 {
        self.store.max_transaction_bytes()
    }

    /// Figures for operators.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// Refuses new appends, finishes those in work (at most 5 s), syncs, notes where the log ends, and gives the
    /// directory free. Reads of other clones end with errors or stale answers; their appends get
    /// [`AppendError::Closing`].
    pub async fn close(&self) {
        self.store.close().await;
    }
}
