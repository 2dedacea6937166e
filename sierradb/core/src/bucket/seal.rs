//! Sealing a rolled segment: cut to its used length, index file beside it, then final.

use std::path::Path;
use std::sync::Arc;

use sierradb_io::{DiskError, DiskErrorKind, File, Io, mutant, site};
use xxhash_rust::xxh3::Xxh3;

use super::facts::{Facts, Memory};
use super::solo::SoloBucket;
use crate::index::build::{BuildError, SegmentEnd};
use crate::index::index_file;
use crate::index::lookup::{DataFile, SealedSegment};
use crate::index::pages::IndexError;
use crate::index::sealed::{Expect, SealedIndex};
use crate::read::block_cache::BlockCache;
use crate::segment::file::{SegmentFile, SegmentHeader};
use crate::segment::reader::{ScanError, read_segment_header};

/// A segment to be indexed.
pub(crate) struct Request<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) file: Arc<dyn File>,
    pub(crate) header: SegmentHeader,
    pub(crate) hash_seed: u64,
    /// Where its frames end, if that is known; else its file ends there.
    pub(crate) used_len: Option<u64>,
    /// What is known of its frames without reading them.
    pub(crate) memory: Option<Memory<'a>>,
}

/// An index file, laid out.
pub(crate) struct Laid {
    pub(crate) pages: Vec<bytes::Bytes>,
    /// Whether some of its facts are from memory.
    is_damaged: bool,
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

impl SealError {
    /// Whether it is the disk's error of the moment, and not what the segment holds.
    pub(crate) fn may_pass(&self) -> bool {
        self.of_the_moment().is_some()
    }

    /// Whether it is for lack of space, which returns.
    pub(crate) fn is_full(&self) -> bool {
        self.of_the_moment().is_some_and(|error| error.kind == DiskErrorKind::NoSpace)
    }

    fn of_the_moment(&self) -> Option<&DiskError> {
        match self {
            Self::Disk(error) | Self::Index(IndexError::Disk(error)) => Some(error),
            Self::Cut(_)
            | Self::Scan(_)
            | Self::Events { .. }
            | Self::Build(_)
            | Self::Index(_)
            | Self::Length { .. }
            | Self::Header { .. } => None,
        }
    }

    /// Where the segment is damaged, if that is why.
    fn damage(&self) -> Option<u64> {
        match self {
            Self::Scan(ScanError::Bad(bad)) => Some(bad.offset),
            Self::Events { offset, .. } => Some(*offset),
            Self::Header { .. } | Self::Build(_) | Self::Length { .. } => Some(0),
            Self::Scan(ScanError::Disk(_)) | Self::Disk(_) | Self::Cut(_) | Self::Index(_) => None,
        }
    }
}

/// Builds and stores the index of a segment from its data, every frame verified or known from memory. Durable on
/// return.
///
/// # Errors
/// [`SealError`]; the segment is not touched.
pub(crate) async fn build(io: &Io, request: Request<'_>) -> Result<(), SealError> {
    let Laid { pages, is_damaged } = pages(&request).await?;
    if is_damaged {
        io.mark(site!("segment.sealed_around_damage"));
    }
    index_file::write(io, request.dir, request.header.number, pages).await?;
    Ok(())
}

/// What the index file of a segment must hold, from its data, every frame verified or known from memory.
///
/// # Errors
/// [`SealError`].
pub(crate) async fn pages(request: &Request<'_>) -> Result<Laid, SealError> {
    let (builder, end, is_damaged) = Facts::new(request).collect().await?;
    if let Some(expected) = request.used_len.filter(|expected| *expected != end.end_offset) {
        return Err(SealError::Length { expected, found: end.end_offset });
    }
    // Of damaged bytes there is nothing to vouch for.
    let segment_digest =
        if is_damaged { 0 } else { digest(request.file.as_ref(), end.end_offset).await? };
    let pages = builder.finish(SegmentEnd {
        used_len: end.end_offset,
        last_index: end.next_index - 1,
        end_chain: end.chain,
        segment_digest,
    })?;
    Ok(Laid { pages, is_damaged })
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

/// Notes damage that kept a segment from getting its index.
pub(crate) fn note(bucket: &SoloBucket, segment: u64, error: &SealError) {
    if let Some(offset) = error.damage() {
        bucket.shelf.note_damage(segment, offset, &error.to_string());
    }
}

/// The oldest rolled segment of a bucket.
pub(crate) fn oldest_rolled(bucket: &SoloBucket) -> Option<u64> {
    let segments = bucket.shelf.read();
    segments.live.first().filter(|segment| segment.is_rolled).map(|segment| segment.file.number)
}

/// Seals the oldest rolled segment of a bucket; `false` if there is none. Damaged frames in it stay damaged and are
/// indexed from memory, so that what is healthy in it is served, and appends go on.
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
    let memory = Some(Memory { shelf: &bucket.shelf, segment: file.number });
    let (raw, used_len) = (raw.clone(), Some(used_len));
    let request = Request { dir, file: raw, header, hash_seed, used_len, memory };
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
    let request = Request { dir, file: raw, header, hash_seed, used_len: None, memory: None };
    build(io, request).await?;
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
