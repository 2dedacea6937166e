//! From error numbers to [`DiskErrorKind`], keeping the number.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::{DiskError, DiskErrorKind, DiskOp};

/// The error of `op` on `path`, classified by its number.
pub(super) fn disk_error(
    op: DiskOp,
    path: &Path,
    offset: Option<u64>,
    cause: &io::Error,
) -> DiskError {
    let errno = cause.raw_os_error();
    let kind =
        errno.map_or(DiskErrorKind::Other, |number| classify(op, Errno::from_raw_os_error(number)));
    DiskError { op, path: path.to_owned(), offset, kind, errno }
}

/// The error of `op` on `path` with a number of our own choice.
pub(super) fn refused(op: DiskOp, path: &Path, kind: DiskErrorKind, errno: Errno) -> DiskError {
    DiskError { op, path: path.to_owned(), offset: None, kind, errno: Some(errno.raw_os_error()) }
}

fn classify(op: DiskOp, errno: Errno) -> DiskErrorKind {
    match errno {
        Errno::NOENT => DiskErrorKind::NotFound,
        Errno::EXIST => DiskErrorKind::Exists,
        // A file may not grow that far: like a full disk, nothing is wrong with what is stored.
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => DiskErrorKind::NoSpace,
        Errno::ROFS | Errno::ACCESS | Errno::PERM => DiskErrorKind::ReadOnly,
        Errno::WOULDBLOCK if op == DiskOp::Lock => DiskErrorKind::Locked,
        _ if is_device_failure(errno) => DiskErrorKind::Io,
        _ => DiskErrorKind::Other,
    }
}

/// Numbers by which the block layer and file systems say that the medium, or its path, failed.
fn is_device_failure(errno: Errno) -> bool {
    #[cfg(target_os = "linux")]
    if matches!(errno, Errno::UCLEAN | Errno::REMOTEIO | Errno::NODATA | Errno::NOLINK) {
        return true; // damaged metadata; target failure; medium error; lost path
    }
    matches!(
        errno,
        Errno::IO | Errno::NXIO | Errno::NODEV | Errno::BADMSG | Errno::ILSEQ | Errno::TIMEDOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(op: DiskOp, errno: Errno) -> DiskErrorKind {
        let error = disk_error(op, Path::new("/x"), Some(7), &io::Error::from(errno));
        assert_eq!(error.errno, Some(errno.raw_os_error()), "the number is kept");
        assert_eq!(error.offset, Some(7));
        error.kind
    }

    #[test]
    fn full_disks_quotas_and_size_limits_are_no_space() {
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert_eq!(kind(DiskOp::Write, errno), DiskErrorKind::NoSpace, "{errno}");
        }
    }

    #[test]
    fn device_failures_are_io_and_odd_numbers_are_other() {
        for errno in [Errno::IO, Errno::NXIO, Errno::UCLEAN, Errno::NODATA] {
            assert_eq!(kind(DiskOp::Read, errno), DiskErrorKind::Io, "{errno}");
        }
        assert_eq!(kind(DiskOp::Read, Errno::ISDIR), DiskErrorKind::Other);
        assert_eq!(kind(DiskOp::Read, Errno::WOULDBLOCK), DiskErrorKind::Other);
        assert_eq!(kind(DiskOp::Lock, Errno::WOULDBLOCK), DiskErrorKind::Locked);
    }
}
