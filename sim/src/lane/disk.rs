//! Lane 1: one embedded store on a simulated disk, crashed and recovered again and again.
//!
//! A run is a row of boots. Each opens the store, checks what must be there, lets clients work and ends by a crash
//! somewhere (also inside the start or the close), a kill or an orderly close. The last boot is quiet: everything is
//! read back and compared with the model and with the independent reader.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sierradb::{Database, DatabaseOptions, PartitionId, Preallocate};
use sierradb_io::sim::{CrashKind, Fault, SimHost, Survival};
use sierradb_io::{Prng, Site};

use super::verify;
use crate::config::{DiskSpec, Trouble};
use crate::oracle::damage::Damage;
use crate::oracle::ghost::Ghost;
use crate::oracle::ledger::Ledger;
use crate::oracle::{index_scan, recovery, space};
use crate::violation::{Checked, Violation};
use crate::watch::Watch;
use crate::workload::client::{Client, World};
use crate::workload::generate::Places;

/// Where the store is on the simulated machine.
const DIR: &str = "/data";

/// What a start reads of any segment: its header.
const HEADER_READ_BYTES: u64 = 4 << 10;

/// What it reads of the log to find the last frame that a checkpoint covers; a longer one is read again, whole.
const LAST_FRAME_READ_BYTES: u64 = 4 << 10;

/// What it may read beside frames where it scans them: they are read in pieces, and a piece again where a frame
/// crosses its end.
const SCAN_READS_BYTES: u64 = 256 << 10;

/// Events that the second start after the end is asked for by their ids.
const SECOND_LOOK_IDS: usize = 50;

/// Quiet attempts to open at the end of a run: faults that still wait for their operation may spoil some.
const LAST_OPENS: u32 = 12;

/// What a run did, for reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Boots that ended.
    pub cycles: u64,
    /// Of them by losing power.
    pub power_losses: u64,
    /// Answered appends.
    pub acks: u64,
    /// Events durable at the end.
    pub events: u64,
    /// Starts that met a torn tail.
    pub torn: u64,
    /// Hits of coverage marks.
    pub marks: BTreeMap<Site, u64>,
}

/// One run in progress.
pub(super) struct Run<'a> {
    pub(super) spec: &'a DiskSpec,
    pub(super) world: World,
    options: DatabaseOptions,
    dir: PathBuf,
    pub(super) draw: Prng,
    report: Report,
    /// Whether the last boot ended by an orderly close.
    was_closed: bool,
}

/// Runs `spec` on `host` until its end or the first violation.
///
/// # Errors
/// The violation.
pub async fn run(host: SimHost, spec: &DiskSpec) -> Result<Report, Violation> {
    let mut run = Run::new(host, spec);
    let outcome = run.cycles().await;
    let report = Report {
        torn: run.world.host.mark_hits("recovery.torn_tail_zeroed"),
        marks: run.world.host.marks(),
        ..run.report
    };
    outcome.map(|()| report).map_err(|violation| Violation {
        detail: format!(
            "[{}, boot {}] {}",
            spec.trouble.name(),
            run.world.host.boots(),
            violation.detail
        ),
        ..violation
    })
}

impl<'a> Run<'a> {
    fn new(host: SimHost, spec: &'a DiskSpec) -> Self {
        let dir = PathBuf::from(DIR);
        host.put_file(dir.join("placeholder"), &[]);
        host.remove_file(dir.join("placeholder"));
        let world = World {
            host,
            trouble: spec.trouble,
            buckets: spec.buckets,
            places: Places::new(spec),
            ledger: RefCell::new(Ledger::default()),
            ghost: RefCell::new(Ghost::new(&dir, spec.buckets)),
            damage: RefCell::new(Damage::default()),
            is_full: RefCell::new(false),
        };
        if spec.trouble == Trouble::Garbage {
            (0..spec.buckets).for_each(|bucket| world.damage.borrow_mut().done(bucket));
        }
        let draw = Prng::new(spec.seed ^ 0x6e65_6d65_7369_7321);
        let (options, report) = (options(spec), Report::default());
        Self { spec, world, options, dir, draw, report, was_closed: false }
    }

    async fn cycles(&mut self) -> Checked {
        for cycle in 0..self.spec.cycles {
            self.cycle(cycle).await?;
        }
        self.finish().await
    }

