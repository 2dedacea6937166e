//! Replies of EGET, ESCAN, EPSCAN, ESVER and EPSEQ.

use crate::reply::event::{Event, EventFields};
use crate::reply::fields::{Fields, ReplyError};
use crate::value::{Sink, Value};

/// Reply of ESCAN and EPSCAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// True if and only if the range asked for holds an event behind the last of these.
    pub has_more: bool,
    /// In ascending order.
    pub events: Vec<Event>,
}

/// Writes a scan. `has_more` must be exact.
pub fn write_scan<'a, S: Sink + ?Sized>(
    sink: &mut S,
    has_more: bool,
    events: impl ExactSizeIterator<Item = EventFields<'a>>,
) {
    sink.map(2);
    sink.word("has_more");
    sink.boolean(has_more);
    sink.word("events");
    sink.array(events.len());
    events.for_each(|event| event.write_to(sink));
}

/// Writes what EGET found.
pub fn write_event<S: Sink + ?Sized>(sink: &mut S, found: Option<&EventFields<'_>>) {
    match found {
        Some(event) => event.write_to(sink),
        None => sink.null(),
    }
}

/// Reads what EGET found.
///
/// # Errors
///
/// If it is another reply, or a refusal.
pub fn read_event(value: &Value) -> Result<Option<Event>, ReplyError> {
    match value {
        Value::Null => Ok(None),
        other => Event::read(other).map(Some),
    }
}

/// Writes the last version of a stream or the last sequence of a partition; `None` if it is empty.
pub fn write_position<S: Sink + ?Sized>(sink: &mut S, last: Option<u64>) {
    match last {
        Some(position) => sink.integer(position),
        None => sink.null(),
    }
}

/// Reads the last version of a stream or the last sequence of a partition.
///
/// # Errors
///
/// If it is another reply, or a refusal.
pub fn read_position(value: &Value) -> Result<Option<u64>, ReplyError> {
    match value {
        Value::Null => Ok(None),
        other => other.number().map(Some),
    }
}

impl EventBatch {
    /// Reads a scan.
    ///
    /// # Errors
    ///
    /// If it is another reply, or a refusal.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let fields = Fields::of(value)?;
        let events = fields.get("events")?.items()?.iter().map(Event::read);
        Ok(Self {
            has_more: fields.get("has_more")?.boolean()?,
            events: events.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reply::event::tests::any_event;
    use crate::reply::fields::resp2;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn scans_are_read_as_they_were_written(
            events in prop::collection::vec(any_event(), 0..4),
            has_more: bool,
        ) {
            let value = Value::collect(|sink| {
                write_scan(sink, has_more, events.iter().map(Event::fields));
            });
            let batch = EventBatch { has_more, events };
            prop_assert_eq!(EventBatch::read(&value), Ok(batch.clone()));
            prop_assert_eq!(EventBatch::read(&resp2(value)), Ok(batch.clone()));
            let first = batch.events.first().map(Event::fields);
            let value = Value::collect(|sink| write_event(sink, first.as_ref()));
            prop_assert_eq!(read_event(&value), Ok(batch.events.first().cloned()));
        }
    }

    #[test]
    fn positions_are_read_as_they_were_written() {
        for last in [None, Some(0), Some(u64::MAX >> 1)] {
            let value = Value::collect(|sink| write_position(sink, last));
            assert_eq!(read_position(&value), Ok(last));
        }
        assert!(read_position(&Value::Integer(-1)).is_err());
    }
}
