//! Offline repair: what an operator accepts by name, and nothing else.
//!
//! Every repair has two halves. The first looks and returns plain data: what is wrong, what would be given up. The
//! second takes that data back, looks again, and acts only if nothing has changed. Both take the directory's lock.
//! Whatever is taken out of a log is put into `damaged/` of its bucket first.
//!
//! | Damage | Look | Act |
//! |---|---|---|
//! | a log that cannot be read to its end | [`find_tail_loss`] | [`accept_tail_loss`] |
//! | rot that a start passes, since an index file or a checkpoint covers it | [`find_holes`] | nothing to do here |
//! | a manifest that cannot be read | [`find_manifest`] | [`rebuild_manifest`] |
//!
//! A hole in what a start must read cannot be kept as one: there a log is readable up to its first damage, so the good
//! frames behind it are given up with it. They are listed one by one, and their files stay in `damaged/`.

mod error;
mod holes;
mod keep;
mod manifest;
mod survey;
mod tail;

pub use error::RepairError;
pub use holes::{Hole, Holes, find_holes};
pub use manifest::{ManifestPlan, find_manifest, rebuild_manifest};
pub use tail::{LostFrame, LostPartition, TailLoss, accept_tail_loss, find_tail_loss};

#[cfg(test)]
mod tests;
