//! Reading and extending the checkpoint file of an unsealed segment.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sierradb_io::{DiskError, File, Io, OpenOptions, mutant};

use crate::index::live::LiveIndex;
use crate::limits::MAX_CHECKPOINT_BYTES;
use crate::segment::checkpoint::PAGE_LEN;
use crate::segment::checkpoint::delta::{Delta, FIRST_OFFSET, LogPosition};
use crate::segment::checkpoint::header::CheckpointHeader;
use crate::segment::checkpoint::witness::{RING_OFFSET, Witness};
use crate::segment::file::{SegmentFile, SegmentHeader};

/// What a checkpoint file says.
#[derive(Debug)]
pub(crate) struct Recalled {
    /// The index up to `end`.
    pub(crate) index: LiveIndex,
    /// The last frame that the index covers; `None` if it covers none.
    pub(crate) end: Option<LogPosition>,
    /// Where the next delta belongs.
    pub(crate) next_delta_offset: u64,
    /// The log was durable here up to this index and offset.
    pub(crate) witness: Option<Witness>,
}

/// Reads the checkpoint of a segment. Whatever is missing or damaged in it is as if it had never been written.
pub(crate) async fn recall(
    io: &Io,
    dir: &Path,
    header: &SegmentHeader,
    hash_seed: u64,
) -> Recalled {
    let nothing = Recalled {
        index: LiveIndex::new(hash_seed),
        end: None,
        next_delta_offset: FIRST_OFFSET,
        witness: None,
    };
    if mutant!(io, checkpoint_ignored) {
        return nothing;
    }
    let Some(bytes) = read_whole(io, dir, header.number).await else { return nothing };
    let expected = CheckpointHeader {
        group: header.group,
        segment: header.number,
        first_index: header.first_index,
        hash_seed,
    };
    if CheckpointHeader::decode(&bytes) != Ok(expected) {
        return nothing;
    }
    let witness = bytes.get(PAGE_LEN..).and_then(Witness::latest);
    let mut recalled = Recalled { witness, ..nothing };
    loop {
        let at = usize::try_from(recalled.next_delta_offset).unwrap_or(usize::MAX);
        let Some(Ok(delta)) = bytes.get(at..).map(Delta::decode) else { return recalled };
        if delta.apply(&mut recalled.index).is_err() {
            tracing::warn!(segment = header.number, "checkpoint does not fit; scanning instead");
            let index = LiveIndex::new(hash_seed);
            return Recalled { index, end: None, next_delta_offset: FIRST_OFFSET, witness };
        }
        recalled.end = Some(delta.end);
        recalled.next_delta_offset += u64::try_from(delta.encoded_len()).unwrap_or(u64::MAX);
    }
}

async fn read_whole(io: &Io, dir: &Path, number: u64) -> Option<Bytes> {
    let path = dir.join(SegmentFile::Checkpoint.name(number));
    let file = io.disk().open(&path, OpenOptions::READ).await.ok()?;
    let len = usize::try_from(file.len().await.ok()?).ok()?.min(MAX_CHECKPOINT_BYTES);
    let (bytes, read) = file.read_at(BytesMut::zeroed(len), 0).await;
    read.ok()?;
    Some(bytes.freeze())
}

/// The count for the next witness of a file: above all that are readable.
pub(crate) async fn next_witness_count(file: &dyn File) -> u32 {
    let (ring, read) = file.read_at(BytesMut::zeroed(PAGE_LEN), RING_OFFSET).await;
    match read {
        Ok(_) => Witness::latest(&ring).map_or(0, |latest| latest.count.wrapping_add(1)),
        Err(_) => 0,
    }
}

/// Appends a delta to the checkpoint of segment `number`. Durable on return.
///
/// # Errors
/// The disk's. The file then must not be used any more.
pub(crate) async fn append_delta(
    io: &Io,
    dir: &Path,
    header: CheckpointHeader,
    delta: Bytes,
    offset: u64,
) -> Result<(), DiskError> {
    let path = dir.join(SegmentFile::Checkpoint.name(header.segment));
    let file: Arc<dyn File> = io.disk().open(&path, OpenOptions::OPEN_OR_CREATE).await?;
    file.write_all_at(vec![Bytes::from(header.encode())], 0).await?;
    file.write_all_at(vec![delta], offset).await?;
    file.sync_data().await?;
    io.disk().sync_dir(dir).await
}
