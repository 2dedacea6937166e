//! One bucket: a log, what it holds, and who may append to it.

pub(crate) mod apply;
mod batch;
pub(crate) mod checkpoint;
pub(crate) mod commits;
pub(crate) mod company;
pub(crate) mod damaged;
pub(crate) mod desk;
pub(crate) mod facts;
pub(crate) mod health;
mod identity;
mod overlay;
pub(crate) mod planned;
pub(crate) mod planner;
pub(crate) mod recovery;
pub(crate) mod room;
pub(crate) mod seal;
pub(crate) mod slots;
pub(crate) mod solo;
#[cfg(test)]
mod testing;
pub(crate) mod verdict;
mod version_check;
pub(crate) mod waiters;
pub(crate) mod walk;
pub(crate) mod writer;
