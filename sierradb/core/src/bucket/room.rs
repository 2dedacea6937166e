//! Space for the log of one bucket, made ready before it is needed.
//!
//! In the background while all goes well; by the writer itself when the background was too slow. Making ready and
//! taking are exclusive: zeros are never written over a frame.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sierradb_io::{DiskError, Io, Mono, site};
use tokio::sync::{Mutex, Notify};

use crate::limits::{
    SPACE_BURST_BYTES, SPACE_BURST_PART_OF_FREE, SPACE_STEP_BYTES, SPACE_URGENT_BYTES,
};
use crate::segment::space::{Haste, Preallocate, SegmentSpace, StopSign};

/// Space of the active segment and of its successor.
pub(crate) struct Room {
    io: Io,
    dir: PathBuf,
    segment_size_bytes: u64,
    mode: Preallocate,
    /// End of the log in the active segment, as last told by the writer.
    end_offset: AtomicU64,
    /// Bytes by which the log has grown since it was opened.
    grown: AtomicU64,
    /// Up to where the active segment was ready at the last look, for a cheap question on every batch.
    ready: AtomicU64,
    /// Something should be prepared; shared by all buckets.
    wanted: Arc<Notify>,
    stop: StopSign,
    spaces: Mutex<Spaces>,
}

struct Spaces {
    active_number: u64,
    active: SegmentSpace,
    next: Option<SegmentSpace>,
    /// When the last step was made.
    last_step: Mono,
    /// Up to where the active file was ready then.
    last_ready: u64,
}

impl Room {
    pub(crate) fn new(
        io: Io,
        (dir, segment_size_bytes): (PathBuf, u64),
        mode: Preallocate,
        (active_number, active): (u64, SegmentSpace),
        wanted: Arc<Notify>,
    ) -> Self {
        let stop = StopSign::default();
        let active = active.with_stop(stop.clone());
        let (last_step, last_ready) = (io.clock().now(), active.mark().get());
        let spaces = Spaces { active_number, active, next: None, last_step, last_ready };
        Self {
            io,
            dir,
            segment_size_bytes,
            mode,
            end_offset: AtomicU64::new(0),
            grown: AtomicU64::new(0),
            ready: AtomicU64::new(last_ready),
            wanted,
            stop,
            spaces: Mutex::new(spaces),
        }
    }

    /// A write or sync of the log failed, and its bucket knows: nothing more is made ready.
    pub(crate) fn stop(&self) {
        self.stop.raise();
    }

    /// Tells where the log ends now.
    pub(crate) fn set_end(&self, end_offset: u64) {
        let before = self.end_offset.swap(end_offset, Ordering::AcqRel);
        self.grown.fetch_add(end_offset.saturating_sub(before), Ordering::Relaxed);
        let step = self.step_bytes() / 4;
        if before > end_offset || before / step != end_offset / step {
            self.wanted.notify_one();
        }
    }

    /// Bytes by which the log has grown since it was opened; its length then counts, too.
    pub(crate) fn grown_bytes(&self) -> u64 {
        self.grown.load(Ordering::Relaxed)
    }

    /// What one step takes: 16 MiB, or a whole segment if that is smaller.
    pub(crate) fn step_bytes(&self) -> u64 {
        SPACE_STEP_BYTES.min(self.segment_size_bytes)
    }

    /// Waits until some bucket's log has grown noticeably.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Whether the log may grow up to `end_offset` without any wait.
    pub(crate) fn has_reached(&self, end_offset: u64) -> bool {
        self.ready.load(Ordering::Acquire) >= end_offset
    }

    /// Makes the active segment ready up to `end_offset` at least. Returns at once if it is; false if it never will
    /// be, because it was stopped.
    ///
    /// # Errors
    /// The disk's; nothing of the log was touched.
    pub(crate) async fn reach(&self, end_offset: u64) -> Result<bool, DiskError> {
        if self.has_reached(end_offset) {
            return Ok(true);
        }
        let mut spaces = self.spaces.lock().await;
        while spaces.active.mark().get() < end_offset {
            if self.stop.is_raised() {
                return Ok(false);
            }
            self.io.mark(site!("append.space_not_ready"));
            spaces.step(&self.io, self.mode, Haste::WriterWaits).await?;
        }
        self.ready.store(spaces.active.mark().get(), Ordering::Release);
        Ok(true)
    }

