//! Signals: the first one asks the server to stop, the second ends the process.

use sierradb_io::Shutdown;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handlers that are in place.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Puts the handlers in place; from here on a signal no longer ends the process by itself.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Cancels `stop` at the first signal, and ends the process at the second with code 128 + its number.
    pub async fn watch(mut self, stop: Shutdown) {
        let (name, _) = self.next().await;
        tracing::info!(target: "sierradb", "received {name}, shutting down gracefully");
        stop.cancel();
        let (_, number) = self.next().await;
        end(128 + number);
    }

    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            biased; // whichever came first ends the wait; of two at once either name will do
            _ = self.terminate.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
            _ = self.interrupt.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a second signal asks for exactly this")]
fn end(code: i32) -> ! {
    std::process::exit(code)
}
