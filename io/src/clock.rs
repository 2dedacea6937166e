//! Monotonic time for decisions, wall time for stamps, and no way from one to the other.
//!
//! # Contract
//! `now` never goes back within a boot. `wall` may jump and only stamps events; no decision compares it.

use std::ops::Add;
use std::time::Duration;

use crate::Fut;

/// Nanoseconds since an arbitrary point of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// Time since `earlier`; zero if that lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Milliseconds since 1970 on this host's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMs(pub u64);

/// Clocks of one host.
pub trait Clock: Send + Sync {
    /// Monotonic time.
    fn now(&self) -> Mono;

    /// Wall time in milliseconds.
    fn wall(&self) -> WallMs;

    /// Wall time in nanoseconds since 1970, as fine as the host has it.
    fn wall_ns(&self) -> u64 {
        self.wall().0.saturating_mul(1_000_000)
    }

    /// Ready once `now() >= deadline`.
    fn sleep_until(&self, deadline: Mono) -> Fut<'_, ()>;
}
