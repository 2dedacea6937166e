//! Clocks and the random source.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::FixedState;
use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::{Instant, Sleep};

use super::task::{Home, is_dedicated};
use crate::{Clock, Entropy, Fut, Mono, Prng, WallMs};

/// The machine's clocks.
#[derive(Debug)]
pub struct OsClock {
    home: Arc<Home>,
}

impl OsClock {
    pub(super) fn new(home: Arc<Home>) -> Self {
        Self { home }
    }

    /// A timer on this thread's own runtime if it has one, else on the shared one: the caller's executor need not
    /// know our timers.
    fn timer(&self, remaining: Duration) -> Sleep {
        let deadline = Instant::now() + remaining;
        if is_dedicated() {
            return tokio::time::sleep_until(deadline);
        }
        let _inside = self.home.handle().enter();
        tokio::time::sleep_until(deadline)
    }
}

impl Clock for OsClock {
    fn now(&self) -> Mono {
        Mono(nanoseconds(clock_gettime(ClockId::Monotonic)))
    }

    fn wall(&self) -> WallMs {
        WallMs(self.wall_ns() / 1_000_000)
    }

    fn wall_ns(&self) -> u64 {
        nanoseconds(clock_gettime(ClockId::Realtime))
    }

    fn sleep_until(&self, deadline: Mono) -> Fut<'_, ()> {
        Box::pin(async move {
            loop {
                let remaining = deadline.since(self.now());
                if remaining.is_zero() {
                    return;
                }
                self.timer(remaining).await;
            }
        })
    }
}

/// Zero before 1970, saturated in 2554.
fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The operating system's randomness: one root per process, and streams that depend on it.
pub struct OsEntropy {
    root: u64,
}

impl OsEntropy {
    /// With a root nobody knows.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    pub fn new() -> Self {
        let mut root = [0; 8];
        fill_from_system(&mut root);
        Self { root: u64::from_le_bytes(root) }
    }
}

impl Default for OsEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for OsEntropy {
    fn stream(&self, component: &'static str, key: u64) -> Prng {
        Prng::new(FixedState::with_seed(self.root).hash_one((component, key)))
    }

    fn fill_secret(&self, buf: &mut [u8]) {
        fill_from_system(buf);
    }
}

impl fmt::Debug for OsEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OsEntropy")
    }
}

#[cfg(target_os = "linux")]
fn fill_from_system(buf: &mut [u8]) {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut rest = buf;
    while !rest.is_empty() {
        let filled = rustix::io::retry_on_intr(|| getrandom(&mut *rest, GetRandomFlags::empty()))
            .expect("Linux answers getrandom once it has booted");
        rest = rest.get_mut(filled..).expect("no more is filled than was asked for");
    }
}

#[cfg(not(target_os = "linux"))]
fn fill_from_system(buf: &mut [u8]) {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(buf))
        .expect("every Unix has /dev/urandom");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> OsClock {
        OsClock::new(Arc::default())
    }

    #[test]
    fn streams_repeat_by_key_and_differ_by_component_key_and_root() {
        let draw = |e: &OsEntropy, c, k| e.stream(c, k).next_u64();
        let (one, other) = (OsEntropy { root: 1 }, OsEntropy { root: 2 });
        assert_eq!(draw(&one, "a", 7), draw(&one, "a", 7));
        assert_ne!(draw(&one, "a", 7), draw(&one, "a", 8));
        assert_ne!(draw(&one, "a", 7), draw(&one, "b", 7));
        assert_ne!(draw(&one, "a", 7), draw(&other, "a", 7));
        assert_ne!(OsEntropy::new().root, OsEntropy::new().root, "each process has its own root");
    }

    #[test]
    fn secrets_fill_every_byte() {
        let (mut first, mut second) = ([0; 300], [0; 300]); // more than one getrandom promises at once
        OsEntropy::new().fill_secret(&mut first);
        OsEntropy::new().fill_secret(&mut second);
        assert_ne!(first, second);
        assert!(first[256..].iter().any(|byte| *byte != 0));
    }

    #[test]
    fn wall_time_is_the_same_in_both_units_and_now_never_goes_back() {
        let clock = clock();
        let (ms, ns) = (clock.wall().0, clock.wall_ns());
        assert!(ns / 1_000_000 >= ms && ns / 1_000_000 - ms < 1_000, "{ms} ms against {ns} ns");
        assert!(ms > 1_700_000_000_000, "after 2023");
        let first = clock.now();
        assert!(clock.now() >= first);
    }

    #[test]
    fn sleeping_never_ends_early_wherever_it_is_polled() {
        let clock = clock();
        let nap = |clock: &OsClock| clock.now() + Duration::from_millis(3);
        // On a helper thread, with its own timers.
        let deadline = nap(&clock);
        super::super::wait(clock.sleep_until(deadline));
        assert!(clock.now() >= deadline);
        // In a foreign runtime that has no timers at all.
        let foreign = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let deadline = nap(&clock);
        foreign.block_on(clock.sleep_until(deadline));
        assert!(clock.now() >= deadline);
    }
}
