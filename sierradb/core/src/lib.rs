//! Embeddable event store: gapless streams and partitions in one durable log per bucket.

mod bucket;
#[doc(hidden)]
pub mod codecs;
mod database;
mod error;
mod event;
mod feed;
pub mod id;
mod index;
pub mod limits;
mod maintain;
mod manifest;
mod options;
mod read;
pub mod repair;
mod segment;
mod stats;
mod store;
mod transaction;
mod verify;

pub use bucket::waiters::PendingAppend;
pub use database::Database;
pub use error::{AppendError, InvalidTransaction, OpenError, ReadError};
pub use event::{AppendResult, AppendedEvent, Direction, EventBatch, EventRecord, ReadRange};
pub use feed::{Watch, WatchAll};
pub use options::DatabaseOptions;
pub use segment::extension::{Extension, ExtensionError};
pub use segment::space::Preallocate;
pub use sierradb_protocol::{
    CurrentVersion, EventName, ExpectedVersion, PartitionId, PartitionSelector, StreamId,
};
pub use stats::{BucketStats, CacheStats, DamagedPlace, Stats};
pub use transaction::{Arrival, DefaultKey, EventDraft, IdOrigin, NewEvent, Transaction};
pub use verify::dump::{DumpItem, OnItem, dump_segment};
pub use verify::report::{
    BucketReport, Finding, LogEnding, PartitionReport, Problem, Soundness, VerifyDepth,
    VerifyError, VerifyOptions, VerifyProgress, VerifyReport,
};
pub use verify::run::{OnProgress, verify};
