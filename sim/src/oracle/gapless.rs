//! P3: sequences and versions have no gaps, and each belongs to one event.

use std::collections::BTreeMap;

use crate::history::{Seen, StreamKey};
use crate::violation::{Checked, Violation, require};

/// The log as an independent reader goes through it, in order.
#[derive(Debug, Default)]
pub struct Progress {
    sequences: BTreeMap<u16, u64>,
    versions: BTreeMap<StreamKey, u64>,
}

impl Progress {
    /// Takes in the next event of the log.
    ///
    /// # Errors
    /// If it is not the next of its partition and stream.
    pub fn next(&mut self, seen: &Seen) -> Checked {
        let sequence = self.sequences.entry(seen.partition).or_default();
        require(*sequence == seen.sequence, "gapless", "log/sequence", || {
            format!("partition {}: {} follows {sequence} events", seen.partition, seen.sequence)
        })?;
        *sequence += 1;
        let stream = (seen.partition, String::from_utf8_lossy(&seen.stream).into_owned());
        let version = self.versions.entry(stream.clone()).or_default();
        require(*version == seen.version, "gapless", "log/version", || {
            format!("stream {stream:?}: version {} follows {version} events", seen.version)
        })?;
        *version += 1;
        Ok(())
    }

    /// One above the last sequence, per partition.
    pub fn sequences(&self) -> &BTreeMap<u16, u64> {
        &self.sequences
    }

    /// One above the last version, per stream.
    pub fn versions(&self) -> &BTreeMap<StreamKey, u64> {
        &self.versions
    }
}

/// A batch of positions that a scan from `start` returned must go up one by one.
///
/// # Errors
/// If it does not.
pub fn batch(what: &str, start: u64, positions: impl Iterator<Item = u64>) -> Checked {
    for (expected, found) in (start..).zip(positions) {
        if found != expected {
            let detail = format!("{what}: {found} where {expected} was due");
            return Err(Violation::new("gapless", "scan", detail));
        }
    }
    Ok(())
}
