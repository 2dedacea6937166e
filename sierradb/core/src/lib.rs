//! Embeddable event store: gapless streams and partitions in one durable log per bucket.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the store is put together from these parts later")
)]
mod bucket;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the store is put together from these parts later")
)]
mod index;
pub mod limits;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the store is put together from these parts later")
)]
mod read;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the log is read and written by parts that follow")
)]
mod segment;

pub use segment::extension::{Extension, ExtensionError};
pub use segment::space::Preallocate;
