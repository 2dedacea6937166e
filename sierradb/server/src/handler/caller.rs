//! Who asks: what a handler may use and change.

use std::sync::Arc;

use sierradb::Arrival;
use sierradb_io::Mono;

use crate::clients::Client;
use crate::ids::Ids;
use crate::session::state::State;
use crate::shared::Shared;
use crate::subscription::members::Members;

/// The connection a command came from, for the time of starting it.
pub(crate) struct Caller<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) client: &'a Arc<Client>,
    pub(crate) state: &'a mut State,
    pub(crate) ids: &'a mut Ids,
    pub(crate) members: &'a mut Members,
    pub(crate) now: Mono,
    /// The last one that was asked for.
    pub(crate) arrival: &'a mut Option<Arrival>,
    /// Set by a command after which the connection is closed.
    pub(crate) asks_close: bool,
}

impl Caller<'_> {
    /// When the command came. The wall clock is read once for all commands that came together.
    pub(crate) fn arrival(&mut self) -> Arrival {
        let now = self.now;
        match *self.arrival {
            Some(arrival) if arrival.now == now => arrival,
            _ => {
                let wall_ns = self.shared.io.clock().wall_ns();
                *self.arrival.insert(Arrival { now, wall_ns })
            }
        }
    }
}
