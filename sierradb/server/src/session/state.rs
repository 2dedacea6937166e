//! What a connection has agreed on: protocol version, login, what is not answered.

use sierradb_net::Dialect;

use crate::config::Config;

/// Whether replies are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplyMode {
    /// All.
    On,
    /// None, until switched on.
    Off,
    /// All but the one to the next request.
    SkipNext,
}

/// The agreements of one connection.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// How replies and frames are written.
    pub(crate) dialect: Dialect,
    /// Whether the login was given, or none is needed.
    pub(crate) is_authenticated: bool,
    /// Whether replies are sent.
    pub(crate) replies: ReplyMode,
}

impl State {
    /// As after connecting.
    pub(crate) fn new(config: &Config) -> Self {
        let is_resp3 = config.network.default_resp3;
        Self {
            dialect: if is_resp3 { Dialect::Resp3 } else { Dialect::Resp2Unasked },
            is_authenticated: config.password.is_none(),
            replies: ReplyMode::On,
        }
    }

    /// Called once per request: whether its reply is sent.
    pub(crate) fn next_is_muted(&mut self) -> bool {
        match self.replies {
            ReplyMode::On => false,
            ReplyMode::Off => true,
            ReplyMode::SkipNext => {
                self.replies = ReplyMode::On;
                true
            }
        }
    }

    /// The RESP2 mode in which a connection with subscriptions runs only what belongs to them.
    pub(crate) fn is_subscriber(&self, subscriptions: impl FnOnce() -> usize) -> bool {
        self.dialect == Dialect::Resp2 && subscriptions() > 0
    }
}
