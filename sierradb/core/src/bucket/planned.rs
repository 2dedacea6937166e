//! Entries that have their numbers, on their way to the log.

use smallvec::SmallVec;

use crate::event::AppendResult;
use crate::index::live::LiveStream;
use crate::index::lookup::StreamPlace;
use crate::segment::event_codec::stream_ids;
use crate::segment::frame::LogEntry;
use crate::transaction::IdOrigin;

/// A planned entry: the numbers are given out, nothing is written.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) index: u64,
    pub(crate) entry: LogEntry,
    /// The answer once it is committed.
    pub(crate) result: AppendResult,
    /// Per event.
    pub(crate) streams: SmallVec<[PlannedStream; 1]>,
}

/// What is remembered of a planned event until it is committed.
#[derive(Debug, Clone)]
pub(crate) struct PlannedStream {
    /// Hash of partition and stream id.
    pub(crate) hash: u64,
    pub(crate) id_origin: IdOrigin,
    /// Where the unsealed segments had the stream; spares a search once the event is committed.
    pub(crate) place: Option<StreamPlace>,
}

impl Planned {
    /// The streams of its events for the index of `segment`: names where that segment may not have them.
    pub(crate) fn streams_in(&self, segment: u64) -> impl Iterator<Item = LiveStream<'_>> {
        let place = move |stream: &PlannedStream| stream.place.filter(|at| at.segment == segment);
        let is_known = self.streams.iter().all(|stream| place(stream).is_some());
        let mut names = (!is_known).then(|| stream_ids(&self.entry));
        self.streams.iter().map(move |stream| {
            let name = names.as_mut().and_then(Iterator::next);
            match (place(stream), name) {
                (Some(at), _) => LiveStream::Known(at.stream),
                (None, name) => LiveStream::Named(name.unwrap_or_default()),
            }
        })
    }
}
