//! What the disk itself can do: the bound that no durable append can beat with one client.

use super::histogram::Histogram;
use crate::error::Failure;
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes per write: about one event with its frame.
const WRITE_BYTES: usize = 400;
/// The file is written once before, so that a sync has no space to account for.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Writes and syncs in turn for `duration` in the folder `dir`.
pub(crate) fn sync_latency(dir: &Path, duration: Duration) -> Result<Histogram, Failure> {
    let path = dir.join("fdatasync");
    let fail = || Failure::file(&path);
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).open(&path).map_err(fail())?;
    let zeros = vec![0_u8; 1024 * 1024];
    for _ in 0..FILE_BYTES / 1024 / 1024 {
        file.write_all(&zeros).map_err(fail())?;
    }
    file.sync_all().map_err(fail())?;
    let mut histogram = Histogram::new();
    let block = [b'x'; WRITE_BYTES];
    let (started, mut offset) = (Instant::now(), 0);
    while started.elapsed() < duration {
        offset = if offset + 2 * 1024 > FILE_BYTES { 0 } else { offset };
        file.seek(SeekFrom::Start(offset)).map_err(fail())?;
        let begin = Instant::now();
        file.write_all(&block).map_err(fail())?;
        file.sync_data().map_err(fail())?;
        histogram.record(begin.elapsed());
        offset += u64::try_from(WRITE_BYTES).unwrap_or(0);
    }
    drop(file);
    std::fs::remove_file(&path).map_err(fail())?;
    Ok(histogram)
}
