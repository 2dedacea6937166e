//! Clocks of one host over the runtime's (paused) time.
//!
//! One world time `t`; per host `now = base(boot) + t·(1 + drift)` and
//! `wall = epoch + offset + jumps + t·(1 + drift)`. Timers tick in whole milliseconds of the runtime.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the simulated clock stands on tokio's paused time; nothing else may look at it"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::config::ClockConfig;
use super::host::HostShared;
use crate::{Clock, Fut, Mono, WallMs};

const MILLION: i128 = 1_000_000;

/// World time, and how this host reads it.
#[derive(Debug)]
pub(crate) struct WorldClock(Mutex<State>);

#[derive(Debug)]
struct State {
    /// World time at `origin`.
    anchor_ns: u64,
    /// The runtime's instant that belongs to `anchor_ns`; taken at the first look within a runtime.
    origin: Option<Instant>,
    /// World time last seen; what is answered outside any runtime, where instants are the real ones.
    seen_ns: u64,
    drift_ppm: i128,
    /// Local time at which the present drift began, and the world time it belongs to.
    local_base_ns: i128,
    world_base_ns: i128,
    wall_base_ns: i128,
    frozen_until_ns: u64,
    frozen_wall_ns: i128,
}

impl WorldClock {
    pub(crate) fn new(config: &ClockConfig) -> Self {
        let wall = i128::from(config.epoch_ms) + i128::from(config.offset_ms);
        Self(Mutex::new(State {
            anchor_ns: 0,
            origin: None,
            seen_ns: 0,
            drift_ppm: i128::from(config.drift_ppm),
            local_base_ns: 0,
            world_base_ns: 0,
            wall_base_ns: wall * MILLION,
            frozen_until_ns: 0,
            frozen_wall_ns: 0,
        }))
    }

    /// World time in nanoseconds since the world began.
    pub(crate) fn world_ns(&self) -> u64 {
        self.lock().world_ns()
    }

    /// Says what world time it is now, as after a boot in a new runtime whose clock began elsewhere.
    pub(crate) fn set_world(&self, time: Duration) {
        let mut state = self.lock();
        state.anchor_ns = nanos(time).max(state.seen_ns);
        state.seen_ns = state.anchor_ns;
        state.origin = None;
    }

    /// Time on this host's oscillator since the world began.
    fn local_ns(&self) -> u64 {
        let mut state = self.lock();
        let world = state.world_ns();
        clamp(state.local_ns(world))
    }

    fn wall_ns(&self) -> u64 {
        let mut state = self.lock();
        let world = state.world_ns();
        if world < state.frozen_until_ns {
            return clamp(state.frozen_wall_ns);
        }
        clamp(state.wall_base_ns + state.local_ns(world))
    }

    pub(crate) fn jump(&self, by_ms: i64) {
        self.lock().wall_base_ns += i128::from(by_ms) * MILLION;
    }

    pub(crate) fn set_drift(&self, ppm: i32) {
        let mut state = self.lock();
        let world = state.world_ns();
        state.local_base_ns = state.local_ns(world);
        state.world_base_ns = i128::from(world);
        state.drift_ppm = i128::from(ppm);
    }

    pub(crate) fn freeze_wall(&self, duration: Duration) {
        let mut state = self.lock();
        let world = state.world_ns();
        state.frozen_wall_ns = state.wall_base_ns + state.local_ns(world);
        state.frozen_until_ns = world.saturating_add(nanos(duration));
    }

    /// How much world time passes until this host has counted `local` more nanoseconds.
    fn world_for_local(&self, local_ns: u64) -> Duration {
        let rate = MILLION + self.lock().drift_ppm;
        Duration::from_nanos(clamp((i128::from(local_ns) * MILLION).div_ceil_positive(rate)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn world_ns(&mut self) -> u64 {
        if Handle::try_current().is_err() {
            return self.seen_ns;
        }
        let now = Instant::now();
        let origin = *self.origin.get_or_insert(now);
        let passed = nanos(now.saturating_duration_since(origin));
        self.seen_ns = self.seen_ns.max(self.anchor_ns.saturating_add(passed));
        self.seen_ns
    }

    fn local_ns(&self, world_ns: u64) -> i128 {
        let passed = i128::from(world_ns) - self.world_base_ns;
        self.local_base_ns + passed + passed * self.drift_ppm / MILLION
    }
}

/// Rounds a quotient of non-negative numbers up.
trait DivCeilPositive {
    fn div_ceil_positive(self, by: i128) -> i128;
}

impl DivCeilPositive for i128 {
    fn div_ceil_positive(self, by: i128) -> i128 {
        (self + by - 1) / by.max(1)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn clamp(value: i128) -> u64 {
    u64::try_from(value.max(0)).unwrap_or(u64::MAX)
}

/// Waits `duration` of world time, rounded up to the runtime's millisecond.
pub(crate) async fn world_sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Clocks of one boot.
pub(crate) struct SimClock {
    host: Arc<HostShared>,
    /// What `now` said when this boot began, less the local time then.
    base_ns: u64,
    booted_ns: u64,
}

impl SimClock {
    /// Clocks that begin at `base_ns`, an arbitrary number per boot.
    pub(crate) fn new(host: Arc<HostShared>, base_ns: u64) -> Self {
        let booted_ns = host.clock.local_ns();
        Self { host, base_ns, booted_ns }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Mono {
        let since_boot = self.host.clock.local_ns().saturating_sub(self.booted_ns);
        Mono(self.base_ns.saturating_add(since_boot))
    }

    fn wall(&self) -> WallMs {
        WallMs(self.host.clock.wall_ns() / 1_000_000)
    }

    fn wall_ns(&self) -> u64 {
        self.host.clock.wall_ns()
    }

    fn sleep_until(&self, deadline: Mono) -> Fut<'_, ()> {
        Box::pin(async move {
            loop {
                let now = self.now();
                if now >= deadline {
                    return;
                }
                world_sleep(self.host.clock.world_for_local(deadline.0 - now.0)).await;
            }
        })
    }
}
