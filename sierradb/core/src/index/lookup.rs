//! Where a bucket's events are: unsealed segments in memory, sealed ones by their index files, newest first.
//!
//! One lock guards the list of segments, the live indexes and, for writers, the watermark: whoever sees an event
//! under it sees the watermark that covers it. The lock is never held over a read; places found under it stay valid,
//! since files are kept open by those who use them and no committed byte changes.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use sierradb_io::DiskErrorKind;
use sierradb_protocol::{PartitionId, StreamId};
use uuid::Uuid;

use super::damages::DamageList;
pub(crate) use super::data_file::DataFile;
use super::hash::{event_id_hash, stream_hash};
use super::heads::{HeadCache, KnownHead, StreamHead};

use super::repairs::IndexRepairs;
pub(crate) use super::segments::{
    Damage, FoundStream, LiveSegment, Place, SealedList, SealedSegment, Segments, StreamPlace,
    overlap,
};
use crate::error::ReadError;
use crate::feed::Feed;
use crate::limits::{HEAD_CACHE_ENTRIES, INLINE_FILTERS};
use crate::read::fetch;
use crate::segment::event_codec::event_keys;
use crate::segment::frame::{Bugs, FRAME_HEADER_LEN, Frame, FrameError};
use crate::stats::DamagedPlace;

/// The segments of one bucket and how to find things in them.
#[derive(Debug)]
pub(crate) struct Shelf {
    bucket_id: u16,
    bucket_count: u16,
    hash_seed: u64,
    feed: Arc<Feed>,
    segments: RwLock<Segments>,
    heads: Mutex<HeadCache>,
    /// Index files found damaged while serving.
    pub(crate) repairs: IndexRepairs,
    /// Damaged frames met while serving.
    damages: DamageList,
    pub(crate) bugs: Bugs,
}

impl Shelf {
    /// The shelf of bucket `bucket_id` of `bucket_count`.
    pub(crate) fn new(
        (bucket_id, bucket_count): (u16, u16),
        hash_seed: u64,
        feed: Arc<Feed>,
        segments: Segments,
    ) -> Self {
        Self {
            bucket_id,
            bucket_count,
            hash_seed,
            feed,
            segments: RwLock::new(segments),
            heads: Mutex::new(HeadCache::new(hash_seed, HEAD_CACHE_ENTRIES)),
            repairs: IndexRepairs::default(),
            damages: DamageList::default(),
            bugs: Bugs::default(),
        }
    }

    pub(crate) fn bucket_id(&self) -> u16 {
        self.bucket_id
    }

    pub(crate) fn bucket_count(&self) -> u16 {
        self.bucket_count
    }

    pub(crate) fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    /// The segments, for a short look without any wait.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Segments> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segments, for commit, roll and seal alone.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Segments> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watermark of a partition together with the damage that may hide more.
    pub(crate) fn end_of_partition(&self, partition: PartitionId) -> (u64, Option<Damage>) {
        let segments = self.read();
        (self.feed.watermark(partition), segments.damage.clone())
    }

    /// Notes damage of the log at a place, for operators.
    pub(crate) fn note_damage(&self, segment: u64, offset: u64, cause: &str) {
        if self.damages.note(segment, offset, cause) {
            tracing::error!(bucket = self.bucket_id, segment, offset, cause, "damage in the log");
        }
    }

    /// All damage known of this bucket.
    pub(crate) fn damaged_places(&self) -> Vec<DamagedPlace> {
        let end = self.read().damage.clone().map(|damage| DamagedPlace {
            segment: damage.segment,
            offset: damage.offset,
            cause: damage.cause,
        });
        end.into_iter().chain(self.damages.places()).collect()
    }

    /// What an operation that needs the lost part of the log is told.
    pub(crate) fn damaged(&self, damage: &Damage) -> ReadError {
        ReadError::Damaged {
            bucket_id: self.bucket_id,
            segment: damage.segment,
            offset: damage.offset,
            cause: damage.cause.clone(),
        }
    }

    /// Head of a stream; `None` if it has no events.
    pub(crate) async fn head(
        &self,
        partition: u16,
        stream_id: &StreamId,
    ) -> Result<Option<StreamHead>, ReadError> {
        let (sealed, damage) = {
            let segments = self.read();
            if let Some(head) = segments.live_head(partition, stream_id) {
                return match &segments.damage {
                    Some(damage) => Err(self.damaged(damage)),
                    None => Ok(Some(head)),
                };
            }
            (segments.sealed.clone(), segments.damage.clone())
        };
        match damage {
            Some(damage) => Err(self.damaged(&damage)),
            None => Ok(self.sealed_head(&sealed, partition, stream_id).await?.head),
        }
    }

