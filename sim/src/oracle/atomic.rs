//! P4: a transaction is visible wholly or not at all, adjacent in its partition.

use super::ledger::{Ledger, OpId};
use crate::violation::{Checked, require};

/// Checks what a forward scan of a partition returned: submission and number of each event, in order. `is_end`: the
/// store says that nothing follows.
///
/// # Errors
/// If a transaction is torn apart or cut off at the end.
pub fn partition_scan(ledger: &Ledger, events: &[(OpId, usize)], is_end: bool) -> Checked {
    for pair in events.windows(2) {
        let [(op, nth), (next_op, next_nth)] = pair else { continue };
        let len = ledger.op(*op).submission.events.len();
        let continues = op == next_op && *next_nth == nth + 1;
        let follows = nth + 1 == len && *next_nth == 0;
        require(continues || follows, "atomic", "torn-apart", || {
            format!("event {next_nth} of submission {next_op} follows event {nth} of {len} of {op}")
        })?;
    }
    let Some((op, nth)) = events.last().filter(|_| is_end) else { return Ok(()) };
    let len = ledger.op(*op).submission.events.len();
    require(nth + 1 == len, "atomic", "half", || {
        format!("the partition ends with event {nth} of {len} of submission {op}")
    })
}
