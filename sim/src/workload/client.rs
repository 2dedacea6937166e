//! One client of an embedded store: does operations one after another and hands every answer to the checkers.

use std::cell::RefCell;

use sierradb::{AppendError, Database, PartitionId, ReadError};
use sierradb_io::Prng;
use sierradb_io::sim::SimHost;
use uuid::Uuid;

use super::convert::{answer, ascending, failure, kind, range, seen, stream_id, transaction};
use super::generate::Places;
use crate::config::Trouble;
use crate::history::{Acked, Draft, Failure, Seen, StreamKey, Submission};
use crate::oracle::damage::{self, Damage};
use crate::oracle::ghost::Ghost;
use crate::oracle::ledger::{Fate, Ledger, OpId};
use crate::oracle::{acked, atomic, gapless, idempotent, invention, poison, space};
use crate::violation::{Checked, Violation};
use crate::watch::Watch;

/// What all clients of a run share.
#[derive(Debug)]
pub struct World {
    /// The machine.
    pub host: SimHost,
    /// What goes wrong beside crashes.
    pub trouble: Trouble,
    /// Buckets of the database.
    pub buckets: u16,
    /// Where events go.
    pub places: Places,
    /// The model.
    pub ledger: RefCell<Ledger>,
    /// What the device holds.
    pub ghost: RefCell<Ghost>,
    /// Damage done to segments.
    pub damage: RefCell<Damage>,
    /// Whether the disk was filled up in this boot.
    pub is_full: RefCell<bool>,
}

/// A client of one boot.
#[derive(Debug)]
pub struct Client<'a> {
    world: &'a World,
    db: &'a Database,
    watch: &'a Watch,
    boot: u64,
    draw: Prng,
}

impl<'a> Client<'a> {
    /// A client that draws from `draw`.
    pub fn new(world: &'a World, db: &'a Database, watch: &'a Watch, draw: Prng) -> Self {
        Self { world, db, watch, boot: world.host.boots(), draw }
    }

    /// Does `count` operations.
    ///
    /// # Errors
    /// The first broken promise.
    pub async fn work(&mut self, count: u32) -> Checked {
        for _ in 0..count {
            match self.draw.below(20) {
                0..9 => self.append_new().await?,
                9 => self.burst().await?,
                10 => self.repeat().await?,
                11 => self.conflict().await?,
                12..14 => self.read_some_event().await?,
                14 | 15 => self.read_some_partition().await?,
                16 | 17 => self.read_some_stream().await?,
                18 => self.heads().await?,
                _ => self.pause().await,
            }
            self.watch.check()?;
        }
        Ok(())
    }

    async fn pause(&mut self) {
        let ms = self.draw.below(8);
        for _ in 0..ms {
            tokio::task::yield_now().await;
        }
    }

    async fn append_new(&mut self) -> Checked {
        let op = self.new_submission();
        self.append(op).await
    }

    /// Several appends in flight at once, sometimes one of them twice.
    async fn burst(&mut self) -> Checked {
        let count = self.draw.between(2, 6);
        let mut ops: Vec<OpId> = (0..count).map(|_| self.new_submission()).collect();
        if self.draw.chance(1, 4) {
            ops.extend(ops.first().copied());
        }
        let this = &*self;
        futures_util::future::try_join_all(ops.into_iter().map(|op| this.append(op))).await?;
        Ok(())
    }

    /// Submits once more what was stored or remained unknown.
    async fn repeat(&mut self) -> Checked {
        let fates = [Fate::Unknown, Fate::Stored];
        match self.some_op(&fates) {
            Some(op) => self.append(op).await,
            None => Ok(()),
        }
    }