    /// Makes segment `number`, the successor of the active one, the active one; `None` once it was stopped.
    ///
    /// # Errors
    /// The disk's; the active segment then stays what it was.
    pub(crate) async fn advance(&self, number: u64) -> Result<Option<SegmentSpace>, DiskError> {
        let mut spaces = self.spaces.lock().await;
        if self.stop.is_raised() {
            return Ok(None);
        }
        assert_eq!(number, spaces.active_number + 1, "segments follow each other");
        let next = match spaces.next.take() {
            Some(next) => next,
            None => {
                self.io.mark(site!("segment.roll_before_ready"));
                self.create(number).await?
            }
        };
        (spaces.active_number, spaces.active) = (number, next.clone());
        (spaces.last_step, spaces.last_ready) = (self.io.clock().now(), next.mark().get());
        self.ready.store(next.mark().get(), Ordering::Release);
        Ok(Some(next))
    }

    /// Background work: one step, or the successor, if it is time.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn prepare(&self) -> Result<(), DiskError> {
        let mut spaces = self.spaces.lock().await;
        let end_offset = self.end_offset.load(Ordering::Acquire);
        if spaces.active.wants_step(end_offset) {
            let ready = spaces.active.mark().get().saturating_sub(end_offset);
            let is_urgent = ready < SPACE_URGENT_BYTES;
            let haste = if is_urgent { Haste::NobodyWrites } else { Haste::WriterWrites(&self.io) };
            spaces.step(&self.io, self.mode, haste).await?;
        }
        let is_due = spaces.next.is_none() && spaces.active.wants_successor(end_offset);
        // The writer may have met an error in that very file while this waited for its turn.
        if is_due && !self.stop.is_raised() {
            let next = self.create(spaces.active_number + 1).await?;
            next.step(self.mode, Haste::NobodyWrites).await?;
            spaces.next = Some(next);
        }
        Ok(())
    }

    /// Work for quiet times, with so much free space: one step more than [`Self::prepare`] makes, as long as less is
    /// ready in front of the log than it is long, so that a burst finds its space. False if nothing was to do.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn prepare_for_burst(&self, free_bytes: u64) -> Result<bool, DiskError> {
        let mut spaces = self.spaces.lock().await;
        let end_offset = self.end_offset.load(Ordering::Acquire);
        let is_in_first = spaces.active_number <= 1;
        let log_bytes = if is_in_first { end_offset } else { self.segment_size_bytes };
        let wanted = log_bytes.min(SPACE_BURST_BYTES).min(free_bytes / SPACE_BURST_PART_OF_FREE);
        let ready_before = spaces.ready_bytes(end_offset);
        if ready_before >= wanted {
            return Ok(false);
        }
        let haste = Haste::WriterWrites(&self.io); // an append may come at any time
        match &spaces.next {
            Some(next) if spaces.active.mark().get() >= self.segment_size_bytes => {
                next.step(self.mode, haste).await?;
            }
            _ => spaces.step(&self.io, self.mode, haste).await?,
        }
        Ok(spaces.ready_bytes(end_offset) > ready_before)
    }

    /// Opens a file that was prepared before a crash, or creates it.
    async fn create(&self, number: u64) -> Result<SegmentSpace, DiskError> {
        let created =
            SegmentSpace::create(&self.io, &self.dir, number, self.segment_size_bytes).await;
        let space = match created {
            Err(error) if error.kind == sierradb_io::DiskErrorKind::Exists => {
                SegmentSpace::open(&self.io, &self.dir, number, self.segment_size_bytes).await
            }
            other => other,
        };
        Ok(space?.with_stop(self.stop.clone()))
    }
}

impl Spaces {
    /// What a log that ends at `end_offset` finds ready, in its successor as well.
    fn ready_bytes(&self, end_offset: u64) -> u64 {
        let next = self.next.as_ref().map_or(0, |next| next.mark().get());
        self.active.mark().get().saturating_sub(end_offset) + next
    }

