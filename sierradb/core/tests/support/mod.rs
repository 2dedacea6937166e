//! What several tests of the embedded store need.

mod transaction;

pub(crate) use transaction::one_event;
