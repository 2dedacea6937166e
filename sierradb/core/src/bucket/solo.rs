//! The driver of a bucket without replication: an append is committed once this process has synced it.
//!
//! Whoever brings an append plans it at the desk. The writer takes batches, syncs them and calls
//! [`SoloBucket::commit`]. One task per bucket reads what cold answers need and ends waits that took too long.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLockReadGuard};

use sierradb_io::{Io, Shutdown, site};
use sierradb_protocol::PartitionId;
use tokio::sync::Notify;
use uuid::Uuid;

use super::desk::{Answers, Desk, Job, Wakes};
use super::overlay::{Head, StreamName};
use super::planner::{ColdNeed, Facts, View};
use super::waiters::PendingAppend;
use crate::error::{AppendError, ReadError};
use crate::feed::Feed;
use crate::index::hash::event_id_hash;
use crate::index::lookup::{Found, FoundStream, Segments, Shelf, WantedPartition, live_hash};
use crate::limits::{COLD_READS_PER_ROUND, EXPIRY_INTERVAL, INDEX_REPAIRS_PER_READ};
use crate::transaction::{Arrival, Transaction};

/// One bucket: its desk, its shelf of segments, and the wake-ups between its tasks.
#[derive(Debug)]
pub(crate) struct SoloBucket {
    pub(crate) id: u16,
    bucket_count: u16,
    pub(crate) io: Io,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) feed: Arc<Feed>,
    desk: Mutex<Desk>,
    /// Something was planned, or the bucket closes.
    pub(crate) writer_wake: Notify,
    /// Something must be read for an append.
    reader_wake: Notify,
    /// Something was committed, rolled or sealed.
    pub(crate) maintain_wake: Arc<Notify>,
    /// A segment was sealed.
    pub(crate) sealed: Notify,
    /// No more appends will come; the writer ends once nothing is in work.
    pub(crate) is_closing: AtomicBool,
    pub(crate) syncs: AtomicU64,
}

/// What is committed, as the planner sees it.
struct LiveView<'a> {
    segments: RwLockReadGuard<'a, Segments>,
    shelf: &'a Shelf,
}

impl View for LiveView<'_> {
    fn live_stream(&self, name: StreamName<'_>) -> Option<FoundStream> {
        self.segments.live_stream(name.partition, name.stream_id.as_bytes(), name.hash)
    }

    fn live_candidates(&self, event_id: Uuid) -> Vec<(u64, u64)> {
        let hash = live_hash(event_id_hash(self.shelf.hash_seed(), &event_id));
        let places = self.segments.candidates(hash);
        places.into_iter().map(|place| (place.file.number, place.offset)).collect()
    }

    fn last_sealed(&self) -> u64 {
        self.segments.last_sealed()
    }

    fn sealed_lack_event(&self, event_id: Uuid) -> bool {
        self.shelf.rules_out_event(&self.segments.sealed, event_id)
    }

    fn sealed_head(&self, name: StreamName<'_>) -> Option<Option<Head>> {
        self.shelf.remembered_head(&self.segments.sealed, name.partition, name.stream_id)
    }
}

impl SoloBucket {
    pub(crate) fn new(
        io: Io,
        shelf: Arc<Shelf>,
        feed: Arc<Feed>,
        desk: Desk,
        maintain_wake: Arc<Notify>,
    ) -> Self {
        Self {
            id: shelf.bucket_id(),
            bucket_count: shelf.bucket_count(),
            io,
            shelf,
            feed,
            desk: Mutex::new(desk),
            writer_wake: Notify::new(),
            reader_wake: Notify::new(),
            maintain_wake,
            sealed: Notify::new(),
            is_closing: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
        }
    }

    /// Takes an append in; its place among the bucket's appends is fixed on return.
    pub(crate) fn begin_append(
        &self,
        transaction: Transaction,
        partition: PartitionId,
        Arrival { now: begun, wall_ns }: Arrival,
    ) -> PendingAppend {
        let job = Job { transaction, partition, begun };
        let (pending, wakes) = {
            let mut desk = self.lock_desk();
            let view = LiveView { segments: self.shelf.read(), shelf: &self.shelf };
            desk.submit(job, &view, wall_ns)
        };
        self.wake(wakes);
        pending
    }

    fn wake(&self, wakes: Wakes) {
        if wakes.writer {
            self.writer_wake.notify_one();
        }
        if wakes.reader {
            self.reader_wake.notify_one();
        }
    }

    /// Works at the desk with a view of what is committed; answers and wake-ups go out when the locks are gone.
    pub(crate) fn at_desk(&self, work: impl FnOnce(&mut Desk, &dyn View, &mut Answers) -> Wakes) {
        let mut answers = Answers::default();
        let wakes = {
            let mut desk = self.lock_desk();
            let view = LiveView { segments: self.shelf.read(), shelf: &self.shelf };
            work(&mut desk, &view, &mut answers)
        };
        self.wake(wakes);
        answers.give();
    }

