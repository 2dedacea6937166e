//! One replica of one bucket.

mod election;

pub use election::ElectionSlots;
