//! Watermark per partition: one rising number, and who waits for it.
//!
//! The watermark of a partition is the exclusive end of its visible sequences. It rises after the events are durable
//! **and** indexed, in log order, and never falls. It carries a number, never events: whoever wakes reads the range
//! itself, so there is no hand-over from history to live at which an event could be lost, doubled or reordered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sierradb_protocol::PartitionId;
use tokio::sync::Notify;

/// Watermarks of all partitions of a database.
#[derive(Debug)]
pub(crate) struct Feed {
    partitions: Vec<Cell>,
    /// Wakes those who wait for any partition.
    any: Notify,
}

#[derive(Debug, Default)]
struct Cell {
    next_sequence: AtomicU64,
    raised: Notify,
}

impl Feed {
    pub(crate) fn new(partition_count: u16) -> Self {
        Self {
            partitions: (0..partition_count).map(|_| Cell::default()).collect(),
            any: Notify::new(),
        }
    }

    /// The watermark; 0 for a partition that does not exist.
    pub(crate) fn watermark(&self, partition: PartitionId) -> u64 {
        self.cell(partition).map_or(0, |cell| cell.next_sequence.load(Ordering::Acquire))
    }

    /// Stores the new watermark. Called under the index' write lock, so that whoever sees the events sees it too.
    pub(crate) fn raise(&self, partition: PartitionId, next_sequence: u64) {
        if let Some(cell) = self.cell(partition) {
            let before = cell.next_sequence.swap(next_sequence, Ordering::AcqRel);
            assert!(
                before <= next_sequence,
                "watermark of {partition:?} fell from {before} to {next_sequence}"
            );
        }
    }

    /// Wakes the waiters of `partition`; called after the lock is gone.
    pub(crate) fn wake(&self, partition: PartitionId) {
        if let Some(cell) = self.cell(partition) {
            cell.raised.notify_waiters();
        }
    }

    /// Wakes those who wait for any partition; called once per batch.
    pub(crate) fn wake_any(&self) {
        self.any.notify_waiters();
    }

    /// The partitions of a bucket, ascending.
    pub(crate) fn partitions_of(
        &self,
        bucket_id: u16,
        bucket_count: u16,
    ) -> impl Iterator<Item = PartitionId> + use<> {
        let count = u16::try_from(self.partitions.len()).unwrap_or(u16::MAX);
        (bucket_id..count).step_by(usize::from(bucket_count).max(1)).map(PartitionId::new)
    }

    fn cell(&self, partition: PartitionId) -> Option<&Cell> {
        self.partitions.get(usize::from(partition.get()))
    }
}

/// Follows the watermark of one partition.
#[derive(Debug, Clone)]
pub struct Watch {
    feed: Arc<Feed>,
    partition: PartitionId,
}

impl Watch {
    pub(crate) fn new(feed: Arc<Feed>, partition: PartitionId) -> Self {
        Self { feed, partition }
    }

    /// The partition followed.
    pub fn partition_id(&self) -> PartitionId {
        self.partition
    }

    /// The exclusive end of the visible sequences now.
    pub fn watermark(&self) -> u64 {
        self.feed.watermark(self.partition)
    }

    /// Waits until the watermark exceeds `sequence`, and returns it. Cancel-safe.
    pub async fn past(&self, sequence: u64) -> u64 {
        loop {
            let Some(cell) = self.feed.cell(self.partition) else {
                return std::future::pending().await;
            };
            let raised = cell.raised.notified();
            tokio::pin!(raised);
            raised.as_mut().enable(); // before the look: a rise in between is not missed
            let now = self.watermark();
            if now > sequence {
                return now;
            }
            raised.await;
        }
    }
}

/// Follows all partitions at once: one wake-up per batch of commits, whatever it touched.
#[derive(Debug, Clone)]
pub struct WatchAll {
    feed: Arc<Feed>,
}

impl WatchAll {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self { feed }
    }

    /// The exclusive end of the visible sequences of `partition` now.
    pub fn watermark(&self, partition: PartitionId) -> u64 {
        self.feed.watermark(partition)
    }

    /// Waits until `ready` says so; asked now and after each batch of commits. Cancel-safe.
    pub async fn until(&self, mut ready: impl FnMut(&Self) -> bool) {
        loop {
            let raised = self.feed.any.notified();
            tokio::pin!(raised);
            raised.as_mut().enable(); // before the question: a rise in between is not missed
            if ready(self) {
                return;
            }
            raised.await;
        }
    }
}
