//! Rust client of SierraDB on the [`redis`] crate.
//!
//! [`SierraClient::connect`] opens a connection that speaks RESP3; [`SierraAsyncClientExt`] has the commands, typed.
//! [`SubscriptionManager`] follows streams and partitions on a connection of its own.
//!
//! ```no_run
//! use sierradb_client::{ClientError, EAppendOptions, SierraAsyncClientExt, SierraClient};
//!
//! # async fn example() -> Result<(), ClientError> {
//! let client = SierraClient::connect("redis://localhost:9090").await?;
//! let options = EAppendOptions::new().payload(br#"{"name":"john"}"#);
//! let appended = client.eappend("user-123", "UserCreated", options).await?;
//! assert_eq!(appended.stream_version, 0);
//!
//! let batch = client.escan("user-123", "-", None, Some(50)).execute().await?;
//! assert!(!batch.has_more);
//!
//! let mut manager = client.subscription_manager().await?;
//! let mut subscription = manager.subscribe_to_stream_from_version("user-123", 0).await?;
//! while let Some(message) = subscription.next_message().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod commands;
mod convert;
mod error;
pub mod limits;
mod options;
mod request;
mod routes;
mod subscription;

pub use client::SierraClient;
pub use commands::SierraAsyncClientExt;
pub use error::ClientError;
pub use options::{EAppendOptions, EMAppendEvent};
pub use request::{EPScanRequest, EScanRequest, ScanStart};
pub use sierradb_protocol::command::{EPSub, ESub, FollowFrom, PushKind, StreamSource};
pub use sierradb_protocol::reply::{Appended, AppendedEvent, Event, EventBatch, MultiAppended};
pub use sierradb_protocol::{
    Command, ErrorCode, ExpectedVersion, PartitionId, PartitionSelector, PartitionSet, StreamId,
    Value,
};
pub use subscription::{SierraMessage, Subscription, SubscriptionManager};
