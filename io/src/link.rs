//! Frames between nodes.
//!
//! # Contract
//! FIFO without duplicates per (peer, class, epoch); nothing of an epoch arrives after its `Down`; `Down` loses an
//! unknown suffix; identity is proven before `Up`; queues are bounded (`Full`).

use bytes::Bytes;

use crate::Fut;

/// A node of the cluster: node index + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// One life of a link; a reconnect begins another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkEpoch(pub u64);

/// What travels, and how it is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Consensus messages: small, dropped when late.
    Raft,
    /// Requests and their answers.
    Rpc,
    /// Segments and watched frames.
    Bulk,
}

/// What a link tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The peer is there and has proven who it is.
    Up {
        /// Which peer.
        peer: NodeId,
        /// From this epoch on.
        epoch: LinkEpoch,
    },
    /// The connection is gone, with an unknown suffix of what was sent.
    Down {
        /// Which peer.
        peer: NodeId,
        /// The epoch that ended.
        epoch: LinkEpoch,
    },
    /// One frame.
    Frame {
        /// Its sender.
        peer: NodeId,
        /// The epoch it was sent in.
        epoch: LinkEpoch,
        /// Its class.
        class: Class,
        /// Its content.
        body: Bytes,
    },
}

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error("no connection to the peer")]
    Down,
    /// The class' queue is full.
    #[error("the queue to the peer is full")]
    Full,
    /// Larger than a frame may be.
    #[error("the frame is too large")]
    TooLarge,
}

/// Connections to all other nodes. Made by the server from its configuration and passed beside `Io`.
pub trait ClusterLink: Send + Sync {
    /// This node.
    fn local(&self) -> NodeId;

    /// Whom to be connected to, with addresses.
    fn set_peers(&self, peers: &[(NodeId, String)]);

    /// Queues a frame without waiting.
    ///
    /// # Errors
    /// [`SendError`]; the frame was not queued.
    fn try_send(&self, peer: NodeId, class: Class, body: Bytes) -> Result<(), SendError>;

    /// Waits until the class' queue to `peer` has room.
    fn ready(&self, peer: NodeId, class: Class) -> Fut<'_, ()>;

    /// The next event.
    fn recv(&self) -> Fut<'_, LinkEvent>;
}
