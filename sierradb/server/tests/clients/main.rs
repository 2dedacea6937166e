//! The built server as a process, with clients that nobody wrote for it: redis-cli, redis-py, redis-benchmark;
//! and every example that users are shown.
#![expect(clippy::disallowed_methods, reason = "real processes, sockets and files")]

#[cfg(test)]
mod cli;
mod contract;
#[cfg(test)]
mod examples;
mod foreign;
#[cfg(test)]
mod programs;
mod readme;
#[cfg(test)]
mod server;
