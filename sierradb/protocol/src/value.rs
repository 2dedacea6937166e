//! Replies, neither RESP2 nor RESP3: a [`Sink`] takes them piece by piece, a [`Value`] is the same as a tree.
//!
//! Writers of replies are generic over `S: Sink + ?Sized`; the RESP encoder is a sink that turns each call into
//! bytes of the connection's protocol version, so an event travels from block cache to socket without a tree or a
//! copy in between. [`ValueBuilder`] is the sink that keeps what it is told: for tests, the simulator and clients.
//!
//! Aggregates are announced with their length and followed by exactly so many values (a map of `n` entries by `2n`,
//! key before value). Writing fewer or more is a bug of the writer; the builder asserts it.

use bytes::Bytes;
use uuid::Uuid;

use crate::error_code::ErrorCode;

/// Takes one reply, or several in a row, in pre-order.
pub trait Sink {
    /// About so many bytes follow: a hint that spares a growing buffer its copies.
    fn expect(&mut self, bytes: usize) {
        let _: usize = bytes;
    }

    /// A map of `entries` key/value pairs follows (RESP2: a flat array of twice as many).
    fn map(&mut self, entries: usize);

    /// An array of `len` values follows.
    fn array(&mut self, len: usize);

    /// An out-of-band frame of `len` values follows (for RESP2 see `WIRE.md` 4.3).
    fn push(&mut self, len: usize);

    /// A simple string. The encoder replaces control characters, so it can carry text of others.
    fn simple(&mut self, text: &str);

    /// A simple string of any bytes; besides control characters, invalid UTF-8 is replaced.
    fn simple_bytes(&mut self, bytes: &[u8]) {
        self.simple(&String::from_utf8_lossy(bytes));
    }

    /// A simple string that the caller knows to be printable ASCII: keys, ids, `OK`. Encoders skip the cleaning.
    fn word(&mut self, word: &str) {
        self.simple(word);
    }

    /// A bulk string: any bytes, unchanged.
    fn bulk(&mut self, bytes: &[u8]);

    /// A number of 0 to 2^63−1; nothing we count can get beyond that, so more is a bug of the caller.
    fn integer(&mut self, value: u64);

    /// A number that may be negative.
    fn integer_i64(&mut self, value: i64);

    /// A boolean (RESP2: 1 or 0).
    fn boolean(&mut self, value: bool);

    /// Nothing (RESP2: the null bulk string).
    fn null(&mut self);

    /// An error reply; `text` comes without the code. The encoder cleans it as in [`Sink::simple`].
    fn error(&mut self, code: ErrorCode, text: &str);

    /// A UUID as a simple string, lower-case with hyphens.
    fn uuid(&mut self, id: Uuid) {
        self.word(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }
}

/// One reply as an owned tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Simple string.
    Simple(String),
    /// Bulk string.
    Bulk(Bytes),
    /// Number.
    Integer(i64),
    /// Boolean; a RESP2 decoder yields [`Value::Integer`] 0 or 1 in its place.
    Boolean(bool),
    /// Nothing.
    Null,
    /// Pairs in the order sent; a RESP2 decoder yields an [`Value::Array`] of twice the length in its place.
    Map(Vec<(Value, Value)>),
    /// Array.
    Array(Vec<Value>),
    /// Out-of-band frame; a RESP2 decoder yields an [`Value::Array`] in its place.
    Push(Vec<Value>),
    /// Error reply.
    Error {
        /// Its code.
        code: ErrorCode,
        /// What follows the code and one blank.
        text: String,
    },
}

impl Value {
    /// Collects the one value that `write` puts into the sink it is given.
    ///
    /// # Panics
    ///
    /// If `write` writes no value, more than one, or an incomplete aggregate.
    pub fn collect(write: impl FnOnce(&mut ValueBuilder)) -> Self {
        let mut builder = ValueBuilder::default();
        write(&mut builder);
        let mut values = builder.finish();
        assert_eq!(values.len(), 1, "a reply is exactly one value");
        values.pop().unwrap_or(Self::Null)
    }

