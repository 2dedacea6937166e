//! Entries that have their numbers, on their way to the log.

use smallvec::SmallVec;
use uuid::Uuid;

use crate::index::live::LiveStream;
use crate::index::lookup::StreamPlace;
use crate::segment::event_codec::stream_ids;
use crate::segment::frame::LogEntry;

/// A planned entry: the numbers are given out, nothing is written.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) index: u64,
    pub(crate) entry: LogEntry,
    pub(crate) partition_key: Uuid,
    pub(crate) events: SmallVec<[PlannedEvent; 1]>,
}

/// What is remembered of a planned event until it is committed.
#[derive(Debug)]
pub(crate) struct PlannedEvent {
    /// Its id, if it was given: others may ask for it meanwhile.
    pub(crate) given_id: Option<Uuid>,
    /// Upper 32 bits of the hash of its id.
    pub(crate) id_hash: u32,
    pub(crate) version: u64,
    /// Hash of partition and stream id.
    pub(crate) stream_hash: u64,
    /// Where the unsealed segments had the stream; spares a search once the event is committed.
    pub(crate) place: Option<StreamPlace>,
}

impl Planned {
    /// The streams of its events for the index of `segment`: names where that segment may not have them.
    pub(crate) fn streams_in(&self, segment: u64) -> impl Iterator<Item = LiveStream<'_>> {
        let place = move |event: &PlannedEvent| event.place.filter(|at| at.segment == segment);
        let is_known = self.events.iter().all(|event| place(event).is_some());
        let mut names = (!is_known).then(|| stream_ids(&self.entry));
        self.events.iter().map(move |event| {
            let name = names.as_mut().and_then(Iterator::next);
            match (place(event), name) {
                (Some(at), _) => LiveStream::Known(at.stream),
                (None, name) => LiveStream::Named(name.unwrap_or_default()),
            }
        })
    }
}
