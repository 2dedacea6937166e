//! The targets by name, and inputs for them that are not quite right.

use crate::{command_parse, frame_decode, resp_decode};

/// A body with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All bodies.
pub const TARGETS: [Target; 3] = [
    ("command_parse", command_parse),
    ("frame_decode", frame_decode),
    ("resp_decode", resp_decode),
];

/// Makes inputs out of others, the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// Inputs of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A few random changes to one of `seeds`, sometimes with the end of another; without seeds, random bytes.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.pick(seeds).cloned().unwrap_or_default();
        if self.below(4) == 0 {
            let at = self.below(bytes.len() + 1);
            bytes.truncate(at);
            let other = self.pick(seeds).cloned().unwrap_or_default();
            let from = self.below(other.len() + 1);
            bytes.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        for _ in 0..self.below(6) {
            self.change(&mut bytes);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let [byte, ..] = self.next().to_le_bytes();
        match self.below(6) {
            0 => bytes.insert(at, byte),
            1 if at < bytes.len() => {
                bytes.remove(at);
            }
            2 => bytes.truncate(at),
            3 => {
                let piece = bytes.get(at..).unwrap_or_default().to_vec();
                bytes.extend(piece);
            }
            4 => bytes.extend(std::iter::repeat_n(byte, at.min(40))),
            _ => bytes.get_mut(at).into_iter().for_each(|target| *target ^= 1 << (byte % 8)),
        }
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len().max(1)))
    }

    /// A number below `bound`, which is at least 1.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound.max(1)).unwrap_or(0)
    }

    /// One step of splitmix64: short, and good enough to scatter changes.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
