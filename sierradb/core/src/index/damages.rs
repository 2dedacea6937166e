//! Damaged places of a bucket's log that were met while serving, for those who look after it.
//!
//! Each place is noted and logged once, however often it is met. A place leaves the list with the process: the next
//! start, read or check meets it again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::MAX_DAMAGES_NOTED;
use crate::stats::DamagedPlace;

/// Damaged places of one bucket, by segment and offset.
#[derive(Debug, Default)]
pub(crate) struct DamageList {
    places: Mutex<BTreeMap<(u64, u64), String>>,
}

impl DamageList {
    /// Notes a place; `true` if it is a new one. A full list takes no more.
    pub(crate) fn note(&self, segment: u64, offset: u64, cause: &str) -> bool {
        let mut places = self.lock();
        if places.len() >= MAX_DAMAGES_NOTED || places.contains_key(&(segment, offset)) {
            return false;
        }
        places.insert((segment, offset), cause.to_owned());
        true
    }

    /// All places noted, in the order of the log.
    pub(crate) fn places(&self) -> Vec<DamagedPlace> {
        let places = self.lock();
        let place = |(&(segment, offset), cause): (&(u64, u64), &String)| DamagedPlace {
            segment,
            offset,
            cause: cause.clone(),
        };
        places.iter().map(place).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(u64, u64), String>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_noted_once_and_the_list_is_bounded() {
        let list = DamageList::default();
        assert!(list.note(2, 4096, "first"));
        assert!(!list.note(2, 4096, "again"));
        assert!(list.note(1, 8192, "earlier"));
        let places = list.places();
        assert_eq!((places[0].segment, places[1].cause.as_str()), (1, "first"));
        for offset in 0..1000 {
            list.note(3, offset, "more");
        }
        assert_eq!(list.places().len(), MAX_DAMAGES_NOTED);
    }
}
