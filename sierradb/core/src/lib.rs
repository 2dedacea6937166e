//! Embeddable event store: gapless streams and partitions in one durable log per bucket.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the store is put together from these parts later")
)]
mod index;
