//! Sealing a rolled segment: cut to its used length, index file beside it, then final.

use std::path::Path;
use std::sync::Arc;

use sierradb_io::{DiskError, File, Io, mutant, site};
use xxhash_rust::xxh3::Xxh3;

use super::solo::SoloBucket;
use crate::index::build::{
    self, BuildError, BuildOptions, EventFact, FrameFact, IndexBuilder, SegmentEnd,
};
use crate::index::lookup::{DataFile, SealedSegment};
use crate::index::pages::IndexError;
use crate::index::sealed::{Expect, SealedIndex};
use crate::read::block_cache::BlockCache;
use crate::segment::event_codec::{append_time_ns, event_keys};
use crate::segment::extension::idempotency_key;
use crate::segment::file::{ActiveSegment, SegmentFile, SegmentHeader};
use crate::segment::frame::FrameKind;
use crate::segment::reader::{FrameReader, ScanError, read_segment_header};

/// A segment to be indexed.
pub(crate) struct Request<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) file: Arc<dyn File>,
    pub(crate) header: SegmentHeader,
    pub(crate) hash_seed: u64,
    /// Where its frames end, if that is known; else its file ends there.
    pub(crate) used_len: Option<u64>,
}

/// Why a segment got no index file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("the segment was not cut to its length: {0}")]
    Cut(#[source] DiskError),
    #[error(transparent)]
    Scan(ScanError),
    #[error("events of the frame at offset {offset}: {cause}")]
    Events { offset: u64, cause: String },
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the segment's frames end at {found}, expected {expected}")]
    Length { expected: u64, found: u64 },
    #[error("the segment header cannot be read: {cause}")]
    Header { cause: String },
}

/// Builds and stores the index of a segment from its data, every frame verified. Durable on return.
///
/// # Errors
/// [`SealError`]; the segment is not touched.
pub(crate) async fn build(io: &Io, request: Request<'_>) -> Result<(), SealError> {
    let pages = pages(&request).await?;
    build::write(io, request.dir, request.header.number, pages).await?;
    Ok(())
}

/// What the index file of a segment must hold, from its data, every frame verified.
///
/// # Errors
/// [`SealError`].
pub(crate) async fn pages(request: &Request<'_>) -> Result<Vec<bytes::Bytes>, SealError> {
    let Request { file, header, hash_seed, used_len, .. } = request;
    let (header, hash_seed, used_len) = (*header, *hash_seed, *used_len);
    let mut builder = IndexBuilder::new(BuildOptions {
        hash_seed,
        segment_number: header.number,
        first_index: header.first_index,
        segment_size: header.segment_size_bytes,
        expected_events: 0,
    });
    let mut reader = FrameReader::open(file.clone(), ActiveSegment::new(header)).await?;
    loop {
        if used_len == Some(reader.segment().end().end_offset) {
            break;
        }
        let frame = match reader.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(ScanError::Disk(error)) => return Err(error.into()),
            Err(error) => return Err(SealError::Scan(error)),
        };
        let is_transaction = frame.header.kind == FrameKind::Transaction;
        builder.frame(FrameFact {
            offset: frame.offset,
            index: frame.header.index,
            term: frame.header.term,
            partition: frame.header.partition,
            first_sequence: frame.header.first_sequence,
            append_time_ns: append_time_ns(&frame).unwrap_or(0),
            header_crc: frame.header.header_crc,
        });
        if !is_transaction {
            continue;
        }
        let failed = |cause: String| SealError::Events { offset: frame.offset, cause };
        let (_, events) = event_keys(&frame).map_err(|error| failed(error.to_string()))?;
        for event in events {
            let event = event.map_err(|error| failed(error.to_string()))?;
            builder.event(EventFact {
                event_id: &event.event_id,
                stream_id: event.stream_id,
                stream_version: event.stream_version,
                idempotency_key: idempotency_key(event.extensions).ok().flatten(),
            });
        }
    }
    let end = reader.segment().end();
    if let Some(expected) = used_len.filter(|expected| *expected != end.end_offset) {
        return Err(SealError::Length { expected, found: end.end_offset });
    }
    let segment_digest = digest(file.as_ref(), end.end_offset).await?;
    Ok(builder.finish(SegmentEnd {
        used_len: end.end_offset,
        last_index: end.next_index - 1,
        end_chain: end.chain,
        segment_digest,
    })?)
}

