//! Lists of frame offsets, one per event of a stream or partition, as deltas.
//!
//! Offsets are counted in units of 8 bytes and never fall within a list; events of one transaction share theirs. The
//! first offset of a list stands where the list is referred to. What is stored for `count` events:
//!
//! | Part | Content |
//! |---|---|
//! | skip table | for every 128th event (128, 256, … below `count`): its offset u32, position u32 of what follows its delta, counted from the end of the table |
//! | deltas | for events 1..`count`: difference to the event before, LEB128 |
//!
//! So a list of one event takes no bytes, and any event is found from at most one table entry and 127 deltas.

/// Events per entry of the skip table.
pub(crate) const SKIP_EVERY: u32 = 128;
/// Length of an entry of the skip table.
pub(crate) const SKIP_LEN: u32 = 8;

/// Entries in the skip table of a list.
pub(crate) const fn skip_entries(count: u32) -> u32 {
    count.saturating_sub(1) / SKIP_EVERY
}

/// Appends the list of `offsets` to `out`.
///
/// Offsets must not fall; `None` if they do, or if positions exceed 32 bits.
pub(crate) fn encode(offsets: &[u32], out: &mut Vec<u8>) -> Option<()> {
    let count = u32::try_from(offsets.len()).ok()?;
    let table_at = out.len();
    let table_len = usize::try_from(skip_entries(count).checked_mul(SKIP_LEN)?).ok()?;
    let deltas_at = table_at.checked_add(table_len)?;
    out.resize(deltas_at, 0);
    let mut table = table_at;
    for (nth, pair) in (1_u32..).zip(offsets.windows(2)) {
        let &[before, offset] = pair else { continue };
        encode_delta(offset.checked_sub(before)?, out);
        if nth.is_multiple_of(SKIP_EVERY) {
            let position = u32::try_from(out.len() - deltas_at).ok()?;
            let (left, right) = out.get_mut(table..)?.split_first_chunk_mut::<4>()?;
            *left = offset.to_le_bytes();
            *right.first_chunk_mut::<4>()? = position.to_le_bytes();
            table += 8;
        }
    }
    Some(())
}

/// Appends one delta, seven bits per byte, lowest first; the high bit says that more follow.
fn encode_delta(mut delta: u32, out: &mut Vec<u8>) {
    while delta >= 0x80 {
        out.push(delta_low(delta) | 0x80);
        delta >>= 7;
    }
    out.push(delta_low(delta));
}

/// The lowest seven bits.
fn delta_low(delta: u32) -> u8 {
    let [low, ..] = delta.to_le_bytes();
    low & 0x7f
}

/// Turns bytes of a list, piece by piece, into offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoder {
    /// Offset of the last event decoded.
    offset: u32,
    /// Bits of a delta of which some bytes are still to come.
    partial: u32,
    /// How many bits those are.
    shift: u32,
}

impl Decoder {
    /// Continues after an event at `offset`.
    pub(crate) const fn after(offset: u32) -> Self {
        Self { offset, partial: 0, shift: 0 }
    }

    /// Takes one byte: the next offset if it completes one.
    ///
    /// # Errors
    /// The delta, or the offset it leads to, exceeds 32 bits.
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<u32>, Overflow> {
        let bits = u32::from(byte & 0x7f);
        let shifted = bits.checked_shl(self.shift).ok_or(Overflow)?;
        if shifted >> self.shift != bits {
            return Err(Overflow);
        }
        self.partial |= shifted;
        if byte & 0x80 != 0 {
            self.shift += 7;
            return Ok(None);
        }
        self.offset = self.offset.checked_add(self.partial).ok_or(Overflow)?;
        (self.partial, self.shift) = (0, 0);
        Ok(Some(self.offset))
    }
}

/// A list that no encoder made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode_from(bytes: &[u8], first: u32, count: u32, from: u32) -> Vec<u32> {
        let table_len = usize::try_from(skip_entries(count) * SKIP_LEN).unwrap();
        let (table, deltas) = bytes.split_at(table_len);
        let group = from / SKIP_EVERY;
        let (offset, position) = match usize::try_from(group).unwrap().checked_sub(1) {
            None => (first, 0),
            Some(entry) => {
                let entry = &table[entry * 8..][..8];
                let field = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().unwrap());
                (field(0), usize::try_from(field(4)).unwrap())
            }
        };
        let mut decoder = Decoder::after(offset);
        let mut found = vec![offset];
        for byte in &deltas[position..] {
            found.extend(decoder.push(*byte).unwrap());
        }
        found.split_off(usize::try_from(from - group * SKIP_EVERY).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn every_suffix_of_a_list_comes_back(
            first in 0_u32..1 << 20,
            deltas in prop::collection::vec(
                prop_oneof![Just(0_u32), 0_u32..300, 0_u32..5_000_000], 0..600),
            from in any::<prop::sample::Index>(),
        ) {
            let mut offsets = vec![first];
            for delta in deltas {
                offsets.push(offsets[offsets.len() - 1] + delta);
            }
            let mut bytes = vec![];
            prop_assert_eq!(encode(&offsets, &mut bytes), Some(()));
            let from = from.index(offsets.len());
            let count = u32::try_from(offsets.len()).unwrap();
            let found = decode_from(&bytes, first, count, u32::try_from(from).unwrap());
            prop_assert_eq!(&found[..], &offsets[from..]);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..100), offset: u32,
        ) {
            let mut decoder = Decoder::after(offset);
            let mut last = offset;
            for byte in bytes {
                match decoder.push(byte) {
                    Ok(None) => {}
                    Ok(Some(next)) => {
                        prop_assert!(next >= last);
                        last = next;
                    }
                    Err(Overflow) => break,
                }
            }
        }
    }

    #[test]
    fn the_bytes_of_a_list_never_change() {
        let mut bytes = vec![];
        encode(&[512, 512, 640, 20_000], &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0x80, 1, 0xa0, 0x97, 1]);
        bytes.clear();
        let offsets: Vec<u32> = (0..130).map(|i| 512 + 3 * i).collect();
        encode(&offsets, &mut bytes).unwrap();
        assert_eq!(bytes[..8], [0x80, 3, 0, 0, 128, 0, 0, 0]);
        assert_eq!(bytes[8..], [3; 129]);
    }

    #[test]
    fn falling_offsets_and_overlong_deltas_are_refused() {
        assert_eq!(encode(&[5, 4], &mut vec![]), None);
        let mut decoder = Decoder::after(0);
        let pushed: Vec<_> = [0xff, 0xff, 0xff, 0xff, 0x7f].map(|byte| decoder.push(byte)).into();
        assert_eq!(pushed[3], Ok(None));
        assert_eq!(pushed[4], Err(Overflow));
        assert_eq!(Decoder::after(u32::MAX).push(1), Err(Overflow));
    }

    #[test]
    fn a_list_of_one_takes_no_bytes() {
        let mut bytes = vec![];
        encode(&[9], &mut bytes).unwrap();
        encode(&[], &mut bytes).unwrap();
        assert!(bytes.is_empty());
    }
}
