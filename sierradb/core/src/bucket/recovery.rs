//! The start of one bucket: from files to an index, an end of the log, and a verdict on what does not fit.
//!
//! Sealed segments are known by the footers of their index files. Unsealed ones are read: from the last checkpoint
//! on, frame by frame, each verified, up to the first position that holds no frame. What that means is for
//! [`verdict`](super::verdict) to say: the clean end, a torn write that nobody was told about (cut, after a copy was
//! put aside), or damage. Damage is never cut: the bucket serves what lies before it and takes no appends.
//!
//! A crash during recovery leads to the same log: all that is written here is zeros over a torn end, index files
//! that the data determines, and copies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sierradb_io::{DiskError, DiskErrorKind, File, Io, OpenOptions, site};
use tokio::sync::Notify;

use super::health::Health;
use super::planner::PlanStart;
use super::room::Room;
use super::slots::{Found, Slots, State};
use super::walk::{Candidate, Mode, Walk};
use super::writer::Log;
use crate::error::OpenError;
use crate::feed::Feed;
use crate::index::lookup::{Damage, LiveSegment, Segments, Shelf};
use crate::index::recent::RecentFrames;
use crate::limits::DEFAULT_CACHE_BYTES;
use crate::manifest::Manifest;
use crate::read::block_cache::{BlockCache, CacheOptions};
use crate::segment::file::{ActiveSegment, SegmentFile, SegmentHeader};
use crate::segment::frame::Bugs;
use crate::segment::reader::{ReadHeaderError, read_segment_header};
use crate::segment::space::{Preallocate, SegmentSpace};
use crate::store::bucket_dir;

/// What all buckets of a start share.
#[derive(Debug)]
pub(crate) struct RecoverySettings {
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) feed: Arc<Feed>,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) preallocate: Preallocate,
    /// Wakes the task that makes space ready; shared by all buckets.
    pub(crate) space_wanted: Arc<Notify>,
}

impl RecoverySettings {
    /// Settings for a look at a directory that nobody serves.
    pub(crate) fn to_look(dir: &Path, manifest: Manifest) -> Self {
        let cache = CacheOptions { capacity_bytes: DEFAULT_CACHE_BYTES, ..CacheOptions::default() };
        Self {
            dir: dir.to_owned(),
            feed: Arc::new(Feed::new(manifest.partition_count)),
            manifest,
            cache: Arc::new(BlockCache::new(cache)),
            preallocate: Preallocate::default(),
            space_wanted: Arc::new(Notify::new()),
        }
    }
}

/// A bucket ready to run.
pub(crate) struct Recovered {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) start: PlanStart,
    pub(crate) health: Health,
    pub(crate) log: Log,
}

/// What a start would find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) state: State,
    /// The first damage of the log, if there is any.
    pub(crate) damage: Option<Damage>,
    /// Index of the last good frame before it; 1 if there is none.
    pub(crate) last_index: u64,
    /// By partition: what would be the next sequence.
    pub(crate) next_sequences: Vec<(u16, u64)>,
}

/// Looks at bucket `bucket_id` as a start would, and changes nothing.
///
/// # Errors
/// As [`recover`].
pub(crate) async fn diagnose(
    io: &Io,
    bucket_id: u16,
    settings: &RecoverySettings,
) -> Result<Diagnosis, OpenError> {
    let dir = bucket_dir(&settings.dir, bucket_id);
    let state = match Slots::read(io, &dir).await? {
        Found::State(state) => state,
        Found::Nothing | Found::BothDamaged => {
            State::solo(bucket_id + 1, settings.manifest.incarnation)
        }
    };
    let state = alone(state, bucket_id, settings)?;
    let mut walk = Walk::new(io, bucket_id, settings, (&state, Mode::LookOnly));
    walk.run(list_segments(io, &dir).await?, state.first_segment).await?;
    if walk.sealed.is_empty()
        && walk.live.is_empty()
        && walk.damage.is_none()
        && walk.durable_index > state.base_index
    {
        walk.damaged(state.first_segment, 0, "the segment file is missing");
    }
    let partitions = settings.feed.partitions_of(bucket_id, settings.manifest.bucket_count);
    let partitions = partitions.map(sierradb_protocol::PartitionId::get);
    let next_sequences = partitions.zip(walk.next_sequences()).collect();
    Ok(Diagnosis { state, damage: walk.damage, last_index: walk.last_index, next_sequences })
}

