//! Look-up: event id → frame, stream version → frame, partition sequence → frame, for the active segment in memory
//! and for sealed ones in `.idx` files.

mod blocks;
pub(crate) mod build;
pub(crate) mod build_facts;
mod check;
mod damages;
mod data_file;
pub(crate) mod entries;
pub(crate) mod filter;
#[cfg(test)]
mod fixture;
pub(crate) mod footer;
pub(crate) mod hash;
pub(crate) mod heads;
mod identify;
pub(crate) mod index_file;
mod layout;
pub(crate) mod live;
pub(crate) mod lookup;
pub(crate) mod page;
pub(crate) mod pages;
pub(crate) mod postings;
pub(crate) mod recall;
pub(crate) mod recent;
pub(crate) mod repairs;
pub(crate) mod sealed;
pub(crate) mod segments;
pub(crate) mod streams;
mod table;
mod tail;
#[cfg(test)]
mod testing;
