//! P7: a repeated transaction gets its first answer again; the same id with other content is refused.

use super::ledger::{Ledger, OpId};
use crate::history::{Acked, Failure};
use crate::violation::{Checked, require};

/// Checks the answer to an attempt, before it is pinned. `was_stored`: the submission was known to be stored when
/// the attempt began.
///
/// # Errors
/// If a first attempt is called a duplicate, a repetition is not, or ids of another event were accepted.
pub fn answered(ledger: &Ledger, op: OpId, acked: &Acked, was_stored: bool) -> Checked {
    let known = ledger.op(op);
    let is_first = known.attempts == 1;
    require(!(is_first && acked.is_duplicate), "idempotent", "invented-duplicate", || {
        format!("the only attempt of submission {op} was answered as a duplicate")
    })?;
    for draft in &known.submission.events {
        let other = ledger.place(draft.id).filter(|place| place.op != op);
        require(other.is_none(), "idempotent", "accepted-conflict", || {
            format!(
                "event {:032x} of submission {op} is stored as another event: {other:?}",
                draft.id
            )
        })?;
    }
    require(!was_stored || acked.is_duplicate, "idempotent", "stored-twice", || {
        format!("submission {op} was stored before and is answered as new: {acked:?}")
    })
}

/// Checks a refusal.
///
/// # Errors
/// If the refusal cannot be explained by what was submitted.
pub fn refused(ledger: &Ledger, op: OpId, failure: &Failure, was_stored: bool) -> Checked {
    let known = ledger.op(op);
    let ids = known.submission.events.iter().map(|draft| draft.id);
    match failure {
        Failure::Duplicate => {
            let other = |id| ledger.submissions_of(id).iter().any(|(other, _)| *other != op);
            require(ids.clone().any(other), "idempotent", "invented-conflict", || {
                format!("no other submission used an event id of submission {op}")
            })
        }
        Failure::WrongVersion { .. } | Failure::KeyMismatch => {
            require(!was_stored, "idempotent", "first-answer-lost", || {
                format!("submission {op} is stored; its repetition got {failure:?}")
            })
        }
        Failure::Unavailable | Failure::TooLarge | Failure::Unreadable | Failure::Unknown => Ok(()),
    }
}
