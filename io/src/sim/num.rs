//! Numbers without `as`.

/// A length or index in memory. Simulated files are far smaller than memory on every target we build for.
pub(crate) fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A memory length as a file length.
pub(crate) fn to_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// A seed out of a seed and a number: one round of a 64-bit finalizer (SplitMix64's constants).
pub(crate) const fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed
        .rotate_left(25)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(number.wrapping_mul(0xD6E8_FEB8_6659_FD93))
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `bound` out of one hash; 0 if `bound` is 0.
pub(crate) fn below(hash: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(hash) * u128::from(bound)) >> 64).unwrap_or(0)
}

/// Length of a slice as a number of bytes on disk.
pub(crate) fn bytes_of(data: &[u8]) -> u64 {
    to_u64(data.len())
}
