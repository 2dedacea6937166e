//! Embeddable event store: gapless streams and partitions in one durable log per bucket.