    /// Submits known event ids with other content.
    async fn conflict(&mut self) -> Checked {
        let Some(original) = self.some_op(&[Fate::Stored, Fate::Unknown]) else { return Ok(()) };
        let op = {
            let mut ledger = self.world.ledger.borrow_mut();
            let number = ledger.op_count() as u64;
            let original = ledger.op(original).submission.clone();
            let submission = self.world.places.conflict(&mut self.draw, &original, number);
            ledger.submit(submission)
        };
        self.append(op).await
    }

    fn new_submission(&mut self) -> OpId {
        let mut ledger = self.world.ledger.borrow_mut();
        let number = ledger.op_count() as u64;
        let submission = self.world.places.submission(&mut self.draw, &ledger, number);
        ledger.submit(submission)
    }

    fn some_op(&mut self, fates: &[Fate]) -> Option<OpId> {
        let ledger = self.world.ledger.borrow();
        let start = self.draw.below(ledger.op_count().max(1) as u64);
        ledger.op_of_fate(fates, usize::try_from(start).unwrap_or(0))
    }

    /// One attempt of a submission.
    async fn append(&self, op: OpId) -> Checked {
        let submission = self.world.ledger.borrow().op(op).submission.clone();
        let bucket = submission.partition % self.world.buckets;
        let was_stored = self.world.ledger.borrow().op(op).fate == Fate::Stored;
        self.world.ledger.borrow_mut().begin(op);
        let was_poisoned = self.watch.is_poisoned(bucket);
        self.world.host.note("op.append", &[("op", op as u64), ("boot", self.boot)]);
        let outcome = match transaction(&submission) {
            Ok(transaction) => self.db.append_events(transaction).await,
            Err(violation) => return Err(violation),
        };
        match outcome {
            Ok(result) => {
                let answer = answer(&result);
                let first = answer.sequences.start;
                self.world.host.note("op.acked", &[("op", op as u64), ("sequence", first)]);
                if !answer.is_duplicate {
                    poison::stored(bucket, was_poisoned)?;
                }
                self.take_ack(op, submission.partition, &answer, was_stored)
            }
            Err(error) => {
                let failure = failure(&error);
                self.world.host.note("op.failed", &[("op", op as u64), ("kind", kind(&failure))]);
                if self.world.trouble != Trouble::Lying {
                    idempotent::refused(&self.world.ledger.borrow(), op, &failure, was_stored)?;
                }
                self.take_failure(op, &submission, &failure, &error)
            }
        }
    }

    fn take_ack(&self, op: OpId, partition: u16, answer: &Acked, was_stored: bool) -> Checked {
        let mut ledger = self.world.ledger.borrow_mut();
        if self.world.trouble == Trouble::Lying {
            // The device may have lost it already: only what is read back counts.
            ledger.unknown(op, self.boot);
            return Ok(());
        }
        acked::acknowledged(&mut ledger, op, answer, was_stored)?;
        let mut ghost = self.world.ghost.borrow_mut();
        ghost.advance(&self.world.host, &ledger)?;
        ghost.holds(partition, answer)
    }

    /// Checks an event that was read, and pins it unless disks lie.
    fn take_seen(&self, ledger: &mut Ledger, seen: &Seen) -> Result<OpId, Violation> {
        match self.world.trouble {
            Trouble::Lying => invention::origin(ledger, seen).map(|(op, _)| op),
            _ => {
                let op = acked::seen(ledger, seen)?;
                self.world.ghost.borrow_mut().holds_seen(&self.world.host, ledger, seen)?;
                Ok(op)
            }
        }
    }

