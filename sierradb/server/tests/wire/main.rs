//! The server as its clients see it: the wire contract, row by row, against a real server on real files.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests of the real thing need real sockets, files, processes and time, and fail by panics"
)]

mod append;
mod connection;
mod follow;
mod harness;
mod hostile;
mod process;
mod read;
