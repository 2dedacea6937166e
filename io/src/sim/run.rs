//! A paused single-threaded runtime for one body.

use std::future::Future;

use tokio::runtime::Builder;

use super::clock::world_sleep;
use super::config::SimConfig;
use super::host::SimHost;
use crate::limits::SIM_RUN_LIMIT;

/// Runs `body` on a healthy machine of this seed; see [`run_with`].
///
/// # Panics
/// As [`run_with`].
pub fn run<T, F>(seed: u64, body: impl FnOnce(SimHost) -> F) -> T
where
    F: Future<Output = T>,
{
    run_with(seed, SimConfig::default(), body)
}

/// Runs `body` on a machine of this seed, on a single-threaded runtime whose clock jumps to the next timer whenever
/// all tasks wait.
///
/// # Panics
/// If a task of the machine panics, or the body does, or nothing happens any more before the body has ended
/// ([`SIM_RUN_LIMIT`] of simulated time passes).
pub fn run_with<T, F>(seed: u64, config: SimConfig, body: impl FnOnce(SimHost) -> F) -> T
where
    F: Future<Output = T>,
{
    let host = SimHost::new(seed, config);
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let runtime = builder.build().expect("a runtime without I/O needs nothing of the system");
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased; // a panic explains why the body waits
            () = host.panicked() => Err(host.panics().join("; ")),
            done = body(host.clone()) => Ok(done),
            () = world_sleep(SIM_RUN_LIMIT) => Err("the body waits for something that never comes".to_owned()),
        }
    });
    drop(runtime);
    match outcome {
        Ok(done) => {
            let panics = host.panics();
            assert!(panics.is_empty(), "seed {seed:#x}: {}", panics.join("; "));
            done
        }
        Err(text) => stuck(seed, &text),
    }
}

#[expect(clippy::panic, reason = "a harness for tests fails by panicking")]
fn stuck(seed: u64, text: &str) -> ! {
    panic!("seed {seed:#x}: {text}")
}
