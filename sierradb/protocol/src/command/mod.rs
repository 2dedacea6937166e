//! Requests: from words to typed commands and back.
//!
//! [`table`] lists every command once, with arity, flags, documentation and parser; everything else that knows which
//! commands there are asks it. [`Command::from_args`] and [`Command::to_args`] are inverse to each other.

mod append;
mod client;
mod follow;
mod follow_from;
mod read;
mod redis;
mod request;
mod spec;
mod specs_client;
mod specs_event;
mod specs_redis;
mod suggest;
pub mod table;
mod words;

#[cfg(test)]
pub(crate) mod test_support;

pub use append::{AppendEvent, EAppend, EMAppend};
pub use client::{
    ClientCommand, ClientFilter, ClientKind, ClientList, LibraryAttribute, ReplyMode, SkipMe,
    Switch,
};
pub use follow::{EAck, EPSub, ESub, EUnsub, PushKind, StreamSource};
pub use follow_from::FollowFrom;
pub use read::{EGet, EPScan, EPSeq, ESVer, EScan};
pub use redis::{Auth, CommandQuery, ConfigQuery, Hello, RespVersion};
pub use request::Command;
pub use spec::{Argument, ArgumentKind, Flag, Spec};
