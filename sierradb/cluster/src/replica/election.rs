//! When a voter that hears no leader stands for election.
//!
//! Each term gives the voters distinct slots and turns them by one, so two voters rarely stand at once, a voter whose
//! node is slow does not hold the first slot for ever, and groups on the same nodes do not all prefer the same one.
//! The slot is a function of what all voters know: a run is repeated by its seed alone.
//!
//! Slot of a voter: `11 + floor(9 · rank / n)` ticks, `rank = (position + term + hash(seed, group)) mod n`.

use xxhash_rust::xxh3::xxh3_64;

use crate::limits::{ELECTION_FIRST_TICK, ELECTION_SPREAD_TICKS};

/// The slots of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionSlots {
    offset: u64,
}

impl ElectionSlots {
    /// Slots of `group` in a cluster of `seed`; equal on all its nodes.
    pub fn new(seed: u64, group: u64) -> Self {
        let [seed, group] = [seed, group].map(u64::to_le_bytes);
        Self { offset: xxh3_64([seed, group].as_flattened()) }
    }

    /// Ticks without a leader after which `own` stands for election in `term`: 11 to 19.
    ///
    /// `voters` are the ids of all voters, ascending; of both configurations while the group is joint. Who is none of
    /// them gets the last slot: it never stands, but raft wants a number.
    ///
    /// # Panics
    ///
    /// If `voters` are not strictly ascending: positions would differ between nodes.
    pub fn timeout_ticks(&self, voters: &[u64], own: u64, term: u64) -> u64 {
        assert!(voters.is_sorted_by(|a, b| a < b), "voters {voters:?} are not ascending");
        let last = ELECTION_FIRST_TICK + ELECTION_SPREAD_TICKS - 1;
        let Ok(position) = voters.binary_search(&own) else { return last };
        let count = voters.len();
        let [position, count] = [position, count].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
        // Each summand is below `count`, which is a length, so the sum cannot overflow.
        let rank = (position + term % count + self.offset % count) % count;
        ELECTION_FIRST_TICK + ELECTION_SPREAD_TICKS * rank / count
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn any_voters() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::btree_set(any::<u64>(), 1..=9).prop_map(|ids| ids.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn voters_of_a_term_stand_at_distinct_ticks_within_bounds(
            voters in any_voters(), seed: u64, group: u64, term: u64,
        ) {
            let slots = ElectionSlots::new(seed, group);
            let ticks = voters.iter().map(|own| slots.timeout_ticks(&voters, *own, term));
            let ticks: BTreeSet<_> = ticks.collect();
            prop_assert_eq!(ticks.len(), voters.len());
            prop_assert_eq!(ticks.first(), Some(&11), "somebody stands first");
            prop_assert!(ticks.iter().all(|tick| (11..20).contains(tick)));
        }

        #[test]
        fn every_voter_is_first_once_in_as_many_terms_as_there_are_voters(
            voters in any_voters(), seed: u64, group: u64, term in 0..u64::MAX - 9,
        ) {
            let slots = ElectionSlots::new(seed, group);
            for own in &voters {
                let terms = (term..).take(voters.len());
                let first = terms.filter(|term| slots.timeout_ticks(&voters, *own, *term) == 11);
                prop_assert_eq!(first.count(), 1);
            }
        }
    }

    #[test]
    fn groups_prefer_different_voters() {
        let voters = [1, 2, 3];
        let first = |group| {
            let slots = ElectionSlots::new(7, group);
            voters.into_iter().find(|own| slots.timeout_ticks(&voters, *own, 1) == 11)
        };
        let firsts: BTreeSet<_> = (0..16).map(first).collect();
        assert_eq!(firsts.len(), 3);
    }

    #[test]
    fn three_voters_are_three_ticks_apart() {
        let slots = ElectionSlots::new(0, 0);
        let mut ticks = [10, 20, 30].map(|own| slots.timeout_ticks(&[10, 20, 30], own, 5));
        ticks.sort_unstable();
        assert_eq!(ticks, [11, 14, 17]);
        assert_eq!(slots.timeout_ticks(&[10], 10, 5), 11);
    }

    #[test]
    fn who_is_no_voter_gets_the_last_slot() {
        assert_eq!(ElectionSlots::new(0, 0).timeout_ticks(&[1, 2], 3, 9), 19);
        assert_eq!(ElectionSlots::new(0, 0).timeout_ticks(&[], 3, 9), 19);
    }

    #[test]
    #[should_panic(expected = "not ascending")]
    fn voters_out_of_order_are_a_bug() {
        ElectionSlots::new(0, 0).timeout_ticks(&[2, 1], 1, 1);
    }

    #[test]
    fn the_slots_of_a_seed_never_change() {
        let slots = ElectionSlots::new(1, 2);
        let ticks = [1, 2, 3, 4, 5].map(|own| slots.timeout_ticks(&[1, 2, 3, 4, 5], own, 100));
        assert_eq!(ticks, [12, 14, 16, 18, 11]);
    }
}
