use sierradb_protocol::{CurrentVersion, ExpectedVersion};

use super::super::testing::{Committed, PLACE, key};
use super::*;
use crate::index::live::LiveStream;
use crate::transaction::{DefaultKey, NewEvent};

struct Bench {
    planner: Planner,
    view: Committed,
    next_id: u128,
}

impl Bench {
    /// A planner over one stream with so many committed events.
    fn new(next_version: u64) -> Self {
        let start = PlanStart { last_index: 1, next_sequences: vec![0], last_append_time_ns: 0 };
        let view = Committed { next_version, ..Committed::default() };
        Self { planner: Planner::new(0, 1, 7, start), view, next_id: 100 }
    }

    /// Plans one event for each of `expected`, all to the stream.
    fn plan(&mut self, partition_key: Uuid, expected: &[ExpectedVersion]) -> Verdict {
        let events: Vec<NewEvent> = expected
            .iter()
            .map(|expected| {
                self.next_id += 1;
                event(self.next_id, *expected)
            })
            .collect();
        let transaction = Transaction::new(partition_key, partition_key, events).unwrap();
        self.planner.plan((&transaction, PartitionId::new(0)), None, &self.view, 0)
    }

    fn planned(&mut self, expected: ExpectedVersion) -> Arc<Planned> {
        match self.plan(key(1), &[expected]) {
            Verdict::Planned(planned, result) => {
                assert_eq!(result.events[0].stream_version, planned.events[0].version);
                planned
            }
            other => panic!("{other:?}"),
        }
    }
}

fn event(id: u128, expected: ExpectedVersion) -> NewEvent {
    NewEvent {
        event_id: Uuid::from_u128(id),
        stream_id: StreamId::new("s").unwrap(),
        stream_version: expected,
        event_name: "Happened".into(),
        timestamp: 1,
        payload: vec![],
        metadata: vec![],
    }
}

fn version(planned: &Planned) -> u64 {
    planned.events[0].version
}

#[test]
fn what_fits_what_is_in_flight_follows_it_without_a_look_at_the_index() {
    let mut bench = Bench::new(3);
    assert_eq!(version(&bench.planned(ExpectedVersion::Exact(2))), 3);
    assert_eq!(bench.view.looks.get(), 1);
    assert_eq!(version(&bench.planned(ExpectedVersion::Exact(3))), 4);
    assert_eq!(version(&bench.planned(ExpectedVersion::Any)), 5);
    assert_eq!(bench.view.looks.get(), 1);
}

#[test]
fn what_does_not_fit_what_is_in_flight_is_refused_once_that_is_committed() {
    let mut bench = Bench::new(0);
    let first = bench.planned(ExpectedVersion::Empty).index;
    let verdict = bench.plan(key(1), &[ExpectedVersion::Empty]);
    let Verdict::Held { index, error: AppendError::WrongVersion { current, .. } } = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!((index, current), (first, CurrentVersion::Current(0)));
    let verdict = bench.plan(key(2), &[ExpectedVersion::Any]);
    let Verdict::Held { index, error: AppendError::KeyMismatch { expected, got, .. } } = verdict
    else {
        panic!("{verdict:?}");
    };
    assert_eq!((index, expected, got), (first, key(1), key(2)));
}

#[test]
fn a_refusal_that_is_committed_is_said_at_once_whatever_is_in_flight() {
    let mut bench = Bench::new(3);
    bench.planned(ExpectedVersion::Any);
    for expected in
        [&[ExpectedVersion::Empty] as &[_], &[ExpectedVersion::Any, ExpectedVersion::Empty]]
    {
        let verdict = bench.plan(key(1), expected);
        let Verdict::Answered(Err(AppendError::WrongVersion { current, .. })) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(current, CurrentVersion::Current(2), "what is in flight is not shown");
    }
    let verdict = bench.plan(key(2), &[ExpectedVersion::Any]);
    assert!(matches!(verdict, Verdict::Answered(Err(AppendError::KeyMismatch { .. }))));
}

#[test]
fn a_planned_event_knows_its_stream_in_the_segment_it_was_found_in_and_by_name_elsewhere() {
    let mut bench = Bench::new(3);
    for _ in 0..2 {
        let planned = bench.planned(ExpectedVersion::Any);
        let streams = |segment| planned.streams_in(segment).collect::<Vec<_>>();
        assert_eq!(streams(PLACE.segment), [LiveStream::Known(PLACE.stream)]);
        assert_eq!(streams(PLACE.segment + 1), [LiveStream::Named(b"s")]);
    }
    let mut bench = Bench::new(0);
    for _ in 0..2 {
        let planned = bench.planned(ExpectedVersion::Any);
        let streams: Vec<_> = planned.streams_in(PLACE.segment).collect();
        assert_eq!(streams, [LiveStream::Named(b"s")], "the index does not have it yet");
    }
}

#[test]
fn a_default_key_is_that_of_the_events_stream_whoever_made_it() {
    let mut bench = Bench::new(3);
    bench.view.key = Some(StreamKey::Default);
    let [own, other] = ["s", "t"].map(|id| DefaultKey::of(&StreamId::new(id).unwrap()));
    let mut plan = |key: &DefaultKey| {
        bench.next_id += 1;
        let draft = EventDraft::try_from(event(bench.next_id, ExpectedVersion::Exact(2))).unwrap();
        let transaction = Transaction::with_default_key(key, vec![draft]).unwrap();
        bench.planner.plan((&transaction, PartitionId::new(0)), None, &bench.view, 0)
    };
    let refusal = plan(&other);
    let Verdict::Answered(Err(AppendError::KeyMismatch { expected, got, .. })) = refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!((expected, got), (own.partition_key(), other.partition_key()));
    assert!(matches!(plan(&own), Verdict::Planned(..)));
    let mut bench = Bench::new(3);
    bench.view.key = Some(StreamKey::Default);
    let chosen = bench.plan(own.partition_key(), &[ExpectedVersion::Any]);
    assert!(matches!(chosen, Verdict::Planned(..)), "the default key may be chosen, too");
}
