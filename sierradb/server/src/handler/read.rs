//! EGET, ESCAN, EPSCAN, ESVER and EPSEQ.

use sierradb::{Direction, ReadRange};
use sierradb_io::Fut;
use sierradb_protocol::command::{EGet, EPScan, ESVer, EScan};
use sierradb_protocol::{PartitionId, Range};

use crate::errors;
use crate::handler::Caller;
use crate::limits::LONG_SCAN_EVENTS;
use crate::session::{Reply, Work};

/// EGET.
pub(crate) fn event(caller: &Caller<'_>, command: EGet) -> Work {
    let database = caller.shared.database.clone();
    let read = async move {
        match database.read_event(command.event_id).await {
            Ok(event) => Reply::Event(event.map(Box::new)),
            Err(error) => errors::of_read(error).into(),
        }
    };
    Work::Read { future: Box::pin(read), partition: None }
}

/// ESCAN.
pub(crate) fn stream(caller: &Caller<'_>, partition: PartitionId, command: EScan) -> Work {
    let database = caller.shared.database.clone();
    let count = command.count();
    let range = read_range(command.range, count, caller.shared.config.network.reply_max_bytes);
    let read = async move {
        match database.read_stream(partition, &command.stream_id, range).await {
            Ok(batch) => Reply::Events(batch),
            Err(error) => errors::of_read(error).into(),
        }
    };
    Work::Read { future: scan(caller, count, read), partition: Some(partition) }
}

/// EPSCAN.
pub(crate) fn partition(caller: &Caller<'_>, partition: PartitionId, command: EPScan) -> Work {
    let database = caller.shared.database.clone();
    let count = command.count();
    let range = read_range(command.range, count, caller.shared.config.network.reply_max_bytes);
    let read = async move {
        match database.read_partition(partition, range).await {
            Ok(batch) => Reply::Events(batch),
            Err(error) => errors::of_read(error).into(),
        }
    };
    Work::Read { future: scan(caller, count, read), partition: Some(partition) }
}

/// A scan, beside the thread of all connections if it is long and several of them scan.
fn scan(
    caller: &Caller<'_>,
    count: u64,
    read: impl Future<Output = Reply> + Send + 'static,
) -> Fut<'static, Reply> {
    let is_shared = caller.shared.last_scan.is_shared_by(caller.client.id);
    if count < LONG_SCAN_EVENTS || !is_shared {
        return Box::pin(read);
    }
    let (io, dialect) = (caller.shared.io.clone(), caller.state.dialect);
    Box::pin(async move {
        let (tell, told) = tokio::sync::oneshot::channel();
        let body = async move {
            // Unheard only if the connection is gone.
            tell.send(read.await.encoded(dialect)).unwrap_or(());
        };
        io.spawner().beside(Box::pin(body)).await;
        told.await.expect("the work has ended, so it has told")
    })
}

/// ESVER.
pub(crate) fn version(caller: &Caller<'_>, partition: PartitionId, command: ESVer) -> Work {
    let database = caller.shared.database.clone();
    let read = async move {
        match database.stream_version(partition, &command.stream_id).await {
            Ok(version) => Reply::Position(version),
            Err(error) => errors::of_read(error).into(),
        }
    };
    Work::Read { future: Box::pin(read), partition: Some(partition) }
}

/// EPSEQ.
pub(crate) fn sequence(caller: &Caller<'_>, partition: PartitionId) -> Work {
    Work::Done(match caller.shared.database.partition_sequence(partition) {
        Ok(sequence) => Reply::Position(sequence),
        Err(error) => errors::of_read(error).into(),
    })
}

fn read_range(range: Range, count: u64, max_bytes: usize) -> ReadRange {
    ReadRange {
        start: range.first(),
        end: range.last(),
        direction: Direction::Forward,
        max_events: usize::try_from(count).unwrap_or(usize::MAX),
        max_bytes,
    }
}
