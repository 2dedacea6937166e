//! A row of equal blocks: grows without ever moving what it holds.
//!
//! A plain `Vec` doubles, which at millions of entries is a pause of milliseconds and up to half its memory unused.
//! Here only the first block doubles (so that small ones stay small); later ones are allocated whole. The block that
//! grows is at hand without the way through the list of the others.

/// Values at positions 0, 1, 2 …, in blocks of `N`.
#[derive(Debug)]
pub(crate) struct Blocks<T, const N: usize> {
    full: Vec<Vec<T>>,
    /// What follows the full blocks; at most as long as one.
    tail: Vec<T>,
    len: u32,
}

impl<T: Copy, const N: usize> Blocks<T, N> {
    pub(crate) const fn new() -> Self {
        const { assert!(N.is_power_of_two() && N >= 4, "positions are split by shifts") };
        Self { full: Vec::new(), tail: Vec::new(), len: 0 }
    }

    /// How many values there are.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Appends `value` at position `len()`.
    ///
    /// # Panics
    /// At 2^32 values: more than a segment of the largest size has events.
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        if self.tail.len() == N {
            self.begin_block();
        }
        self.tail.push(value);
        self.len = self.len.checked_add(1).expect("a segment has fewer than 2^32 events");
    }

    #[cold]
    fn begin_block(&mut self) {
        self.full.push(std::mem::replace(&mut self.tail, Vec::with_capacity(N)));
    }

    pub(crate) fn get(&self, position: u32) -> Option<T> {
        let position = position as usize;
        let is_in_tail = position / N == self.full.len();
        let block = if is_in_tail { &self.tail } else { self.full.get(position / N)? };
        block.get(position % N).copied()
    }

    pub(crate) fn get_mut(&mut self, position: u32) -> Option<&mut T> {
        let position = position as usize;
        let is_in_tail = position / N == self.full.len();
        let block = if is_in_tail { &mut self.tail } else { self.full.get_mut(position / N)? };
        block.get_mut(position % N)
    }

    /// Bytes allocated.
    pub(crate) fn memory_bytes(&self) -> usize {
        let full: usize = self.full.iter().map(Vec::capacity).sum();
        (full + self.tail.capacity()) * size_of::<T>() + self.full.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_where_they_were_put() {
        let mut blocks = Blocks::<u32, 4>::new();
        for value in 0..1_000 {
            assert_eq!(blocks.get(value), None);
            blocks.push(value * 3);
        }
        *blocks.get_mut(17).unwrap() = 7;
        for value in 0..1_000 {
            assert_eq!(blocks.get(value), Some(if value == 17 { 7 } else { value * 3 }));
        }
        assert_eq!((blocks.len(), blocks.get_mut(1_000)), (1_000, None));
    }

    #[test]
    fn a_small_one_takes_little_and_a_large_one_wastes_at_most_a_block() {
        let mut blocks = Blocks::<u64, 4_096>::new();
        blocks.push(1);
        assert!(blocks.memory_bytes() < 200, "{}", blocks.memory_bytes());
        for value in 0..1_000_000 {
            blocks.push(value);
        }
        let least = 8 * 1_000_001;
        assert!(blocks.memory_bytes() < least + 8 * 4_096 + 24 * 512, "{}", blocks.memory_bytes());
    }
}
