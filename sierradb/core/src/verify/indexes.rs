//! Index files against the frames they index.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sierradb_io::{File, Io, OpenOptions};

use super::report::PartitionReport;
use crate::bucket::seal;
use crate::index::page::PAGE_LEN;
use crate::index::sealed::{Expect, SealedIndex};
use crate::read::block_cache::{BlockCache, CacheOptions};
use crate::segment::file::{FIRST_FRAME_OFFSET, LogEnd, SegmentFile, SegmentHeader};

/// Bytes of frames in a sealed segment of this length.
pub(super) fn frame_bytes(used_len: u64) -> u64 {
    used_len.saturating_sub(FIRST_FRAME_OFFSET)
}

/// Opens the index of segment `number` that must end at `end`.
pub(super) async fn open(
    io: &Io,
    dir: &Path,
    (number, hash_seed): (u64, u64),
    end: LogEnd,
) -> Result<SealedIndex, String> {
    let expect = Expect {
        segment_number: number,
        hash_seed,
        used_len: end.end_offset,
        last_index: end.next_index.saturating_sub(1),
        end_chain: end.chain,
    };
    let path = dir.join(SegmentFile::Index.name(number));
    // Pages are read once each: nothing to keep.
    let none = CacheOptions { capacity_bytes: 0, ..CacheOptions::default() };
    let opened = SealedIndex::open(io, &path, Some(expect), Arc::new(BlockCache::new(none))).await;
    opened.map_err(with_causes)
}

/// What an index says of a partition.
pub(super) fn partition(index: &SealedIndex, partition_id: u16) -> Option<PartitionReport> {
    let entry = index.partition(partition_id).filter(|entry| entry.count > 0)?;
    let events = u64::from(entry.count);
    let (first_sequence, last_sequence) =
        (entry.first_sequence, entry.first_sequence.saturating_add(events) - 1);
    Some(PartitionReport { partition_id, events, first_sequence, last_sequence })
}

/// Builds the index of a segment again and compares it with its file: equal facts give equal bytes, so each entry
/// has its frame and each frame its entries. Returns the first page that differs.
///
/// # Errors
/// What makes the file unusable, as a text.
pub(super) async fn compare(
    (io, dir, hash_seed): (&Io, &Path, u64),
    file: Arc<dyn File>,
    header: SegmentHeader,
    end: LogEnd,
) -> Result<Option<u64>, String> {
    let number = header.number;
    open(io, dir, (number, hash_seed), end).await?.check().await.map_err(with_causes)?;
    let used_len = Some(end.end_offset);
    let request = seal::Request { dir, file, header, hash_seed, used_len, memory: None };
    let expected = seal::pages(&request).await.map_err(with_causes)?.pages;
    let path = dir.join(SegmentFile::Index.name(number));
    let stored = io.disk().open(&path, OpenOptions::READ).await.map_err(with_causes)?;
    compare_pages(stored.as_ref(), &expected).await
}

async fn compare_pages(stored: &dyn File, expected: &[Bytes]) -> Result<Option<u64>, String> {
    let mut offset = 0;
    for chunk in expected {
        let (mut found, read) = stored.read_at(BytesMut::zeroed(chunk.len()), offset).await;
        found.truncate(read.map_err(with_causes)?);
        if found != chunk {
            let pages = chunk.chunks(PAGE_LEN).zip(found.chunks(PAGE_LEN));
            let same = pages.take_while(|(wanted, found)| wanted == found).count();
            let same = u64::try_from(same).unwrap_or(u64::MAX);
            let page_len = u64::try_from(PAGE_LEN).unwrap_or(u64::MAX);
            return Ok(Some(offset / page_len + same));
        }
        offset += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
    }
    Ok(None)
}

/// An error and what caused it, in one line.
fn with_causes(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
