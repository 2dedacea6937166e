//! Extends a bucket's checkpoint, so that a start need not read the whole active segment.

use std::path::Path;

use sierradb_io::site;

use crate::bucket::checkpoint::append_delta;
use crate::bucket::solo::SoloBucket;
use crate::segment::checkpoint::header::CheckpointHeader;
use crate::segment::reader::read_segment_header;

/// Writes what the live index learned since the last checkpoint, if that is much, or anything at all when `is_idle`.
pub(crate) async fn extend_checkpoint(bucket: &SoloBucket, dir: &Path, is_idle: bool) {
    let due = {
        let mut segments = bucket.shelf.write();
        if segments.damage.is_some() {
            return; // the checkpoint there is may know more than can be read now: it is evidence
        }
        let Some(active) = segments.live.last_mut() else { return };
        let is_due = active.wants_delta() || (is_idle && active.delta.len() > 0);
        match active.end.filter(|_| is_due) {
            Some(end) => {
                let delta = active.delta.finish(end);
                let offset = active.next_delta_offset;
                active.next_delta_offset += u64::try_from(delta.len()).unwrap_or(u64::MAX);
                active.checkpointed_len = end.end_offset;
                Some((active.file.clone(), delta, offset))
            }
            None => None,
        }
    };
    let Some((file, delta, offset)) = due else { return };
    let Ok(header) = read_segment_header(file.raw.as_ref()).await else { return };
    let header = CheckpointHeader {
        group: header.group,
        segment: header.number,
        first_index: header.first_index,
        hash_seed: bucket.shelf.hash_seed(),
    };
    match append_delta(&bucket.io, dir, header, delta, offset).await {
        Ok(()) => bucket.io.mark(site!("checkpoint.extended")),
        // Later deltas stay unread behind the hole: the next start reads more of the log, that is all.
        Err(error) => {
            tracing::warn!(bucket = bucket.id, segment = file.number, %error, "no checkpoint");
        }
    }
}