    /// Head of a stream as far as `sealed` knows it.
    pub(crate) async fn sealed_head(
        &self,
        sealed: &SealedList,
        partition: u16,
        stream_id: &StreamId,
    ) -> Result<KnownHead, ReadError> {
        let through_segment = sealed.last().map_or(0, |segment| segment.file.number);
        let cached = self.lock_heads().get(partition, stream_id.as_bytes());
        let mut known = KnownHead { through_segment, head: None };
        for segment in sealed.iter().rev() {
            if let Some(cached) = cached.filter(|it| it.through_segment >= segment.file.number) {
                known.head = cached.head;
                break;
            }
            if let Some((entry, partition_key)) =
                self.sealed_stream(segment, partition, stream_id, None).await?
            {
                let next_version = entry.first_version + u64::from(entry.count);
                known.head = Some(StreamHead { next_version, partition_key });
                break;
            }
        }
        if through_segment > 0 {
            self.lock_heads().insert(partition, stream_id.as_bytes(), known);
        }
        Ok(known)
    }

    /// Whether filters in memory rule an event id out of all of `sealed`. Reads nothing; `false` is no answer.
    pub(crate) fn rules_out_event(&self, sealed: &[Arc<SealedSegment>], event_id: Uuid) -> bool {
        let hash = event_id_hash(self.hash_seed, &event_id);
        sealed.len() <= INLINE_FILTERS
            && sealed.iter().rev().all(|segment| segment.index.surely_lacks_event(hash))
    }

    /// Head of a stream as far as `sealed` knows it, if memory can tell: it is remembered, and filters rule out what
    /// is newer. Reads nothing; the outer `None` is no answer.
    pub(crate) fn remembered_head(
        &self,
        sealed: &[Arc<SealedSegment>],
        partition: u16,
        stream_id: &StreamId,
    ) -> Option<Option<StreamHead>> {
        let known = self.lock_heads().get(partition, stream_id.as_bytes());
        let covered = known.map_or(0, |known| known.through_segment);
        let newer = sealed.partition_point(|segment| segment.file.number <= covered);
        let newer = sealed.get(newer..).unwrap_or_default();
        let hash = stream_hash(self.hash_seed, partition, stream_id.as_bytes());
        let is_current = newer.len() <= INLINE_FILTERS
            && newer.iter().rev().all(|segment| segment.index.surely_lacks_stream(hash));
        is_current.then_some(known.and_then(|known| known.head))
    }

    /// The frame that holds `event_id`; in which of several partitions is up to `wanted`. What cannot be read hides
    /// nothing that can: an error is the answer only if the event is found nowhere else.
    pub(crate) async fn find_event(
        &self,
        wanted: WantedPartition,
        event_id: Uuid,
    ) -> Result<Found, ReadError> {
        let hash = event_id_hash(self.hash_seed, &event_id);
        let (candidates, sealed, damage) = {
            let segments = self.read();
            (segments.candidates(live_hash(hash)), segments.sealed.clone(), segments.damage.clone())
        };
        let mut found = Found { frame: None, seen: Vec::new(), damage };
        let mut unread = None;
        for place in candidates {
            let frame = match self.frame(&place).await {
                Ok(frame) => frame,
                Err(error) => {
                    unread.get_or_insert(error);
                    continue;
                }
            };
            if self.holds(&place.file, &frame, event_id)? && found.is_enough(frame, wanted) {
                return Ok(found);
            }
            found.seen.push((place.file.number, place.offset));
        }
        for segment in sealed.iter().rev() {
            match self.find_in(segment, hash, (wanted, event_id), &mut found).await {
                Ok(false) => {}
                Ok(true) => return Ok(found),
                Err(error) => {
                    unread.get_or_insert(error);
                }
            }
        }
        match unread {
            Some(error) if found.frame.is_none() => Err(error),
            Some(_) | None => Ok(found),
        }
    }

    /// Looks into one sealed segment; `true` if nothing better can be found elsewhere. A damaged candidate does not
    /// hide the others.
    async fn find_in(
        &self,
        segment: &SealedSegment,
        hash: u64,
        (wanted, event_id): (WantedPartition, Uuid),
        found: &mut Found,
    ) -> Result<bool, ReadError> {
        let offsets = segment.index.event_offsets(hash).await;
        let mut unread = None;
        for offset in offsets.map_err(|error| self.index_error(&segment.file, &error))? {
            let frame = match self.frame_at(&segment.file, offset).await {
                Ok(frame) => frame,
                Err(error) => {
                    unread.get_or_insert(error);
                    continue;
                }
            };
            if self.holds(&segment.file, &frame, event_id)? && found.is_enough(frame, wanted) {
                return Ok(true);
            }
        }
        unread.map_or(Ok(false), Err)
    }

