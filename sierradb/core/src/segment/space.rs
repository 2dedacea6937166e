//! Space ahead of the log: files are created, and their blocks found, before a frame needs them.
//!
//! A [`SegmentSpace`] belongs to the maintenance thread. It grows its file in steps of [`SPACE_STEP_BYTES`], never
//! beyond the segment's size limit, and raises the [`ReadyMark`] once a step is durable. The writer looks at the
//! mark and never passes it: so every byte it writes into was zero before, and durably so, which is what recovery's
//! reasoning about torn writes rests on. A file is created without header; that goes out with the first frames.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sierradb_io::{DiskError, File, Io, OpenOptions, mutant};

use super::file::SegmentFile;
use crate::limits::{
    SPACE_AHEAD_BYTES, SPACE_PAUSE, SPACE_PIECE_BYTES, SPACE_STEP_BYTES, SPACE_URGENT_BYTES,
    ZERO_BELOW_BYTES_PER_SECOND,
};

/// How space is made ready before frames are written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preallocate {
    /// Write zeros and sync them: later syncs need not change the file system's own records. Doubles the bytes
    /// written.
    #[default]
    Zero,
    /// Only reserve the space: fewer bytes written, slower syncs.
    Reserve,
}

impl Preallocate {
    /// The mode for the next step of a log that grew by `grown_bytes` within `elapsed`.
    #[must_use]
    pub(crate) fn at_rate(self, grown_bytes: u64, elapsed: Duration) -> Self {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let is_slow = grown_bytes.saturating_mul(1000) / millis <= ZERO_BELOW_BYTES_PER_SECOND;
        if is_slow { self } else { Self::Reserve }
    }
}

/// How far a segment file is ready to be written. Only ever rises.
#[derive(Debug, Clone)]
pub(crate) struct ReadyMark(Arc<AtomicU64>);

impl ReadyMark {
    /// Exclusive end of the bytes that may be written.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A segment file and how much of it is ready.
#[derive(Clone)]
pub(crate) struct SegmentSpace {
    file: Arc<dyn File>,
    limit_bytes: u64,
    ready: ReadyMark,
    stop: StopSign,
}

/// Says that a write or sync of the log has failed: its files must not be touched again.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopSign(Arc<AtomicBool>);

impl StopSign {
    /// For good.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl SegmentSpace {
    /// Creates the file of segment `number` in `dir`, with nothing ready. Its name is durable on return.
    ///
    /// # Errors
    /// The disk's; `Exists` if the segment has been prepared before, see [`Self::open`].
    pub(crate) async fn create(
        io: &Io,
        dir: &Path,
        number: u64,
        limit_bytes: u64,
    ) -> Result<Self, DiskError> {
        let path = dir.join(SegmentFile::Log.name(number));
        let file = io.disk().open(&path, OpenOptions::CREATE_NEW).await?;
        if !mutant!(io, skip_dir_sync) {
            io.disk().sync_dir(dir).await?;
        }
        Ok(Self::ready_up_to(file, limit_bytes, 0))
    }

    /// Opens the file of segment `number` again, all of its length ready: recovery has found it to be zero behind
    /// the log. Its name and length are made durable, since a crash may have come before they were.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn open(
        io: &Io,
        dir: &Path,
        number: u64,
        limit_bytes: u64,
    ) -> Result<Self, DiskError> {
        let path = dir.join(SegmentFile::Log.name(number));
        let file = io.disk().open(&path, OpenOptions::WRITE).await?;
        let len = file.len().await?;
        file.sync_data().await?;
        io.disk().sync_dir(dir).await?;
        Ok(Self::ready_up_to(file, limit_bytes, len.min(limit_bytes)))
    }

    fn ready_up_to(file: Arc<dyn File>, limit_bytes: u64, ready: u64) -> Self {
        let ready = ReadyMark(Arc::new(AtomicU64::new(ready)));
        Self { file, limit_bytes, ready, stop: StopSign::default() }
    }

    /// The same, obeying `stop`.
    pub(crate) fn with_stop(self, stop: StopSign) -> Self {
        Self { stop, ..self }
    }

    /// The file.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// The mark, to be shared with the writer.
    pub(crate) fn mark(&self) -> ReadyMark {
        self.ready.clone()
    }

    /// Whether a log that ends at `end_offset` needs another step.
    pub(crate) fn wants_step(&self, end_offset: u64) -> bool {
        let ready = self.ready.get();
        ready < self.limit_bytes && ready.saturating_sub(end_offset) < SPACE_AHEAD_BYTES
    }

