//! The only door outside: disk, network, clock, randomness and tasks, each behind a trait, together one [`Io`].
//!
//! Two worlds stand behind the traits: the machine ([`mod@os`]) and, with feature `sim`, a seeded simulation.
//! Both live in one binary, so one test body can compare them. Everything above takes an [`Io`] as the first
//! argument of its constructors and asks nobody else for time, bytes or chance.
//!
//! Nothing in here knows events, partitions or RESP.

#![expect(
    clippy::disallowed_macros,
    reason = "os/task marks threads that may block; this lint is only heard for a whole crate"
)]

mod clock;
mod disk;
mod handle;
pub mod limits;
mod link;
mod map;
mod net;
pub mod os;
mod prng;
mod probe;
#[cfg(feature = "sim")]
pub mod sim;
mod task;

pub use clock::{Clock, Mono, WallMs};
pub use disk::{
    DirLock, Disk, DiskError, DiskErrorKind, DiskFut, DiskOp, Entry, EntryKind, File, MakeBufs,
    OpenMode, OpenOptions, Space,
};
pub use handle::{Fut, Io};
pub use indexmap::Equivalent;
pub use link::{Class, ClusterLink, LinkEpoch, LinkEvent, NodeId, SendError};
pub use map::{Map, map};
pub use net::{Listener, Net, NetError, NetErrorKind, NetFut, Stream};
pub use prng::{Entropy, Prng};
pub use probe::{MutantFlag, Probe, Site};
pub use task::{Shutdown, Spawner, Task, TaskControl, TaskName};