    /// One boot, from start to crash or close.
    async fn cycle(&mut self, cycle: u32) -> Checked {
        self.damage_files();
        let watch = Watch::default();
        let io = watch.listen(&self.world.host.boot());
        let (kind, closes) = self.arm_end();
        self.inject_errors(closes);
        let host = self.world.host.clone();
        let lives = async {
            let Some(db) = self.open(io, &watch).await? else { return Ok(()) };
            self.work(&db, &watch, cycle).await?;
            if closes {
                db.close().await;
            }
            Ok(())
        };
        let ended = host.until_crash(lives).await;
        self.was_closed = matches!(ended, Some(Ok(()))) && closes;
        ended.unwrap_or(Ok(()))?;
        watch.check()?;
        if self.world.host.is_up() {
            match kind {
                CrashKind::Kill => self.world.host.kill(),
                CrashKind::Power => self.world.host.power_loss(),
            }
        }
        self.world.host.inject(Fault::Free);
        *self.world.is_full.borrow_mut() = false;
        self.report.cycles += 1;
        self.report.power_losses += u64::from(kind == CrashKind::Power);
        self.boundary()
    }

    /// What must hold whenever the host is down.
    fn boundary(&self) -> Checked {
        self.world.ledger.borrow_mut().crashed(self.world.host.boots());
        if self.world.trouble == Trouble::Lying {
            return Ok(());
        }
        let mut ghost = self.world.ghost.borrow_mut();
        ghost.advance(&self.world.host, &self.world.ledger.borrow())?;
        ghost.sealed_are_final(&self.world.host)
    }

    /// Opens the store; `None` if an injected error excuses that it did not open.
    async fn open(
        &self,
        io: sierradb_io::Io,
        watch: &Watch,
    ) -> Result<Option<Database>, Violation> {
        let is_bounded = self.spec.trouble == Trouble::Crashes;
        let read_limit = if is_bounded { self.start_limit() } else { u64::MAX };
        let opened = Database::open_with(io, &self.dir, self.options.clone()).await;
        let is_healthy = matches!(self.spec.trouble, Trouble::Crashes | Trouble::Derived);
        let db = match opened {
            Ok(db) => db,
            Err(error) => {
                if is_healthy {
                    recovery::opened(Some(&error.to_string()))?;
                }
                return Ok(None);
            }
        };
        if is_healthy {
            for (bucket, stats) in db.stats().buckets.iter().enumerate() {
                recovery::healthy(bucket, stats.refusing.as_deref())?;
            }
            recovery::bounded(watch.segment_bytes_read(), read_limit)?;
        }
        Ok(Some(db))
    }

