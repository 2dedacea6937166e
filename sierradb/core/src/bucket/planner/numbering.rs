//! The end of planning: numbers are given out, and the entry is made.

use std::sync::Arc;

use sierradb_protocol::PartitionId;
use smallvec::SmallVec;

use super::{Numbered, Planner};
use crate::bucket::overlay::{Head, OverlaidHead, StreamName};
use crate::bucket::planned::{Planned, PlannedEvent};
use crate::event::{AppendResult, AppendedEvent};
use crate::index::hash::event_id_hash;
use crate::index::lookup::live_hash;
use crate::segment::event_codec::{
    EventFlags, NewEventRef, TRANSACTION_HEADER_LEN, TransactionEncoder,
};
use crate::segment::frame::LogEntry;
use crate::transaction::{EventDraft, IdOrigin, Transaction};

impl Planner {
    /// Everything is in order: gives out numbers and makes the entry, and what is answered once it is committed.
    pub(super) fn take(
        &mut self,
        transaction: &Transaction,
        partition: PartitionId,
        numbered: &[Numbered],
        now_ns: u64,
    ) -> (Arc<Planned>, AppendResult) {
        self.last_append_time_ns = self.last_append_time_ns.max(now_ns);
        let append_time_ns = self.last_append_time_ns;
        let index = self.next_index;
        self.next_index += 1;
        let Transaction { partition_key, events: drafts, .. } = transaction;
        let partition_key = *partition_key;
        assert_eq!(drafts.len(), numbered.len(), "each event has its number");
        let count = u16::try_from(drafts.len()).expect("transactions are bounded when made");
        let first_sequence = self.take_sequences(partition, count);
        let mut body =
            TransactionEncoder::new(partition_key, append_time_ns, encoded_len(transaction));
        let mut appended = SmallVec::with_capacity(drafts.len());
        let mut events = SmallVec::with_capacity(drafts.len());
        for (draft, number) in drafts.iter().zip(numbered) {
            let Numbered { version, hash, place } = *number;
            let event = event_ref(draft, version, append_time_ns);
            body.push(&event);
            appended.push(AppendedEvent {
                event_id: event.event_id,
                stream_version: event.stream_version,
                timestamp_ns: event.timestamp_ns,
            });
            let name = StreamName { partition: partition.get(), stream_id: &draft.stream_id, hash };
            let head = Head { next_version: version + 1, partition_key };
            self.overlay.set_head(name, OverlaidHead { head, index, place });
            let given_id = (draft.id_origin == IdOrigin::Given).then_some(draft.event_id);
            if let Some(event_id) = given_id {
                self.overlay.add_id(partition.get(), event_id, index);
            }
            let id_hash = live_hash(event_id_hash(self.hash_seed, &draft.event_id));
            events.push(PlannedEvent { given_id, id_hash, version, stream_hash: hash, place });
        }
        let result = AppendResult {
            partition_key,
            partition_id: partition,
            first_partition_sequence: first_sequence,
            last_partition_sequence: first_sequence + u64::from(count) - 1,
            events: appended,
            duplicate: false,
        };
        let hint = self.committed_index;
        let body = body.finish();
        let entry = LogEntry::transaction(partition.get(), count, first_sequence, hint, body);
        (Arc::new(Planned { index, entry, partition_key, events }), result)
    }

    fn take_sequences(&mut self, partition: PartitionId, count: u16) -> u64 {
        let slot = usize::from(partition.get() / self.bucket_count);
        let next = self.next_sequences.get_mut(slot).expect("partitions are checked on arrival");
        let first = *next;
        *next += u64::from(count);
        first
    }
}

/// Bytes of the entry's body.
fn encoded_len(transaction: &Transaction) -> usize {
    let lens = transaction.events.iter().map(|draft| event_ref(draft, 0, 0).encoded_len());
    lens.fold(TRANSACTION_HEADER_LEN, usize::saturating_add)
}

fn event_ref(draft: &EventDraft, stream_version: u64, append_time_ns: u64) -> NewEventRef<'_> {
    let mut flags = EventFlags::NONE;
    if draft.timestamp_ns.is_none() {
        flags = flags.with(EventFlags::TIMESTAMP_ASSIGNED);
    }
    if draft.id_origin == IdOrigin::Assigned {
        flags = flags.with(EventFlags::ID_ASSIGNED);
    }
    NewEventRef {
        event_id: draft.event_id,
        stream_version,
        timestamp_ns: draft.timestamp_ns.unwrap_or(append_time_ns),
        flags,
        stream_id: draft.stream_id.as_bytes(),
        name: draft.event_name.as_bytes(),
        extensions: &draft.extensions,
        metadata: &draft.metadata,
        payload: &draft.payload,
    }
}
