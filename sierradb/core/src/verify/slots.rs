//! The state slots of a bucket, read without touching the file.

use std::path::Path;

use bytes::BytesMut;
use sierradb_io::{DiskError, DiskErrorKind, Io, OpenOptions};

use super::report::{Findings, Place, Problem};
use crate::bucket::slots::{SLOT_LEN, STATE_NAME, State};

/// The newer readable slot; `None` if there is none. A slot that was never written is all zero and no finding.
pub(super) async fn check(
    io: &Io,
    dir: &Path,
    findings: &mut Findings,
) -> Result<Option<State>, DiskError> {
    let file = match io.disk().open(&dir.join(STATE_NAME), OpenOptions::READ).await {
        Ok(file) => file,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (mut bytes, read) = file.read_at(BytesMut::zeroed(2 * SLOT_LEN), 0).await;
    bytes.truncate(read?);
    let mut newest: Option<State> = None;
    let mut bad = Vec::new();
    for (slot, content) in (0_u8..).zip(bytes.chunks(SLOT_LEN)) {
        match State::decode(content) {
            Ok(state) if newest.as_ref().is_none_or(|best| best.generation < state.generation) => {
                newest = Some(state);
            }
            Ok(_) => {}
            Err(_) if content.iter().all(|byte| *byte == 0) => {}
            Err(error) => bad.push((slot, error.to_string())),
        }
    }
    if newest.is_none() && !bad.is_empty() {
        findings.repairable(Place::BUCKET, Problem::State);
    } else {
        // A crash while a slot is written leaves this; the other one counts.
        for (slot, cause) in bad {
            findings.repairable(Place::BUCKET, Problem::StateSlot { slot, cause });
        }
    }
    Ok(newest)
}
