//! The one task that writes a bucket's log: takes a batch, writes it, syncs it, commits it.
//!
//! There is no timer: a batch is what was planned during the last sync. One batch is unsynced at a time and lies in
//! one file; recovery relies on that. A failed write or sync is never repeated: the bucket is poisoned, and a restart
//! looks at what the device holds.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use sierradb_io::{
    DiskError, DiskErrorKind, DiskOp, File, Fut, Io, OpenOptions, Task, TaskName, mutant, site,
};
use tokio::sync::oneshot;

use super::apply::Applied;
use super::batch::{Batch, BatchPlace, Made};
use super::company::{AtWork, Company};
use super::health::{Health, stops_bucket};
use super::planned::Planned;
use super::planner::PlanStart;
use super::room::Room;
use super::slots::Slots;
use super::solo::SoloBucket;
use crate::index::lookup::DataFile;
use crate::limits::{
    LARGE_BATCH_APPENDS, LONE_BATCH_APPENDS, LONE_BATCH_BYTES, MAX_ROLLED_SEGMENTS,
    SYNCS_PER_WITNESS,
};
use crate::read::block_cache::BlockCache;
use crate::read::fetch::CachedFile;
use crate::segment::checkpoint::header::CheckpointHeader;
use crate::segment::checkpoint::witness::Witness;
use crate::segment::file::{ActiveSegment, FIRST_FRAME_OFFSET, SegmentFile};

/// The log of a bucket, open for writing.
pub(crate) struct Log {
    pub(crate) dir: PathBuf,
    pub(crate) active: ActiveSegment,
    pub(crate) file: Arc<dyn File>,
    /// The segment's header is on disk.
    pub(crate) has_header: bool,
    pub(crate) room: Arc<Room>,
    pub(crate) slots: Slots,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) term: u64,
    pub(crate) hash_seed: u64,
}

/// Writes one bucket's log.
pub(crate) struct Writer {
    bucket: Arc<SoloBucket>,
    io: Io,
    log: Log,
    company: Company,
    witness: Option<WitnessRing>,
    /// Completed syncs since the last witness.
    unwitnessed: u32,
}

/// Why a batch was not written.
#[derive(Debug)]
enum Failure {
    /// No room; nothing was written.
    NoSpace(DiskError),
    /// A write or sync failed: the outcome is unknown.
    Disk(DiskError),
    /// A write or sync failed elsewhere and poisoned the bucket: everybody has been answered.
    Poisoned,
    /// The bucket takes no more appends, and these were not written.
    Stopped { cause: String },
}

/// The witness ring of the active segment: unsynced proof of completed syncs.
struct WitnessRing {
    file: Arc<dyn File>,
    next_count: u32,
}

/// How far a batch on its way to the log is answered for. Only deliberate bugs get ahead of the disk.
enum Progress {
    Stored,
    Applied(Option<Applied>),
    Answered,
}

impl Writer {
    pub(crate) fn new(bucket: Arc<SoloBucket>, log: Log, company: Company) -> Self {
        log.room.set_end(log.active.end().end_offset);
        let io = bucket.io.clone();
        Self { bucket, io, log, company, witness: None, unwitnessed: 0 }
    }

    /// Writes until the bucket is closed and nothing is left, or until a failure.
    pub(crate) async fn run(mut self) {
        let mut entries: Vec<Arc<Planned>> = Vec::new();
        while self.bucket.work_for_writer().await {
            let at_work = self.company.join();
            self.gather(&at_work).await;
            self.bucket.lock_desk().take_batch(&mut entries);
            match self.write_all(&mut entries, &at_work).await {
                Ok(()) => {}
                Err(Failure::NoSpace(error)) => self.refuse(&error).await,
                Err(Failure::Stopped { cause }) => {
                    self.bucket.refuse_unwritten(self.unwritten(), Health::ReadOnly { cause });
                }
                Err(Failure::Disk(error)) => {
                    self.bucket.poison(&error.to_string());
                    self.log.room.stop();
                    return;
                }
                Err(Failure::Poisoned) => return,
            }
            entries.clear();
            drop(at_work);
            // Whoever was answered goes on first, and what that brings is in the next batch.
            tokio::task::yield_now().await;
            self.witness_if_due().await;
        }
        self.finish().await;
    }

