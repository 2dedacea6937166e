//! One bucket: a log, what it holds, and who may append to it.

pub(crate) mod verdict;