/// Recovers bucket `bucket_id`.
///
/// # Errors
/// [`OpenError`] if the disk fails or the directory belongs to a cluster. Damage is not an error here.
pub(crate) async fn recover(
    io: &Io,
    bucket_id: u16,
    settings: &RecoverySettings,
) -> Result<Recovered, OpenError> {
    let dir = bucket_dir(&settings.dir, bucket_id);
    let state = read_state(io, &dir, bucket_id, settings).await?;
    let mut walk = Walk::new(io, bucket_id, settings, (&state, Mode::Repair));
    let candidates = list_segments(io, &dir).await?;
    walk.run(candidates, state.first_segment).await?;
    if walk.active.is_none() {
        walk.begin(&state).await?;
    }
    walk.finish(state).await
}

async fn read_state(
    io: &Io,
    dir: &Path,
    bucket_id: u16,
    settings: &RecoverySettings,
) -> Result<State, OpenError> {
    let fresh = State::solo(bucket_id + 1, settings.manifest.incarnation);
    let state = match Slots::read(io, dir).await? {
        Found::State(state) => state,
        Found::Nothing => {
            let mut slots = Slots::open(io, dir, fresh).await?;
            slots.save(|_| {}).await?;
            io.disk().sync_dir(dir).await?;
            slots.current().clone()
        }
        Found::BothDamaged => {
            tracing::warn!(
                bucket = bucket_id,
                "both state slots are damaged: made anew from the log"
            );
            io.mark(site!("recovery.both_slots_bad"));
            fresh
        }
    };
    alone(state, bucket_id, settings)
}

fn alone(state: State, bucket_id: u16, settings: &RecoverySettings) -> Result<State, OpenError> {
    if !state.is_alone() {
        let (dir, voters) = (settings.dir.clone(), state.voters.len());
        return Err(OpenError::Clustered { dir, bucket_id, voters });
    }
    Ok(state)
}

/// Segment files in order, with their headers.
async fn list_segments(io: &Io, dir: &Path) -> Result<Vec<Candidate>, DiskError> {
    let entries = io.disk().list(dir).await?;
    let mut found = Vec::new();
    for entry in &entries {
        let Some((SegmentFile::Log, number)) = SegmentFile::parse(&entry.name) else { continue };
        let index_name = SegmentFile::Index.name(number);
        let has_index = entries.iter().any(|other| other.name == index_name);
        let options = OpenOptions { direct: !has_index, ..OpenOptions::WRITE };
        let (file, header) = open_segment(io, &dir.join(&entry.name), options).await?;
        found.push(Candidate { number, len: entry.len, file, header, has_index });
    }
    found.sort_by_key(|candidate| candidate.number);
    distrust_old_indexes(io, dir, &mut found).await?;
    Ok(found)
}

async fn open_segment(
    io: &Io,
    path: &Path,
    options: OpenOptions,
) -> Result<(Arc<dyn File>, Result<SegmentHeader, ReadHeaderError>), DiskError> {
    let file = io.disk().open(path, options).await?;
    match read_segment_header(file.as_ref()).await {
        Err(ReadHeaderError::Disk(error)) => Err(error),
        header => Ok((file, header)),
    }
}

/// An index file does not prove that its segment is sealed: where the first batch of the successor was torn, the
/// segment was written to again. Only a successor proves it, since all of a segment is synced before that begins. So
/// one without is read from the device, too: after a failed sync the page cache shows what the device never got.
async fn distrust_old_indexes(
    io: &Io,
    dir: &Path,
    found: &mut [Candidate],
) -> Result<(), DiskError> {
    let mut has_successor = false;
    for candidate in found.iter_mut().rev() {
        if candidate.has_index && !has_successor {
            io.mark(site!("recovery.index_without_successor"));
            let path = dir.join(SegmentFile::Log.name(candidate.number));
            let options = OpenOptions { direct: true, ..OpenOptions::WRITE };
            (candidate.file, candidate.header) = open_segment(io, &path, options).await?;
        }
        has_successor = candidate.header.is_ok();
    }
    Ok(())
}

