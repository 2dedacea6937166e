use futures_util::FutureExt;
use sierradb_protocol::{ExpectedVersion, StreamId};

use super::super::planner::PlanStart;
use super::super::testing::{Committed, key};
use super::*;
use crate::event::AppendResult;
use crate::transaction::NewEvent;

fn start(last_index: u64) -> PlanStart {
    PlanStart { last_index, next_sequences: vec![last_index - 1], last_append_time_ns: 0 }
}

fn desk() -> Desk {
    let limits = DeskLimits { in_flight: 10, timeout: Duration::from_secs(1) };
    Desk::new(0, limits, Planner::new(0, 1, 7, start(1)), Health::Serving)
}

fn event(id: u128, stream: &str) -> NewEvent {
    NewEvent {
        event_id: Uuid::from_u128(id),
        stream_id: StreamId::new(stream).unwrap(),
        stream_version: ExpectedVersion::Any,
        event_name: "Happened".into(),
        timestamp: 1,
        payload: vec![],
        metadata: vec![],
    }
}

/// Brings the append of event `id`.
fn submit(desk: &mut Desk, id: u128, expected: ExpectedVersion) -> PendingAppend {
    let event = NewEvent { stream_version: expected, ..event(id, "s") };
    let transaction = Transaction::new(key(1), key(1), vec![event]).unwrap();
    let job = Job { transaction, partition: PartitionId::new(0), begun: Mono(0) };
    desk.submit(job, &Committed::default(), 0).0
}

/// Gives the answers that `work` leads to.
fn at(work: impl FnOnce(&mut Answers)) {
    let mut answers = Answers::default();
    work(&mut answers);
    answers.give();
}

fn take(desk: &mut Desk) -> usize {
    let mut batch = Vec::new();
    desk.take_batch(&mut batch);
    batch.len()
}

fn is_refused(pending: PendingAppend) -> bool {
    matches!(pending.now_or_never(), Some(Err(AppendError::ReadOnly { .. })))
}

fn is_unknown(pending: PendingAppend) -> bool {
    matches!(pending.now_or_never(), Some(Err(AppendError::OutcomeUnknown { .. })))
}

#[test]
fn poison_tells_what_may_be_written_from_what_is_not() {
    let mut desk = desk();
    let begun = submit(&mut desk, 11, ExpectedVersion::Any);
    let begun_again = submit(&mut desk, 11, ExpectedVersion::Any);
    let held = submit(&mut desk, 12, ExpectedVersion::Exact(5));
    assert_eq!(take(&mut desk), 1);
    assert!(desk.begin_write(2));
    let taken = submit(&mut desk, 13, ExpectedVersion::Any);
    assert_eq!(take(&mut desk), 1);
    let planned = submit(&mut desk, 14, ExpectedVersion::Any);
    let held_by_planned = submit(&mut desk, 15, ExpectedVersion::Exact(5));
    at(|answers| desk.poison("a sync failed", Mono(0), answers));
    assert!(is_unknown(begun) && is_unknown(begun_again) && is_unknown(held));
    assert!(is_refused(taken) && is_refused(planned) && is_refused(held_by_planned));
    assert!(!desk.begin_write(3), "nothing is written any more");
    assert!(is_refused(submit(&mut desk, 16, ExpectedVersion::Any)));
}

#[test]
fn a_stopped_desk_finishes_what_is_written_and_refuses_the_rest() {
    let mut desk = desk();
    let written = submit(&mut desk, 11, ExpectedVersion::Any);
    let taken = submit(&mut desk, 12, ExpectedVersion::Any);
    assert_eq!(take(&mut desk), 2);
    let planned = submit(&mut desk, 13, ExpectedVersion::Any);
    let held = submit(&mut desk, 14, ExpectedVersion::Exact(9));
    at(|answers| desk.stop("no segment can be sealed", answers));
    assert!(is_refused(submit(&mut desk, 15, ExpectedVersion::Any)));
    assert!(desk.begin_write(2), "its disk is well");
    let mut applied = Vec::new();
    desk.take_committed(2, &mut applied);
    at(|answers| desk.release(&applied, answers));
    assert!(matches!(written.now_or_never(), Some(Ok(_))));
    let full = Health::Full { free_bytes: 0, needed_bytes: 1 };
    at(|answers| desk.refuse_unwritten(start(2), full, answers));
    assert!(is_refused(taken) && is_refused(planned) && is_refused(held));
    desk.set_space(Health::Serving);
    assert!(desk.health().is_read_only() && desk.is_idle());
    assert!(is_refused(submit(&mut desk, 16, ExpectedVersion::Any)));
}

#[test]
fn nothing_revives_a_poisoned_bucket() {
    let mut desk = desk();
    at(|answers| desk.poison("a sync failed", Mono(0), answers));
    let full = Health::Full { free_bytes: 0, needed_bytes: 1 };
    at(|answers| desk.refuse_unwritten(start(1), full, answers));
    desk.set_space(Health::Serving);
    at(|answers| desk.stop("no segment can be sealed", answers));
    at(|answers| desk.close(answers));
    assert!(desk.health().is_poisoned());
}

#[test]
fn a_full_disk_does_not_reopen_a_closing_bucket() {
    let mut desk = desk();
    let taken = submit(&mut desk, 11, ExpectedVersion::Any);
    assert_eq!(take(&mut desk), 1);
    at(|answers| desk.close(answers));
    let full = Health::Full { free_bytes: 0, needed_bytes: 1 };
    at(|answers| desk.refuse_unwritten(start(1), full, answers));
    assert!(matches!(taken.now_or_never(), Some(Err(AppendError::Closing))));
    desk.set_space(Health::Serving);
    let late = submit(&mut desk, 12, ExpectedVersion::Any);
    assert!(matches!(late.now_or_never(), Some(Err(AppendError::Closing))));
}

