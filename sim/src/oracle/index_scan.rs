//! P15: what look-ups answer equals what the independent reader finds by reading everything.

use super::ghost::Ghost;
use crate::history::{Seen, StreamKey};
use crate::violation::{Checked, require};

/// Compares the answer to a look-up by id.
///
/// # Errors
/// If they differ.
pub fn event(ghost: &Ghost, id: u128, found: Option<&Seen>) -> Checked {
    let stored = ghost.events().get(&id);
    let equal = match (stored, found) {
        (None, None) => true,
        (Some(stored), Some(found)) => {
            let transaction_id = found.transaction_id;
            Seen { transaction_id, ..stored.clone() } == *found
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    require(equal, "index-scan", "event", || {
        let place = stored.map(|seen| (seen.partition, seen.sequence));
        let answer = found.map(|seen| (seen.partition, seen.sequence));
        format!("event {id:032x}: the log has it at {place:?}, the answer is {answer:?}")
    })
}

/// Compares the end of a partition.
///
/// # Errors
/// If they differ.
pub fn partition_end(ghost: &Ghost, partition: u16, next: u64) -> Checked {
    let stored = ghost.progress().sequences().get(&partition).copied().unwrap_or(0);
    require(stored == next, "index-scan", "partition", || {
        format!("partition {partition} ends before {stored} in the log, the answer is {next}")
    })
}

/// Compares the end of a stream.
///
/// # Errors
/// If they differ.
pub fn stream_end(ghost: &Ghost, stream: &StreamKey, next: u64) -> Checked {
    let stored = ghost.progress().versions().get(stream).copied().unwrap_or(0);
    require(stored == next, "index-scan", "stream", || {
        format!("stream {stream:?} ends before {stored} in the log, the answer is {next}")
    })
}

/// A full scan must return as many events as the log has.
///
/// # Errors
/// If it does not.
pub fn scan_len(what: &str, stored: u64, returned: u64) -> Checked {
    require(stored == returned, "index-scan", "scan", || {
        format!("{what} has {stored} events in the log, the scan returned {returned}")
    })
}

/// What a store claims of a partition after its start must be in the log.
///
/// # Errors
/// If it is not.
pub fn start_claims(partition: u16, claimed: u64, stored: u64) -> Checked {
    require(claimed <= stored, "index-scan", "beyond-log", || {
        format!("partition {partition} is said to have {claimed} events; the log has {stored}")
    })
}
