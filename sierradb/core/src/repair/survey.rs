//! Which frames can still be named behind a damage.

use std::sync::Arc;

use sierradb_io::{DiskError, File};

use super::tail::{LostFrame, LostPartition};
use crate::limits::{MAX_LOST_FRAMES_LISTED, MIN_READ_AHEAD_BYTES};
use crate::segment::aftermath::leading_zero_steps;
use crate::segment::frame::{self, FRAME_ALIGN, FrameHeader};
use crate::segment::window::Window;

/// What was found behind a damage so far.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) frames: Vec<LostFrame>,
    pub(super) frame_count: u64,
    pub(super) partitions: Vec<LostPartition>,
    pub(super) unnamed_bytes: u64,
    /// Lowest log index that a frame further on can have.
    next_index: u64,
}

impl Survey {
    /// Nothing found yet; the log is good up to `last_index`.
    pub(super) fn behind(last_index: u64) -> Self {
        Self { next_index: last_index.saturating_add(1), ..Self::default() }
    }

    /// Looks at a file from `start` to its end in steps of 8 bytes. Returns the end of the last bytes that are not
    /// zero.
    pub(super) async fn look(
        &mut self,
        segment: u64,
        file: Arc<dyn File>,
        start: u64,
    ) -> Result<u64, DiskError> {
        let mut window = Window::open(file).await?;
        let (mut offset, mut nonzero_end) = (start, start);
        while offset < window.len() {
            let bytes = window.at_least(offset, MIN_READ_AHEAD_BYTES).await?;
            let zeros = leading_zero_steps(&bytes);
            if zeros > 0 {
                offset += zeros;
                continue;
            }
            let header = frame::decode_header(&bytes).ok();
            let step = match header.filter(|header| header.index >= self.next_index) {
                Some(header) => {
                    let want = usize::try_from(header.frame_len()).unwrap_or(usize::MAX);
                    let bytes = window.at_least(offset, want).await?;
                    let is_readable = frame::decode_body(header, bytes, offset).is_ok();
                    self.name(segment, offset, &header, is_readable);
                    header.frame_len()
                }
                None => {
                    self.unnamed_bytes += FRAME_ALIGN;
                    FRAME_ALIGN
                }
            };
            offset = offset.saturating_add(step).min(window.len());
            nonzero_end = offset;
        }
        Ok(nonzero_end)
    }

    fn name(&mut self, segment: u64, offset: u64, header: &FrameHeader, is_readable: bool) {
        self.next_index = header.index.saturating_add(1);
        self.frame_count += 1;
        let (partition_id, events) = (header.partition, header.event_count);
        let first_sequence = header.first_sequence;
        if self.frames.len() < MAX_LOST_FRAMES_LISTED {
            self.frames.push(LostFrame {
                segment,
                offset,
                index: header.index,
                partition_id,
                first_sequence,
                events,
                is_readable,
            });
        }
        if events == 0 {
            return;
        }
        let at = self.partitions.binary_search_by_key(&partition_id, |it| it.partition_id);
        let at = at.unwrap_or_else(|at| {
            let last_sequence = first_sequence;
            let (events, readable_events) = (0, 0);
            let lost = LostPartition {
                partition_id,
                first_sequence,
                last_sequence,
                events,
                readable_events,
            };
            self.partitions.insert(at, lost);
            at
        });
        if let Some(partition) = self.partitions.get_mut(at) {
            partition.events += u64::from(events);
            partition.readable_events += if is_readable { u64::from(events) } else { 0 };
            partition.first_sequence = partition.first_sequence.min(first_sequence);
            let last = header.next_sequence().saturating_sub(1);
            partition.last_sequence = partition.last_sequence.max(last);
        }
    }
}
