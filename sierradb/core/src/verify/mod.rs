//! The offline check of a directory: everything a start would rely on, and more, without changing a byte.
//!
//! [`verify`](run::verify) takes the directory's lock, then walks over each bucket as a start does, but past damage
//! too: state slots, segment headers, every frame with its checksums and chain, across files; then what frames
//! promise together: gapless sequences and versions, one key per stream, ids that are used once; then each index
//! file, which must be what the frames give when it is built again. What a start would make of the end of the log
//! is said per bucket. [`dump`](dump::dump) shows the frames of one segment file.
//!
//! Nothing is repaired here, and nothing is kept in memory without bound: ids and streams beyond
//! [`VERIFY_ENTRIES_PER_PASS`](crate::limits::VERIFY_ENTRIES_PER_PASS) are checked in further passes.

mod bucket;
mod continuity;
pub(crate) mod dump;
mod indexes;
pub(crate) mod report;
pub(crate) mod run;
mod slots;

#[cfg(test)]
mod tests;
