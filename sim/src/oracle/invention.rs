//! P2: nothing is returned or recovered that nobody submitted, byte for byte.

use super::ledger::{Fate, Ledger, OpId};
use crate::history::{Draft, Seen, Submission};
use crate::violation::Violation;

/// Which submission an event comes from, and which of its events it is.
///
/// # Errors
/// If nobody submitted it, it was refused every time, or one of its bytes differs.
pub fn origin(ledger: &Ledger, seen: &Seen) -> Result<(OpId, usize), Violation> {
    let candidates = ledger.submissions_of(seen.id);
    let mut difference = "nobody submitted such an event id".to_owned();
    for (op, nth) in candidates {
        let known = ledger.op(*op);
        let Some(draft) = known.submission.events.get(*nth) else { continue };
        match differing(&known.submission, draft, seen) {
            Some(field) => difference = format!("its {field} differs from what was submitted"),
            None if known.fate == Fate::Refused => {
                difference = "every attempt to append it was refused".to_owned();
            }
            None => return Ok((*op, *nth)),
        }
    }
    let (id, partition, sequence) = (seen.id, seen.partition, seen.sequence);
    let detail = format!("event {id:032x} at {partition}/{sequence}: {difference}");
    Err(Violation::new("invention", "event", detail))
}

fn differing(submission: &Submission, draft: &Draft, seen: &Seen) -> Option<&'static str> {
    let checks = [
        ("partition", submission.partition == seen.partition),
        ("partition key", submission.partition_key == seen.partition_key),
        ("stream", draft.stream.as_bytes() == seen.stream),
        ("name", draft.name.as_bytes() == seen.name),
        ("metadata", draft.metadata == seen.metadata),
        ("payload", draft.payload == seen.payload),
        ("timestamp", draft.timestamp_ns.is_none_or(|at| at == seen.timestamp_ns)),
    ];
    checks.into_iter().find(|(_, equal)| !equal).map(|(field, _)| field)
}
