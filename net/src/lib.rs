//! Bytes between processes: the RESP connections of SierraDB.
//!
//! [`Decoder`] turns bytes of a client into requests, within limits; [`Encoder`] turns replies into bytes of RESP2 or
//! RESP3. Both are free of sockets. [`Outgoing`] keeps the order and the byte budgets of what waits to be written,
//! [`Connection`] moves bytes between all these and a socket, and [`accept_clients`] makes connections.
//!
//! Nothing in here knows the store; which commands exist is the business of `sierradb-protocol`.

pub mod limits;
mod resp;

pub use resp::{Access, Decoder, Dialect, Encoder, ProtocolError, Request};
