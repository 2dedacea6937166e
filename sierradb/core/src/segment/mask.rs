//! Keeps every sector of a stored frame from being all zero.
//!
//! Space that was never written reads as zeros. Recovery may therefore call a frame torn only if one of its
//! slices is all zero, and a frame that was written whole must have no such slice. The header guarantees that for
//! itself (magic at its start, kind and version at its end); a body of zeros cannot. So a body with a slice that
//! is nearly all zero is XORed with a repeating pattern of eight bytes, the first of seven that helps, and the
//! header says which. The choice depends on the file position, since sectors do.
//!
//! "Nearly": a slice needs [`SOLID`] non-zero bytes, pad included. Then no single byte that rots can make a slice
//! of zeros out of a good one, and rot is not taken for a torn write.
//!
//! A body that cancels out all seven patterns is stored as it is and marked [`NONE_HELPS`]; the torn rule is off
//! for that frame.

use super::frame::{FRAME_HEADER_LEN, SECTOR, pad_for};

/// The body is stored as it is.
pub(crate) const NO_MASK: u8 = 0;

/// Every pattern leaves a zero slice: the body is stored as it is and the frame can never be called torn.
pub(crate) const NONE_HELPS: u8 = 255;

/// Non-zero bytes that every slice of a frame has.
const SOLID: usize = 2;

/// Number of patterns, numbered from 1.
pub(crate) const PATTERNS: u8 = 7;

/// Pattern `mask`: byte i = `((0x9d·mask + 0x35·i + 1) & 0xff) | 1`, so no byte of it is zero.
fn pattern(mask: u8) -> [u8; 8] {
    let start = 0x9d_u8.wrapping_mul(mask).wrapping_add(1);
    let mut step = 0_u8;
    [(); 8].map(|()| {
        let byte = start.wrapping_add(step) | 1;
        step = step.wrapping_add(0x35);
        byte
    })
}

/// XORs `body` with pattern `mask`; twice gives the body back.
pub(crate) fn apply(mask: u8, body: &mut [u8]) {
    let pattern = pattern(mask);
    for (byte, key) in body.iter_mut().zip(pattern.iter().cycle()) {
        *byte ^= key;
    }
}

/// Number of leading bytes of a body that share a sector with the last byte of its header, for a frame at
/// `offset`. They need no mask: that sector is not all zero.
fn shielded_len(offset: u64) -> usize {
    let into_sector = offset % SECTOR;
    let start = usize::try_from(into_sector).unwrap_or(0) + FRAME_HEADER_LEN;
    let sector = usize::try_from(SECTOR).unwrap_or(usize::MAX);
    start.next_multiple_of(sector) - start
}

/// Slices of `bytes`, which follow the header of a frame at `offset`, that each lie in a sector of their own
/// beyond the header's last one.
pub(crate) fn slices(bytes: &[u8], offset: u64) -> std::slice::Chunks<'_, u8> {
    let sector = usize::try_from(SECTOR).unwrap_or(usize::MAX);
    bytes.get(shielded_len(offset)..).unwrap_or_default().chunks(sector)
}

/// Whether a sector that holds nothing of a frame but a part of `bytes`, which follow the header of a frame at
/// `offset`, is all zero.
pub(crate) fn has_zero_slice(bytes: &[u8], offset: u64) -> bool {
    slices(bytes, offset).any(|slice| slice.iter().all(|byte| *byte == 0))
}

/// The mask for `body` in a frame at `offset`.
pub(crate) fn choose(body: &[u8], offset: u64) -> u8 {
    let leaves_solid = |mask: u8| is_solid(body, offset, pattern(mask));
    if is_solid_as_it_is(body, offset) {
        return NO_MASK;
    }
    (1..=PATTERNS).find(|mask| leaves_solid(*mask)).unwrap_or(NONE_HELPS)
}

/// Non-zero bytes that a slice of this length must have by itself.
fn needed_of(slice_len: usize, pad_len: usize) -> usize {
    // The pad shares the last slice unless that fills its sector.
    let has_pad = u64::try_from(slice_len).is_ok_and(|len| len < SECTOR);
    if has_pad { SOLID.saturating_sub(pad_len) } else { SOLID }
}

/// Whether all slices of `body` are solid: so are nearly all bodies.
fn is_solid_as_it_is(body: &[u8], offset: u64) -> bool {
    let pad_len = pad_for(body.len()).len();
    slices(body, offset).all(|slice| {
        let needed = needed_of(slice.len(), pad_len);
        slice.iter().filter(|byte| **byte != 0).take(needed).count() == needed
    })
}