/// xxh3-128 of the first `len` bytes.
pub(crate) async fn digest(file: &dyn File, len: u64) -> Result<u128, DiskError> {
    let mut hasher = Xxh3::new();
    let mut offset = 0;
    while offset < len {
        let want = (len - offset).min(crate::limits::DIGEST_READ_BYTES);
        let size = usize::try_from(want).unwrap_or(usize::MAX);
        let (bytes, read) = file.read_at(bytes::BytesMut::zeroed(size), offset).await;
        let read = read?;
        if read == 0 {
            break;
        }
        hasher.update(&bytes);
        offset += u64::try_from(read).unwrap_or(u64::MAX);
    }
    Ok(hasher.digest128())
}

/// Seals the oldest rolled segment of a bucket; `false` if there is none.
///
/// # Errors
/// [`SealError`]; the segment stays readable. After [`SealError::Cut`] its file must not be written or synced again.
pub(crate) async fn seal_next(
    bucket: &SoloBucket,
    dir: &Path,
    cache: &Arc<BlockCache>,
) -> Result<bool, SealError> {
    let io = &bucket.io;
    let oldest = {
        let segments = bucket.shelf.read();
        let first = segments.live.first().filter(|segment| segment.is_rolled);
        first.map(|segment| (segment.file.clone(), segment.used_len))
    };
    let Some((file, used_len)) = oldest else { return Ok(false) };
    let raw = file.raw.clone();
    let header = read_segment_header(raw.as_ref()).await;
    let header = header.map_err(|error| SealError::Header { cause: error.to_string() })?;
    raw.set_len(used_len).await.map_err(SealError::Cut)?;
    if !mutant!(io, seal_before_sync) {
        raw.sync_data().await.map_err(SealError::Cut)?;
    }
    let hash_seed = bucket.shelf.hash_seed();
    let request = Request { dir, file: raw.clone(), header, hash_seed, used_len: Some(used_len) };
    build(io, request).await?;
    let path = dir.join(SegmentFile::Index.name(file.number));
    let expect: Option<Expect> = None; // just written from these very frames
    let index = SealedIndex::open(io, &path, expect, cache.clone()).await?;
    publish(bucket, file.clone(), index);
    io.mark(site!("segment.sealed"));
    let checkpoint = dir.join(SegmentFile::Checkpoint.name(file.number));
    if let Err(error) = io.disk().remove(&checkpoint).await {
        tracing::debug!(bucket = bucket.id, segment = file.number, %error, "checkpoint left");
    }
    Ok(true)
}

/// Builds the index of sealed segment `number` again from its data and puts it in the place of the damaged one.
///
/// # Errors
/// [`SealError`], also if its frames are damaged; the old index stays.
pub(crate) async fn mend(
    bucket: &SoloBucket,
    dir: &Path,
    cache: &Arc<BlockCache>,
    number: u64,
) -> Result<(), SealError> {
    let io = &bucket.io;
    let sealed = bucket.shelf.read().sealed.clone();
    let Some(segment) = sealed.iter().find(|segment| segment.file.number == number) else {
        return Ok(()); // not sealed: it has no index file
    };
    let (file, raw) = (segment.file.clone(), segment.file.raw.clone());
    let header = read_segment_header(raw.as_ref()).await;
    let header = header.map_err(|error| SealError::Header { cause: error.to_string() })?;
    let hash_seed = bucket.shelf.hash_seed();
    build(io, Request { dir, file: raw, header, hash_seed, used_len: None }).await?;
    let path = dir.join(SegmentFile::Index.name(number));
    let index = SealedIndex::open(io, &path, None, cache.clone()).await?;
    let mended = Arc::new(SealedSegment { file, index });
    let mut segments = bucket.shelf.write();
    let mut sealed = segments.sealed.as_ref().clone();
    if let Some(place) = sealed.iter_mut().find(|segment| segment.file.number == number) {
        *place = mended;
    }
    segments.sealed = Arc::new(sealed);
    io.mark(site!("index.rebuilt_while_serving"));
    Ok(())
}

/// Readers change over from the live index to the index file in one step.
fn publish(bucket: &SoloBucket, file: Arc<DataFile>, index: SealedIndex) {
    file.data.raise_stable_end(u64::MAX);
    let mut segments = bucket.shelf.write();
    let mut sealed = segments.sealed.as_ref().clone();
    sealed.push(Arc::new(SealedSegment { file: file.clone(), index }));
    segments.sealed = Arc::new(sealed);
    segments.live.retain(|segment| segment.file.number != file.number);
    drop(segments);
    bucket.sealed.notify_waiters();
}
