//! Bytes between processes: the RESP connections of SierraDB.
//!
//! [`Decoder`] turns bytes of a client into requests, within limits; [`Encoder`] turns replies into bytes of RESP2 or
//! RESP3. Both are free of sockets. [`Outgoing`] keeps the order and the byte budgets of what waits to be written,
//! [`Connection`] moves bytes between all these and a socket, and [`Acceptor`] lets clients in.
//!
//! Nothing in here knows the store; which commands exist is the business of `sierradb-protocol`.

mod connection;
pub mod limits;
mod listener;
mod outgoing;
mod resp;

pub use connection::{Connection, Reading, Turn};
pub use listener::{Acceptor, Client, ClientCounts, ClientPlace};
pub use outgoing::{Outgoing, PushClosed, PushSender, Replies};
pub use resp::{Access, Decoder, Dialect, Encoder, ProtocolError};
