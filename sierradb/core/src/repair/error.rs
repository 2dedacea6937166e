//! Why a repair was not made.
#![deny(clippy::wildcard_enum_match_arm)]

use std::path::{Path, PathBuf};

use sierradb_io::{DirLock, DiskError, DiskErrorKind, Io};

use crate::error::OpenError;
use crate::store::LOCK_NAME;

/// Why a repair was not made. The directory is as it was, unless the disk failed half-way; then the same repair can
/// be asked for again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum RepairError {
    #[error("{dir} holds no database", dir = dir.display())]
    NoDatabase { dir: PathBuf },
    #[error("there is no bucket {bucket_id}: this database has buckets 0 to {last}")]
    NoSuchBucket { bucket_id: u16, last: u16 },
    #[error("the log of bucket {bucket_id} is readable to its end: nothing to accept")]
    LogSound { bucket_id: u16 },
    #[error("the manifest is readable: nothing to rebuild")]
    ManifestSound,
    #[error("no segment header can be read: what the manifest held is not known")]
    NoHeaders,
    #[error("segment headers disagree about {what}: {first} and {second}")]
    Disagree { what: &'static str, first: u64, second: u64 },
    #[error("bucket {missing} is missing between others")]
    MissingBucket { missing: u16 },
    #[error("the directory has changed since it was looked at: look again")]
    Changed,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Takes the lock of a directory that has a database.
pub(super) async fn lock(io: &Io, dir: &Path) -> Result<DirLock, RepairError> {
    let buckets = io.disk().list(&dir.join(crate::store::BUCKETS_NAME)).await;
    if buckets.is_err_and(|error| error.kind == DiskErrorKind::NotFound) {
        return Err(RepairError::NoDatabase { dir: dir.to_owned() });
    }
    io.disk().lock(&dir.join(LOCK_NAME)).await.map_err(|error| {
        if error.kind == DiskErrorKind::Locked {
            RepairError::Open(OpenError::Locked { dir: dir.to_owned() })
        } else {
            RepairError::Disk(error)
        }
    })
}