    /// Where this thread serves others too: if several have something to write, lets all that is there already arrive
    /// first. A batch twice as large costs little more. One that is large already does not wait: while it is synced,
    /// others are read and answered.
    async fn gather(&self, at_work: &AtWork) {
        if !self.io.spawner().syncs_share_thread() {
            return;
        }
        let appends = self.bucket.lock_desk().untaken_count();
        let is_lone = at_work.is_alone() && appends <= LONE_BATCH_APPENDS;
        if !is_lone && appends < LARGE_BATCH_APPENDS {
            tokio::task::yield_now().await;
        }
    }

    /// Writes and commits entries, in as many batches as segments are touched.
    async fn write_all(
        &mut self,
        entries: &mut Vec<Arc<Planned>>,
        at_work: &AtWork,
    ) -> Result<(), Failure> {
        while let Some(first) = entries.first() {
            if !self.log.active.fits(first.entry.frame_len()) {
                self.roll().await?;
            }
            let place = BatchPlace {
                before: self.log.active,
                has_header: self.log.has_header,
                term: self.log.term,
            };
            let batch = Batch::take(entries, place);
            match self.log.room.reach(batch.end_offset()).await {
                Ok(true) => {}
                Ok(false) => return Err(Failure::Poisoned),
                Err(error) => return Err(Failure::of_space(error)),
            }
            self.write(batch, at_work).await?;
        }
        Ok(())
    }

    /// Writes a batch at the end of the log, syncs it, and commits it.
    async fn write(&mut self, batch: Batch, at_work: &AtWork) -> Result<(), Failure> {
        self.begin_write(batch.last_index())?;
        let is_small = batch.len() <= LONE_BATCH_APPENDS && batch.bytes() <= LONE_BATCH_BYTES;
        let is_lone = is_small && at_work.is_alone();
        let (made, progress) = if self.has_wrong_order() {
            self.store_in_wrong_order(batch).await?
        } else {
            (self.store(batch, is_lone).await?, Progress::Stored)
        };
        let Made { written, after, .. } = made;
        self.log.active = after;
        self.log.has_header = true;
        let end = after.end();
        self.log.room.set_end(end.end_offset);
        self.io.event(
            "bucket.synced",
            &[
                ("b", u64::from(self.bucket.id)),
                ("segment", after.header().number),
                ("index", end.next_index - 1),
                ("end", end.end_offset),
            ],
        );
        if written.offsets.len() >= GROUP_COMMIT_MARK {
            self.io.mark(site!("append.group_commit"));
        }
        match progress {
            Progress::Stored => self.bucket.commit(&written),
            Progress::Applied(Some(applied)) => self.bucket.answer(applied),
            Progress::Applied(None) | Progress::Answered => {}
        }
        self.unwitnessed += 1;
        Ok(())
    }

    /// A file whose sync failed elsewhere is not touched again, and nothing behind it is answered.
    fn may_go_on(&self) -> Result<(), Failure> {
        if self.bucket.lock_desk().health().is_poisoned() {
            return Err(Failure::Poisoned);
        }
        Ok(())
    }

    /// As [`Self::may_go_on`]; after this the outcome of entries up to `index` is unknown until they are synced.
    fn begin_write(&self, index: u64) -> Result<(), Failure> {
        if self.bucket.lock_desk().begin_write(index) { Ok(()) } else { Err(Failure::Poisoned) }
    }

    /// Writes and makes durable: a single append of the only writer at work, or more.
    async fn store(&self, batch: Batch, is_lone: bool) -> Result<Made, Failure> {
        let offset = batch.offset();
        // Where this thread serves others too, it is carried out elsewhere, and they go on meanwhile.
        if is_lone || mutant!(self.io, skip_sync) || !self.io.spawner().syncs_share_thread() {
            let mut made = batch.make();
            let stored = self.store_here(std::mem::take(&mut made.buffers), offset).await;
            return self.outcome(stored, Some(made)).await;
        }
        self.io.mark(site!("append.sync_aside"));
        let (give, mut given) = oneshot::channel();
        let make = Box::new(move || {
            let mut made = batch.make();
            let buffers = std::mem::take(&mut made.buffers);
            drop(give.send(made)); // if nobody waits any more, nobody misses it
            buffers
        });
        let stored = self.log.file.begin_durable_write(make, offset).await;
        if stored.is_err() {
            self.may_go_on()?;
        }
        self.outcome(stored.map_err(Failure::Disk), given.try_recv().ok()).await
    }

