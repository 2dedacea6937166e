//! An event by its id: the partition that the id hints at first, then the other buckets.

use std::sync::Arc;

use sierradb_protocol::PartitionId;
use uuid::Uuid;

use super::scan::record_of;
use crate::bucket::solo::SoloBucket;
use crate::error::ReadError;
use crate::event::EventRecord;

/// Looks for `event_id` in the bucket of `hinted`, then in the others in ascending order; the first hit wins.
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
    for bucket in hinted_bucket.chain(others) {
        let shelf = &bucket.shelf;
        let found = match bucket.find_event(None, event_id).await {
            Ok(found) => found,
            // Another bucket may hold the event in good health.
            Err(error) => {
                uncertain.get_or_insert(error);
                continue;
            }
        };
        if let Some(frame) = found.frame {
            let record = record_of(&frame, event_id);
            return record.map_err(|error| ReadError::Damaged {
                bucket_id: bucket.id,
                segment: 0,
                offset: frame.offset,
                cause: error.to_string(),
            });
        }
        if let Some(damage) = found.damage {
            uncertain.get_or_insert(shelf.damaged(&damage));
        }
    }
    match uncertain {
        Some(error) => Err(error),
        None => Ok(None),
    }
}
