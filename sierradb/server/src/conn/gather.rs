//! Lets the replies of one pipeline gather into one write.
//!
//! The appends of a pipeline go to several buckets, which sync beside each other and end a moment apart. A write for
//! the replies of each costs more than everything else that is done for them. So replies that are few wait some
//! turns of the runtime while more of the same connection are on their way: whatever has ended by then goes with them.
//! There is no timer: with nothing else to do, a turn is over at once.

use std::task::Context;

use crate::limits::{GATHER_REPLY_BYTES, GATHER_TURNS};

/// How long the replies of a connection have waited.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    turns: usize,
}

impl Gather {
    /// Whether `unsent_bytes` of replies wait for another turn, with so many bytes of appends in work; the task is
    /// woken for it.
    pub(crate) fn waits(
        &mut self,
        context: &Context<'_>,
        unsent_bytes: usize,
        append_bytes: usize,
    ) -> bool {
        let is_few = (1..GATHER_REPLY_BYTES).contains(&unsent_bytes);
        if is_few && append_bytes > 0 && self.turns < GATHER_TURNS {
            self.turns += 1;
            context.waker().wake_by_ref();
            return true;
        }
        self.turns = 0;
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks, and checks that whoever waits is woken.
    fn waits(gather: &mut Gather, unsent_bytes: usize, append_bytes: usize) -> bool {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let waits = gather.waits(&Context::from_waker(&waker), unsent_bytes, append_bytes);
        assert_eq!(wakes.0.load(Ordering::Relaxed), usize::from(waits));
        waits
    }

    #[test]
    fn few_replies_wait_for_appends_in_work_but_not_for_long() {
        let mut gather = Gather::default();
        for _ in 0..3 {
            for _ in 0..GATHER_TURNS {
                assert!(waits(&mut gather, 200, 1));
            }
            assert!(!waits(&mut gather, 200, 1), "then they are written");
        }
    }

    #[test]
    fn nothing_waits_for_what_will_not_come_or_needs_no_company() {
        let mut gather = Gather::default();
        assert!(!waits(&mut gather, 200, 0), "all appends are answered");
        assert!(!waits(&mut gather, 0, 1), "no reply");
        assert!(!waits(&mut gather, GATHER_REPLY_BYTES, 1), "enough for a write");
        assert!(waits(&mut gather, GATHER_REPLY_BYTES - 1, 1));
    }

    #[test]
    fn a_write_begins_the_count_again() {
        let mut gather = Gather::default();
        assert!(waits(&mut gather, 200, 1) && !waits(&mut gather, 200, 0));
        for _ in 0..GATHER_TURNS {
            assert!(waits(&mut gather, 200, 1));
        }
    }
}
