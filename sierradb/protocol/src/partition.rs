//! Partitions and the ways a request names them.

use std::fmt;

use uuid::Uuid;

use crate::id::{parse_uuid, uuid_to_partition_hash};

/// Number of a partition, 0 to one less than the count fixed when the database was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u16);

/// One partition, by number or by a key that hashes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionSelector {
    /// The partition of this number.
    Id(PartitionId),
    /// The partition this key belongs to.
    Key(Uuid),
}

/// Some partitions, as EPSUB selects them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionSet {
    /// `*`: all there are.
    All,
    /// The union of these, at least one.
    Some(Vec<PartitionItem>),
}

/// One item between the commas of a [`PartitionSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionItem {
    /// One partition.
    One(PartitionSelector),
    /// All from `first` to `last`, both included; `first` is not behind `last`.
    Range {
        /// The first.
        first: PartitionId,
        /// The last, inclusive.
        last: PartitionId,
    },
}

/// The partition asked for is beyond the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "partition {partition} does not exist: this database has partitions 0 to {}",
    .count.saturating_sub(1)
)]
#[expect(missing_docs, reason = "the message names its fields")]
pub struct NoSuchPartition {
    pub partition: PartitionId,
    pub count: u16,
}

impl PartitionId {
    /// The partition of number `id`.
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The partition that a hash belongs to among `count`.
    ///
    /// # Panics
    ///
    /// If `count` is 0, which no database has.
    pub const fn of_hash(hash: u16, count: u16) -> Self {
        assert!(count > 0, "a database has at least one partition");
        Self(hash % count)
    }

    /// The partition that a key belongs to among `count`.
    ///
    /// # Panics
    ///
    /// If `count` is 0, which no database has.
    pub const fn of_key(key: Uuid, count: u16) -> Self {
        Self::of_hash(uuid_to_partition_hash(key), count)
    }

    /// A number of one to five digits.
    fn from_digits(word: &[u8]) -> Option<Self> {
        if word.is_empty() || word.len() > 5 || !word.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(word).ok()?.parse().ok().map(Self)
    }
}

impl PartitionSelector {
    /// The selector a word means: one to five digits, or a UUID.
    pub fn from_word(word: &[u8]) -> Option<Self> {
        match PartitionId::from_digits(word) {
            Some(id) => Some(Self::Id(id)),
            None => parse_uuid(word).map(Self::Key),
        }
    }

    /// The partition meant in a database of `count`.
    ///
    /// # Errors
    ///
    /// If a number is not below `count`.
    ///
    /// # Panics
    ///
    /// If a key is to be resolved in a database of no partitions.
    pub const fn resolve(self, count: u16) -> Result<PartitionId, NoSuchPartition> {
        match self {
            Self::Id(partition) if partition.0 >= count => {
                Err(NoSuchPartition { partition, count })
            }
            Self::Id(partition) => Ok(partition),
            Self::Key(key) => Ok(PartitionId::of_key(key, count)),
        }
    }
}

impl PartitionSet {
    /// The set a word means: `*`, or ids, ranges and UUIDs separated by commas, blanks around them ignored.
    pub fn from_word(word: &[u8]) -> Option<Self> {
        if word.trim_ascii() == b"*" {
            return Some(Self::All);
        }
        let items = word.split(|byte| *byte == b',').map(PartitionItem::from_word);
        items.collect::<Option<Vec<_>>>().map(Self::Some)
    }

    /// The partitions meant in a database of `count`, ascending, each once.
    ///
    /// # Errors
    ///
    /// If one of them is not below `count`.
    ///
    /// # Panics
    ///
    /// If a key is to be resolved in a database of no partitions.
    pub fn resolve(&self, count: u16) -> Result<Vec<PartitionId>, NoSuchPartition> {
        let items = match self {
            Self::All => return Ok((0..count).map(PartitionId).collect()),
            Self::Some(items) => items,
        };
        // One flag per partition: a word of many overlapping ranges costs no more memory than this.
        let mut chosen = vec![false; usize::from(count)];
        for item in items {
            let (first, last) = match *item {
                PartitionItem::One(selector) => {
                    let partition = selector.resolve(count)?;
                    (partition, partition)
                }
                PartitionItem::Range { first, last } => {
                    (first, PartitionSelector::Id(last).resolve(count)?)
                }
            };
            let flags = chosen.get_mut(usize::from(first.0)..=usize::from(last.0));
            flags.into_iter().flatten().for_each(|flag| *flag = true);
        }
        let numbered = (0..count).zip(chosen);
        Ok(numbered.filter(|(_, chosen)| *chosen).map(|(id, _)| PartitionId(id)).collect())
    }
}

