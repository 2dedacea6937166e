//! Counters behind `INFO`: totals, per command, per error code, and latencies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sierradb_io::Mono;
use sierradb_protocol::ErrorCode;
use sierradb_protocol::command::Spec;
use sierradb_protocol::command::table::{COMMANDS, position};

use crate::limits::LATENCY_BUCKETS;

/// Counters of the whole server.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// When the server started.
    pub(crate) started: Mono,
    pub(crate) commands: Counter,
    pub(crate) input_bytes: Counter,
    pub(crate) output_bytes: Counter,
    pub(crate) events_sent: Counter,
    pub(crate) push_bytes: Counter,
    /// How often a subscription had to wait for its client.
    pub(crate) throttled: Counter,
    errors: [Counter; ErrorCode::ALL.len()],
    /// In the order of [`COMMANDS`].
    per_command: Vec<CommandStats>,
    rate: Rate,
}

/// A number that many threads count up.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn add_len(&self, n: usize) {
        self.add(u64::try_from(n).unwrap_or(u64::MAX));
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one command.
#[derive(Debug)]
pub(crate) struct CommandStats {
    /// Its name in upper case.
    pub(crate) name: &'static str,
    pub(crate) calls: Counter,
    pub(crate) micros: Counter,
    /// Refused before it ran.
    pub(crate) rejected: Counter,
    /// Answered with an error.
    pub(crate) failed: Counter,
    latency: [Counter; LATENCY_BUCKETS],
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a reply.
    Well,
    /// With an error of this code.
    Failed(ErrorCode),
    /// With an error of this code, before it ran.
    Rejected(ErrorCode),
}

/// What is counted of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// `None` for what is none.
    pub(crate) command: Option<&'static Spec>,
    /// When it was started.
    pub(crate) started: Mono,
    /// How it ended.
    pub(crate) ended: Ended,
}

impl Outcome {
    /// Whether both are surely counted alike. Commands are not compared by their letters: each request would pay.
    fn is_like(&self, other: &Self) -> bool {
        let is_same_command = match (self.command, other.command) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            (None, None) => true,
            _ => false,
        };
        is_same_command && self.started == other.started && self.ended == other.ended
    }
}

/// Outcomes of one moment not yet counted: requests of one pipeline are mostly alike, and are counted together.
#[derive(Debug)]
pub(crate) struct Tally {
    now: Mono,
    alike: Option<Outcome>,
    requests: u64,
}

impl Tally {
    /// For requests that end `now`.
    pub(crate) fn new(now: Mono) -> Self {
        Self { now, alike: None, requests: 0 }
    }

    /// Adds one.
    pub(crate) fn add(&mut self, metrics: &Metrics, outcome: Outcome) {
        if self.alike.is_none_or(|alike| !alike.is_like(&outcome)) {
            self.count(metrics);
            self.alike = Some(outcome);
        }
        self.requests += 1;
    }

    /// Counts what was added.
    pub(crate) fn count(&mut self, metrics: &Metrics) {
        if let Some(outcome) = self.alike.take() {
            metrics.count(outcome, self.now, std::mem::take(&mut self.requests));
        }
    }
}

/// Requests per second over the last full second.
#[derive(Debug, Default)]
struct Rate {
    second: AtomicU64,
    at_start: AtomicU64,
    last: AtomicU64,
}

impl Metrics {
    /// All zero.
    pub(crate) fn new(started: Mono) -> Self {
        Self {
            started,
            commands: Counter::default(),
            input_bytes: Counter::default(),
            output_bytes: Counter::default(),
            events_sent: Counter::default(),
            push_bytes: Counter::default(),
            throttled: Counter::default(),
            errors: std::array::from_fn(|_| Counter::default()),
            per_command: COMMANDS.iter().map(|spec| CommandStats::new(spec.name)).collect(),
            rate: Rate::default(),
        }
    }

    /// Counts `requests` that were alike and ended `now`.
    fn count(&self, outcome: Outcome, now: Mono, requests: u64) {
        let Outcome { command, started, ended } = outcome;
        self.commands.add(requests);
        if let Ended::Failed(code) | Ended::Rejected(code) = ended {
            self.count_error(code, requests);
        }
        if let Some(stats) = command.and_then(|spec| self.command(spec.name)) {
            stats.count(now.since(started), ended, requests);
        }
    }

    fn command(&self, name: &str) -> Option<&CommandStats> {
        self.per_command.get(position(name.as_bytes())?)
    }

    fn count_error(&self, code: ErrorCode, requests: u64) {
        let numbered = ErrorCode::ALL.iter().zip(&self.errors);
        numbered
            .filter(|(known, _)| **known == code)
            .for_each(|(_, counter)| counter.add(requests));
    }

