//! The frames of one segment file, as texts for people.

use std::fmt;
use std::path::Path;

use sierradb_io::{DiskError, Io, OpenOptions};
use uuid::Uuid;

use crate::segment::aftermath::{Nature, inspect};
use crate::segment::event_codec::decode_transaction;
use crate::segment::file::{ActiveSegment, SegmentHeader};
use crate::segment::frame::{Frame, FrameKind};
use crate::segment::reader::{FrameReader, ReadHeaderError, ScanError, read_segment_header};

/// One thing in a segment file. Its `Display` is one line, without end of line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DumpItem {
    /// The segment header.
    Header {
        /// 0 for the meta group, bucket + 1 otherwise.
        group: u16,
        /// Segment number.
        number: u64,
        /// Log index of the first frame.
        first_index: u64,
        /// Header checksum of the frame before.
        chain: u32,
        /// Size limit of the segment.
        segment_size_bytes: u64,
    },
    /// A good frame.
    Frame {
        /// Where it begins.
        offset: u64,
        /// Bytes it occupies.
        len: u64,
        /// Log index.
        index: u64,
        /// Term.
        term: u64,
        /// What it is: `NoOp`, `Transaction`, `Membership` or `Control`.
        kind: String,
        /// Partition of a transaction.
        partition_id: u16,
        /// Commit index its leader knew when it was made.
        commit_hint: u64,
        /// Its header checksum, which the next frame repeats.
        chain: u32,
        /// Pattern that its body is masked with; 0 if none.
        mask: u8,
    },
    /// An event of the frame before.
    Event {
        /// Sequence in its partition.
        sequence: u64,
        /// Event id.
        event_id: Uuid,
        /// Stream id.
        stream_id: String,
        /// Version in its stream.
        stream_version: u64,
        /// Event name.
        name: String,
        /// Nanoseconds since 1970.
        timestamp_ns: u64,
        /// Bytes of payload.
        payload_len: usize,
        /// Bytes of metadata.
        metadata_len: usize,
    },
    /// Something that cannot be read.
    Bad {
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// The end of the log in this file.
    End {
        /// Where it is.
        offset: u64,
        /// Length of the file; zeros in between.
        file_len: u64,
    },
}

impl fmt::Display for DumpItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { group, number, first_index, chain, segment_size_bytes } => write!(
                f,
                "segment {number} group {group} first index {first_index} chain {chain:08x} limit {segment_size_bytes}"
            ),
            Self::Frame {
                offset,
                len,
                index,
                term,
                kind,
                partition_id,
                commit_hint,
                chain,
                mask,
            } => {
                write!(
                    f,
                    "{offset:>10} {kind} index {index} term {term} partition {partition_id} hint {commit_hint} \
                     chain {chain:08x} mask {mask} {len} bytes"
                )
            }
            Self::Event {
                sequence,
                event_id,
                stream_id,
                stream_version,
                name,
                timestamp_ns,
                payload_len,
                metadata_len,
            } => write!(
                f,
                "           sequence {sequence} {event_id} {stream_id:?} version {stream_version} {name:?} at \
                 {timestamp_ns} payload {payload_len} metadata {metadata_len}"
            ),
            Self::Bad { offset, cause } => write!(f, "{offset:>10} BAD {cause}"),
            Self::End { offset, file_len } => {
                write!(f, "{offset:>10} end of log, file of {file_len}")
            }
        }
    }
}

/// Who is told what a segment file holds, item by item.
pub type OnItem<'a> = &'a mut (dyn FnMut(DumpItem) + Send);

/// Reads the segment file at `path` and tells what it holds, past damage as far as that can be. Changes nothing;
/// needs no lock, but the end of a segment that is being written is a matter of luck.
///
/// # Errors
/// The disk's.
pub async fn dump_segment(io: &Io, path: &Path, on_item: OnItem<'_>) -> Result<(), DiskError> {
    let file = io.disk().open(path, OpenOptions::READ).await?;
    let header = match read_segment_header(file.as_ref()).await {
        Ok(header) => header,
        Err(ReadHeaderError::Disk(error)) => return Err(error),
        Err(ReadHeaderError::Header(error)) => {
            on_item(DumpItem::Bad { offset: 0, cause: error.to_string() });
            return Ok(());
        }
    };
    on_item(header_item(&header));
    let mut from = ActiveSegment::new(header);
    loop {
        let mut reader = FrameReader::open(file.clone(), from).await?;
        let cause = loop {
            match reader.next().await {
                Ok(Some(frame)) => tell_frame(&frame, on_item),
                Ok(None) => break None,
                Err(ScanError::Disk(error)) => return Err(error),
                Err(ScanError::Bad(bad)) => break Some(bad.cause.to_string()),
            }
        };
        let end = reader.segment().end();
        let found = inspect(file.clone(), end).await?;
        let (offset, file_len) = (end.end_offset, file.len().await?);
        let Some(cause) = cause.filter(|_| found.nature != Nature::Zeros) else {
            on_item(DumpItem::End { offset, file_len });
            return Ok(());
        };
        on_item(DumpItem::Bad { offset, cause });
        let Some(run) = found.last_run else { return Ok(()) };
        from = ActiveSegment::resume(header, run.start());
    }
}

fn header_item(header: &SegmentHeader) -> DumpItem {
    DumpItem::Header {
        group: header.group,
        number: header.number,
        first_index: header.first_index,
        chain: header.chain,
        segment_size_bytes: header.segment_size_bytes,
    }
}

fn tell_frame(frame: &Frame, on_item: OnItem<'_>) {
    let header = &frame.header;
    on_item(DumpItem::Frame {
        offset: frame.offset,
        len: header.frame_len(),
        index: header.index,
        term: header.term,
        kind: format!("{:?}", header.kind),
        partition_id: header.partition,
        commit_hint: header.commit_hint,
        chain: header.header_crc,
        mask: header.mask,
    });
    if header.kind != FrameKind::Transaction {
        return;
    }
    let bad = |cause: String| DumpItem::Bad { offset: frame.offset, cause };
    let transaction = match decode_transaction(frame) {
        Ok(transaction) => transaction,
        Err(error) => return on_item(bad(error.to_string())),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for event in transaction.events() {
        on_item(match event {
            Ok(event) => DumpItem::Event {
                sequence: header.first_sequence.saturating_add(u64::from(event.position)),
                event_id: event.event_id,
                stream_id: text(&event.stream_id),
                stream_version: event.stream_version,
                name: text(&event.name),
                timestamp_ns: event.timestamp_ns,
                payload_len: event.payload.len(),
                metadata_len: event.metadata.len(),
            },
            Err(error) => bad(error.to_string()),
        });
    }
}
