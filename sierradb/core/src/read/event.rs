//! An event by its id: the partition that the id hints at first, then the others.
//!
//! An id may be used once in every partition. Asked for such an id, all nodes give the same event: that of the hinted
//! partition, else of the lowest.

use std::sync::Arc;

use sierradb_protocol::PartitionId;
use uuid::Uuid;

use super::scan::record_of;
use crate::bucket::solo::SoloBucket;
use crate::error::ReadError;
use crate::event::EventRecord;
use crate::index::lookup::WantedPartition;
use crate::segment::frame::Frame;

/// Looks for `event_id` in partition `hinted`, then in all others.
///
/// # Errors
/// [`ReadError`]. A damaged bucket that might hold the event makes "not found" uncertain, which is an error too.
pub(crate) async fn read_event(
    buckets: &[Arc<SoloBucket>],
    hinted: PartitionId,
    event_id: Uuid,
) -> Result<Option<EventRecord>, ReadError> {
    let count = u16::try_from(buckets.len()).unwrap_or(u16::MAX);
    let first = hinted.get().checked_rem(count).unwrap_or(0);
    let hinted_bucket = buckets.iter().filter(|bucket| bucket.id == first);
    let others = buckets.iter().filter(|bucket| bucket.id != first);
    let mut uncertain = None;
    let mut lowest: Option<(u16, Arc<Frame>)> = None;
    for bucket in hinted_bucket.chain(others) {
        let shelf = &bucket.shelf;
        let wanted = WantedPartition::Preferably(hinted.get());
        let found = match bucket.find_event(wanted, event_id).await {
            Ok(found) => found,
            // Another bucket may hold the event in good health.
            Err(error) => {
                uncertain.get_or_insert(error);
                continue;
            }
        };
        if let Some(frame) = found.frame {
            let partition = frame.header.partition;
            if partition == hinted.get() {
                return record(bucket.id, &frame, event_id);
            }
            if lowest.as_ref().is_none_or(|(_, known)| partition < known.header.partition) {
                lowest = Some((bucket.id, frame));
            }
        }
        if let Some(damage) = found.damage {
            uncertain.get_or_insert(shelf.damaged(&damage));
        }
    }
    match (lowest, uncertain) {
        (Some((bucket_id, frame)), _) => record(bucket_id, &frame, event_id),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(None),
    }
}

fn record(bucket_id: u16, frame: &Frame, event_id: Uuid) -> Result<Option<EventRecord>, ReadError> {
    record_of(frame, event_id).map_err(|error| ReadError::Damaged {
        bucket_id,
        segment: 0,
        offset: frame.offset,
        cause: error.to_string(),
    })
}
