//! The SierraDB server: Redis protocol on a durable event log.
