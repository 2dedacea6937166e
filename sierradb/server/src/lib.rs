//! The SierraDB server: Redis protocol on a durable event log.

mod budget;
mod clients;
pub mod config;
mod conn;
mod errors;
pub mod flags;
mod handler;
mod host;
mod identity;
mod ids;
pub mod limits;
pub mod logging;
mod metrics;
pub mod offline;
pub mod repair;
mod run;
mod session;
mod shared;
pub mod stop;
mod subscription;

pub use run::{Server, StartError, run};

/// The README's Rust examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