    fn take_failure(
        &self,
        op: OpId,
        submission: &Submission,
        failure: &Failure,
        error: &AppendError,
    ) -> Checked {
        let mut ledger = self.world.ledger.borrow_mut();
        match failure {
            Failure::Unknown => {
                if matches!(self.world.trouble, Trouble::Crashes | Trouble::Derived) {
                    return Err(Violation::new(
                        "liveness",
                        "unanswered",
                        format!("submission {op}: {error}"),
                    ));
                }
                ledger.unknown(op, self.boot);
            }
            Failure::WrongVersion { stream, next } => {
                self.explain_version(&mut ledger, submission, stream, *next)?;
                ledger.refused(op, self.boot, true);
            }
            Failure::Duplicate | Failure::KeyMismatch => ledger.refused(op, self.boot, true),
            Failure::Unavailable => {
                let excused = self.is_troubled(submission.partition);
                let is_expected =
                    excused || matches!(error, AppendError::Busy { .. } | AppendError::Closing);
                if !is_expected {
                    return Err(Violation::new(
                        "recovery",
                        "refusing",
                        format!("submission {op}: {error}"),
                    ));
                }
                ledger.refused(op, self.boot, false);
            }
            Failure::TooLarge => ledger.refused(op, self.boot, false),
            Failure::Unreadable => {
                if !self.is_troubled(submission.partition) {
                    return Err(Violation::new(
                        "damage",
                        "invented",
                        format!("submission {op}: {error}"),
                    ));
                }
                ledger.refused(op, self.boot, false);
            }
        }
        Ok(())
    }

    /// The version told must be above what was shown before, and must not meet what was expected.
    fn explain_version(
        &self,
        ledger: &mut Ledger,
        submission: &Submission,
        stream: &str,
        next: u64,
    ) -> Checked {
        let key = (submission.partition, stream.to_owned());
        acked::stream_reaches(&key, next, ledger.version_floor(&key).min(next))?;
        let of_stream = |draft: &&Draft| draft.stream == stream;
        let unmet =
            submission.events.iter().filter(of_stream).any(|draft| !draft.expected.is_met_by(next));
        if !unmet {
            let detail =
                format!("stream {key:?} at {next} meets every expectation of the refused append");
            return Err(Violation::new("acked", "wrong-refusal", detail));
        }
        // With several events of the stream the number may count some of the refused append itself.
        if submission.events.iter().filter(of_stream).count() == 1
            && self.world.trouble != Trouble::Lying
        {
            ledger.raise_version(&key, next);
        }
        Ok(())
    }

    async fn read_some_event(&mut self) -> Checked {
        let id = {
            let ledger = self.world.ledger.borrow();
            self.draw.pick(ledger.ids()).copied().unwrap_or(5)
        };
        self.read_event(id).await.map(|_| ())
    }

    /// Reads one event by its id.
    ///
    /// # Errors
    /// If the answer breaks a promise.
    pub async fn read_event(&self, id: u128) -> Result<Option<Option<Seen>>, Violation> {
        let pinned = self.world.ledger.borrow().place(id).map(|place| place.partition);
        match self.db.read_event(Uuid::from_u128(id)).await {
            Ok(found) => {
                let found = found.map(|record| seen(&record));
                if let Some(seen) = &found {
                    self.take_seen(&mut self.world.ledger.borrow_mut(), seen)?;
                }
                if self.world.trouble != Trouble::Lying && pinned.is_some() {
                    acked::event_is_there(id, found.is_some())?;
                }
                Ok(Some(found))
            }
            Err(error) => {
                let bucket = pinned.map(|partition| partition % self.world.buckets);
                self.excuse(bucket, &error)?;
                Ok(None)
            }
        }
    }

    async fn read_some_partition(&mut self) -> Checked {
        let (partition, _) = self.world.places.stream(&mut self.draw);
        let floor = self.world.ledger.borrow().sequence_floor(partition);
        let start = if self.draw.chance(1, 2) { 0 } else { self.draw.below(floor + 2) };
        let backward = self.draw.chance(1, 3);
        let count = usize::try_from(self.draw.between(1, 40)).unwrap_or(1);
        self.scan_partition(partition, start, count, backward).await.map(|_| ())
    }