    async fn store_here(&self, buffers: Vec<Bytes>, offset: u64) -> Result<(), Failure> {
        let file = &self.log.file;
        file.write_all_at(buffers, offset).await.map_err(Failure::Disk)?;
        self.may_go_on()?;
        if mutant!(self.io, skip_sync) {
            return Ok(());
        }
        file.sync_data().await.map_err(Failure::Disk)
    }

    /// Whether a deliberate bug changes the order of write, sync and answer.
    fn has_wrong_order(&self) -> bool {
        let bugs = [
            mutant!(self.io, ack_before_sync),
            mutant!(self.io, sync_begun_early),
            mutant!(self.io, index_before_data),
        ];
        bugs.contains(&true)
    }

    /// As [`Self::store`], with one of these bugs.
    async fn store_in_wrong_order(&self, batch: Batch) -> Result<(Made, Progress), Failure> {
        let offset = batch.offset();
        let mut made = batch.make();
        let buffers = std::mem::take(&mut made.buffers);
        let file = &self.log.file;
        if mutant!(self.io, index_before_data) {
            let applied = self.bucket.apply(&made.written);
            self.store_here(buffers, offset).await?;
            return Ok((made, Progress::Applied(applied)));
        }
        if mutant!(self.io, sync_begun_early) {
            file.sync_data().await.map_err(Failure::Disk)?;
            file.write_all_at(buffers, offset).await.map_err(Failure::Disk)?;
            return Ok((made, Progress::Stored));
        }
        file.write_all_at(buffers, offset).await.map_err(Failure::Disk)?;
        self.bucket.commit(&made.written);
        file.sync_data().await.map_err(Failure::Disk)?;
        Ok((made, Progress::Answered))
    }

    /// What a write and its sync came to. What was made is there whenever the write was begun.
    async fn outcome(
        &self,
        stored: Result<(), Failure>,
        made: Option<Made>,
    ) -> Result<Made, Failure> {
        match stored {
            Ok(()) => {}
            Err(Failure::Disk(error))
                if mutant!(self.io, sync_error_ignored) && error.op == DiskOp::Sync =>
            {
                tracing::warn!(%error, "mutant: sync error ignored");
            }
            Err(Failure::Disk(error))
                if mutant!(self.io, retry_sync) && error.op == DiskOp::Sync =>
            {
                self.log.file.sync_data().await.map_err(Failure::Disk)?;
            }
            Err(Failure::Disk(error))
                if mutant!(self.io, full_as_success) && error.kind == DiskErrorKind::NoSpace => {}
            Err(failure) => return Err(failure),
        }
        Ok(made.expect("what was written was made before"))
    }

    /// Begins the next segment. All of the old one is synced: every batch was.
    async fn roll(&mut self) -> Result<(), Failure> {
        self.wait_for_sealing().await?;
        self.io.mark(site!("segment.roll"));
        let rolled = self.log.active.roll();
        let header = rolled.next_header();
        let space = self.log.room.advance(header.number).await.map_err(Failure::of_space)?;
        let space = space.ok_or(Failure::Poisoned)?;
        self.log.file = space.file().clone();
        self.log.active = ActiveSegment::new(header);
        self.log.has_header = false;
        self.witness = None;
        let data =
            CachedFile::new(self.log.file.clone(), self.log.cache.clone(), FIRST_FRAME_OFFSET);
        let raw = self.log.file.clone();
        self.bucket.roll(Arc::new(DataFile { number: header.number, data, raw }));
        self.log.room.set_end(FIRST_FRAME_OFFSET);
        Ok(())
    }

    /// At most a few segments may wait for their index file: memory is bounded, and so is the next start. Ends
    /// without one once the oldest cannot get it.
    async fn wait_for_sealing(&self) -> Result<(), Failure> {
        loop {
            let sealed = self.bucket.sealed.notified();
            self.may_go_on()?;
            let rolled = {
                let segments = self.bucket.shelf.read();
                segments.live.iter().filter(|segment| segment.is_rolled).count()
            };
            if rolled < MAX_ROLLED_SEGMENTS {
                return Ok(());
            }
            if let Health::ReadOnly { cause } = self.bucket.lock_desk().health() {
                return Err(Failure::Stopped { cause: cause.clone() });
            }
            self.io.mark(site!("segment.roll_waits_for_seal"));
            self.bucket.maintain_wake.notify_one();
            sealed.await;
        }
    }

