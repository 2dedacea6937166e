//! `cargo ci bench`: SierraDB beside Redis Streams on the same disk, in one run, with medians of several rounds.
//!
//! One load generator drives both servers: one thread, non-blocking sockets, prebuilt requests, replies
//! counted but not decoded, since it shares the machine's cores with what it measures. Rounds alternate
//! between the servers, so that a machine that gets slower half-way slows both. Beside the ratios stand the
//! disk's own fdatasync rate, memory per event and the time to start.

mod disk;
mod histogram;
mod load;
mod plot;
mod replies;
mod report;
mod request;
mod rows;
mod run;
mod server;

pub(crate) use run::{Options, run};