/// Whether all slices of `body` are solid once it is XORed with `pattern`.
fn is_solid(body: &[u8], offset: u64, pattern: [u8; 8]) -> bool {
    let pad_len = pad_for(body.len()).len();
    let mut start = shielded_len(offset);
    slices(body, offset).all(|slice| {
        let keys = pattern.iter().cycle().skip(start % pattern.len());
        start += slice.len();
        let needed = needed_of(slice.len(), pad_len);
        slice.iter().zip(keys).filter(|(byte, key)| byte != key).take(needed).count() == needed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(body: &[u8], offset: u64) -> (u8, Vec<u8>) {
        let mask = choose(body, offset);
        let mut stored = body.to_vec();
        if (1..=PATTERNS).contains(&mask) {
            apply(mask, &mut stored);
        }
        (mask, stored)
    }

    #[test]
    fn patterns_are_pinned_and_hold_no_zero() {
        assert_eq!(pattern(1), [0x9f, 0xd3, 0x09, 0x3d, 0x73, 0xa7, 0xdd, 0x11]);
        assert_eq!(pattern(7), [0x4d, 0x81, 0xb7, 0xeb, 0x21, 0x55, 0x8b, 0xbf]);
        for mask in 1..=PATTERNS {
            assert!(pattern(mask).iter().all(|byte| *byte != 0), "pattern {mask}");
        }
    }

    #[test]
    fn a_zero_body_is_masked_at_every_position() {
        for offset in (4096..4096 + 1024).step_by(8) {
            for len in [1, 7, 400, 448, 449, 512, 1000, 5000] {
                let body = vec![0; len];
                let (mask, mut stored) = masked(&body, offset);
                stored.extend(pad_for(len));
                assert!(
                    !has_zero_slice(&stored, offset),
                    "offset {offset}, {len} bytes, mask {mask}"
                );
            }
        }
    }

    #[test]
    fn a_body_without_zero_slice_is_stored_as_it_is() {
        assert_eq!(choose(&[1; 5000], 4096), NO_MASK);
        assert_eq!(choose(&[], 4096), NO_MASK);
    }

    #[test]
    fn bytes_in_the_headers_sector_need_no_mask() {
        assert_eq!(choose(&[0; 448], 4096), NO_MASK);
        assert_eq!(choose(&[0; 448 + 512], 4096), 1);
    }

    #[test]
    fn a_header_that_ends_a_sector_shields_nothing() {
        assert_eq!(choose(&[0; 512], 4096 + 448), 1);
    }

    #[test]
    fn one_byte_alone_does_not_make_a_sector_solid() {
        let mut body = [0; 512];
        body[100] = 1;
        assert_eq!(choose(&body, 4096 + 448), 1);
        body[101] = 1;
        assert_eq!(choose(&body, 4096 + 448), NO_MASK);
    }

    #[test]
    fn the_pad_counts_for_the_slice_it_shares() {
        // Two pad bytes or more are solid by themselves, a single one is not.
        assert_eq!(choose(&[0; 6], 4096 + 448), NO_MASK);
        assert_eq!(choose(&[0; 7], 4096 + 448), 1);
        assert_eq!(choose(&[0, 0, 0, 0, 0, 0, 1], 4096 + 448), NO_MASK);
    }

    /// Sectors that patterns 1..=`last` turn into zeros, after one that is zero already.
    fn cancels_up_to(last: u8) -> Vec<u8> {
        let mut body = vec![0; 512];
        for mask in 1..=last {
            let mut sector: Vec<u8> = vec![0; 512];
            apply(mask, &mut sector);
            body.extend(&sector);
        }
        body
    }

    #[test]
    fn a_pattern_that_the_body_cancels_is_passed_over() {
        let offset = 4096 + 448;
        let (mask, stored) = masked(&cancels_up_to(1), offset);
        assert_eq!(mask, 2);
        assert!(!has_zero_slice(&stored, offset));
    }

    #[test]
    fn a_body_that_cancels_every_pattern_says_so() {
        assert_eq!(choose(&cancels_up_to(PATTERNS), 4096 + 448), NONE_HELPS);
    }

    #[test]
    fn applying_twice_gives_the_body_back() {
        let body: Vec<u8> = (0..=255).collect();
        let mut twice = body.clone();
        apply(3, &mut twice);
        assert_ne!(twice, body);
        apply(3, &mut twice);
        assert_eq!(twice, body);
    }
}
