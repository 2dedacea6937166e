//! Filters that say "surely not here" about hashes: binary fuse filters with fingerprints of one byte.
//!
//! A filter is built by the crate `xorf` and stored as ours: its shape in the footer, its fingerprints in pages. Asking
//! is arithmetic: a hash names three fingerprints, and if their XOR differs from its own fingerprint the hash is not
//! in the set. One in 256 absent hashes passes. About 9.1 bits per hash.

use xorf::BinaryFuse8;

/// What must be known to ask a filter, beside its fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilterShape {
    /// Mixed into every hash.
    pub(crate) seed: u64,
    /// Fingerprints per segment; a power of two.
    pub(crate) segment_length: u32,
    /// Fingerprints of all segments in which the first of three can lie.
    pub(crate) segment_count_length: u32,
    /// All fingerprints.
    pub(crate) len: u32,
}

/// What to look at for one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilterProbe {
    /// XOR of the three fingerprints if the hash is in the set.
    pub(crate) fingerprint: u8,
    /// Their positions, each in the segment after that of the one before.
    pub(crate) at: [u32; 3],
}

impl FilterShape {
    /// Where to look for `hash`. Positions are below `len` if the shape [`is_sound`](Self::is_sound).
    pub(crate) fn probe(&self, hash: u64) -> FilterProbe {
        let mixed = mix(hash.wrapping_add(self.seed));
        let wide = (u128::from(mixed) * u128::from(self.segment_count_length)) >> 64;
        let first = u32::try_from(wide).unwrap_or(0);
        let second = first.wrapping_add(self.segment_length);
        let third = second.wrapping_add(self.segment_length);
        let mask = self.segment_length.wrapping_sub(1);
        let at = [first, second ^ (low_bits(mixed >> 18) & mask), third ^ (low_bits(mixed) & mask)];
        let [fingerprint, ..] = (mixed ^ (mixed >> 32)).to_le_bytes();
        FilterProbe { fingerprint, at }
    }

    /// Whether every probe stays inside `len` fingerprints.
    pub(crate) fn is_sound(&self) -> bool {
        let needed = u64::from(self.segment_count_length) + 2 * u64::from(self.segment_length);
        self.segment_length.is_power_of_two()
            && self.segment_count_length > 0
            && self.segment_count_length.is_multiple_of(self.segment_length)
            && needed == u64::from(self.len)
    }
}

/// The finalizer of MurmurHash3, by which `xorf` spreads its keys.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

fn low_bits(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Builds a filter over `hashes`, which come back sorted and without duplicates.
///
/// `None` if there are no hashes or construction failed: whoever asks must then look for himself. The same hashes
/// give the same filter on every machine.
pub(crate) fn build(hashes: &mut Vec<u64>) -> Option<(FilterShape, Box<[u8]>)> {
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.is_empty() {
        return None;
    }
    let built = BinaryFuse8::try_from_iterator(hashes.iter().copied()).ok()?;
    let shape = FilterShape {
        seed: built.descriptor.seed,
        segment_length: built.descriptor.segment_length,
        segment_count_length: built.descriptor.segment_count_length,
        len: u32::try_from(built.fingerprints.len()).ok()?,
    };
    // A false "surely not here" would be a wrong answer, so nobody trusts the construction blindly.
    let holds = |hash: &u64| may_contain(&shape, &built.fingerprints, *hash) == Some(true);
    (shape.is_sound() && hashes.iter().all(holds)).then_some((shape, built.fingerprints))
}

/// Asks a filter whose fingerprints all lie in memory; `None` if some are missing.
pub(crate) fn may_contain(shape: &FilterShape, fingerprints: &[u8], hash: u64) -> Option<bool> {
    let probe = shape.probe(hash);
    let mut seen = 0;
    for at in probe.at {
        seen ^= fingerprints.get(usize::try_from(at).ok()?)?;
    }
    Some(seen == probe.fingerprint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sierradb_io::Prng;
    use xorf::Filter;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn every_member_passes_and_answers_equal_the_crate_s(
            mut hashes in prop::collection::vec(any::<u64>(), 1..2000),
            absent in prop::collection::vec(any::<u64>(), 200),
        ) {
            hashes.extend_from_within(..hashes.len() / 3);
            let (shape, fingerprints) = build(&mut hashes).expect("few hashes always fit");
            prop_assert!(shape.is_sound());
            let theirs = BinaryFuse8::try_from_iterator(hashes.iter().copied()).unwrap();
            for hash in hashes.iter().chain(&absent) {
                let ours = may_contain(&shape, &fingerprints, *hash);
                prop_assert_eq!(ours, Some(theirs.contains(hash)));
            }
            prop_assert!(hashes.iter().all(|hash| theirs.contains(hash)));
        }

        #[test]
        fn a_sound_shape_never_looks_outside(
            seed: u64,
            bits in 0_u32..20,
            segments in 1_u32..50,
            hash: u64,
        ) {
            let segment_length = 1 << bits;
            let segment_count_length = segments * segment_length;
            let len = segment_count_length + 2 * segment_length;
            let shape = FilterShape { seed, segment_length, segment_count_length, len };
            prop_assert!(shape.is_sound());
            prop_assert!(shape.probe(hash).at.iter().all(|at| *at < len));
        }
    }

    #[test]
    fn no_hashes_give_no_filter() {
        assert_eq!(build(&mut Vec::new()), None);
    }

    #[test]
    fn one_absent_hash_in_about_256_passes() {
        let mut prng = Prng::new(3);
        let mut hashes: Vec<u64> = (0..20_000).map(|_| prng.next_u64()).collect();
        let (shape, fingerprints) = build(&mut hashes).unwrap();
        assert!(fingerprints.len() * 8 < hashes.len() * 10, "{} fingerprints", fingerprints.len());
        let passed = (0..100_000)
            .filter(|_| may_contain(&shape, &fingerprints, prng.next_u64()) == Some(true))
            .count();
        assert!((250..550).contains(&passed), "{passed} of 100000");
    }

    #[test]
    fn shapes_and_fingerprints_never_change() {
        let mut hashes: Vec<u64> = (0..10).map(|i| i * 0x0101_0101_0101).collect();
        let (shape, fingerprints) = build(&mut hashes).unwrap();
        assert_eq!((shape.segment_length, shape.segment_count_length, shape.len), (16, 16, 48));
        assert_eq!(crc32c::crc32c(&fingerprints), 1_237_362_691);
        assert_eq!(shape.seed, 10_451_216_379_200_822_465);
    }
}