impl Walk<'_> {
    /// A bucket without segments gets its first one; one whose log ends in damage gets none to write to.
    async fn begin(&mut self, state: &State) -> Result<(), OpenError> {
        let header = SegmentHeader::first(
            self.bucket_id + 1,
            self.settings.manifest.segment_size_bytes,
            u32::from(self.settings.manifest.partition_count),
        );
        let last = self.sealed.last().map(|segment| segment.file.clone());
        let last = self.live.last().map(|segment| segment.file.clone()).or(last);
        if self.damage.is_none() && (last.is_some() || self.durable_index > state.base_index) {
            let number = last.as_ref().map_or(state.first_segment, |file| file.number + 1);
            self.damaged(number, 0, "the segment file is missing");
        }
        if let Some(file) = last {
            // Never written to: the bucket is read-only.
            let header = SegmentHeader { number: file.number, ..header };
            self.active = Some((ActiveSegment::new(header), file.raw.clone()));
            return Ok(());
        }
        let number = state.first_segment;
        let size = self.settings.manifest.segment_size_bytes;
        let space = match SegmentSpace::create(self.io, &self.dir, number, size).await {
            Err(error) if error.kind == DiskErrorKind::Exists => {
                SegmentSpace::open(self.io, &self.dir, number, size).await?
            }
            other => other?,
        };
        let file = space.file().clone();
        let data = self.data_file(number, &file);
        self.live.push(LiveSegment::empty(data, self.settings.manifest.hash_seed));
        self.active = Some((ActiveSegment::new(header), file));
        self.has_header = false;
        Ok(())
    }

    async fn finish(mut self, state: State) -> Result<Recovered, OpenError> {
        let Self { settings, bucket_id, io, .. } = self;
        let manifest = &settings.manifest;
        let (active, file) = self.active.take().ok_or(OpenError::Interrupted)?;
        let next_sequences = self.next_sequences();
        let start = PlanStart {
            last_index: active.end().next_index - 1,
            next_sequences,
            last_append_time_ns: self.last_append_time_ns,
        };
        let health = match &self.damage {
            Some(damage) => Health::ReadOnly {
                cause: format!(
                    "{} in segment {} at offset {}",
                    damage.cause, damage.segment, damage.offset
                ),
            },
            None => Health::Serving,
        };
        let number = active.header().number;
        let size = manifest.segment_size_bytes;
        let space = SegmentSpace::open(io, &self.dir, number, size).await?;
        let mode = settings.preallocate;
        let wanted = settings.space_wanted.clone();
        let place = (self.dir.clone(), size);
        let room = Room::new(io.clone(), place, mode, (number, space), wanted);
        let slots = Slots::open(io, &self.dir, state).await?;
        let term = slots.current().term.max(active.end().last_term);
        let segments = Segments {
            live: std::mem::take(&mut self.live),
            sealed: Arc::new(std::mem::take(&mut self.sealed)),
            recent: RecentFrames::default(),
            damage: self.damage.take(),
        };
        let names = (bucket_id, manifest.bucket_count);
        let mut shelf = Shelf::new(names, manifest.hash_seed, settings.feed.clone(), segments);
        shelf.bugs = Bugs::of(io);
        let log = Log {
            dir: self.dir,
            active,
            file,
            has_header: self.has_header,
            room: Arc::new(room),
            slots,
            cache: settings.cache.clone(),
            term,
            hash_seed: manifest.hash_seed,
        };
        Ok(Recovered { shelf: Arc::new(shelf), start, health, log })
    }

    /// Next sequence of each partition of the bucket; raises the watermarks to it.
    fn next_sequences(&self) -> Vec<u64> {
        let bucket_count = self.settings.manifest.bucket_count;
        let partitions = self.settings.feed.partitions_of(self.bucket_id, bucket_count);
        partitions
            .map(|partition| {
                let number = partition.get();
                let live = self.live.iter().rev();
                let live = live.filter_map(|it| it.index.partition_span(number)).next();
                let sealed = || {
                    let sealed = self.sealed.iter().rev();
                    sealed.filter_map(|it| it.index.partition(number)).next()
                };
                let next = match live {
                    Some(span) => span.next_sequence,
                    None => {
                        sealed().map_or(0, |entry| entry.first_sequence + u64::from(entry.count))
                    }
                };
                self.settings.feed.raise(partition, next);
                next
            })
            .collect()
    }
}
