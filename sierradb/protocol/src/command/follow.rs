//! ESUB, EPSUB, EACK and EUNSUB.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use bytes::Bytes;
use uuid::Uuid;

use crate::args::{Args, Upper, parse_number, set_once};
use crate::command::follow_from::{EntryFault, FollowFrom};
use crate::command::request::Command;
use crate::command::suggest::{Place, unknown_option};
use crate::command::words::Words;
use crate::id::{default_partition_key, parse_uuid};
use crate::parse_error::ParseError;
use crate::partition::{NoSuchPartition, PartitionId, PartitionSelector, PartitionSet};
use crate::quote::Quoted;
use crate::stream_id::StreamId;

/// `ESUB`: follow streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ESub {
    /// The streams, at least one, none twice.
    pub sources: Vec<StreamSource>,
    /// Where each starts.
    pub from: FollowFrom<StreamId>,
    /// How many events may be sent beyond the acknowledged cursor; without it, no limit.
    pub window: Option<NonZeroU32>,
    /// What the frames are called.
    pub push: PushKind,
}

/// `EPSUB`: follow partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EPSub {
    /// The partitions.
    pub partitions: PartitionSet,
    /// Where each starts.
    pub from: FollowFrom<PartitionSelector>,
    /// How many events may be sent beyond the acknowledged cursor; without it, no limit.
    pub window: Option<NonZeroU32>,
    /// What the frames are called.
    pub push: PushKind,
}

/// `EACK`: events up to a cursor have been dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EAck {
    /// The subscription.
    pub subscription_id: Uuid,
    /// Cursor of a frame, inclusive.
    pub cursor: u64,
}

/// `EUNSUB`: end a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EUnsub {
    /// The subscription.
    pub subscription_id: Uuid,
}

/// One stream of an [`ESub`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSource {
    /// The stream.
    pub stream_id: StreamId,
    /// The key; without one the default key of the stream.
    pub partition_key: Option<Uuid>,
}

/// What the frames of a subscription are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PushKind {
    /// `subscribe` and `message`, as always; clients may take them for pub/sub.
    #[default]
    Message,
    /// `event`, which no client mistakes for pub/sub, and no `subscribe` frame.
    Event,
}

impl StreamSource {
    /// The key given, or the default one.
    pub fn key(&self) -> Uuid {
        self.partition_key.unwrap_or_else(|| default_partition_key(self.stream_id.as_bytes()))
    }
}

impl ESub {
    /// Each stream with the version it starts at; `None` is latest.
    pub fn starts(&self) -> impl Iterator<Item = (&StreamSource, Option<u64>)> {
        let listed: BTreeMap<_, _> = self.from.entries().iter().map(|(id, at)| (id, *at)).collect();
        let otherwise = self.from.otherwise();
        self.sources
            .iter()
            .map(move |source| (source, listed.get(&source.stream_id).copied().or(otherwise)))
    }

    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let mut sources = vec![source(args)?];
        while let Some(word) = args.peek()
            && !matches!(Upper::of(&word).as_bytes(), b"FROM" | b"WINDOW" | b"PUSH")
        {
            sources.push(source(args)?);
        }
        let mut options = FollowOptions::default();
        while let Some(word) = args.next_word() {
            let upper = Upper::of(&word);
            match (upper.as_bytes(), sources.as_mut_slice()) {
                (b"PARTITION_KEY", [only]) => {
                    let key = args.uuid("PARTITION_KEY", "partition key")?;
                    set_once(&mut only.partition_key, "PARTITION_KEY", key)?;
                }
                (b"PARTITION_KEY", _) => return Err(ParseError::PartitionKeyAfterOptions),
                (b"FROM", sources) => {
                    let known: BTreeSet<_> =
                        sources.iter().map(|source| &source.stream_id).collect();
                    options.take_from(args, |name| subscribed(name, &known))?;
                }
                (option, _) => {
                    if !options.take(option, args)? {
                        let expected = &["PARTITION_KEY", "FROM", "WINDOW", "PUSH"];
                        let place = Place::Elsewhere;
                        return Err(unknown_option(args.command(), expected, &word, place));
                    }
                }
            }
        }
        if let [_, _, ..] = sources.as_slice() {
            let mut seen = BTreeSet::new();
            sources.retain(|source| seen.insert((source.stream_id.clone(), source.key())));
        }
        let (from, window, push) = options.finish();
        Ok(Command::ESub(Self { sources, from, window, push }))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        for source in &self.sources {
            words.bytes(source.stream_id.to_bytes());
            words.option("PARTITION_KEY", source.partition_key);
        }
        self.from.encode(words);
        words.option("WINDOW", self.window);
        encode_push(self.push, words);
    }
}

