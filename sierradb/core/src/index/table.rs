//! Hash → ordinals, for event ids and idempotency keys of an unsealed segment.
//!
//! A row of open-addressing tables, each filled to three quarters and then left alone: nothing is ever hashed
//! again, so an insert takes the same time at a thousand and at ten million events. A slot is 16 bits of tag and
//! 16 bits of position within the block. With the block's home slot (other 16 bits of the hash) a miss meets a
//! wrong tag about 0.0001 times per block; every hit is verified against its frame by the caller.
//!
//! The first blocks are small, each four times the one before, so that a quiet bucket costs kilobytes.

use std::ops::Range;

/// Slots of the smallest block.
const MIN_SLOT_BITS: u32 = 10;

/// Slots of a full-grown block: as many as 16 bits of a hash can tell apart.
const MAX_SLOT_BITS: u32 = 16;

/// log2 of how much larger than its predecessor a block is, until it is full-grown.
const GROWTH_BITS: u32 = 2;

const _: () = assert!((MAX_SLOT_BITS - MIN_SLOT_BITS).is_multiple_of(GROWTH_BITS));

/// Bits of the position within a block, plus one, in a slot; the tag is above them.
const POSITION_BITS: u32 = 16;

/// The part of a slot that holds the position plus one; an empty slot is 0.
const POSITION_MASK: u32 = (1 << POSITION_BITS) - 1;

/// Finds the ordinals that were inserted under a hash, and sometimes others.
#[derive(Debug, Default)]
pub(crate) struct OrdinalTable {
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    slots: Box<[u32]>,
    slot_bits: u32,
    /// Ordinal at position 0.
    first_ordinal: u32,
    entries: u32,
}

impl OrdinalTable {
    pub(crate) const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// Notes `ordinal` under `hash`. Ordinals must not descend.
    pub(crate) fn insert(&mut self, hash: u32, ordinal: u32) {
        if let Some(block) = self.blocks.last_mut()
            && block.insert(hash, ordinal)
        {
            return;
        }
        let grown = self.blocks.last().map_or(MIN_SLOT_BITS, |last| last.slot_bits + GROWTH_BITS);
        let mut block = Block::new(grown.min(MAX_SLOT_BITS), ordinal);
        let inserted = block.insert(hash, ordinal);
        assert!(inserted, "a new block has room for its first ordinal {ordinal}");
        self.blocks.push(block);
    }

    /// Looks at where an insert under `hash` would begin, so that what lies there is at hand by then.
    pub(crate) fn touch(&self, hash: u32) -> u32 {
        let slot = self.blocks.last().and_then(|block| block.slots.get(block.home(hash)));
        slot.copied().unwrap_or(0)
    }

    /// Appends to `out` every ordinal noted under `hash`, newest first, and rarely others.
    pub(crate) fn candidates(&self, hash: u32, out: &mut Vec<u32>) {
        for block in self.blocks.iter().rev() {
            let before = out.len();
            block.candidates(hash, out);
            if let Some(found) = out.get_mut(before..)
                && found.len() > 1
            {
                found.sort_unstable_by(|a, b| b.cmp(a));
            }
        }
    }

    /// Every hash under which one of `ordinals` is found: its own and, since a slot does not keep all bits, others.
    pub(crate) fn hashes_of(&self, ordinals: Range<u32>) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for block in &self.blocks {
            block.hashes_of(&ordinals, &mut found);
        }
        found
    }

    /// Bytes allocated.
    pub(crate) fn memory_bytes(&self) -> usize {
        let slots: usize = self.blocks.iter().map(|block| block.slots.len()).sum();
        slots * size_of::<u32>() + self.blocks.capacity() * size_of::<Block>()
    }
}

impl Block {
    fn new(slot_bits: u32, first_ordinal: u32) -> Self {
        let slots = vec![0; 1 << slot_bits].into_boxed_slice();
        Self { slots, slot_bits, first_ordinal, entries: 0 }
    }

