//! Scans, put together before they are sent.

use sierradb_protocol::command::{EPScan, EScan};
use sierradb_protocol::reply::EventBatch;
use sierradb_protocol::{
    Command, PartitionSelector, Quoted, Range, RangeEnd, RangeStart, StreamId, parse_number,
};
use uuid::Uuid;

use crate::commands::SierraAsyncClientExt;
use crate::error::ClientError;

/// Where a scan starts: a number, or the words of the wire, `-` or digits.
#[derive(Debug, Clone)]
pub struct ScanStart(Result<RangeStart, Quoted>);

/// A scan of a stream. Nothing happens before [`EScanRequest::execute`].
#[derive(Debug)]
pub struct EScanRequest<'c, C: ?Sized> {
    client: &'c C,
    stream_id: String,
    start: ScanStart,
    end: RangeEnd,
    partition_key: Option<Uuid>,
    count: Option<u64>,
}

/// A scan of a partition. Nothing happens before [`EPScanRequest::execute`].
#[derive(Debug)]
pub struct EPScanRequest<'c, C: ?Sized> {
    client: &'c C,
    partition: PartitionSelector,
    start: ScanStart,
    end: RangeEnd,
    count: Option<u64>,
}

impl<'c, C: SierraAsyncClientExt + ?Sized> EScanRequest<'c, C> {
    pub(crate) fn new(client: &'c C, stream_id: &str, start: ScanStart) -> Self {
        let stream_id = stream_id.to_owned();
        Self { client, stream_id, start, end: RangeEnd::Last, partition_key: None, count: None }
    }

    /// The last version wanted; without it, the last there is.
    #[must_use]
    pub fn end(mut self, end: Option<u64>) -> Self {
        self.end = end.map_or(RangeEnd::Last, RangeEnd::At);
        self
    }

    /// At most so many events; without it, 100.
    #[must_use]
    pub fn count(mut self, count: Option<u64>) -> Self {
        self.count = count;
        self
    }

    /// The key the stream was made with, if it is not the default one.
    #[must_use]
    pub fn partition_key(mut self, key: Uuid) -> Self {
        self.partition_key = Some(key);
        self
    }

    /// Asks for the events. Page on from the last version + 1 while `has_more`.
    ///
    /// # Errors
    ///
    /// If an argument is out of its limits, the server refuses, or the connection fails.
    pub async fn execute(self) -> Result<EventBatch, ClientError> {
        let scan = EScan {
            stream_id: StreamId::new(self.stream_id)?,
            range: Range { start: self.start.get()?, end: self.end },
            partition_key: self.partition_key,
            count: self.count,
        };
        let reply = self.client.run(Command::EScan(scan)).await?;
        Ok(EventBatch::read(&reply)?)
    }
}

impl<'c, C: SierraAsyncClientExt + ?Sized> EPScanRequest<'c, C> {
    pub(crate) fn new(client: &'c C, partition: PartitionSelector, start: ScanStart) -> Self {
        Self { client, partition, start, end: RangeEnd::Last, count: None }
    }

    /// The last sequence wanted; without it, the last there is.
    #[must_use]
    pub fn end(mut self, end: Option<u64>) -> Self {
        self.end = end.map_or(RangeEnd::Last, RangeEnd::At);
        self
    }

    /// At most so many events; without it, 100.
    #[must_use]
    pub fn count(mut self, count: Option<u64>) -> Self {
        self.count = count;
        self
    }

    /// Asks for the events. Page on from the last sequence + 1 while `has_more`.
    ///
    /// # Errors
    ///
    /// If the partition does not exist, the server refuses, or the connection fails.
    pub async fn execute(self) -> Result<EventBatch, ClientError> {
        let range = Range { start: self.start.get()?, end: self.end };
        let scan = EPScan { partition: self.partition, range, count: self.count };
        let reply = self.client.run(Command::EPScan(scan)).await?;
        Ok(EventBatch::read(&reply)?)
    }
}

impl ScanStart {
    fn get(self) -> Result<RangeStart, ClientError> {
        self.0.map_err(|word| ClientError::ScanStart { word })
    }
}

impl From<&str> for ScanStart {
    fn from(word: &str) -> Self {
        if word == "-" {
            return Self(Ok(RangeStart::First));
        }
        let number = parse_number(word.as_bytes()).map(RangeStart::At);
        Self(number.ok_or_else(|| Quoted::new(word.as_bytes())))
    }
}

impl From<u64> for ScanStart {
    fn from(position: u64) -> Self {
        Self(Ok(RangeStart::At(position)))
    }
}
