//! Which events a subscription is about, and from where: one position per source, fixed when it is made.

use sierradb::Database;
use sierradb_protocol::Refusal;
use sierradb_protocol::command::{EPSub, ESub};

use crate::errors;
use crate::subscription::state::{Source, Sources, Subject};

/// Sources of an ESUB. What starts at the latest event starts strictly behind the stream's last one now.
pub(crate) async fn streams(database: &Database, command: &ESub) -> Result<Sources, Refusal> {
    let mut sources = Vec::with_capacity(command.sources.len());
    for (source, start) in command.starts() {
        let partition = database.partition_of_key(source.key());
        let stream_id = source.stream_id.detached();
        let next = match start {
            Some(version) => version,
            None => {
                let last = database.stream_version(partition, &stream_id).await;
                let last = last.map_err(errors::of_read)?;
                last.map_or(0, |version| version + 1)
            }
        };
        sources.push(Source::new(partition, Subject::Stream(stream_id), next));
    }
    Ok(Sources::new(sources))
}

/// Sources of an EPSUB. What starts at the latest event starts at the watermark of now.
pub(crate) fn partitions(database: &Database, command: &EPSub) -> Result<Sources, Refusal> {
    let feed = database.watch_all();
    let starts = command.starts(database.partition_count())?;
    let sources = starts.into_iter().map(|(partition, start)| {
        let next = start.unwrap_or_else(|| feed.watermark(partition));
        Source::new(partition, Subject::Partition, next)
    });
    Ok(Sources::new(sources.collect()))
}
