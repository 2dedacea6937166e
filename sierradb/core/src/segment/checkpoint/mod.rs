//! The checkpoint file `.ckp` of an unsealed segment: all of it may be lost, at the price of a slower start and of a
//! weaker distinction between torn and damaged tails.
//!
//! | Offset | Content |
//! |--:|---|
//! | 0 | [`header`]: which segment this belongs to |
//! | 4096 | [`witness`] ring: "everything up to here was synced", written without a sync of its own |
//! | 8192 | [`delta`]s, one after another: what the live index learned since the one before |

pub(crate) mod delta;
pub(crate) mod header;
pub(crate) mod witness;

pub(crate) use header::PAGE_LEN;
