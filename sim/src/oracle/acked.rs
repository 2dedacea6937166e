//! P1: an acknowledged append is never lost, moved or changed.

use std::rc::Rc;

use super::idempotent;
use super::invention;
use super::ledger::{Ledger, OpId, Place};
use crate::history::{Acked, Seen, StreamKey};
use crate::violation::{Checked, Violation, require};

/// Takes in an acknowledgement. `was_stored`: the submission was known to be stored when the attempt began.
///
/// # Errors
/// If it contradicts itself, the submission, or what was known before.
pub fn acknowledged(ledger: &mut Ledger, op: OpId, acked: &Acked, was_stored: bool) -> Checked {
    ledger.answered(op);
    let known = ledger.op(op);
    let submission = Rc::clone(&known.submission);
    let (partition, events) = (submission.partition, &submission.events);
    let ids_match = events.iter().map(|e| e.id).eq(acked.events.iter().map(|e| e.0));
    let count = acked.sequences.end.checked_sub(acked.sequences.start);
    require(ids_match && count == Some(events.len() as u64), "acked", "malformed", || {
        format!("submission {op} of {} events: {acked:?}", events.len())
    })?;
    idempotent::answered(ledger, op, acked, was_stored)?;
    if !acked.is_duplicate {
        met_expectations(ledger, op, acked)?;
    }
    for (nth, (sequence, (id, version, timestamp_ns))) in
        acked.sequences.clone().zip(&acked.events).enumerate()
    {
        let draft = events.get(nth).ok_or_else(|| Violation::new("acked", "malformed", ""))?;
        let known = ledger.op_mut(op).timestamps.get_mut(nth);
        let before = known.as_deref().copied().flatten();
        require(before.is_none_or(|at| at == *timestamp_ns), "acked", "timestamp", || {
            format!(
                "event {id:032x}: {timestamp_ns}, before {before:?}, submitted {:?}",
                draft.timestamp_ns
            )
        })?;
        if let Some(known) = known {
            *known = Some(*timestamp_ns);
        }
        let place = Place { partition, sequence, version: *version, op, nth };
        ledger.pin(*id, place)?;
    }
    ledger.acks += 1;
    Ok(())
}

/// Whether the versions given are those the submission demanded.
fn met_expectations(ledger: &Ledger, op: OpId, acked: &Acked) -> Checked {
    for (draft, (_, version, _)) in ledger.op(op).submission.events.iter().zip(&acked.events) {
        require(draft.expected.is_met_by(*version), "acked", "expectation", || {
            format!(
                "event {:032x} expected {:?} and got version {version}",
                draft.id, draft.expected
            )
        })?;
    }
    Ok(())
}

/// Takes in an event that a read returned, and pins it.
///
/// # Errors
/// If nobody submitted it, or it was elsewhere or different before.
pub fn seen(ledger: &mut Ledger, seen: &Seen) -> Result<OpId, Violation> {
    let (op, nth) = invention::origin(ledger, seen)?;
    let known = ledger.op_mut(op);
    if let Some(at) = known.timestamps.get_mut(nth) {
        let before = at.replace(seen.timestamp_ns);
        require(
            before.is_none_or(|before| before == seen.timestamp_ns),
            "acked",
            "timestamp",
            || format!("event {:032x}: {} ns, before {before:?}", seen.id, seen.timestamp_ns),
        )?;
    }
    if let Some(id) = seen.transaction_id {
        let before = *known.transaction_id.get_or_insert(id);
        require(before == id, "atomic", "transaction-id", || {
            format!("events of submission {op} have transaction ids {before:032x} and {id:032x}")
        })?;
    }
    let place = Place {
        partition: seen.partition,
        sequence: seen.sequence,
        version: seen.version,
        op,
        nth,
    };
    ledger.pin(seen.id, place)?;
    Ok(op)
}

/// A partition must go at least up to `floor`, its floor when it was asked.
///
/// # Errors
/// If it does not.
pub fn partition_reaches(partition: u16, next: u64, floor: u64) -> Checked {
    require(next >= floor, "acked", "lost", || {
        format!("partition {partition} goes up to {next}, but sequence {} was shown", floor - 1)
    })
}

/// A stream must go at least up to `floor`, its floor when it was asked.
///
/// # Errors
/// If it does not.
pub fn stream_reaches(stream: &StreamKey, next: u64, floor: u64) -> Checked {
    require(next >= floor, "acked", "lost", || {
        format!("stream {stream:?} goes up to {next}, but version {} was shown", floor - 1)
    })
}

/// An event that was acknowledged or seen when it was asked for must be there.
///
/// # Errors
/// If it is not.
pub fn event_is_there(id: u128, found: bool) -> Checked {
    require(found, "acked", "lost", || {
        format!("event {id:032x} was acknowledged or seen and is not found by its id")
    })
}
