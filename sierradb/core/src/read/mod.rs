//! Reading what is stored: blocks of files in a bounded cache, byte ranges of files, and scans above them.

pub(crate) mod ahead;
pub(crate) mod block_cache;
pub(crate) mod event;
pub(crate) mod fetch;
pub(crate) mod scan;
#[cfg(test)]
pub(crate) mod testing;