impl EPSub {
    /// Each partition, ascending, with the sequence it starts at; `None` is latest.
    ///
    /// # Errors
    ///
    /// If a partition, also one that only the map names, is not below `count`.
    ///
    /// # Panics
    ///
    /// If a key is to be resolved in a database of no partitions.
    pub fn starts(&self, count: u16) -> Result<Vec<(PartitionId, Option<u64>)>, NoSuchPartition> {
        let partitions = self.partitions.resolve(count)?;
        let mut listed = BTreeMap::new();
        for (selector, position) in self.from.entries() {
            listed.insert(selector.resolve(count)?, *position);
        }
        let otherwise = self.from.otherwise();
        let start = |id: PartitionId| (id, listed.get(&id).copied().or(otherwise));
        Ok(partitions.into_iter().map(start).collect())
    }

    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let word = args.word()?;
        let partitions = PartitionSet::from_word(&word)
            .ok_or_else(|| ParseError::InvalidPartitionSet { word: Quoted::new(&word) })?;
        let mut options = FollowOptions::default();
        while let Some(word) = args.next_word() {
            match Upper::of(&word).as_bytes() {
                b"FROM" => options.take_from(args, partition)?,
                option => {
                    if !options.take(option, args)? {
                        let expected = &["FROM", "WINDOW", "PUSH"];
                        let place = Place::Elsewhere;
                        return Err(unknown_option(args.command(), expected, &word, place));
                    }
                }
            }
        }
        let (from, window, push) = options.finish();
        Ok(Command::EPSub(Self { partitions, from, window, push }))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        words.text(&self.partitions);
        self.from.encode(words);
        words.option("WINDOW", self.window);
        encode_push(self.push, words);
    }
}

impl EAck {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let subscription_id = subscription_id(args)?;
        let word = args.word()?;
        let cursor = parse_number(&word).ok_or_else(|| ParseError::InvalidNumber {
            what: "cursor",
            word: Quoted::new(&word),
        })?;
        Ok(Command::EAck(Self { subscription_id, cursor }))
    }

    pub(crate) fn encode(self, words: &mut Words) {
        words.text(self.subscription_id);
        words.text(self.cursor);
    }
}

impl EUnsub {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        Ok(Command::EUnsub(Self { subscription_id: subscription_id(args)? }))
    }

    pub(crate) fn encode(self, words: &mut Words) {
        words.text(self.subscription_id);
    }
}

/// FROM, WINDOW and PUSH while they are read.
#[derive(Debug)]
struct FollowOptions<Name> {
    from: Option<FollowFrom<Name>>,
    window: Option<NonZeroU32>,
    push: Option<PushKind>,
}

impl<Name> Default for FollowOptions<Name> {
    fn default() -> Self {
        Self { from: None, window: None, push: None }
    }
}

impl<Name> FollowOptions<Name> {
    fn take_from(
        &mut self,
        args: &mut Args<'_>,
        read: impl Fn(Bytes) -> Result<Name, EntryFault>,
    ) -> Result<(), ParseError> {
        set_once(&mut self.from, "FROM", FollowFrom::parse(args, read)?)
    }

    /// Takes the value of WINDOW or PUSH; false if `option` is neither.
    fn take(&mut self, option: &[u8], args: &mut Args<'_>) -> Result<bool, ParseError> {
        match option {
            b"WINDOW" => {
                let read = |word: &[u8]| u32::try_from(parse_number(word)?).ok()?.try_into().ok();
                let fault = |word| ParseError::InvalidWindow { word };
                set_once(&mut self.window, "WINDOW", args.read("WINDOW", read, fault)?)?;
            }
            b"PUSH" => {
                let read = |word: &[u8]| match Upper::of(word).as_bytes() {
                    b"MESSAGE" => Some(PushKind::Message),
                    b"EVENT" => Some(PushKind::Event),
                    _ => None,
                };
                let fault = |word| ParseError::InvalidPush { word };
                set_once(&mut self.push, "PUSH", args.read("PUSH", read, fault)?)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> (FollowFrom<Name>, Option<NonZeroU32>, PushKind) {
        let from = self.from.unwrap_or(FollowFrom::Latest);
        (from, self.window, self.push.unwrap_or_default())
    }
}

/// A stream id and, if it follows at once, its key.
fn source(args: &mut Args<'_>) -> Result<StreamSource, ParseError> {
    let stream_id = args.stream_id()?;
    let mut partition_key = None;
    while args.peek().is_some_and(|word| Upper::of(&word).as_bytes() == b"PARTITION_KEY") {
        args.word()?;
        let key = args.uuid("PARTITION_KEY", "partition key")?;
        set_once(&mut partition_key, "PARTITION_KEY", key)?;
    }
    Ok(StreamSource { stream_id, partition_key })
}

/// The stream a map entry is about. One that is not subscribed is a slip that would otherwise go unnoticed.
fn subscribed(name: Bytes, known: &BTreeSet<&StreamId>) -> Result<StreamId, EntryFault> {
    let Ok(id) = StreamId::from_bytes(name) else {
        return Err(|word| ParseError::InvalidMapEntry { word });
    };
    if known.contains(&id) {
        Ok(id)
    } else {
        Err(|word| ParseError::MapEntryNotSubscribed { word })
    }
}

/// The partition a map entry is about.
fn partition(name: Bytes) -> Result<PartitionSelector, EntryFault> {
    let fault: EntryFault = |word| ParseError::InvalidMapEntry { word };
    PartitionSelector::from_word(&name).ok_or(fault)
}

fn subscription_id(args: &mut Args<'_>) -> Result<Uuid, ParseError> {
    let word = args.word()?;
    parse_uuid(&word).ok_or_else(|| ParseError::InvalidUuid {
        what: "subscription id",
        word: Quoted::new(&word),
    })
}

fn encode_push(push: PushKind, words: &mut Words) {
    match push {
        PushKind::Message => {}
        PushKind::Event => words.option("PUSH", Some("event")),
    }
}

#[cfg(test)]
mod tests;