    /// Whether a disk error, or damage, has ended its appends until the process restarts.
    pub(crate) fn is_read_only(&self) -> bool {
        self.lock_desk().health().is_read_only()
    }

    pub(crate) fn lock_desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for entries to write; false once the bucket is closed and nothing is left.
    pub(crate) async fn work_for_writer(&self) -> bool {
        loop {
            let woken = self.writer_wake.notified();
            let is_closing = self.is_closing.load(Ordering::Acquire);
            let (untaken, is_idle) = {
                let desk = self.lock_desk();
                let is_idle = desk.is_idle() || desk.health().is_read_only();
                (desk.untaken_count(), is_idle)
            };
            if untaken > 0 {
                return true;
            }
            if is_closing && is_idle {
                return false;
            }
            woken.await;
        }
    }

    /// Reads what appends wait for, and ends waits that took too long. Runs until `stop`.
    pub(crate) async fn serve_waiting(self: Arc<Self>, stop: Shutdown) {
        let mut next_expiry = self.io.clock().now() + EXPIRY_INTERVAL;
        loop {
            tokio::select! {
                biased; // the end first: nobody will ask again
                () = stop.cancelled() => return,
                () = self.reader_wake.notified() => self.read_needs().await,
                () = self.io.clock().sleep_until(next_expiry) => {}
            }
            let now = self.io.clock().now();
            if now >= next_expiry {
                next_expiry = now + EXPIRY_INTERVAL;
                self.at_desk(|desk, _, answers| {
                    desk.expire(now, answers);
                    Wakes::default()
                });
            }
        }
    }

    async fn read_needs(&self) {
        loop {
            let needs = self.lock_desk().take_needs(COLD_READS_PER_ROUND);
            if needs.is_empty() {
                return;
            }
            self.io.mark(site!("append.cold_read"));
            let mut read = Vec::with_capacity(needs.len());
            for need in needs {
                let facts = self.read_facts(need.1, &need.2).await;
                read.push((need, facts));
            }
            let now_ns = self.io.clock().wall_ns();
            self.at_desk(|desk, view, answers| {
                for (need, facts) in read {
                    desk.provide(need, facts, answers);
                }
                desk.resume(view, now_ns, answers)
            });
        }
    }

    /// As [`Shelf::find_event`], over index files that are rebuilt where needed.
    pub(crate) async fn find_event(
        &self,
        wanted: WantedPartition,
        event_id: Uuid,
    ) -> Result<Found, ReadError> {
        let mut attempts = 0;
        loop {
            match self.shelf.find_event(wanted, event_id).await {
                Err(error) if self.is_mended(&error, &mut attempts).await => {}
                outcome => return outcome,
            }
        }
    }

    /// Whether a read that failed is worth another attempt: it met a damaged index page, and maintenance has rebuilt
    /// that index meanwhile. `attempts` counts them for one read.
    pub(crate) async fn is_mended(&self, error: &ReadError, attempts: &mut u32) -> bool {
        let ReadError::Damaged { segment, .. } = error else { return false };
        *attempts += 1;
        let repairs = &self.shelf.repairs;
        if *attempts > INDEX_REPAIRS_PER_READ || !repairs.is_worth_a_retry(*segment) {
            return false;
        }
        self.maintain_wake.notify_one();
        repairs.settled(*segment).await;
        true
    }

    async fn read_facts(
        &self,
        partition: PartitionId,
        need: &ColdNeed,
    ) -> Result<Facts, AppendError> {
        let sealed = self.shelf.read().sealed.clone();
        let mut facts = Facts {
            through_segment: sealed.last().map_or(0, |segment| segment.file.number),
            ..Facts::default()
        };
        for stream_id in &need.streams {
            let mut attempts = 0;
            let known = loop {
                let sealed = self.shelf.read().sealed.clone();
                match self.shelf.sealed_head(&sealed, partition.get(), stream_id).await {
                    Err(error) if self.is_mended(&error, &mut attempts).await => {}
                    outcome => break outcome.map_err(AppendError::Read)?,
                }
            };
            facts.streams.insert(stream_id.clone(), known.head);
        }
        let wanted = WantedPartition::Only(partition.get());
        for event_id in &need.ids {
            let found = self.find_event(wanted, *event_id).await;
            let found = found.map_err(AppendError::Read)?;
            facts.seen.extend(found.seen);
            facts.ids.insert(*event_id, found.frame);
        }
        Ok(facts)
    }

    /// Next sequence per partition of the bucket, by what is committed.
    pub(crate) fn next_sequences(&self) -> Vec<u64> {
        let partitions = self.feed.partitions_of(self.id, self.bucket_count);
        partitions.map(|partition| self.feed.watermark(partition)).collect()
    }

    /// No more appends; those in work are finished by the writer.
    pub(crate) fn close(&self) {
        self.at_desk(|desk, _, answers| {
            desk.close(answers);
            Wakes::default()
        });
        self.is_closing.store(true, Ordering::Release);
        self.writer_wake.notify_one();
    }
}
