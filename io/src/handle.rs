//! One cheap handle of trait objects: the whole outside world.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Clock, Disk, Entropy, Net, Probe, Site, Spawner};

/// A boxed future that may be sent between threads.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The outside world: first argument of every constructor above this crate.
#[derive(Clone)]
pub struct Io {
    disk: Arc<dyn Disk>,
    net: Arc<dyn Net>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    spawner: Arc<dyn Spawner>,
    probe: Option<Arc<dyn Probe>>,
}

impl Io {
    /// Puts a world together. Production passes no probe.
    pub fn new(
        disk: Arc<dyn Disk>,
        net: Arc<dyn Net>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        spawner: Arc<dyn Spawner>,
    ) -> Self {
        Self { disk, net, clock, entropy, spawner, probe: None }
    }

    /// The same world watched and steered by `probe`; only the simulation does this.
    #[must_use]
    pub fn with_probe(mut self, probe: Arc<dyn Probe>) -> Self {
        self.probe = Some(probe);
        self
    }

    /// The same world with another disk, for wrappers that count or slow.
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Files and directories.
    pub fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    /// Client sockets.
    pub fn net(&self) -> &dyn Net {
        self.net.as_ref()
    }

    /// Monotonic and wall time.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Keyed random streams.
    pub fn entropy(&self) -> &dyn Entropy {
        self.entropy.as_ref()
    }

    /// Tasks and dedicated threads.
    pub fn spawner(&self) -> &dyn Spawner {
        self.spawner.as_ref()
    }

    /// Waits `duration` of this world's monotonic time.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep_until(self.clock.now() + duration).await;
    }

    /// Runs `f` for at most `limit`; `None` if it did not finish. A dropped `f` has an unknown effect.
    pub async fn timeout<T>(&self, limit: Duration, f: impl Future<Output = T>) -> Option<T> {
        let deadline = self.clock.now() + limit;
        tokio::select! {
            biased; // the work first: a result that is there is never thrown away for its deadline
            done = f => Some(done),
            () = self.clock.sleep_until(deadline) => None,
        }
    }

    /// Coverage mark: tells the simulation that a rare branch was reached.
    pub fn mark(&self, site: Site) {
        if let Some(probe) = &self.probe {
            probe.mark(site);
        }
    }

    /// A place where races matter: the simulation may yield or wait here.
    pub async fn chaos(&self, site: Site) {
        if let Some(probe) = &self.probe {
            probe.chaos(site).await;
        }
    }

    /// `usual` in production; the simulation may return odd values of at least `min`.
    pub fn knob(&self, site: Site, usual: u64, min: u64) -> u64 {
        match &self.probe {
            Some(probe) => probe.knob(site, usual, min).max(min),
            None => usual,
        }
    }

    /// Whether a deliberate bug is switched on; use [`mutant!`](crate::mutant), which is constant in products.
    #[cfg(feature = "mutants")]
    pub fn mutant(&self, name: &'static str) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.mutant(name))
    }

    /// A fact for the trace and the checkers of the simulation.
    pub fn event(&self, kind: &'static str, fields: &[(&'static str, u64)]) {
        if let Some(probe) = &self.probe {
            probe.event(kind, fields);
        }
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("probed", &self.probe.is_some()).finish_non_exhaustive()
    }
}
