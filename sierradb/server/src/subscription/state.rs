//! Which events a subscription has read: one rule for history and for what is live.
//!
//! Each source (a stream, or a whole partition) has a position: the next version or sequence to deliver. Events below
//! the watermark of its partition are read from there on; that the watermark rose is the only thing ever waited for.
//! So there is no hand-over between past and present at which an event could be lost, doubled or reordered.
//!
//! Sources take turns: after a batch of one, the next with something to read is asked.
//! Invariant: `seen` of a source never exceeds the watermark of its partition, and everything of the source below
//! `seen` is delivered.

use sierradb_protocol::{PartitionId, StreamId};

/// What one source follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A stream, by version.
    Stream(StreamId),
    /// A partition, by sequence.
    Partition,
}

/// One source and how far it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The partition it lies in.
    pub(crate) partition: PartitionId,
    /// What is followed in there.
    pub(crate) subject: Subject,
    /// The next version or sequence to deliver.
    pub(crate) next: u64,
    /// The watermark up to which nothing more is to be delivered.
    seen: u64,
}

/// All sources of a subscription.
#[derive(Debug)]
pub(crate) struct Sources {
    all: Vec<Source>,
    /// Whose turn it is.
    turn: usize,
}

impl Source {
    /// A source that delivers from `next` on; `None` of its events were looked for yet.
    pub(crate) fn new(partition: PartitionId, subject: Subject, next: u64) -> Self {
        // Sequences below `next` are of no interest, so a partition's source has "seen" them.
        let seen = if subject == Subject::Partition { next } else { 0 };
        Self { partition, subject, next, seen }
    }

    /// Whether there may be something to read, given the watermark of the partition.
    fn is_behind(&self, watermark: u64) -> bool {
        watermark > self.seen
    }

    /// Takes note of a read that began at `self.next` when the watermark was `watermark`: it returned events up to
    /// before `next`, and `has_more` of them are there.
    pub(crate) fn advance(&mut self, next: u64, has_more: bool, watermark: u64) {
        assert!(next >= self.next, "a source never goes back");
        let found = next > self.next;
        self.next = next;
        if self.subject == Subject::Partition && found {
            self.seen = next;
        } else if !has_more {
            self.seen = self.seen.max(watermark);
        }
    }
}

impl Sources {
    /// At least one source.
    pub(crate) fn new(all: Vec<Source>) -> Self {
        Self { all, turn: 0 }
    }

    /// The next source, in turn, that may have something to read.
    pub(crate) fn next_behind(
        &mut self,
        watermark: impl Fn(PartitionId) -> u64,
    ) -> Option<&mut Source> {
        let count = self.all.len();
        let behind = |source: &Source| source.is_behind(watermark(source.partition));
        let ahead = self.all.iter().skip(self.turn).position(behind).map(|at| at + self.turn);
        let found = ahead.or_else(|| self.all.iter().take(self.turn).position(behind))?;
        self.turn = (found + 1) % count;
        self.all.get_mut(found)
    }

    /// Whether any source may have something to read.
    pub(crate) fn is_behind(&self, watermark: impl Fn(PartitionId) -> u64) -> bool {
        self.all.iter().any(|source| source.is_behind(watermark(source.partition)))
    }

    /// The only partition there is to watch, with the watermark to be passed; `None` if there are several.
    pub(crate) fn only(&self) -> Option<(PartitionId, u64)> {
        match self.all.as_slice() {
            [source] => Some((source.partition, source.seen)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(id: u16, next: u64) -> Source {
        Source::new(PartitionId::new(id), Subject::Partition, next)
    }

    #[test]
    fn sources_take_turns() {
        let mut sources = Sources::new(vec![partition(0, 0), partition(1, 0), partition(2, 0)]);
        let marks = [9, 0, 9];
        let watermark = |p: PartitionId| marks[usize::from(p.get())];
        let mut turns = Vec::new();
        for _ in 0..4 {
            let source = sources.next_behind(watermark).unwrap();
            turns.push(source.partition.get());
            let next = source.next + 1;
            source.advance(next, true, 9);
        }
        assert_eq!(turns, [0, 2, 0, 2]);
    }

    #[test]
    fn a_position_beyond_the_end_waits_for_exactly_that_position() {
        let mut sources = Sources::new(vec![partition(0, 5)]);
        assert!(sources.next_behind(|_| 5).is_none());
        assert_eq!(sources.only(), Some((PartitionId::new(0), 5)));
        assert_eq!(sources.next_behind(|_| 6).unwrap().next, 5);
    }

    #[test]
    fn a_stream_is_looked_at_once_per_rise_of_its_partition() {
        let stream = StreamId::new("s").unwrap();
        let source = Source::new(PartitionId::new(0), Subject::Stream(stream), 3);
        let mut sources = Sources::new(vec![source]);
        assert!(sources.is_behind(|_| 1));
        sources.next_behind(|_| 7).unwrap().advance(3, false, 7);
        assert!(!sources.is_behind(|_| 7));
        let source = sources.next_behind(|_| 8).unwrap();
        source.advance(4, true, 8);
        assert!(sources.is_behind(|_| 8), "the read said that there is more");
    }
}
