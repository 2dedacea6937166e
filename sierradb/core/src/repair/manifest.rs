//! Builds a manifest anew from what segments say.

use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use sierradb_io::{DiskErrorKind, Io, OpenOptions};
use uuid::Uuid;

use super::error::{RepairError, lock};
use crate::bucket::slots::{Found, Slots};
use crate::error::OpenError;
use crate::index::sealed::SealedIndex;
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::options::DatabaseOptions;
use crate::read::block_cache::{BlockCache, CacheOptions};
use crate::segment::checkpoint::PAGE_LEN;
use crate::segment::checkpoint::header::CheckpointHeader;
use crate::segment::file::SegmentFile;
use crate::segment::reader::read_segment_header;
use crate::store::{BUCKETS_NAME, bucket_dir};

/// Where the damaged manifest goes.
const DAMAGED_MANIFEST_NAME: &str = "manifest.damaged";

/// What a rebuilt manifest will say. Its database id is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPlan {
    /// Partitions, as all readable segment headers say.
    pub partition_count: u16,
    /// Buckets: directories without a gap.
    pub bucket_count: u16,
    /// Size limit of a segment, as all readable segment headers say.
    pub segment_size_bytes: u64,
    /// Segment headers that were read.
    pub headers: u64,
    /// The seed of index files, if one of them or a checkpoint tells; else all index files are built anew at the
    /// next start.
    pub hash_seed: Option<u64>,
    /// The id of this copy of the data, if a bucket's state tells.
    pub incarnation: Option<Uuid>,
}

/// Finds what a rebuilt manifest of `dir` would say. Changes nothing.
///
/// # Errors
/// [`RepairError::ManifestSound`] if the manifest is readable; others if the segments do not tell.
pub async fn find_manifest(io: &Io, dir: &Path) -> Result<ManifestPlan, RepairError> {
    let _lock = lock(io, dir).await?;
    find(io, dir).await
}

/// Writes the manifest that `accepted` describes. The damaged one becomes `manifest.damaged`. Durable on return.
///
/// # Errors
/// [`RepairError::Changed`] if the segments say something else now; others if the disk fails.
pub async fn rebuild_manifest(
    io: &Io,
    dir: &Path,
    accepted: &ManifestPlan,
) -> Result<(), RepairError> {
    let _lock = lock(io, dir).await?;
    if find(io, dir).await? != *accepted {
        return Err(RepairError::Changed);
    }
    let options = DatabaseOptions {
        partition_count: accepted.partition_count,
        bucket_count: accepted.bucket_count,
        segment_size_bytes: accepted.segment_size_bytes,
        max_transaction_bytes: Some(accepted.segment_size_bytes / 4), // the most it can have been
        ..DatabaseOptions::default()
    };
    let fresh = Manifest::create(io, &options);
    let manifest = Manifest {
        hash_seed: accepted.hash_seed.unwrap_or(fresh.hash_seed),
        incarnation: accepted.incarnation.unwrap_or(fresh.incarnation),
        ..fresh
    };
    let kept = dir.join(DAMAGED_MANIFEST_NAME);
    match io.disk().rename(&dir.join(MANIFEST_NAME), &kept).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    manifest.store(io, dir).await?;
    Ok(())
}

async fn find(io: &Io, dir: &Path) -> Result<ManifestPlan, RepairError> {
    match Manifest::load(io, dir).await {
        Ok(Some(_)) => return Err(RepairError::ManifestSound),
        Ok(None) | Err(OpenError::Manifest { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let bucket_count = count_buckets(io, dir).await?;
    let mut sizes = None;
    let (mut headers, mut hash_seed, mut incarnation) = (0, None, None);
    for bucket_id in 0..bucket_count {
        let bucket = bucket_dir(dir, bucket_id);
        for entry in io.disk().list(&bucket).await? {
            let path = bucket.join(&entry.name);
            let Some((kind, _)) = SegmentFile::parse(&entry.name) else { continue };
            if kind == SegmentFile::Log {
                headers += u64::from(take_header(io, &path, bucket_id, &mut sizes).await?);
            } else if hash_seed.is_none() {
                hash_seed = seed_of(io, &path, kind).await?;
            }
        }
        if let (None, Found::State(state)) = (incarnation, Slots::read(io, &bucket).await?) {
            incarnation = Some(state.incarnation);
        }
    }
    let (segment_size_bytes, partitions) = sizes.ok_or(RepairError::NoHeaders)?;
    let partition_count = u16::try_from(partitions).map_err(|_| RepairError::NoHeaders)?;
    Ok(ManifestPlan {
        partition_count,
        bucket_count,
        segment_size_bytes,
        headers,
        hash_seed,
        incarnation,
    })
}

/// Bucket directories are numbered without a gap.
async fn count_buckets(io: &Io, dir: &Path) -> Result<u16, RepairError> {
    let mut count = 0u16;
    for entry in io.disk().list(&dir.join(BUCKETS_NAME)).await? {
        let Ok(bucket_id) = entry.name.parse::<u16>() else { continue };
        if bucket_id != count {
            return Err(RepairError::MissingBucket { missing: count });
        }
        count = count.saturating_add(1);
    }
    Ok(count)
}

/// Whether the file has a readable header of this bucket; all must agree.
async fn take_header(
    io: &Io,
    path: &Path,
    bucket_id: u16,
    sizes: &mut Option<(u64, u32)>,
) -> Result<bool, RepairError> {
    let file = io.disk().open(path, OpenOptions::READ).await?;
    let Ok(header) = read_segment_header(file.as_ref()).await else { return Ok(false) };
    if header.group != bucket_id + 1 {
        let (first, second) = (u64::from(bucket_id), u64::from(header.group).saturating_sub(1));
        return Err(RepairError::Disagree { what: "the bucket", first, second });
    }
    let found = (header.segment_size_bytes, header.partition_count);
    let known = *sizes.get_or_insert(found);
    if known.0 != found.0 {
        let (first, second) = (known.0, found.0);
        return Err(RepairError::Disagree { what: "the segment size", first, second });
    }
    if known.1 != found.1 {
        let (first, second) = (u64::from(known.1), u64::from(found.1));
        return Err(RepairError::Disagree { what: "the number of partitions", first, second });
    }
    Ok(true)
}

async fn seed_of(io: &Io, path: &Path, kind: SegmentFile) -> Result<Option<u64>, RepairError> {
    if kind == SegmentFile::Checkpoint {
        let file = io.disk().open(path, OpenOptions::READ).await?;
        let (page, read) = file.read_at(BytesMut::zeroed(PAGE_LEN), 0).await;
        read?;
        return Ok(CheckpointHeader::decode(&page).ok().map(|header| header.hash_seed));
    }
    let cache = Arc::new(BlockCache::new(CacheOptions::default()));
    let index = SealedIndex::open(io, path, None, cache).await;
    Ok(index.ok().map(|index| index.footer().hash_seed))
}