    /// Error codes that were sent, and how often.
    pub(crate) fn errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> + '_ {
        let numbered = ErrorCode::ALL.into_iter().zip(&self.errors);
        numbered.map(|(code, counter)| (code, counter.get())).filter(|(_, count)| *count > 0)
    }

    /// Commands that were called or refused.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &CommandStats> {
        self.per_command.iter().filter(|stats| stats.calls.get() + stats.rejected.get() > 0)
    }

    /// Requests per second, over the second before the last look and at most a few ago.
    pub(crate) fn per_second(&self, now: Mono) -> u64 {
        let second = now.since(self.started).as_secs();
        let total = self.commands.get();
        let before = self.rate.second.swap(second, Ordering::Relaxed);
        if second > before {
            let since = total.saturating_sub(self.rate.at_start.swap(total, Ordering::Relaxed));
            self.rate.last.store(since / (second - before), Ordering::Relaxed);
        }
        self.rate.last.load(Ordering::Relaxed)
    }
}

impl CommandStats {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            calls: Counter::default(),
            micros: Counter::default(),
            rejected: Counter::default(),
            failed: Counter::default(),
            latency: std::array::from_fn(|_| Counter::default()),
        }
    }

    fn count(&self, took: Duration, ended: Ended, requests: u64) {
        match ended {
            Ended::Rejected(_) => return self.rejected.add(requests),
            Ended::Failed(_) => self.failed.add(requests),
            Ended::Well => {}
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.calls.add(requests);
        self.micros.add(micros.saturating_mul(requests));
        if let Some(counter) = self.latency.get(bucket_of(micros)) {
            counter.add(requests);
        }
    }

    /// The latency in microseconds that `permille` of 1,000 requests did not exceed; within 13 %.
    pub(crate) fn percentile(&self, permille: u64) -> u64 {
        let total: u64 = self.latency.iter().map(Counter::get).sum();
        let wanted = (total.saturating_mul(permille)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, counter) in self.latency.iter().enumerate() {
            seen += counter.get();
            if seen >= wanted {
                return top_of(bucket);
            }
        }
        0
    }
}

/// Eight buckets per power of two.
fn bucket_of(micros: u64) -> usize {
    let number = if micros < 8 {
        micros
    } else {
        let exponent = u64::from(micros.ilog2());
        (exponent - 2) * 8 + ((micros >> (exponent - 3)) & 7)
    };
    usize::try_from(number).unwrap_or(usize::MAX).min(LATENCY_BUCKETS - 1)
}

/// Largest value of a bucket.
fn top_of(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    if bucket < 8 {
        return bucket;
    }
    let exponent = bucket / 8 - 1;
    ((8 + bucket % 8 + 1) << exponent) - 1
}

#[cfg(test)]
mod tests {
    use sierradb_protocol::command::table::find;

    use super::*;

    #[test]
    fn every_value_lies_below_the_top_of_its_bucket_and_above_the_one_before() {
        for micros in (0..5_000).chain([65_535, 65_536, 10_000_000]) {
            let bucket = bucket_of(micros);
            assert!(micros <= top_of(bucket), "{micros}");
            assert!(bucket == 0 || micros > top_of(bucket - 1), "{micros}");
        }
        assert_eq!(bucket_of(u64::MAX), LATENCY_BUCKETS - 1);
    }

    /// A command that ends at `END`.
    fn outcome(name: &str, took: Duration, ended: Ended) -> Outcome {
        let nanos = u64::try_from(took.as_nanos()).unwrap();
        Outcome { command: find(name.as_bytes()), started: Mono(END.0 - nanos), ended }
    }

    const END: Mono = Mono(1_000_000_000);

    #[test]
    fn percentiles_come_from_the_buckets() {
        let metrics = Metrics::new(Mono(0));
        for micros in 1..=100 {
            metrics.count(outcome("PING", Duration::from_micros(micros), Ended::Well), END, 1);
        }
        let rejected = Ended::Rejected(ErrorCode::NoAuth);
        metrics.count(outcome("PING", Duration::ZERO, rejected), END, 1);
        let stats = metrics.commands().next().unwrap();
        assert_eq!((stats.calls.get(), stats.rejected.get(), stats.failed.get()), (100, 1, 0));
        assert!((50..=56).contains(&stats.percentile(500)), "{}", stats.percentile(500));
        assert!((99..=111).contains(&stats.percentile(990)));
        assert_eq!(metrics.errors().collect::<Vec<_>>(), [(ErrorCode::NoAuth, 1)]);
        assert_eq!(metrics.commands.get(), 101);
    }

    #[test]
    fn requests_that_are_alike_are_counted_as_if_one_by_one() {
        let [together, single] = [0; 2].map(|_| Metrics::new(Mono(0)));
        let (short, long) = (Duration::from_micros(5), Duration::from_micros(500));
        let (well, failed) = (Ended::Well, Ended::Failed(ErrorCode::WrongVer));
        let outcomes = [
            ("PING", short, well),
            ("PING", short, well),
            ("PING", long, well),
            ("ECHO", long, well),
            ("ECHO", long, failed),
            ("ECHO", long, failed),
            ("no command", long, Ended::Rejected(ErrorCode::Err)),
            ("PING", short, well),
        ];
        let mut tally = Tally::new(END);
        for (name, took, ended) in outcomes {
            tally.add(&together, outcome(name, took, ended));
            single.count(outcome(name, took, ended), END, 1);
        }
        tally.count(&together);
        tally.count(&together);
        assert_eq!(together.commands.get(), 8);
        assert_eq!(format!("{together:?}"), format!("{single:?}"));
    }
}