    /// Reads a piece of a partition: its events, and whether the store says that more follow. `None` after an excused
    /// error.
    ///
    /// # Errors
    /// If the answer breaks a promise.
    pub async fn scan_partition(
        &self,
        partition: u16,
        start: u64,
        count: usize,
        is_backward: bool,
    ) -> Result<Option<(u64, bool)>, Violation> {
        let floor = self.world.ledger.borrow().sequence_floor(partition);
        let range = range(start, count, is_backward);
        let batch = match self.db.read_partition(PartitionId(partition), range).await {
            Ok(batch) => batch,
            Err(error) => {
                self.excuse(Some(partition % self.world.buckets), &error)?;
                return Ok(None);
            }
        };
        let events = ascending(&batch.events, is_backward);
        let scan = Scan { what: format!("partition {partition}"), start, floor, is_backward };
        let positions: Vec<u64> = events.iter().map(|seen| seen.sequence).collect();
        let end = self.check_scan(&scan, partition, &positions, batch.has_more)?;
        let mut ledger = self.world.ledger.borrow_mut();
        let mut origins = Vec::with_capacity(events.len());
        for seen in &events {
            let op = self.take_seen(&mut ledger, seen)?;
            let nth = ledger.place(seen.id).map_or(0, |place| place.nth);
            origins.push((op, nth));
        }
        if self.world.trouble == Trouble::Lying {
            return Ok(Some((end, batch.has_more)));
        }
        let reaches_end = is_backward || !batch.has_more;
        atomic::partition_scan(&ledger, &origins, reaches_end)?;
        Ok(Some((end, batch.has_more)))
    }

    async fn read_some_stream(&mut self) -> Checked {
        let stream = self.world.places.stream(&mut self.draw);
        let floor = self.world.ledger.borrow().version_floor(&stream);
        let start = if self.draw.chance(1, 2) { 0 } else { self.draw.below(floor + 2) };
        let backward = self.draw.chance(1, 3);
        let count = usize::try_from(self.draw.between(1, 40)).unwrap_or(1);
        self.scan_stream(&stream, start, count, backward).await.map(|_| ())
    }

    /// Reads a piece of a stream: one above the last version returned, and whether more follow. `None` after an excused
    /// error.
    ///
    /// # Errors
    /// If the answer breaks a promise.
    pub async fn scan_stream(
        &self,
        stream: &StreamKey,
        start: u64,
        count: usize,
        is_backward: bool,
    ) -> Result<Option<(u64, bool)>, Violation> {
        let floor = self.world.ledger.borrow().version_floor(stream);
        let range = range(start, count, is_backward);
        let id = stream_id(&stream.1)?;
        let batch = match self.db.read_stream(PartitionId(stream.0), &id, range).await {
            Ok(batch) => batch,
            Err(error) => {
                self.excuse(Some(stream.0 % self.world.buckets), &error)?;
                return Ok(None);
            }
        };
        let events = ascending(&batch.events, is_backward);
        let scan = Scan { what: format!("stream {stream:?}"), start, floor, is_backward };
        let positions: Vec<u64> = events.iter().map(|seen| seen.version).collect();
        let end = self.check_scan(&scan, stream.0, &positions, batch.has_more)?;
        let mut ledger = self.world.ledger.borrow_mut();
        for seen in &events {
            self.take_seen(&mut ledger, seen)?;
        }
        Ok(Some((end, batch.has_more)))
    }

    /// The ends of some partition and stream.
    async fn heads(&mut self) -> Checked {
        let stream = self.world.places.stream(&mut self.draw);
        self.stream_end(&stream).await?;
        self.partition_end(stream.0).map(|_| ())
    }