    /// Whether the segment is so full that its successor should be created.
    pub(crate) fn wants_successor(&self, end_offset: u64) -> bool {
        end_offset >= self.limit_bytes / 4 * 3
    }

    /// Makes one more step ready; durable, then visible in the mark. Does nothing at the size limit, and goes no
    /// further once the stop sign is up.
    ///
    /// # Errors
    /// The disk's. The mark stays; `NoSpace` may be tried again, after any other error the file must not be
    /// written any more.
    pub(crate) async fn step(&self, mode: Preallocate, haste: Haste<'_>) -> Result<(), DiskError> {
        let from = self.ready.get();
        let step = match haste {
            Haste::WriterWaits => SPACE_URGENT_BYTES,
            Haste::WriterWrites(_) | Haste::NobodyWrites => SPACE_STEP_BYTES,
        };
        let upto = (from / step + 1).saturating_mul(step).min(self.limit_bytes);
        if upto <= from || self.stop.is_raised() {
            return Ok(());
        }
        self.file.allocate(upto).await?;
        if mode == Preallocate::Zero {
            self.write_zeros(from, upto, haste).await?;
        }
        if self.stop.is_raised() {
            return Ok(()); // the writer's write failed meanwhile: a sync now would hide it
        }
        self.file.sync_data().await?;
        self.ready.0.fetch_max(upto, Ordering::AcqRel);
        Ok(())
    }

    async fn write_zeros(&self, from: u64, upto: u64, haste: Haste<'_>) -> Result<(), DiskError> {
        let zeros = Bytes::from(vec![0; wide(upto - from).min(SPACE_PIECE_BYTES)]);
        let mut at = from;
        while at < upto && !self.stop.is_raised() {
            let piece = zeros.slice(..wide(upto - at).min(zeros.len()));
            let end = at + u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.file.write_all_at(vec![piece], at).await?;
            if let (Haste::WriterWrites(io), true) = (haste, end < upto) {
                io.sleep(SPACE_PAUSE).await;
            }
            at = end;
        }
        Ok(())
    }
}

/// What the file's writer does while a step is made.
#[derive(Clone, Copy)]
pub(crate) enum Haste<'a> {
    /// It writes, too, and a file takes one write at a time: on Linux whoever waits for his turn may get it after 4 ms
    /// only, as long as the other one keeps writing. So zeros are written with pauses.
    WriterWrites(&'a Io),
    /// Nothing: it has not come to this file, or to this part of it, yet.
    NobodyWrites,
    /// It makes the step itself, since it needs the space now: a short one.
    WriterWaits,
}