    fn holds(&self, file: &DataFile, frame: &Frame, event_id: Uuid) -> Result<bool, ReadError> {
        let (_, events) =
            event_keys(frame).map_err(|error| self.frame_error(file, frame.offset, &error))?;
        for event in events {
            let event = event.map_err(|error| self.frame_error(file, frame.offset, &error))?;
            if event.event_id == event_id {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads and verifies the frame at a place.
    pub(crate) async fn frame(&self, place: &Place) -> Result<Frame, ReadError> {
        match place.bytes.clone().map(|bytes| self.bugs.decode(bytes, place.offset)) {
            Some(Ok(frame)) => Ok(frame),
            None | Some(Err(FrameError::Short { .. })) => {
                self.frame_at(&place.file, place.offset).await
            }
            Some(Err(error)) => Err(self.frame_error(&place.file, place.offset, &error)),
        }
    }

    /// Reads and verifies the frame at `offset` of a file.
    pub(crate) async fn frame_at(&self, file: &DataFile, offset: u64) -> Result<Frame, ReadError> {
        if let Some(bytes) = file.data.try_from(offset) {
            match self.bugs.decode(bytes, offset) {
                Ok(frame) => return Ok(frame),
                Err(FrameError::Short { .. }) => {} // it goes on behind what was at hand
                Err(error) => return Err(self.frame_error(file, offset, &error)),
            }
        }
        let header = self.bytes(file, offset, FRAME_HEADER_LEN).await?;
        let header = self.bugs.decode_header(&header);
        let header = header.map_err(|error| self.frame_error(file, offset, &error))?;
        let len = usize::try_from(header.frame_len()).unwrap_or(usize::MAX);
        let bytes = match file.data.try_get(offset, len) {
            Some(bytes) => bytes,
            None => self.bytes(file, offset, len).await?,
        };
        self.bugs.decode(bytes, offset).map_err(|error| self.frame_error(file, offset, &error))
    }

    async fn bytes(&self, file: &DataFile, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let mut bytes = file.data.get(offset, len).await;
        if bytes.as_ref().is_err_and(|error| error.kind == DiskErrorKind::Io) {
            // A whole block was read: what lies beside an unreadable sector is read without it.
            bytes = fetch::read(file.raw.as_ref(), offset, len).await;
        }
        bytes.map_err(|source| {
            if source.kind == DiskErrorKind::Io {
                self.note_damage(file.number, offset, &source.to_string());
            }
            ReadError::Disk { bucket_id: self.bucket_id, source }
        })
    }

    /// A frame is damaged: notes it.
    pub(crate) fn frame_error(
        &self,
        file: &DataFile,
        offset: u64,
        cause: &dyn std::error::Error,
    ) -> ReadError {
        self.note_damage(file.number, offset, &cause.to_string());
        self.unreadable(file, offset, cause)
    }

    /// Something at `offset` of a file cannot be read, which need not be damage of the log.
    pub(crate) fn unreadable(
        &self,
        file: &DataFile,
        offset: u64,
        cause: &dyn std::error::Error,
    ) -> ReadError {
        let cause = cause.to_string();
        ReadError::Damaged { bucket_id: self.bucket_id, segment: file.number, offset, cause }
    }

    /// A page of a segment's index cannot be used: the index is wanted anew.
    pub(crate) fn index_error(&self, file: &DataFile, cause: &dyn std::error::Error) -> ReadError {
        self.repairs.want(file.number);
        self.unreadable(file, 0, cause)
    }

    fn lock_heads(&self) -> std::sync::MutexGuard<'_, HeadCache> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Result of a search for an event id.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) frame: Option<Arc<Frame>>,
    /// Candidates that were looked at and are not what was wanted alone: (segment, offset).
    pub(crate) seen: Vec<(u64, u64)>,
    /// The log goes on where it cannot be read: "not found" is not certain.
    pub(crate) damage: Option<Damage>,
}

/// Which partition's event is meant, since an id may be used once in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WantedPartition {
    /// This one alone.
    Only(u16),
    /// This one, else the lowest.
    Preferably(u16),
}

impl Found {
    /// Takes a frame that holds the id, if it is better than what is there; `true` if none can be better.
    fn is_enough(&mut self, frame: Frame, wanted: WantedPartition) -> bool {
        let partition = frame.header.partition;
        match wanted {
            WantedPartition::Only(only) if partition != only => false,
            WantedPartition::Only(best) | WantedPartition::Preferably(best)
                if partition == best =>
            {
                self.frame = Some(Arc::new(frame));
                true
            }
            WantedPartition::Only(_) | WantedPartition::Preferably(_) => {
                let lowest = self.frame.as_ref().map_or(u16::MAX, |it| it.header.partition);
                if self.frame.is_none() || partition < lowest {
                    self.frame = Some(Arc::new(frame));
                }
                false
            }
        }
    }
}

/// The part of an id's hash that live indexes keep.
pub(crate) fn live_hash(hash: u64) -> u32 {
    u32::try_from(hash >> 32).expect("32 bits remain")
}