impl PartitionItem {
    fn from_word(word: &[u8]) -> Option<Self> {
        let word = word.trim_ascii();
        if let Some(selector) = PartitionSelector::from_word(word) {
            return Some(Self::One(selector));
        }
        let mut ends = word.splitn(2, |byte| *byte == b'-');
        let first = PartitionId::from_digits(ends.next()?.trim_ascii())?;
        let last = PartitionId::from_digits(ends.next()?.trim_ascii())?;
        (first <= last).then_some(Self::Range { first, last })
    }
}

impl From<u16> for PartitionId {
    fn from(id: u16) -> Self {
        Self(id)
    }
}

impl From<PartitionId> for u16 {
    fn from(id: PartitionId) -> Self {
        id.0
    }
}

impl From<PartitionId> for PartitionSelector {
    fn from(id: PartitionId) -> Self {
        Self::Id(id)
    }
}

impl From<u16> for PartitionSelector {
    fn from(id: u16) -> Self {
        Self::Id(PartitionId(id))
    }
}

impl From<Uuid> for PartitionSelector {
    fn from(key: Uuid) -> Self {
        Self::Key(key)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for PartitionSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Key(key) => key.fmt(formatter),
        }
    }
}

impl fmt::Display for PartitionItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(selector) => selector.fmt(formatter),
            Self::Range { first, last } => write!(formatter, "{first}-{last}"),
        }
    }
}

impl fmt::Display for PartitionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = match self {
            Self::All => return formatter.write_str("*"),
            Self::Some(items) => items,
        };
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            item.fmt(formatter)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(word: &str, count: u16) -> Result<Vec<u16>, String> {
        let set = PartitionSet::from_word(word.as_bytes()).ok_or("not a selector")?;
        let ids = set.resolve(count).map_err(|error| error.to_string())?;
        Ok(ids.into_iter().map(PartitionId::get).collect())
    }

    #[test]
    fn a_selector_is_a_number_or_a_uuid() {
        let count = 32;
        let partition = |word: &str| {
            PartitionSelector::from_word(word.as_bytes()).map(|s| s.resolve(count).unwrap().get())
        };
        assert_eq!(partition("25"), Some(25));
        assert_eq!(partition("00025"), Some(25));
        assert_eq!(partition("550e8400-e29b-41d4-a716-446655440000"), Some(25));
        for word in ["", "+5", "-5", "99999", "000025", " 5", "x"] {
            assert_eq!(partition(word), None, "{word}");
        }
    }

    #[test]
    fn a_partition_beyond_the_count_does_not_exist() {
        let selector = PartitionSelector::from(42);
        let refused = selector.resolve(32).unwrap_err();
        let text = "partition 42 does not exist: this database has partitions 0 to 31";
        assert_eq!(refused.to_string(), text);
        assert_eq!(resolved("0-40", 32), Err(text.replace("42", "40")));
    }

    #[test]
    fn a_set_is_the_union_of_its_items_in_order() {
        assert_eq!(resolved("*", 3), Ok(vec![0, 1, 2]));
        assert_eq!(resolved("2,0, 2 ,1-2", 4), Ok(vec![0, 1, 2]));
        assert_eq!(resolved("0-31", 32).unwrap().len(), 32);
        assert_eq!(resolved("550e8400-e29b-41d4-a716-446655440000,3", 32), Ok(vec![3, 25]));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for word in ["", ",", "1,", "**", "3-1", "1-2-3", "-1", "1-", "70000", "x", "*,1"] {
            assert_eq!(PartitionSet::from_word(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn a_set_is_written_as_it_is_read() {
        for word in ["*", "5", "1,2,3", "0-31,7", "550e8400-e29b-41d4-a716-446655440000,4"] {
            assert_eq!(PartitionSet::from_word(word.as_bytes()).unwrap().to_string(), word);
        }
    }
}