    /// Asks for the end of a stream: one above its last version. `None` after an excused error.
    ///
    /// # Errors
    /// If the answer breaks a promise.
    pub async fn stream_end(&self, stream: &StreamKey) -> Result<Option<u64>, Violation> {
        let floor = self.world.ledger.borrow().version_floor(stream);
        let id = stream_id(&stream.1)?;
        match self.db.stream_version(PartitionId(stream.0), &id).await {
            Ok(last) => {
                let next = last.map_or(0, |last| last + 1);
                if self.world.trouble != Trouble::Lying {
                    acked::stream_reaches(stream, next, floor)?;
                }
                if self.world.trouble != Trouble::Lying {
                    self.world.ledger.borrow_mut().raise_version(stream, next);
                }
                Ok(Some(next))
            }
            Err(error) => {
                self.excuse(Some(stream.0 % self.world.buckets), &error)?;
                Ok(None)
            }
        }
    }

    /// Asks for the end of a partition: one above its last sequence. `None` after an excused error.
    ///
    /// # Errors
    /// If the answer breaks a promise.
    pub fn partition_end(&self, partition: u16) -> Result<Option<u64>, Violation> {
        let floor = self.world.ledger.borrow().sequence_floor(partition);
        match self.db.partition_sequence(PartitionId(partition)) {
            Ok(last) => {
                let next = last.map_or(0, |last| last + 1);
                if !self.is_damaged(partition) {
                    acked::partition_reaches(partition, next, floor)?;
                }
                if self.world.trouble != Trouble::Lying {
                    self.world.ledger.borrow_mut().raise_sequence(partition, next);
                }
                Ok(Some(next))
            }
            Err(error) => {
                self.excuse(Some(partition % self.world.buckets), &error)?;
                Ok(None)
            }
        }
    }

    fn check_scan(
        &self,
        scan: &Scan,
        partition: u16,
        positions: &[u64],
        has_more: bool,
    ) -> Result<u64, Violation> {
        let first = positions.first().copied().unwrap_or(scan.start);
        let end = positions.last().map_or(scan.start, |last| last + 1);
        gapless::batch(&scan.what, first, positions.iter().copied())?;
        let is_anchored =
            if scan.is_backward { has_more || first == scan.start } else { first == scan.start };
        if !is_anchored && !self.is_damaged(partition) {
            let detail = format!("{} from {}: the answer begins at {first}", scan.what, scan.start);
            return Err(Violation::new("gapless", "scan", detail));
        }
        if has_more && positions.is_empty() {
            let detail = format!("{} from {}: nothing, and more", scan.what, scan.start);
            return Err(Violation::new("index-scan", "no-progress", detail));
        }
        if self.world.trouble != Trouble::Lying && (scan.is_backward || !has_more) {
            damage::not_silently_cut(&scan.what, end, scan.floor)?;
        }
        Ok(end)
    }

    fn is_damaged(&self, partition: u16) -> bool {
        let damage = self.world.damage.borrow();
        self.world.trouble == Trouble::Lying || damage.excuses(partition % self.world.buckets)
    }

    /// Whether appends to this partition may be refused for lack of health.
    fn is_troubled(&self, partition: u16) -> bool {
        match self.world.trouble {
            Trouble::Crashes | Trouble::Derived => false,
            Trouble::Errors | Trouble::Full | Trouble::Lying => true,
            Trouble::Rot | Trouble::Garbage => self.is_damaged(partition),
        }
    }

    /// A read failed: may it?
    fn excuse(&self, bucket: Option<u16>, error: &ReadError) -> Checked {
        let damage = self.world.damage.borrow();
        let is_excused = match self.world.trouble {
            Trouble::Lying => true,
            Trouble::Rot | Trouble::Garbage => {
                bucket.map_or(damage.any(), |bucket| damage.excuses(bucket))
            }
            Trouble::Full => return space::read_went_on(Some(&error.to_string())),
            Trouble::Crashes | Trouble::Derived | Trouble::Errors => false,
        };
        if is_excused {
            Ok(())
        } else {
            Err(Violation::new("damage", "invented", error.to_string()))
        }
    }
}

/// What was asked of a scan.
struct Scan {
    what: String,
    start: u64,
    floor: u64,
    is_backward: bool,
}