    async fn step(
        &mut self,
        io: &Io,
        mode: Preallocate,
        haste: Haste<'_>,
    ) -> Result<(), DiskError> {
        let now = io.clock().now();
        let elapsed = now.since(self.last_step).max(Duration::from_millis(1));
        let ready = self.active.mark().get();
        let grown = ready.saturating_sub(self.last_ready);
        self.active.step(mode.at_rate(grown, elapsed), haste).await?;
        (self.last_step, self.last_ready) = (now, ready);
        Ok(())
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("dir", &self.dir).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT_SIZE_BYTES: u64 = 64 << 10;
    const MIB: u64 = 1 << 20;

    #[test]
    fn a_stopped_room_makes_nothing_ready() {
        sierradb_io::sim::run(1, |host| async move {
            let (io, dir) = (host.boot(), PathBuf::from("/log"));
            host.make_dir(&dir);
            let space = SegmentSpace::create(&io, &dir, 1, SEGMENT_SIZE_BYTES).await.unwrap();
            let place = (dir.clone(), SEGMENT_SIZE_BYTES);
            let wanted = Arc::new(Notify::new());
            let room = Room::new(io.clone(), place, Preallocate::Zero, (1, space), wanted);
            room.set_end(SEGMENT_SIZE_BYTES);
            room.stop();
            room.prepare().await.unwrap();
            assert!(!room.reach(SEGMENT_SIZE_BYTES).await.unwrap());
            assert!(room.advance(2).await.unwrap().is_none());
            let names = io.disk().list(&dir).await.unwrap();
            assert_eq!((names.len(), names[0].len), (1, 0), "{names:?}");
        });
    }

    /// A room for a log of segments of 128 MiB, and no zeros, which would take the test's time.
    async fn large_room(io: &Io, number: u64) -> Room {
        let dir = PathBuf::from("/log");
        let space = SegmentSpace::create(io, &dir, number, 128 * MIB).await.unwrap();
        let place = (dir, 128 * MIB);
        let wanted = Arc::new(Notify::new());
        Room::new(io.clone(), place, Preallocate::Reserve, (number, space), wanted)
    }

    /// What is ready in front of a log that ends at `end_offset`, when nothing more is to do.
    async fn ready_in_quiet_times(room: &Room, end_offset: u64, free_bytes: u64) -> u64 {
        room.set_end(end_offset);
        room.reach(end_offset).await.unwrap();
        for _ in 0..20 {
            room.prepare().await.unwrap();
        }
        for _ in 0..20 {
            if !room.prepare_for_burst(free_bytes).await.unwrap() {
                return room.spaces.lock().await.ready_bytes(end_offset);
            }
        }
        panic!("it ends nowhere");
    }

    #[test]
    fn quiet_times_make_ready_what_a_burst_may_take() {
        sierradb_io::sim::run(1, |host| async move {
            let io = host.boot();
            host.make_dir("/log");
            let first = large_room(&io, 1).await;
            for (end, ready) in [
                (0, 16), // an empty log needs none, and the step that it has is made anyway
                (17, 31),
                (30, 34),
                (60, 68),
                (90, 38),       // to the end of the file, which has no successor yet
                (100, 28 + 48), // 64 at least, and what completes a step
            ] {
                let found = ready_in_quiet_times(&first, end * MIB, u64::MAX).await;
                assert_eq!(found / MIB, ready, "in front of {end} MiB");
            }
        });
    }

    #[test]
    fn later_segments_are_as_good_as_long_ones_and_little_free_space_is_left_alone() {
        sierradb_io::sim::run(2, |host| async move {
            let io = host.boot();
            host.make_dir("/log");
            let room = large_room(&io, 2).await;
            let tight = 64 * 16 * MIB;
            assert_eq!(ready_in_quiet_times(&room, 0, tight).await, 16 * MIB);
            assert_eq!(ready_in_quiet_times(&room, 0, tight + 64).await, 32 * MIB);
            assert_eq!(ready_in_quiet_times(&room, 0, u64::MAX).await, 64 * MIB);
            room.stop();
            assert!(!room.prepare_for_burst(u64::MAX).await.unwrap());
        });
    }
}
