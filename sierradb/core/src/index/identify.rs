//! Which stream an entry of a sealed index means.
//!
//! Entries are found by hash, so a frame of the entry must show the stream's id. Every frame of the entry shows it;
//! the first one is asked first, others only if that is damaged.

use std::sync::Arc;

use sierradb_protocol::StreamId;
use uuid::Uuid;

use super::hash::stream_hash;
use super::lookup::{DataFile, SealedSegment, Shelf};
use super::sealed::StreamEntry;
use crate::error::ReadError;
use crate::limits::IDENTITY_PROBES;
use crate::segment::event_codec::event_keys;

impl Shelf {
    /// The entry of a stream in a sealed segment, verified against a frame of it, and the stream's key. With a
    /// version: only an entry that covers it, and others are not even verified.
    pub(crate) async fn sealed_stream(
        &self,
        segment: &Arc<SealedSegment>,
        partition: u16,
        stream_id: &StreamId,
        version: Option<u64>,
    ) -> Result<Option<(StreamEntry, Uuid)>, ReadError> {
        let id = stream_id.as_bytes();
        let hash = stream_hash(self.hash_seed(), partition, id);
        let id_len = u8::try_from(id.len()).unwrap_or(u8::MAX);
        let entries = segment.index.stream(hash, partition, id_len).await;
        for entry in entries.map_err(|error| self.index_error(&segment.file, &error))? {
            if version.is_some_and(|version| !entry.versions().contains(&version)) {
                continue;
            }
            if let Some(partition_key) = self.verify_stream(segment, &entry, id, version).await? {
                return Ok(Some((entry, partition_key)));
            }
        }
        Ok(None)
    }

    /// The key of stream `id` if `entry` is its entry. The first frame tells, in good health; else the one of the
    /// wanted version, the last one, or some in between: what is healthy is not hidden by what is not.
    async fn verify_stream(
        &self,
        segment: &SealedSegment,
        entry: &StreamEntry,
        id: &[u8],
        version: Option<u64>,
    ) -> Result<Option<Uuid>, ReadError> {
        let first = self.key_in(&segment.file, entry, entry.first_offset, id).await;
        let Err(mut unread) = first else { return first };
        let wanted = version.and_then(|version| u32::try_from(version - entry.first_version).ok());
        let last = entry.count.saturating_sub(1);
        let spread = (1..IDENTITY_PROBES)
            .map(|nth| u64::from(last) * u64::from(nth) / u64::from(IDENTITY_PROBES));
        let spread = spread.filter_map(|nth| u32::try_from(nth).ok());
        let mut tried = entry.first_offset;
        for nth in wanted.into_iter().chain([last]).chain(spread) {
            let offsets = segment.index.stream_offsets(entry, nth, 1).await;
            let offsets = offsets.map_err(|error| self.index_error(&segment.file, &error))?;
            let Some(offset) = offsets.first().copied().filter(|offset| *offset != tried) else {
                continue;
            };
            tried = offset;
            match self.key_in(&segment.file, entry, offset, id).await {
                Ok(found) => return Ok(found),
                // The position that was asked for is the one to be told.
                Err(error) if wanted == Some(nth) => unread = error,
                Err(_) => {}
            }
        }
        Err(unread)
    }

    /// The key of the frame at `offset` if it has an event of stream `id`.
    async fn key_in(
        &self,
        file: &DataFile,
        entry: &StreamEntry,
        offset: u64,
        id: &[u8],
    ) -> Result<Option<Uuid>, ReadError> {
        let frame = self.frame_at(file, offset).await?;
        let (partition_key, mut events) =
            event_keys(&frame).map_err(|error| self.frame_error(file, offset, &error))?;
        let is_it = events.any(|event| event.is_ok_and(|event| event.stream_id == id));
        Ok((is_it && frame.header.partition == entry.partition).then_some(partition_key))
    }
}