    /// Nothing could be written for lack of space: takes the planned entries back.
    async fn refuse(&mut self, error: &DiskError) {
        tracing::warn!(bucket = self.bucket.id, %error, "no space for the log");
        self.io.mark(site!("append.refused_full"));
        let free_bytes =
            self.io.disk().space(&self.log.dir).await.map_or(0, |space| space.free_bytes);
        let health = Health::Full { free_bytes, needed_bytes: self.log.room.step_bytes() };
        self.bucket.refuse_unwritten(self.unwritten(), health);
    }

    /// Where planning begins again once the entries that were not written are taken back.
    fn unwritten(&self) -> PlanStart {
        PlanStart {
            last_index: self.log.active.end().next_index - 1,
            next_sequences: self.bucket.next_sequences(),
            last_append_time_ns: 0,
        }
    }

    /// Writes a witness once nobody waits for this writer, or after so many syncs. It is no part of any answer.
    async fn witness_if_due(&mut self) {
        let is_idle = self.unwitnessed > 0 && self.bucket.lock_desk().untaken_count() == 0;
        if is_idle || self.unwitnessed >= SYNCS_PER_WITNESS {
            self.unwitnessed = 0;
            self.witness().await;
        }
    }

    /// Notes the completed sync where the next start may find it. Losing it costs sharpness only.
    async fn witness(&mut self) {
        if self.witness.is_none() {
            self.witness = self.open_witness().await.ok();
        }
        let end = self.log.active.end();
        let Some(ring) = &mut self.witness else { return };
        let witness = Witness {
            index: end.next_index - 1,
            end_offset: end.end_offset,
            chain: end.chain,
            count: ring.next_count,
        };
        ring.next_count = ring.next_count.wrapping_add(1);
        let slot = Bytes::copy_from_slice(&witness.encode());
        if let Err(error) = ring.file.write_all_at(vec![slot], witness.file_offset()).await {
            tracing::debug!(bucket = self.bucket.id, %error, "witness not written");
            self.witness = None;
        }
    }

    async fn open_witness(&self) -> Result<WitnessRing, DiskError> {
        let header = self.log.active.header();
        let name = SegmentFile::Checkpoint.name(header.number);
        let path = self.log.dir.join(name);
        let file = self.io.disk().open(&path, OpenOptions::OPEN_OR_CREATE).await?;
        let header = CheckpointHeader {
            group: header.group,
            segment: header.number,
            first_index: header.first_index,
            hash_seed: self.log.hash_seed,
        };
        file.write_all_at(vec![Bytes::from(header.encode())], 0).await?;
        // A count above any earlier one, so that the newest slot is always the one written last.
        let next_count = super::checkpoint::next_witness_count(file.as_ref()).await;
        Ok(WitnessRing { file, next_count })
    }

    /// The end of a tidy life: notes in the state slot how far the log is durable. What was durable once stays noted,
    /// however short a damaged log looks now: it is what tells damage from a torn end.
    async fn finish(&mut self) {
        if self.bucket.is_read_only() {
            return;
        }
        let durable = self.log.active.end().next_index - 1;
        let saved = self.log.slots.save(|state| state.durable_commit = durable).await;
        if let Err(error) = saved {
            tracing::warn!(bucket = self.bucket.id, %error, "state not noted; the next start takes longer");
        }
    }
}

/// A batch of at least this many frames is worth a coverage mark.
const GROUP_COMMIT_MARK: usize = 8;

/// Starts `writers` in at most `threads` tasks, each of which takes every so many-th of them.
pub(crate) fn start_writers(io: &Io, writers: Vec<Writer>, threads: usize) -> Vec<Task> {
    let threads = threads.clamp(1, writers.len().max(1));
    let mut groups: Vec<Vec<Writer>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, writer) in writers.into_iter().enumerate() {
        if let Some(group) = groups.get_mut(number % threads) {
            group.push(writer);
        }
    }
    let named = groups.into_iter().zip(0u64..);
    named
        .map(|(group, key)| {
            let body: Fut<'static, ()> = Box::pin(async move {
                futures_util::future::join_all(group.into_iter().map(Writer::run)).await;
            });
            io.spawner().syncing(TaskName { role: "writer", key }, body)
        })
        .collect()
}

impl Failure {
    fn of_space(error: DiskError) -> Self {
        if error.kind == DiskErrorKind::NoSpace && !stops_bucket(&error) {
            Self::NoSpace(error)
        } else {
            Self::Disk(error)
        }
    }
}
