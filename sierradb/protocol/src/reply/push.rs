//! Frames of subscriptions.
//!
//! Written with [`Sink::push`]; on a RESP2 connection the encoder makes of it what that connection can take.

use uuid::Uuid;

use crate::command::PushKind;
use crate::error_code::ErrorCode;
use crate::reply::event::{Event, EventFields};
use crate::reply::fields::ReplyError;
use crate::value::{Sink, Value};

/// One frame as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A subscription has begun; only with `PUSH message`.
    Subscribed {
        /// Which.
        subscription_id: Uuid,
        /// How many this connection has now.
        count: u64,
    },
    /// An event.
    Event {
        /// Of which subscription.
        subscription_id: Uuid,
        /// 0, 1, 2 … in the order of delivery; what EACK names.
        cursor: u64,
        /// The event.
        event: Box<Event>,
    },
    /// The subscription has ended.
    Ended {
        /// Because it cannot go on, or because the server ends it.
        end: FrameEnd,
        /// Which.
        subscription_id: Uuid,
        /// The cursor the next event would have had.
        next_cursor: u64,
        /// Why.
        code: ErrorCode,
        /// Why, in words.
        text: String,
    },
}

/// How a subscription ended without being asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameEnd {
    /// It cannot go on.
    Error,
    /// The server ends it.
    End,
}

/// Writes the frame that begins a subscription. `PUSH event` has none.
pub fn write_subscribed<S: Sink + ?Sized>(sink: &mut S, subscription_id: Uuid, count: u64) {
    sink.push(3);
    sink.word("subscribe");
    sink.uuid(subscription_id);
    sink.integer(count);
}

/// Writes a frame with an event. Nothing is allocated here.
pub fn write_event_frame<S: Sink + ?Sized>(
    sink: &mut S,
    kind: PushKind,
    subscription_id: Uuid,
    cursor: u64,
    event: &EventFields<'_>,
) {
    sink.push(4);
    sink.word(kind.as_str());
    sink.uuid(subscription_id);
    sink.integer(cursor);
    event.write_to(sink);
}

/// Writes the last frame of a subscription that ends without being asked to.
pub fn write_end<S: Sink + ?Sized>(
    sink: &mut S,
    end: FrameEnd,
    subscription_id: Uuid,
    next_cursor: u64,
    (code, text): (ErrorCode, &str),
) {
    sink.push(4);
    sink.word(end.as_str());
    sink.uuid(subscription_id);
    sink.integer(next_cursor);
    sink.bulk(format!("{code} {text}").as_bytes());
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let fault = || value.unexpected("a frame of a subscription");
        let (kind, rest) = value.items()?.split_first().ok_or_else(fault)?;
        let end = match (kind.text()?, rest) {
            ("subscribe", [id, count]) => {
                let (subscription_id, count) = (id.uuid()?, count.number()?);
                return Ok(Self::Subscribed { subscription_id, count });
            }
            ("message" | "event", [id, cursor, event]) => {
                let event = Box::new(Event::read(event)?);
                let (subscription_id, cursor) = (id.uuid()?, cursor.number()?);
                return Ok(Self::Event { subscription_id, cursor, event });
            }
            ("error", _) => FrameEnd::Error,
            ("end", _) => FrameEnd::End,
            _ => return Err(fault()),
        };
        let [id, next_cursor, why] = rest else { return Err(fault()) };
        let (word, text) = why.text()?.split_once(' ').ok_or_else(fault)?;
        Ok(Self::Ended {
            end,
            subscription_id: id.uuid()?,
            next_cursor: next_cursor.number()?,
            code: ErrorCode::from_word(word).ok_or_else(fault)?,
            text: text.to_owned(),
        })
    }
}

impl PushKind {
    /// First word of the frames with events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Event => "event",
        }
    }
}

impl FrameEnd {
    /// First word of the frame.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::End => "end",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reply::event::tests::any_event;
    use crate::reply::fields::resp2;

    const ID: Uuid = Uuid::from_u128(0x17c9_74b9_da4e_49d9_84c3_ba53_7f91_1e12);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn event_frames_are_read_as_they_were_written(event in any_event(), cursor in 0..u64::MAX >> 1) {
            for kind in [PushKind::Message, PushKind::Event] {
                let value = Value::collect(|sink| {
                    write_event_frame(sink, kind, ID, cursor, &event.fields());
                });
                let event = Box::new(event.clone());
                let frame = Frame::Event { subscription_id: ID, cursor, event };
                prop_assert_eq!(Frame::read(&value), Ok(frame.clone()));
                prop_assert_eq!(Frame::read(&resp2(value)), Ok(frame));
            }
        }
    }

    #[test]
    fn the_first_and_last_frames_are_read_as_they_were_written() {
        let value = Value::collect(|sink| write_subscribed(sink, ID, 1));
        assert_eq!(Frame::read(&value), Ok(Frame::Subscribed { subscription_id: ID, count: 1 }));
        for end in [FrameEnd::Error, FrameEnd::End] {
            let why = (ErrorCode::TryAgain, "server is shutting down");
            let value = Value::collect(|sink| write_end(sink, end, ID, 12, why));
            let text = why.1.to_owned();
            let subscription_id = ID;
            let frame = Frame::Ended { end, subscription_id, next_cursor: 12, code: why.0, text };
            assert_eq!(Frame::read(&value), Ok(frame));
            let Value::Push(items) = value else { panic!("a push") };
            assert_eq!(items[3], Value::Bulk("TRYAGAIN server is shutting down".into()));
        }
    }

    #[test]
    fn other_replies_are_no_frames() {
        let word = |word: &str| Value::Simple(word.into());
        for value in [
            Value::Null,
            Value::Push(vec![]),
            Value::Push(vec![word("subscribe")]),
            Value::Push(vec![word("pmessage"), Value::Null, Value::Null, Value::Null]),
            Value::Push(vec![word("end"), Value::Null, Value::Null, word("NEVER heard")]),
        ] {
            assert!(Frame::read(&value).is_err(), "{value:?}");
        }
    }
}