    /// False if the block is full or `ordinal` lies beyond its reach.
    fn insert(&mut self, hash: u32, ordinal: u32) -> bool {
        let position = ordinal.checked_sub(self.first_ordinal).expect("ordinals do not descend");
        let capacity = (1_u32 << self.slot_bits) / 4 * 3;
        if self.entries == capacity || position >= POSITION_MASK {
            return false;
        }
        self.entries += 1;
        let mut at = self.home(hash);
        loop {
            let slot = self.slots.get_mut(at).expect("a home slot is below 2^slot_bits");
            if *slot == 0 {
                *slot = (hash << POSITION_BITS) | (position + 1);
                return true;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn candidates(&self, hash: u32, out: &mut Vec<u32>) {
        let mut at = self.home(hash);
        // Ends at an empty slot: at least a quarter of them are.
        while let Some(slot) = self.slots.get(at).copied().filter(|slot| *slot != 0) {
            if (slot ^ (hash << POSITION_BITS)) >> POSITION_BITS == 0 {
                out.push(self.first_ordinal + (slot & POSITION_MASK) - 1);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn hashes_of(&self, ordinals: &Range<u32>, out: &mut Vec<(u32, u32)>) {
        // Between home and tag there are bits that a small block does not keep.
        let lost_bits = MAX_SLOT_BITS - self.slot_bits;
        for (at, slot) in self.slots.iter().enumerate().filter(|(_, slot)| **slot != 0) {
            let ordinal = self.first_ordinal + (slot & POSITION_MASK) - 1;
            if !ordinals.contains(&ordinal) {
                continue;
            }
            // Whatever has its home here, or further ahead in a row of taken slots, may have come to rest here.
            let mut home = at;
            while self.slots.get(home).is_some_and(|slot| *slot != 0) {
                let upper =
                    u32::try_from(home).expect("a block has at most 2^16 slots") << lost_bits;
                let hashes = (0..1 << lost_bits)
                    .map(|lost: u32| (upper | lost) << POSITION_BITS | slot >> POSITION_BITS);
                out.extend(hashes.map(|hash| (ordinal, hash)));
                home = home.wrapping_sub(1) & (self.slots.len() - 1);
            }
        }
    }

    /// Upper half of the hash; the lower half is the tag.
    const fn home(&self, hash: u32) -> usize {
        (hash >> (u32::BITS - self.slot_bits)) as usize
    }
}

#[cfg(test)]
mod tests {
    use sierradb_io::Prng;

    use super::*;

    fn found(table: &OrdinalTable, hash: u32) -> Vec<u32> {
        let mut out = Vec::new();
        table.candidates(hash, &mut out);
        out
    }

    fn draw(prng: &mut Prng) -> u32 {
        u32::try_from(prng.below(1 << 32)).unwrap()
    }

    #[test]
    fn every_ordinal_is_found_and_misses_rarely_name_one() {
        let mut prng = Prng::new(1);
        let hashes: Vec<u32> = (0..200_000).map(|_| draw(&mut prng)).collect();
        let mut table = OrdinalTable::new();
        for (ordinal, hash) in (0..).zip(&hashes) {
            table.insert(*hash, ordinal);
        }
        for (ordinal, hash) in (0..).zip(&hashes).step_by(7) {
            assert!(found(&table, *hash).contains(&ordinal));
        }
        let wrong: usize = (0..10_000).map(|_| found(&table, draw(&mut prng)).len()).sum();
        assert!(wrong < 40, "{wrong} wrong candidates in 10,000 misses");
    }

    #[test]
    fn the_hashes_of_an_ordinal_are_those_that_find_it() {
        let mut prng = Prng::new(2);
        let mut table = OrdinalTable::new();
        let hashes: Vec<u32> = (0..70_000).map(|_| draw(&mut prng)).collect();
        for (ordinal, hash) in (0..).zip(&hashes) {
            table.insert(*hash, ordinal);
        }
        for ordinals in [0..3, 800..803, 69_990..70_000] {
            let known = table.hashes_of(ordinals.clone());
            for (ordinal, hash) in &known {
                assert!(ordinals.contains(ordinal) && found(&table, *hash).contains(ordinal));
            }
            for ordinal in ordinals {
                let hash = hashes[usize::try_from(ordinal).unwrap()];
                assert!(known.contains(&(ordinal, hash)), "{ordinal}");
            }
        }
    }

    #[test]
    fn equal_hashes_come_newest_first() {
        let mut table = OrdinalTable::new();
        for ordinal in 0..3_000 {
            table.insert(if ordinal % 1_000 == 0 { u32::MAX } else { ordinal * 77_777 }, ordinal);
        }
        let mut expected = vec![2_000, 1_000, 0];
        expected.retain(|ordinal| found(&table, u32::MAX).contains(ordinal));
        assert_eq!(expected.len(), 3);
        let newest_first = found(&table, u32::MAX);
        assert!(newest_first.is_sorted_by(|a, b| a > b), "{newest_first:?}");
    }

    #[test]
    fn an_ordinal_may_have_two_hashes() {
        let mut table = OrdinalTable::new();
        for ordinal in 0..60_000_u32 {
            table.insert(ordinal.wrapping_mul(0x9e37_79b1), ordinal);
            table.insert(ordinal.wrapping_mul(0x85eb_ca77) ^ 1, ordinal);
        }
        for ordinal in (0..60_000_u32).step_by(13) {
            assert!(found(&table, ordinal.wrapping_mul(0x9e37_79b1)).contains(&ordinal));
            assert!(found(&table, ordinal.wrapping_mul(0x85eb_ca77) ^ 1).contains(&ordinal));
        }
    }

    #[test]
    fn a_quiet_table_is_small() {
        let mut table = OrdinalTable::new();
        assert_eq!(table.memory_bytes(), 0);
        table.insert(1, 0);
        assert!(table.memory_bytes() < 5_000, "{}", table.memory_bytes());
    }
}
