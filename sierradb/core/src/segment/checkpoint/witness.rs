//! The witness ring: after each completed sync of the log one slot is written, without a sync of its own. Whichever of
//! them survives a crash proves how far the log had been durable, so that a missing frame below is known as damage
//! and not taken for a torn write.
//!
//! Slot `count mod 128`, little endian: index u64, end_offset u64, chain u32, 0 u32, count u32, CRC32C of 0..28 u32.

use bytes::{Buf, BufMut};

/// Bytes of a slot.
pub(crate) const SLOT_LEN: usize = 32;

/// Slots of the ring.
pub(crate) const SLOTS: u32 = 128;

/// Where the ring starts in the file.
pub(crate) const RING_OFFSET: u64 = 4_096;

const _: () = assert!(SLOT_LEN * SLOTS as usize == super::PAGE_LEN, "the ring is one page");

/// Proof that a sync was completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Witness {
    /// Log index of the last frame synced.
    pub(crate) index: u64,
    /// Where that frame ends in the segment.
    pub(crate) end_offset: u64,
    /// That frame's header checksum, to which the next one is chained.
    pub(crate) chain: u32,
    /// Which sync of this segment it was, from 0.
    pub(crate) count: u32,
}

impl Witness {
    /// Where in the file this one belongs.
    pub(crate) fn file_offset(&self) -> u64 {
        RING_OFFSET + u64::from(self.count % SLOTS) * SLOT_LEN as u64
    }

    /// The slot.
    pub(crate) fn encode(&self) -> [u8; SLOT_LEN] {
        let mut slot = [0; SLOT_LEN];
        let mut fields = slot.as_mut_slice();
        fields.put_u64_le(self.index);
        fields.put_u64_le(self.end_offset);
        fields.put_u32_le(self.chain);
        fields.put_u32_le(0);
        fields.put_u32_le(self.count);
        let crc = crc32c::crc32c(slot.split_at(SLOT_LEN - 4).0);
        let (_, mut crc_field) = slot.split_at_mut(SLOT_LEN - 4);
        crc_field.put_u32_le(crc);
        slot
    }

    /// The slot's witness, if every bit of it is as `encode` wrote it.
    pub(crate) fn decode(slot: &[u8; SLOT_LEN]) -> Option<Self> {
        let (mut fields, mut crc) = slot.split_at(SLOT_LEN - 4);
        if crc32c::crc32c(fields) != crc.get_u32_le() {
            return None;
        }
        let (index, end_offset) = (fields.get_u64_le(), fields.get_u64_le());
        let (chain, reserved) = (fields.get_u32_le(), fields.get_u32_le());
        let count = fields.get_u32_le();
        (reserved == 0).then_some(Self { index, end_offset, chain, count })
    }

    /// The newest readable witness of a ring (of the page at [`RING_OFFSET`], or what could be read of it).
    pub(crate) fn latest(ring: &[u8]) -> Option<Self> {
        let (slots, _) = ring.as_chunks::<SLOT_LEN>();
        let in_place = |(nth, slot): (u32, &[u8; SLOT_LEN])| {
            Self::decode(slot).filter(|witness| witness.count % SLOTS == nth)
        };
        (0..SLOTS).zip(slots).filter_map(in_place).max_by_key(|witness| witness.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn witness(count: u32) -> Witness {
        let index = 100 + u64::from(count);
        Witness { index, end_offset: index * 800, chain: count ^ 0x5a5a, count }
    }

    fn ring(counts: std::ops::Range<u32>) -> Vec<u8> {
        let mut ring = vec![0; 4_096];
        for count in counts {
            assert_eq!(witness(count).file_offset() - RING_OFFSET, u64::from(count) % 128 * 32);
            let at = count as usize % 128 * SLOT_LEN;
            ring[at..at + SLOT_LEN].copy_from_slice(&witness(count).encode());
        }
        ring
    }

    proptest! {
        #[test]
        fn a_slot_is_read_as_it_was_written(index: u64, end_offset: u64, chain: u32, count: u32) {
            let witness = Witness { index, end_offset, chain, count };
            prop_assert_eq!(Witness::decode(&witness.encode()), Some(witness));
        }

        #[test]
        fn the_newest_readable_slot_counts(written in 1..400_u32, lost in proptest::collection::btree_set(0..128_usize, 0..128)) {
            let mut ring = ring(0..written);
            for slot in &lost {
                ring[slot * SLOT_LEN + 5] ^= 1;
            }
            let left = (written.saturating_sub(SLOTS)..written).rev().find(|count| !lost.contains(&(*count as usize % 128)));
            prop_assert_eq!(Witness::latest(&ring), left.map(witness));
        }

        #[test]
        fn any_ring_is_read_without_panic(bytes: Vec<u8>) {
            prop_assert_eq!(Witness::latest(&bytes), None);
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        for bit in 0..SLOT_LEN * 8 {
            let mut slot = witness(3).encode();
            slot[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Witness::decode(&slot), None, "bit {bit}");
        }
    }

    #[test]
    fn an_empty_slot_and_a_slot_in_a_wrong_place_say_nothing() {
        assert_eq!(Witness::decode(&[0; SLOT_LEN]), None);
        let mut ring = ring(0..1);
        ring.rotate_right(SLOT_LEN);
        assert_eq!(Witness::latest(&ring), None);
    }

    #[test]
    fn its_bytes_never_change() {
        let slot =
            Witness { index: 0x0102, end_offset: 0x0304, chain: 0x0506, count: 0x0708 }.encode();
        let mut expected = vec![
            2, 1, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 6, 5, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0,
        ];
        expected.extend(PINNED_CRC);
        assert_eq!(slot.as_slice(), expected);
    }

    const PINNED_CRC: [u8; 4] = [116, 114, 96, 31];
}
