//! What the first bad position of a log means: its clean end, a torn write, or damage. Pure.
//!
//! Only an append that nobody was told about may be cut, and the only proof of that is physical: a slice of the
//! frame is all zero, so it was never written ([`mask`](crate::segment::mask) sees to it that no written slice is).
//! A frame known to have been durable here cannot be torn, whatever it looks like now. That is decided by
//! *evidence*: what the caller knows (state slot, witness, checkpoint), what later headers say the leader had
//! committed, and the rule that one batch at a time is unsynced and lies in one file.
//!
//! | Bytes at the position | durable or beyond one batch | not |
//! |---|---|---|
//! | zeros to the end of the file | corrupt tail | clean end |
//! | bad header or body with a zero slice | corrupt | torn |
//! | anything else | corrupt | corrupt |
//!
//! *Corrupt* is a *middle* if frames behind it are valid and lead to the last valid frame of the log, so that the
//! damage has two ends; otherwise it is a *tail*, and nobody knows what it held. A later segment whose header
//! continues the log makes any position a clean end: rolling is a pure function of the log, so no frame is missing.
//! If the next file has content but no valid header, zeros are a clean end too, and the caller must ask about that
//! file (offset 0) before it goes on: a torn first batch is cut there, damage is found there.

use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_FRAMES};
use crate::manifest::Manifest;
use crate::segment::aftermath::{Aftermath, Nature, Slices};
use crate::segment::file::SegmentHeader;
use crate::segment::frame::frame_len;

/// All that a judgement rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scene {
    /// The bad position and what follows it in its file.
    pub(crate) aftermath: Aftermath,
    /// Highest log index that the state slot (the lower of commit and durable), the witness or a checkpoint delta
    /// says was durable here.
    pub(crate) durable_index: u64,
    /// Length of the largest frame that this database may hold.
    pub(crate) max_frame_len: u64,
    /// What the files of later segments hold.
    pub(crate) later: Later,
}

/// Room for the transaction header and rounding above the sum rule of the transaction limit.
const BODY_SLACK: u64 = 4096;

/// Length of the largest frame that a database may hold.
pub(crate) fn max_frame_len(manifest: &Manifest) -> u64 {
    let limit = manifest.max_transaction_bytes.saturating_add(BODY_SLACK);
    frame_len(u32::try_from(limit).unwrap_or(u32::MAX))
}

/// What the files behind the one in question hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    /// There are none, or zeros only.
    Nothing,
    /// The next one with a valid header.
    Segment(SegmentHeader),
    /// Non-zero bytes, but no valid header.
    Unreadable,
}

/// Where the log can be read again behind a damaged middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextGood {
    /// In the same file.
    Frame {
        /// File offset.
        offset: u64,
        /// Log index.
        index: u64,
    },
    /// At the start of a later segment.
    Segment {
        /// Segment number.
        number: u64,
        /// Log index of its first frame.
        first_index: u64,
    },
}

/// What a bad position means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The log ends here, or goes on in the next segment.
    CleanEnd,
    /// A write that never became durable, hence never was answered: cut here, with everything behind.
    Torn,
    /// Durable frames are damaged or missing; those from `next` on are good.
    CorruptMiddle {
        /// First good frame behind the damage.
        next: NextGood,
    },
    /// Durable frames are damaged or missing, and nothing good follows.
    CorruptTail,
}

/// Judges a bad position.
pub(crate) fn judge(scene: &Scene) -> Verdict {
    let found = &scene.aftermath;
    if let Later::Segment(header) = &scene.later
        && found.is_in_frames()
        && (header.first_index, header.chain) == (found.expected.next_index, found.expected.chain)
    {
        return Verdict::CleanEnd;
    }
    // What the next file holds explains why something is missing here; it has its own judgement.
    let goes_on_unreadably = found.is_in_frames() && scene.later == Later::Unreadable;
    let was_durable = was_durable(scene);
    match found.nature {
        Nature::Zeros if goes_on_unreadably => Verdict::CleanEnd,
        Nature::Zeros if !was_durable => Verdict::CleanEnd,
        Nature::Header(Slices::SomeZero)
        | Nature::Body(Slices::SomeZero)
        | Nature::SegmentHeader(Slices::SomeZero)
            if !was_durable =>
        {
            Verdict::Torn
        }
        Nature::Zeros
        | Nature::Header(_)
        | Nature::Body(_)
        | Nature::SegmentHeader(_)
        | Nature::Link => corrupt(scene),
    }
}

/// Whether the missing frame is known to have been durable.
fn was_durable(scene: &Scene) -> bool {
    let found = &scene.aftermath;
    let missing = found.expected.next_index;
    let batch_end = found
        .expected
        .end_offset
        .saturating_add(MAX_BATCH_BYTES)
        .saturating_add(scene.max_frame_len);
    let is_beyond_batch = found.nonzero_end > batch_end
        || found.last_index >= missing.saturating_add(MAX_BATCH_FRAMES);
    let is_in_later_file = scene.later != Later::Nothing;
    scene.durable_index.max(found.commit_hint) >= missing || is_beyond_batch || is_in_later_file
}

fn corrupt(scene: &Scene) -> Verdict {
    let run = scene.aftermath.last_run;
    let next = match (&scene.later, run) {
        (Later::Segment(header), Some(run))
            if (run.end.next_index, run.end.chain) == (header.first_index, header.chain) =>
        {
            NextGood::Frame { offset: run.offset, index: run.first.index }
        }
        (Later::Segment(header), _) => {
            NextGood::Segment { number: header.number, first_index: header.first_index }
        }
        (Later::Nothing | Later::Unreadable, Some(run)) => {
            NextGood::Frame { offset: run.offset, index: run.first.index }
        }
        (Later::Nothing | Later::Unreadable, None) => return Verdict::CorruptTail,
    };
    Verdict::CorruptMiddle { next }
}

#[cfg(test)]
mod tests;