fn wide(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use sierradb_io::DiskErrorKind;

    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    /// Runs `body` with the machine's disk and a directory of its own.
    fn with_dir<F: Future<Output = ()> + Send + 'static>(
        body: impl FnOnce(Io, std::path::PathBuf) -> F,
    ) {
        let dir = tempfile::tempdir().unwrap();
        sierradb_io::os::wait(body(Io::os(), dir.path().to_owned()));
    }

    #[test]
    fn a_new_segment_has_a_name_and_no_bytes() {
        with_dir(async |io, dir| {
            let space = SegmentSpace::create(&io, &dir, 3, MIB).await.unwrap();
            assert_eq!(space.mark().get(), 0);
            let listed = io.disk().list(&dir).await.unwrap();
            assert_eq!(listed[0].name, "0000000003.seg");
            assert_eq!(listed[0].len, 0);
            let again = SegmentSpace::create(&io, &dir, 3, MIB).await.err().unwrap();
            assert_eq!(again.kind, DiskErrorKind::Exists);
        });
    }

    #[test]
    fn a_file_of_a_stopped_log_is_left_alone() {
        with_dir(async |io, dir| {
            let stop = StopSign::default();
            let space = SegmentSpace::create(&io, &dir, 1, MIB).await.unwrap();
            let space = space.with_stop(stop.clone());
            stop.raise();
            space.step(Preallocate::Zero, Haste::NobodyWrites).await.unwrap();
            assert_eq!(space.mark().get(), 0);
            assert_eq!(space.file().len().await.unwrap(), 0);
        });
    }

    #[test]
    fn a_step_ends_at_the_size_limit() {
        with_dir(async |io, dir| {
            for (number, mode) in [(1, Preallocate::Zero), (2, Preallocate::Reserve)] {
                let space = SegmentSpace::create(&io, &dir, number, 128 * KIB).await.unwrap();
                let mark = space.mark();
                assert!(space.wants_step(0));
                space.step(mode, Haste::NobodyWrites).await.unwrap();
                assert_eq!(mark.get(), 128 * KIB);
                assert_eq!(space.file().len().await.unwrap(), 128 * KIB);
                assert!(!space.wants_step(127 * KIB));
                space.step(mode, Haste::NobodyWrites).await.unwrap();
                assert_eq!(mark.get(), 128 * KIB);
            }
        });
    }

    #[test]
    fn steps_follow_the_log() {
        with_dir(async |io, dir| {
            let space = SegmentSpace::create(&io, &dir, 1, 20 * MIB).await.unwrap();
            space.step(Preallocate::Reserve, Haste::NobodyWrites).await.unwrap();
            assert_eq!(space.mark().get(), 16 * MIB);
            assert!(!space.wants_step(8 * MIB));
            assert!(space.wants_step(8 * MIB + 1));
            space.step(Preallocate::Reserve, Haste::NobodyWrites).await.unwrap();
            assert_eq!(space.mark().get(), 20 * MIB);
            assert!(!space.wants_successor(15 * MIB - 1));
            assert!(space.wants_successor(15 * MIB));
        });
    }

    #[test]
    fn a_prepared_segment_is_found_ready_again() {
        with_dir(async |io, dir| {
            let missing = SegmentSpace::open(&io, &dir, 1, MIB).await.err().unwrap();
            assert_eq!(missing.kind, DiskErrorKind::NotFound);
            let space = SegmentSpace::create(&io, &dir, 1, MIB).await.unwrap();
            space.step(Preallocate::Zero, Haste::NobodyWrites).await.unwrap();
            let again = SegmentSpace::open(&io, &dir, 1, MIB).await.unwrap();
            assert_eq!(again.mark().get(), MIB);
        });
    }

    #[test]
    fn a_fast_log_gets_no_zeros() {
        let second = Duration::from_secs(1);
        assert_eq!(Preallocate::Zero.at_rate(32 * MIB, second), Preallocate::Zero);
        assert_eq!(Preallocate::Zero.at_rate(33 * MIB, second), Preallocate::Reserve);
        assert_eq!(Preallocate::Reserve.at_rate(0, Duration::ZERO), Preallocate::Reserve);
    }

    #[test]
    fn zeros_are_written_over_all_of_a_step_and_nothing_else() {
        with_dir(async |io, dir| {
            let limit = 2 * MIB + 700 * KIB;
            let space = SegmentSpace::create(&io, &dir, 1, limit).await.unwrap();
            let len = wide(limit) + 9;
            let noise = || vec![Bytes::from(vec![7; len])];
            let zeros_in = async |space: &SegmentSpace| {
                let (bytes, read) = space.file().read_at(BytesMut::zeroed(len), 0).await;
                assert_eq!(read, Ok(len));
                let first = bytes.iter().take_while(|byte| **byte == 7).count();
                let zeros = bytes[first..].iter().take_while(|byte| **byte == 0).count();
                assert!(bytes[first + zeros..].iter().all(|byte| *byte == 7));
                (first, zeros)
            };
            for (haste, step) in [
                (Haste::WriterWaits, 0..MIB),
                (Haste::WriterWaits, MIB..2 * MIB),
                (Haste::WriterWrites(&io), 2 * MIB..limit),
            ] {
                space.file().write_all_at(noise(), 0).await.unwrap();
                space.step(Preallocate::Zero, haste).await.unwrap();
                assert_eq!(space.mark().get(), step.end);
                assert_eq!(zeros_in(&space).await, (wide(step.start), wide(step.end - step.start)));
            }
        });
    }

    #[test]
    fn zeros_end_at_the_next_piece_once_the_log_has_failed() {
        with_dir(async |io, dir| {
            let stop = StopSign::default();
            let space = SegmentSpace::create(&io, &dir, 1, 2 * MIB).await.unwrap();
            let space = space.with_stop(stop.clone());
            let noise = Bytes::from(vec![7; wide(2 * MIB)]);
            space.file().write_all_at(vec![noise], 0).await.unwrap();
            let step = space.step(Preallocate::Zero, Haste::WriterWrites(&io));
            let (made, ()) = futures_util::future::join(step, async { stop.raise() }).await;
            made.unwrap();
            let (bytes, _) = space.file().read_at(BytesMut::zeroed(wide(2 * MIB)), 0).await;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            assert_eq!((zeros, space.mark().get()), (SPACE_PIECE_BYTES, 0));
        });
    }
}
