//! EGET, ESCAN, EPSCAN, ESVER and EPSEQ.

use uuid::Uuid;

use crate::args::{Args, Upper, parse_number, set_once};
use crate::command::request::Command;
use crate::command::suggest::{Place, unknown_option};
use crate::command::words::Words;
use crate::id::parse_uuid;
use crate::limits::SCAN_COUNT_DEFAULT;
use crate::parse_error::ParseError;
use crate::partition::PartitionSelector;
use crate::quote::Quoted;
use crate::range::{Range, RangeEnd, RangeStart};
use crate::stream_id::StreamId;

/// `EGET`: one event by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EGet {
    /// Any UUID.
    pub event_id: Uuid,
}

/// `ESCAN`: events of a stream by version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EScan {
    /// The stream.
    pub stream_id: StreamId,
    /// Versions, both ends inclusive.
    pub range: Range,
    /// The key; without one the default key of the stream.
    pub partition_key: Option<Uuid>,
    /// At most so many events; 0 asks only whether there are any.
    pub count: Option<u64>,
}

/// `EPSCAN`: events of a partition by sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EPScan {
    /// The partition.
    pub partition: PartitionSelector,
    /// Sequences, both ends inclusive.
    pub range: Range,
    /// At most so many events; 0 asks only whether there are any.
    pub count: Option<u64>,
}

/// `ESVER`: version of the last event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ESVer {
    /// The stream.
    pub stream_id: StreamId,
    /// The key; without one the default key of the stream.
    pub partition_key: Option<Uuid>,
}

/// `EPSEQ`: sequence of the last event of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EPSeq {
    /// The partition.
    pub partition: PartitionSelector,
}

impl EGet {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let word = args.word()?;
        let event_id = parse_uuid(&word).ok_or_else(|| ParseError::InvalidUuid {
            what: "event id",
            word: Quoted::new(&word),
        })?;
        Ok(Command::EGet(Self { event_id }))
    }

    pub(crate) fn encode(self, words: &mut Words) {
        words.text(self.event_id);
    }
}

impl EScan {
    /// At most so many events, the default filled in.
    pub fn count(&self) -> u64 {
        self.count.unwrap_or(SCAN_COUNT_DEFAULT)
    }

    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let stream_id = args.stream_id()?;
        let range = range(args, "version")?;
        let (mut partition_key, mut count) = (None, None);
        while let Some(word) = args.next_word() {
            match Upper::of(&word).as_bytes() {
                b"PARTITION_KEY" => {
                    let key = args.uuid("PARTITION_KEY", "partition key")?;
                    set_once(&mut partition_key, "PARTITION_KEY", key)?;
                }
                b"COUNT" => set_once(&mut count, "COUNT", self::count(args)?)?,
                _ => {
                    let expected = &["PARTITION_KEY", "COUNT"];
                    return Err(unknown_option(args.command(), expected, &word, Place::Elsewhere));
                }
            }
        }
        Ok(Command::EScan(Self { stream_id, range, partition_key, count }))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        words.bytes(self.stream_id.to_bytes());
        encode_range(self.range, words);
        words.option("PARTITION_KEY", self.partition_key);
        words.option("COUNT", self.count);
    }
}

impl EPScan {
    /// At most so many events, the default filled in.
    pub fn count(&self) -> u64 {
        self.count.unwrap_or(SCAN_COUNT_DEFAULT)
    }

    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let partition = partition(args)?;
        let range = range(args, "sequence")?;
        let mut count = None;
        while let Some(word) = args.next_word() {
            match Upper::of(&word).as_bytes() {
                b"COUNT" => set_once(&mut count, "COUNT", self::count(args)?)?,
                _ => {
                    let expected = &["COUNT"];
                    return Err(unknown_option(args.command(), expected, &word, Place::Elsewhere));
                }
            }
        }
        Ok(Command::EPScan(Self { partition, range, count }))
    }

    pub(crate) fn encode(self, words: &mut Words) {
        words.text(self.partition);
        encode_range(self.range, words);
        words.option("COUNT", self.count);
    }
}

impl ESVer {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let stream_id = args.stream_id()?;
        let mut partition_key = None;
        while let Some(word) = args.next_word() {
            match Upper::of(&word).as_bytes() {
                b"PARTITION_KEY" => {
                    let key = args.uuid("PARTITION_KEY", "partition key")?;
                    set_once(&mut partition_key, "PARTITION_KEY", key)?;
                }
                _ => {
                    let expected = &["PARTITION_KEY"];
                    return Err(unknown_option(args.command(), expected, &word, Place::Elsewhere));
                }
            }
        }
        Ok(Command::ESVer(Self { stream_id, partition_key }))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        words.bytes(self.stream_id.to_bytes());
        words.option("PARTITION_KEY", self.partition_key);
    }
}

impl EPSeq {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        Ok(Command::EPSeq(Self { partition: partition(args)? }))
    }

    pub(crate) fn encode(self, words: &mut Words) {
        words.text(self.partition);
    }
}

fn partition(args: &mut Args<'_>) -> Result<PartitionSelector, ParseError> {
    let word = args.word()?;
    PartitionSelector::from_word(&word)
        .ok_or_else(|| ParseError::InvalidPartition { word: Quoted::new(&word) })
}

fn count(args: &mut Args<'_>) -> Result<u64, ParseError> {
    args.read("COUNT", parse_number, |word| ParseError::InvalidNumber { what: "count", word })
}

/// Both ends; `what` says what they count.
fn range(args: &mut Args<'_>, what: &'static str) -> Result<Range, ParseError> {
    let word = args.word()?;
    let start = match (&*word, parse_number(&word)) {
        (b"-", _) => RangeStart::First,
        (b"+", _) => return Err(ParseError::StartAtLast { what }),
        (_, Some(position)) => RangeStart::At(position),
        (_, None) => return Err(ParseError::InvalidStart { what, word: Quoted::new(&word) }),
    };
    let word = args.word()?;
    let end = match (&*word, parse_number(&word)) {
        (b"+", _) => RangeEnd::Last,
        (b"-", _) => return Err(ParseError::EndAtFirst { what }),
        (_, Some(position)) => RangeEnd::At(position),
        (_, None) => return Err(ParseError::InvalidEnd { what, word: Quoted::new(&word) }),
    };
    Ok(Range { start, end })
}

fn encode_range(range: Range, words: &mut Words) {
    words.text(range.start);
    words.text(range.end);
}

#[cfg(test)]
mod tests;
