use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Wake;

use super::*;

const TIMEOUT: Duration = Duration::from_nanos(10);

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(commits: &Commits, index: u64, woken: &Arc<Woken>) -> Poll<Result<(), AppendError>> {
    let waker = Waker::from(woken.clone());
    commits.poll((index, Mono(index)), &Context::from_waker(&waker))
}

/// Wakes whom `work` collects; how many.
fn wakes(work: impl FnOnce(&mut Vec<Waker>)) -> usize {
    let mut wakers = Vec::new();
    work(&mut wakers);
    let count = wakers.len();
    wakers.into_iter().for_each(Waker::wake);
    count
}

fn unknown_after(polled: Poll<Result<(), AppendError>>) -> Option<Duration> {
    match polled {
        Poll::Ready(Err(AppendError::OutcomeUnknown { bucket_id: 3, waited, .. })) => Some(waited),
        _ => None,
    }
}

#[test]
fn a_commit_answers_all_up_to_it_and_wakes_who_polled_last() {
    let commits = Commits::new(3, TIMEOUT, 4);
    let [first, second, late] = [(); 3].map(|()| Arc::new(Woken::default()));
    assert_eq!(poll(&commits, 4, &first), Poll::Ready(Ok(())));
    assert!(poll(&commits, 5, &first).is_pending());
    assert!(poll(&commits, 5, &second).is_pending());
    assert!(poll(&commits, 8, &late).is_pending());
    assert_eq!(wakes(|wakers| commits.commit(7, wakers)), 1);
    let count = |woken: &Woken| woken.0.load(Ordering::Relaxed);
    assert_eq!((count(&first), count(&second), count(&late)), (0, 1, 0));
    for index in 5..=7 {
        assert_eq!(poll(&commits, index, &first), Poll::Ready(Ok(())));
    }
    assert!(poll(&commits, 8, &late).is_pending());
}

#[test]
fn a_disk_error_ends_what_was_not_synced_and_tells_apart_what_may_be_written() {
    let (commits, woken) = (Commits::new(3, TIMEOUT, 4), Arc::new(Woken::default()));
    for index in 5..=7 {
        assert!(poll(&commits, index, &woken).is_pending());
    }
    let ending = Ending::Poisoned { begun_index: 6, cause: "x".to_owned(), at: Mono(9) };
    assert_eq!(wakes(|wakers| commits.end(5, ending, wakers)), 2);
    assert!(poll(&commits, 5, &woken).is_pending(), "it is being answered");
    assert_eq!(unknown_after(poll(&commits, 6, &woken)), Some(Duration::from_nanos(3)));
    let refused = AppendError::ReadOnly { bucket_id: 3, cause: "x".to_owned() };
    assert_eq!(poll(&commits, 7, &woken), Poll::Ready(Err(refused)));
    assert_eq!(wakes(|wakers| commits.commit(5, wakers)), 1);
    assert_eq!(wakes(|wakers| commits.end(0, Ending::Abandoned, wakers)), 0);
    assert_eq!(poll(&commits, 5, &woken), Poll::Ready(Ok(())));
    assert_eq!(unknown_after(poll(&commits, 6, &woken)), Some(Duration::from_nanos(3)));
}

#[test]
fn what_nobody_can_commit_any_more_is_unknown() {
    let (commits, woken) = (Commits::new(3, TIMEOUT, 4), Arc::new(Woken::default()));
    assert!(poll(&commits, 5, &woken).is_pending());
    assert_eq!(wakes(|wakers| commits.end(0, Ending::Abandoned, wakers)), 1);
    assert_eq!(poll(&commits, 4, &woken), Poll::Ready(Ok(())));
    assert_eq!(unknown_after(poll(&commits, 5, &woken)), Some(Duration::ZERO));
}

#[test]
fn a_wait_that_takes_too_long_ends_also_where_nobody_polled() {
    let (commits, woken) = (Commits::new(3, TIMEOUT, 4), Arc::new(Woken::default()));
    assert!(poll(&commits, 5, &woken).is_pending());
    assert!(poll(&commits, 7, &woken).is_pending());
    assert_eq!(wakes(|wakers| commits.expire(Mono(14), wakers)), 0);
    assert_eq!(wakes(|wakers| commits.expire(Mono(16), wakers)), 1);
    for (index, waited) in [(5, Some(11)), (6, Some(10)), (7, None)] {
        let waited = waited.map(Duration::from_nanos);
        assert_eq!(unknown_after(poll(&commits, index, &woken)), waited, "{index}");
    }
}
