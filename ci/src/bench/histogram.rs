//! Durations in buckets that are at most 1/32 wide, so a percentile is off by 3 % at most.

use std::time::Duration;

const SUB_BITS: u32 = 5;
const SUBS: u64 = 1 << SUB_BITS;
/// Enough for durations up to 2^63 ns.
const BUCKETS: usize = 60 * (1 << SUB_BITS);

/// Counts of durations.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// Adds what another one counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.total += other.total;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The upper end of the bucket that holds the given per mille of all durations; zero if there are none.
    pub(crate) fn per_mille(&self, per_mille: u64) -> Duration {
        let wanted = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_end(index));
            }
        }
        Duration::ZERO
    }

    /// Half of all durations were at most this.
    pub(crate) fn p50(&self) -> Duration {
        self.per_mille(500)
    }

    /// All but one in a hundred durations were at most this.
    pub(crate) fn p99(&self) -> Duration {
        self.per_mille(990)
    }
}

fn bucket(nanos: u64) -> usize {
    let index = if nanos < SUBS {
        nanos
    } else {
        let exponent = u64::from(63 - nanos.leading_zeros());
        let shift = exponent - u64::from(SUB_BITS);
        (shift + 1) * SUBS + ((nanos >> shift) & (SUBS - 1))
    };
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn upper_end(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    match (index / SUBS).checked_sub(1) {
        None => index,
        Some(shift) => ((SUBS + index % SUBS + 1) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_upper_end_and_ends_there() {
        for nanos in (0..100).chain([1_000, 4_095, 4_096, 123_456_789, 1 << 40]) {
            let end = upper_end(bucket(nanos));
            assert!(end >= nanos && end - nanos <= nanos / 32, "{nanos} {end}");
            assert_eq!(bucket(end), bucket(nanos));
            assert_eq!(bucket(end + 1), bucket(nanos) + 1);
        }
    }

    #[test]
    fn percentiles_cut_where_they_say() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.p50(), Duration::ZERO);
        (0..99).for_each(|_| histogram.record(Duration::from_nanos(10)));
        histogram.record(Duration::from_nanos(20));
        assert_eq!(histogram.p50(), Duration::from_nanos(10));
        assert_eq!(histogram.p99(), Duration::from_nanos(10));
        assert_eq!(histogram.per_mille(1000), Duration::from_nanos(20));
    }
}
