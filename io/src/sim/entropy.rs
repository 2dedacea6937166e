//! Keyed randomness of one boot: xxh3 of (seed, host, boot, component, key) seeds each stream.

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::num::mix;
use crate::{Entropy, Prng};

/// Randomness of one boot.
#[derive(Debug)]
pub struct SimEntropy {
    root: u64,
    secrets: AtomicU64,
}

impl SimEntropy {
    /// The source of `host`'s life number `boot` in the world of `seed`.
    pub fn new(seed: u64, host: u64, boot: u64) -> Self {
        Self { root: mix(mix(seed, host), boot), secrets: AtomicU64::new(0) }
    }
}

/// The seed of one stream below `root`.
pub(crate) fn stream_seed(root: u64, component: &str, key: u64) -> u64 {
    mix(xxh3_64_with_seed(component.as_bytes(), root), key)
}

impl Entropy for SimEntropy {
    fn stream(&self, component: &'static str, key: u64) -> Prng {
        Prng::new(stream_seed(self.root, component, key))
    }

    fn fill_secret(&self, buf: &mut [u8]) {
        let number = self.secrets.fetch_add(1, Ordering::Relaxed);
        Prng::new(stream_seed(self.root, "secret", number)).fill(buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_does_not_care_what_others_draw() {
        let quiet = SimEntropy::new(7, 1, 1).stream("writer", 3).next_u64();
        let busy = SimEntropy::new(7, 1, 1);
        busy.stream("reader", 3).next_u64();
        busy.fill_secret(&mut [0; 16]);
        assert_eq!(busy.stream("writer", 3).next_u64(), quiet);
        assert_ne!(SimEntropy::new(7, 1, 2).stream("writer", 3).next_u64(), quiet, "another boot");
        assert_ne!(SimEntropy::new(7, 2, 1).stream("writer", 3).next_u64(), quiet, "another host");
    }

    #[test]
    fn no_secret_comes_twice() {
        let entropy = SimEntropy::new(7, 1, 1);
        let (mut first, mut second) = ([0; 16], [0; 16]);
        entropy.fill_secret(&mut first);
        entropy.fill_secret(&mut second);
        assert_ne!(first, second);
    }
}
