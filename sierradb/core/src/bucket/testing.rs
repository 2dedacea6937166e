//! What tests of planner and desk take for the committed state.

use std::cell::Cell;

use uuid::Uuid;

use super::overlay::{Head, StreamName};
use super::planner::View;
use crate::index::heads::StreamKey;
use crate::index::lookup::{FoundStream, StreamPlace};
use crate::index::streams::StreamRef;

/// Where the index has the only stream.
pub(super) const PLACE: StreamPlace = StreamPlace { segment: 4, stream: StreamRef(9) };

/// Nothing, or one stream of [`key`] 1 in an unsealed segment; counts how often it is asked for that.
#[derive(Default)]
pub(super) struct Committed {
    /// One above the version of its last event; 0 for no stream.
    pub(super) next_version: u64,
    /// The stream's key, if it is another one.
    pub(super) key: Option<StreamKey>,
    pub(super) looks: Cell<u32>,
}

impl View for Committed {
    fn live_stream(&self, _name: StreamName<'_>) -> Option<FoundStream> {
        self.looks.set(self.looks.get() + 1);
        let key = self.key.unwrap_or(StreamKey::Chosen(key(1)));
        let found = FoundStream { next_version: self.next_version, key, place: PLACE };
        (self.next_version > 0).then_some(found)
    }

    fn live_candidates(&self, _event_id: Uuid) -> Vec<(u64, u64)> {
        Vec::new()
    }

    fn last_sealed(&self) -> u64 {
        0
    }

    fn sealed_lack_event(&self, _event_id: Uuid) -> bool {
        true
    }

    fn sealed_head(&self, _name: StreamName<'_>) -> Option<Option<Head>> {
        Some(None)
    }
}

/// A partition key.
pub(super) fn key(number: u128) -> Uuid {
    Uuid::from_u128(number)
}