    /// Writes the tree into `sink`.
    pub fn write_to<S: Sink + ?Sized>(&self, sink: &mut S) {
        match self {
            Self::Simple(text) => sink.simple(text),
            Self::Bulk(bytes) => sink.bulk(bytes),
            Self::Integer(value) => sink.integer_i64(*value),
            Self::Boolean(value) => sink.boolean(*value),
            Self::Null => sink.null(),
            Self::Map(entries) => {
                sink.map(entries.len());
                for (key, value) in entries {
                    key.write_to(sink);
                    value.write_to(sink);
                }
            }
            Self::Array(items) => {
                sink.array(items.len());
                items.iter().for_each(|item| item.write_to(sink));
            }
            Self::Push(items) => {
                sink.push(items.len());
                items.iter().for_each(|item| item.write_to(sink));
            }
            Self::Error { code, text } => sink.error(*code, text),
        }
    }
}

/// A [`Sink`] that keeps what it is told as [`Value`]s.
#[derive(Debug, Default)]
pub struct ValueBuilder {
    /// Complete values of the outermost level.
    done: Vec<Value>,
    /// Announced aggregates, outermost first.
    open: Vec<Open>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Map,
    Array,
    Push,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    /// How many values belong into it; at least one more than `items` holds.
    len: usize,
    items: Vec<Value>,
}

impl ValueBuilder {
    /// The values written so far.
    ///
    /// # Panics
    ///
    /// If an announced aggregate is not full yet.
    pub fn finish(self) -> Vec<Value> {
        assert!(self.open.is_empty(), "an aggregate was announced longer than what was written");
        self.done
    }

    fn announce(&mut self, kind: Kind, len: usize) {
        if len == 0 {
            self.add(close(kind, Vec::new()));
        } else {
            self.open.push(Open { kind, len, items: Vec::new() });
        }
    }

    fn add(&mut self, value: Value) {
        let mut value = value;
        while let Some(mut open) = self.open.pop() {
            open.items.push(value);
            if open.items.len() < open.len {
                self.open.push(open);
                return;
            }
            value = close(open.kind, open.items);
        }
        self.done.push(value);
    }
}

fn close(kind: Kind, items: Vec<Value>) -> Value {
    match kind {
        Kind::Array => Value::Array(items),
        Kind::Push => Value::Push(items),
        Kind::Map => {
            let mut entries = Vec::with_capacity(items.len() / 2);
            let mut items = items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                entries.push((key, value));
            }
            Value::Map(entries)
        }
    }
}

impl Sink for ValueBuilder {
    fn map(&mut self, entries: usize) {
        self.announce(Kind::Map, entries * 2);
    }

    fn array(&mut self, len: usize) {
        self.announce(Kind::Array, len);
    }

    fn push(&mut self, len: usize) {
        self.announce(Kind::Push, len);
    }

    fn simple(&mut self, text: &str) {
        self.add(Value::Simple(text.to_owned()));
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.add(Value::Bulk(Bytes::copy_from_slice(bytes)));
    }

    fn integer(&mut self, value: u64) {
        let value = i64::try_from(value).expect("numbers of replies are below 2^63");
        self.add(Value::Integer(value));
    }

    fn integer_i64(&mut self, value: i64) {
        self.add(Value::Integer(value));
    }

    fn boolean(&mut self, value: bool) {
        self.add(Value::Boolean(value));
    }

    fn null(&mut self) {
        self.add(Value::Null);
    }

    fn error(&mut self, code: ErrorCode, text: &str) {
        self.add(Value::Error { code, text: text.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::Simple),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bulk(bytes.into())),
            any::<i64>().prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Boolean),
            Just(Value::Null),
            any::<String>().prop_map(|text| Value::Error { code: ErrorCode::TryAgain, text }),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(Value::Map),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(inner, 0..4).prop_map(Value::Push),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_tree_written_into_a_builder_comes_back(value in any_value()) {
            prop_assert_eq!(Value::collect(|sink| value.write_to(sink)), value);
        }
    }

    #[test]
    fn several_replies_stay_apart() {
        let mut builder = ValueBuilder::default();
        builder.map(1);
        builder.word("has_more");
        builder.boolean(false);
        builder.array(0);
        builder.uuid(Uuid::nil());
        let map = Value::Map(vec![(Value::Simple("has_more".into()), Value::Boolean(false))]);
        let id = Value::Simple("00000000-0000-0000-0000-000000000000".into());
        assert_eq!(builder.finish(), [map, Value::Array(vec![]), id]);
    }

    #[test]
    #[should_panic(expected = "announced longer")]
    fn an_unfinished_aggregate_is_a_bug() {
        let mut builder = ValueBuilder::default();
        builder.array(2);
        builder.null();
        builder.finish();
    }
}
