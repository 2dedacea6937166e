//! Payloads computed from the submission they belong to.

use bytes::Bytes;
use sierradb_io::Prng;

/// Bytes of the head that names the submission.
const HEAD_LEN: usize = 24;

/// The payload of event `nth` of submission `op`: `{magic, op, nth, len, crc}`, then filler of some kind. Shorter
/// ones are cut from it.
pub fn payload(op: u64, nth: u64, len: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(len.max(HEAD_LEN));
    bytes.extend_from_slice(b"load");
    bytes.extend_from_slice(&op.to_le_bytes());
    bytes.extend_from_slice(nth.to_le_bytes().split_at(4).0);
    bytes.extend_from_slice((len as u64).to_le_bytes().split_at(4).0);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    let mut prng = Prng::new(op ^ (nth << 40) ^ 0x7061_796c);
    let filler = prng.below(4);
    if len > bytes.len() {
        let start = bytes.len();
        bytes.resize(len, 0);
        let rest = bytes.get_mut(start..).unwrap_or_default();
        match filler {
            // All zeros: a body that needs a mask.
            0 => {}
            1 => rest.fill(0xff),
            // Mostly zeros, as structures often are.
            2 => rest.iter_mut().step_by(97).for_each(|byte| *byte = 1),
            _ => prng.fill(rest),
        }
    }
    bytes.truncate(len);
    Bytes::from(bytes)
}