    /// What the start to come may read of segments: of a sealed one its header, of each other one also what lies
    /// behind its last frame, twice (once for frames, once for the verdict), and that frame; without a close before
    /// also the frames. A segment with an index file but without a frame behind it counts as not sealed: where a torn
    /// first batch of its successor is cut, it is the active one again.
    fn start_limit(&self) -> u64 {
        let ghost = self.world.ghost.borrow();
        let files = self.world.host.files();
        let mut limit = 0;
        for (path, len) in &files {
            let has_index = files.iter().any(|(other, _)| *other == path.with_extension("idx"));
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.parse::<u64>().ok());
            let (true, Some(number)) = (path.extension().is_some_and(|ext| ext == "seg"), number)
            else {
                continue;
            };
            limit += HEADER_READ_BYTES;
            limit += match ghost.log_of(path) {
                Some(log) if log.segment == number && self.was_closed => {
                    2 * len.saturating_sub(log.end) + LAST_FRAME_READ_BYTES + log.last_frame_len
                }
                Some(log) if has_index && number < log.segment => 0,
                _ if self.was_closed => 2 * len,
                _ => 2 * len + SCAN_READS_BYTES,
            };
        }
        limit
    }

    /// Clients at work.
    async fn work(&self, db: &Database, watch: &Watch, cycle: u32) -> Checked {
        if self.spec.trouble == Trouble::Lying {
            self.nothing_beyond_the_log(db)?;
        }
        verify::heads(&self.world, db, watch).await?;
        let client = |number: u32| {
            let key = (u64::from(cycle) << 32) | u64::from(number);
            let draw = Prng::new(self.spec.seed ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            Client::new(&self.world, db, watch, draw)
        };
        let clients = (0..self.spec.clients).map(|number| {
            let mut client = client(number);
            async move { client.work(self.spec.operations).await }
        });
        futures_util::future::try_join_all(clients).await?;
        if self.spec.trouble == Trouble::Full {
            self.fill(db, watch, &mut client(1_000)).await?;
        }
        Ok(())
    }

    /// A disk that loses all it lied about leaves the log a prefix of what it was: a start may not go by what lies
    /// beyond. Sealed segments are not read at a start; their index files vouch for them.
    fn nothing_beyond_the_log(&self, db: &Database) -> Checked {
        if self.spec.machine.survival != Survival::Permille(0) {
            return Ok(());
        }
        let files = self.world.host.files();
        let is_index = |path: &Path| path.extension().is_some_and(|it| it == "idx");
        let ghost = self.world.ghost.borrow();
        let is_sealed = |partition: u16| {
            let dir = ghost.bucket_dir(partition % self.spec.buckets);
            files
                .iter()
                .any(|(path, _)| is_index(path) && dir.is_some_and(|it| path.starts_with(it)))
        };
        let stored = Ghost::count_seen(&self.dir, self.spec.buckets, &self.world.host);
        for partition in (0..self.spec.partitions).filter(|it| !is_sealed(*it)) {
            // A bucket that found its log damaged refuses to tell.
            if let Ok(Some(last)) = db.partition_sequence(PartitionId(partition)) {
                let found = stored.get(&partition).copied().unwrap_or(0);
                index_scan::start_claims(partition, last + 1, found)?;
            }
        }
        Ok(())
    }

    /// Fills the disk up, works on, frees it, and expects appends to work again.
    async fn fill(&self, db: &Database, watch: &Watch, client: &mut Client<'_>) -> Checked {
        self.world.host.inject(Fault::Fill { free_bytes: 4_096 });
        *self.world.is_full.borrow_mut() = true;
        client.work(self.spec.operations).await?;
        // By now the store has looked at the space that is left.
        tokio_sleep(Duration::from_secs(2)).await;
        client.work(2 * self.spec.operations).await?;
        self.world.host.inject(Fault::Free);
        tokio_sleep(Duration::from_secs(5)).await;
        *self.world.is_full.borrow_mut() = false;
        for bucket in 0..self.spec.buckets {
            if !watch.is_poisoned(bucket) {
                let refusing =
                    db.stats().buckets.get(usize::from(bucket)).and_then(|b| b.refusing.clone());
                space::append_works_again(bucket, refusing.as_deref())?;
            }
        }
        client.work(self.spec.operations / 2 + 1).await
    }

    /// The last boots: quiet, everything is read back.
    async fn finish(&mut self) -> Checked {
        for attempt in 0..LAST_OPENS {
            let watch = Watch::default();
            let io = watch.listen(&self.world.host.boot());
            let Some(db) = self.open(io, &watch).await? else { continue };
            verify::everything(&self.world, &db, &watch, usize::MAX).await?;
            db.close().await;
            self.was_closed = true;
            self.world.host.kill();
            self.boundary()?;
            // Twice: what the first one wrote must not change what the second one finds.
            if attempt + 1 < LAST_OPENS && self.spec.trouble == Trouble::Crashes {
                let io = watch.listen(&self.world.host.boot());
                if let Some(db) = self.open(io, &Watch::default()).await? {
                    verify::everything(&self.world, &db, &watch, SECOND_LOOK_IDS).await?;
                }
            }
            self.report.acks = self.world.ledger.borrow().acks;
            self.report.events = self.world.ghost.borrow().events().len() as u64;
            return Ok(());
        }
        if matches!(self.spec.trouble, Trouble::Rot | Trouble::Garbage | Trouble::Lying) {
            return Ok(());
        }
        recovery::opened(Some("none of the last quiet attempts succeeded"))
    }
}

fn options(spec: &DiskSpec) -> DatabaseOptions {
    DatabaseOptions {
        partition_count: spec.partitions,
        bucket_count: spec.buckets,
        segment_size_bytes: spec.segment_size_bytes,
        append_buffer_count: spec.append_buffer_count,
        write_threads: Some(spec.write_threads),
        cache_capacity_bytes: spec.cache_capacity_bytes,
        cache_block_bytes: spec.cache_block_bytes,
        min_free_bytes: 1 << 20,
        preallocate: if spec.is_zeroed { Preallocate::Zero } else { Preallocate::Reserve },
        ..DatabaseOptions::default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness waits in world time, outside of any host"
)]
async fn tokio_sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}