/// Commits what was taken, up to `index`.
fn commit(desk: &mut Desk, index: u64) {
    let mut applied = Vec::new();
    assert!(desk.begin_write(index));
    desk.take_committed(index, &mut applied);
    at(|answers| desk.release(&applied, answers));
}

#[test]
fn a_retry_of_what_is_in_flight_gets_its_answer_and_another_use_of_its_id_a_refusal() {
    let mut desk = desk();
    let first = submit(&mut desk, 11, ExpectedVersion::Any);
    let retry = submit(&mut desk, 11, ExpectedVersion::Any);
    let other = Transaction::new(key(1), key(1), vec![event(11, "t")]).unwrap();
    let job = Job { transaction: other, partition: PartitionId::new(0), begun: Mono(0) };
    let other = desk.submit(job, &Committed::default(), 0).0;
    assert_eq!(take(&mut desk), 1);
    commit(&mut desk, 2);
    let first = first.now_or_never().unwrap().unwrap();
    let again = AppendResult { duplicate: true, ..first };
    assert_eq!(retry.now_or_never(), Some(Ok(again)));
    let refused = AppendError::Duplicate { event_id: Uuid::from_u128(11), partition_id: 0 };
    assert_eq!(other.now_or_never(), Some(Err(refused)));
}

#[test]
fn a_retry_of_what_is_just_committed_waits_until_that_is_released() {
    let mut desk = desk();
    let first = submit(&mut desk, 11, ExpectedVersion::Any);
    assert_eq!(take(&mut desk), 1);
    assert!(desk.begin_write(2));
    let mut applied = Vec::new();
    desk.take_committed(2, &mut applied);
    let retry = submit(&mut desk, 11, ExpectedVersion::Any);
    let view = Committed::default();
    at(|answers| assert_eq!(desk.resume(&view, 0, answers), Wakes::default(), "nothing to read"));
    assert_eq!((desk.waiting_count(), desk.take_needs(2).len()), (1, 0));
    at(|answers| desk.release(&applied, answers));
    assert!(matches!(first.now_or_never(), Some(Ok(_))));
    at(|answers| {
        desk.resume(&view, 0, answers);
    });
    assert_eq!(desk.waiting_count(), 0, "it is judged by what is committed");
    drop(retry);
}

#[test]
fn what_is_being_answered_when_the_disk_fails_is_answered() {
    let mut desk = desk();
    let first = submit(&mut desk, 11, ExpectedVersion::Any);
    let retry = submit(&mut desk, 11, ExpectedVersion::Any);
    let second = submit(&mut desk, 12, ExpectedVersion::Any);
    assert_eq!(take(&mut desk), 2);
    assert!(desk.begin_write(3));
    let mut applied = Vec::new();
    desk.take_committed(2, &mut applied);
    at(|answers| desk.poison("a sync failed", Mono(0), answers));
    at(|answers| desk.release(&applied, answers));
    assert!(matches!(first.now_or_never(), Some(Ok(_))));
    assert!(matches!(retry.now_or_never(), Some(Ok(AppendResult { duplicate: true, .. }))));
    assert!(matches!(second.now_or_never(), Some(Err(AppendError::OutcomeUnknown { .. }))));
}

#[test]
fn what_was_taken_back_keeps_its_answer_when_its_index_is_given_out_again() {
    let mut desk = desk();
    let refused = submit(&mut desk, 11, ExpectedVersion::Any);
    let full = Health::Full { free_bytes: 0, needed_bytes: 1 };
    at(|answers| desk.refuse_unwritten(start(1), full, answers));
    desk.set_space(Health::Serving);
    let stored = submit(&mut desk, 12, ExpectedVersion::Any);
    assert_eq!(take(&mut desk), 1);
    commit(&mut desk, 2);
    assert!(matches!(stored.now_or_never(), Some(Ok(_))));
    assert!(matches!(refused.now_or_never(), Some(Err(AppendError::DiskFull { .. }))));
}

#[test]
fn the_end_of_a_desk_leaves_nobody_waiting() {
    let mut desk = desk();
    let planned = submit(&mut desk, 11, ExpectedVersion::Any);
    let held = submit(&mut desk, 12, ExpectedVersion::Exact(5));
    drop(desk);
    assert!(is_unknown(planned) && is_unknown(held));
}

#[test]
fn the_writer_is_woken_for_the_first_entry_that_it_has_not_taken() {
    let mut desk = desk();
    let wakes_writer = |desk: &mut Desk, id| {
        let transaction = Transaction::new(key(1), key(1), vec![event(id, "s")]).unwrap();
        let job = Job { transaction, partition: PartitionId::new(0), begun: Mono(0) };
        desk.submit(job, &Committed::default(), 0).1.writer
    };
    assert!(wakes_writer(&mut desk, 11));
    assert!(!wakes_writer(&mut desk, 12));
    assert_eq!(take(&mut desk), 2);
    assert!(wakes_writer(&mut desk, 13));
}

#[test]
fn answers_that_a_panic_drops_wake_whoever_waits_for_them() {
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake};

    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let mut desk = desk();
    let mut first = pin!(submit(&mut desk, 11, ExpectedVersion::Any));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(take(&mut desk), 1);
    assert!(desk.begin_write(2));
    let (mut applied, mut answers) = (Vec::new(), Answers::default());
    desk.take_committed(2, &mut applied);
    desk.release(&applied, &mut answers);
    assert!(!woken.0.load(Ordering::Relaxed), "not under the lock");
    drop(answers);
    assert!(woken.0.load(Ordering::Relaxed));
}
