//! The commands, typed.

use sierradb_protocol::command::{EGet, EMAppend, EPSeq, ESVer};
use sierradb_protocol::reply::{
    Appended, Event, EventBatch, MultiAppended, read_event, read_position,
};
use sierradb_protocol::{Command, PartitionSelector, StreamId, Value};
use uuid::Uuid;

use crate::error::ClientError;
use crate::options::{EAppendOptions, EMAppendEvent};
use crate::request::{EPScanRequest, EScanRequest, ScanStart};

/// Everything a connection to SierraDB can be asked, on whatever carries out a [`Command`].
///
/// Each method fails if an argument is out of its limits, the server refuses, or the connection fails; for appends
/// see [`ClientError::is_outcome_unknown`].
pub trait SierraAsyncClientExt: Sync {
    /// Sends one command and returns its reply.
    fn run(&self, command: Command) -> impl Future<Output = Result<Value, ClientError>> + Send;

    /// Appends an event to a stream. Once this returns `Ok`, a majority of the replicas has it on disk.
    fn eappend(
        &self,
        stream_id: &str,
        event_name: &str,
        options: EAppendOptions,
    ) -> impl Future<Output = Result<Appended, ClientError>> + Send {
        async move {
            let reply = self.run(options.into_command(stream_id, event_name)?).await?;
            Ok(Appended::read(&reply)?)
        }
    }

    /// Appends events to streams of one partition, all or none.
    fn emappend(
        &self,
        partition_key: Uuid,
        events: Vec<EMAppendEvent>,
    ) -> impl Future<Output = Result<MultiAppended, ClientError>> + Send {
        async move {
            let events = events.into_iter().map(EMAppendEvent::into_event);
            let events = events.collect::<Result<_, _>>()?;
            let reply = self.run(Command::EMAppend(EMAppend { partition_key, events })).await?;
            Ok(MultiAppended::read(&reply)?)
        }
    }

    /// The event of an id, if there is one.
    fn eget(
        &self,
        event_id: Uuid,
    ) -> impl Future<Output = Result<Option<Event>, ClientError>> + Send {
        async move { Ok(read_event(&self.run(Command::EGet(EGet { event_id })).await?)?) }
    }

    /// Events of a stream from version `start` (`-` or a number) to `end` inclusive (`None`: the last), at most
    /// `count` (`None`: 100). Returns a request to be executed.
    fn escan(
        &self,
        stream_id: &str,
        start: impl Into<ScanStart>,
        end: Option<u64>,
        count: Option<u64>,
    ) -> EScanRequest<'_, Self> {
        EScanRequest::new(self, stream_id, start.into()).end(end).count(count)
    }

    /// Events of a partition from sequence `start` (`-` or a number) to `end` inclusive (`None`: the last), at most
    /// `count` (`None`: 100). Returns a request to be executed.
    fn epscan(
        &self,
        partition: impl Into<PartitionSelector>,
        start: impl Into<ScanStart>,
        end: Option<u64>,
        count: Option<u64>,
    ) -> EPScanRequest<'_, Self> {
        EPScanRequest::new(self, partition.into(), start.into()).end(end).count(count)
    }

    /// Version of the last event of a stream; `None` if it has none.
    fn esver(
        &self,
        stream_id: &str,
        partition_key: Option<Uuid>,
    ) -> impl Future<Output = Result<Option<u64>, ClientError>> + Send {
        async move {
            let stream_id = StreamId::new(stream_id)?;
            let reply = self.run(Command::ESVer(ESVer { stream_id, partition_key })).await?;
            Ok(read_position(&reply)?)
        }
    }

    /// Sequence of the last event of a partition; `None` if it has none.
    fn epseq(
        &self,
        partition: impl Into<PartitionSelector> + Send,
    ) -> impl Future<Output = Result<Option<u64>, ClientError>> + Send {
        async move {
            let partition = partition.into();
            Ok(read_position(&self.run(Command::EPSeq(EPSeq { partition })).await?)?)
        }
    }

    /// Verifies that the server answers.
    fn ping(&self) -> impl Future<Output = Result<(), ClientError>> + Send {
        async move {
            let reply = self.run(Command::Ping(None)).await?;
            match reply.text()? {
                "PONG" => Ok(()),
                _ => Err(reply.unexpected("PONG").into()),
            }
        }
    }

    /// All events of a stream from version `start` on, page by page.
    fn read_stream(
        &self,
        stream_id: &str,
        start: u64,
    ) -> impl Future<Output = Result<Vec<Event>, ClientError>> + Send {
        async move {
            let (mut events, mut next) = (Vec::new(), start);
            loop {
                let page = self.escan(stream_id, next, None, None).execute().await?;
                let EventBatch { has_more, events: mut page } = page;
                let last = page.last().map(|event| event.stream_version);
                events.append(&mut page);
                match last {
                    Some(last) if has_more => next = last + 1,
                    _ => return Ok(events),
                }
            }
        }
    }
}
