//! Checkers: one file per promise. They see what clients were told, what the device holds and what the disk was
//! asked to do, never the internals of the store.

pub mod acked;
pub mod atomic;
pub mod damage;
pub mod gapless;
pub mod ghost;
pub mod idempotent;
pub mod index_scan;
pub mod invention;
pub mod ledger;
pub mod poison;
pub mod recovery;
pub mod space;
