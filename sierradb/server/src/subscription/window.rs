//! How far a subscription has sent and how far its client has acknowledged.
//!
//! Cursors count the event frames of one subscription from 0. Both positions are exclusive.
//! Invariants: `acked_next <= sent_next`, and with a limit they are at most `limit` apart.

use sierradb_protocol::Refusal;

/// Positions and limit of one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    limit: Option<u64>,
    sent_next: u64,
    acked_next: u64,
}

impl Window {
    /// Nothing sent; at most `limit` events beyond the acknowledged cursor may be, or any number.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { limit, sent_next: 0, acked_next: 0 }
    }

    /// How many events may be sent now.
    pub(crate) fn room(&self) -> u64 {
        match self.limit {
            Some(limit) => limit - (self.sent_next - self.acked_next),
            None => u64::MAX,
        }
    }

    /// Takes the next cursor for an event that is sent now; there must be room.
    pub(crate) fn send(&mut self) -> u64 {
        assert!(self.room() > 0, "an event is sent only into an open window");
        let cursor = self.sent_next;
        self.sent_next += 1;
        self.assert_invariants();
        cursor
    }

    /// Moves the acknowledged cursor to `cursor`, inclusive. Repeating the last one is fine; refused, nothing changes.
    pub(crate) fn acknowledge(&mut self, cursor: u64) -> Result<(), Refusal> {
        if cursor >= self.sent_next {
            let last_sent = self.sent_next.checked_sub(1);
            return Err(Refusal::CursorNotSent { cursor, last_sent });
        }
        match self.acked_next.checked_sub(1) {
            Some(acknowledged) if cursor < acknowledged => {
                return Err(Refusal::CursorBehind { cursor, acknowledged });
            }
            _ => self.acked_next = cursor + 1,
        }
        self.assert_invariants();
        Ok(())
    }

    fn assert_invariants(&self) {
        assert!(self.acked_next <= self.sent_next, "acknowledged beyond what was sent");
        let open = self.sent_next - self.acked_next;
        assert!(self.limit.is_none_or(|limit| open <= limit), "more sent than the window holds");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refusals_have_their_texts_and_change_nothing() {
        let mut window = Window::new(None);
        let text = |result: Result<(), Refusal>| result.unwrap_err().to_string();
        assert_eq!(text(window.acknowledge(9)), "cursor 9 was not sent yet: none was sent yet");
        for cursor in 0..8 {
            assert_eq!(window.send(), cursor);
        }
        assert_eq!(
            text(window.acknowledge(9)),
            "cursor 9 was not sent yet: the last cursor sent is 7"
        );
        window.acknowledge(5).unwrap();
        window.acknowledge(5).unwrap();
        assert_eq!(text(window.acknowledge(3)), "cursor 3 is behind the acknowledged cursor 5");
        assert_eq!(window.acked_next, 6);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_more_than_the_limit_is_open(limit in 1..5_u64, acks in prop::collection::vec(0..40_u64, 0..40)) {
            let mut window = Window::new(Some(limit));
            let (mut sent, mut acked) = (0, None);
            for cursor in acks {
                while window.room() > 0 {
                    prop_assert_eq!(window.send(), sent);
                    sent += 1;
                }
                let good = cursor < sent && acked.is_none_or(|acked| cursor >= acked);
                prop_assert_eq!(window.acknowledge(cursor).is_ok(), good);
                if good {
                    acked = Some(cursor);
                }
                let open = sent - acked.map_or(0, |acked| acked + 1);
                prop_assert_eq!(window.room(), limit - open);
            }
        }
    }
}
