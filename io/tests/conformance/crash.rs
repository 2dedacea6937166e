//! A power loss takes no more than the contract allows.
//!
//! A model beside the driver keeps, per open file, what was durable at its last sync and every later version of each
//! byte and length. After a crash each sector must equal one of the versions it had, and what was durable and not
//! touched since must be there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sierradb_io::sim::{self, CrashKind, CrashPoint, SimConfig, SimHost};
use sierradb_io::{File, Io, OpenOptions};

const SECTOR: usize = 512;
const FILES: u8 = 3;

#[derive(Debug, Clone)]
enum Change {
    Write { file: u8, offset: usize, len: usize, fill: u8 },
    Zero { file: u8, offset: usize, len: usize },
    SetLen { file: u8, len: usize },
    Allocate { file: u8, len: usize },
    Sync { file: u8 },
}

fn change() -> impl Strategy<Value = Change> {
    let file = || 0..FILES;
    prop_oneof![
        6 => (file(), 0..9_000_usize, 1..3_000_usize, 1..=255_u8)
            .prop_map(|(file, offset, len, fill)| Change::Write { file, offset, len, fill }),
        1 => (file(), 0..9_000_usize, 1..6_000_usize)
            .prop_map(|(file, offset, len)| Change::Zero { file, offset, len }),
        1 => (file(), 0..9_000_usize).prop_map(|(file, len)| Change::SetLen { file, len }),
        1 => (file(), 0..20_000_usize).prop_map(|(file, len)| Change::Allocate { file, len }),
        3 => file().prop_map(|file| Change::Sync { file }),
    ]
}

/// Every content a file may have after a crash: the durable one and each later one.
#[derive(Debug, Clone)]
struct Versions(Vec<Vec<u8>>);

impl Versions {
    fn last(&self) -> Vec<u8> {
        self.0.last().unwrap().clone()
    }

    /// Whether `found` mixes, sector by sector, contents this file had, in a length it had.
    fn explain(&self, found: &[u8]) -> Result<(), String> {
        if !self.0.iter().any(|version| version.len() == found.len()) {
            let lens: Vec<usize> = self.0.iter().map(Vec::len).collect();
            return Err(format!("length {} is none of {lens:?}", found.len()));
        }
        for (number, sector) in found.chunks(SECTOR).enumerate() {
            let start = number * SECTOR;
            let known = |version: &Vec<u8>| {
                let padded = |at: usize| version.get(start + at).copied().unwrap_or(0);
                sector.iter().enumerate().all(|(at, byte)| *byte == padded(at))
            };
            if !self.0.iter().any(known) {
                return Err(format!("sector {number} of {} holds what it never held", found.len()));
            }
        }
        Ok(())
    }
}

fn path(file: u8) -> PathBuf {
    PathBuf::from(format!("/f{file}"))
}

/// Applies a change to the content before it.
fn apply(change: &Change, content: &mut Vec<u8>) {
    match *change {
        Change::Write { offset, len, fill, .. } => {
            content.resize(content.len().max(offset + len), 0);
            content[offset..offset + len].copy_from_slice(&written(offset, len, fill));
        }
        Change::Zero { offset, len, .. } => {
            content.resize(content.len().max(offset + len), 0);
            content[offset..offset + len].fill(0);
        }
        Change::SetLen { len, .. } => content.resize(len, 0),
        Change::Allocate { len, .. } => content.resize(content.len().max(len), 0),
        Change::Sync { .. } => {}
    }
}

fn written(offset: usize, len: usize, fill: u8) -> Vec<u8> {
    (offset..offset + len).map(|at| fill ^ u8::try_from(at % 251).unwrap()).collect()
}

fn file_of(change: &Change) -> u8 {
    match *change {
        Change::Write { file, .. }
        | Change::Zero { file, .. }
        | Change::SetLen { file, .. }
        | Change::Allocate { file, .. }
        | Change::Sync { file } => file,
    }
}

async fn perform(file: &dyn File, change: &Change) {
    let wide = |n: usize| u64::try_from(n).unwrap();
    let done = match *change {
        Change::Write { offset, len, fill, .. } => {
            file.write_all_at(vec![Bytes::from(written(offset, len, fill))], wide(offset)).await
        }
        Change::Zero { offset, len, .. } => file.zero_range(wide(offset), wide(len)).await,
        Change::SetLen { len, .. } => file.set_len(wide(len)).await,
        Change::Allocate { len, .. } => file.allocate(wide(len)).await,
        Change::Sync { .. } => file.sync_data().await,
    };
    done.unwrap();
}

/// Runs the changes, noting before each what it may leave behind. The host never waits inside a write, so a write
/// is there or not; below that, sectors decide.
async fn live(io: &Io, changes: &[Change], model: &mut BTreeMap<u8, Versions>) {
    let mut files = Vec::new();
    for file in 0..FILES {
        files.push(io.disk().open(&path(file), OpenOptions::WRITE).await.unwrap());
    }
    for change in changes {
        let versions = model.get_mut(&file_of(change)).unwrap();
        let mut content = versions.last();
        apply(change, &mut content);
        versions.0.push(content);
        perform(files[usize::from(file_of(change))].as_ref(), change).await;
        if matches!(change, Change::Sync { .. }) {
            *versions = Versions(vec![versions.last()]);
        }
    }
}

async fn create_files(host: &SimHost) -> BTreeMap<u8, Versions> {
    let io = host.boot();
    for file in 0..FILES {
        io.disk().open(&path(file), OpenOptions::CREATE_NEW).await.unwrap();
    }
    io.disk().sync_dir(Path::new("/")).await.unwrap();
    (0..FILES).map(|file| (file, Versions(vec![Vec::new()]))).collect()
}

proptest! {
    #[test]
    fn a_power_loss_takes_only_what_was_not_synced(
        seed: u64,
        lives in vec((vec(change(), 1..40), 1..60_u64), 1..4),
    ) {
        let config = SimConfig {
            sector_bytes: 512,
            sectors: sim::SectorWrites::Atomic,
            latency: None,
            yields: sim::Yields::Never,
            ..SimConfig::swarm(seed)
        };
        sim::run_with(seed, config, |host| async move {
            let mut model = create_files(&host).await;
            for (changes, point) in lives {
                let io = host.boot();
                host.crash_at(CrashPoint::Completion(point), CrashKind::Power);
                if host.until_crash(live(&io, &changes, &mut model)).await.is_some() {
                    host.power_loss();
                }
                for (file, versions) in &mut model {
                    let found = host.durable_image(path(*file)).expect("its name was synced");
                    if let Err(text) = versions.explain(&found) {
                        panic!("file {file}: {text}");
                    }
                    *versions = Versions(vec![found]);
                }
            }
        });
    }
}

#[test]
fn a_durable_write_is_all_there_once_it_is_ready() {
    let kept_of_unready = |seed| {
        let config = SimConfig { sector_bytes: 512, ..SimConfig::swarm(seed) };
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        sim::run_with(seed, config, move |host| async move {
            let io = host.boot();
            let file = io.disk().open(&path(0), OpenOptions::CREATE_NEW).await.unwrap();
            io.disk().sync_dir(Path::new("/")).await.unwrap();
            let bufs = || vec![Bytes::from(vec![1; SECTOR]), Bytes::from(vec![1; SECTOR])];
            file.begin_durable_write(Box::new(bufs), 0).await.unwrap();
            file.write_all_at(bufs(), u64::try_from(2 * SECTOR).unwrap()).await.unwrap();
            host.power_loss();
            let found = host.durable_image(path(0)).expect("its name was synced");
            assert_eq!(found[..2 * SECTOR], [1; 2 * SECTOR], "seed {seed}");
            tell.send(found.get(2 * SECTOR..).is_some_and(|rest| rest.contains(&1))).unwrap();
        });
        told.recv().unwrap()
    };
    let kept: Vec<bool> = (0..40).map(kept_of_unready).collect();
    assert!(kept.contains(&true) && kept.contains(&false), "{kept:?}");
}

#[derive(Debug, Clone)]
enum NameChange {
    Create { name: u8 },
    Rename { from: u8, to: u8 },
    Remove { name: u8 },
    SyncDir,
}

fn name_change() -> impl Strategy<Value = NameChange> {
    let name = || 0..4_u8;
    prop_oneof![
        3 => name().prop_map(|name| NameChange::Create { name }),
        3 => (name(), name()).prop_map(|(from, to)| NameChange::Rename { from, to }),
        2 => name().prop_map(|name| NameChange::Remove { name }),
        2 => Just(NameChange::SyncDir),
    ]
}

/// What each name may lead to after a crash: the mark in its file's first byte, or nothing.
type NameVersions = BTreeMap<u8, Vec<Option<u8>>>;

fn present(versions: &NameVersions, name: u8) -> Option<u8> {
    *versions[&name].last().unwrap()
}

async fn rename_and_remove(
    io: &Io,
    changes: &[NameChange],
    versions: &mut NameVersions,
    marks: &mut u8,
) {
    for change in changes {
        match *change {
            NameChange::Create { name } => {
                *marks += 1;
                versions.get_mut(&name).unwrap().extend([None, Some(*marks)]);
                io.disk().remove(&path(name)).await.ok();
                let file = io.disk().open(&path(name), OpenOptions::CREATE_NEW).await.unwrap();
                file.write_all_at(vec![Bytes::from(vec![*marks])], 0).await.unwrap();
                file.sync_data().await.unwrap();
            }
            NameChange::Rename { from, to } => {
                let moved = present(versions, from);
                if from != to && moved.is_some() {
                    versions.get_mut(&from).unwrap().push(None);
                    versions.get_mut(&to).unwrap().push(moved);
                }
                io.disk().rename(&path(from), &path(to)).await.ok();
            }
            NameChange::Remove { name } => {
                versions.get_mut(&name).unwrap().push(None);
                io.disk().remove(&path(name)).await.ok();
            }
            NameChange::SyncDir => {
                io.disk().sync_dir(Path::new("/")).await.unwrap();
                for versions in versions.values_mut() {
                    *versions = vec![*versions.last().unwrap()];
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_power_loss_takes_only_names_that_were_not_synced(
        seed: u64,
        lives in vec((vec(name_change(), 1..30), 1..60_u64), 1..4),
    ) {
        let config =
            SimConfig { sectors: sim::SectorWrites::Atomic, ..SimConfig::swarm(seed) };
        sim::run_with(seed, config, |host| async move {
            let mut versions: NameVersions = (0..4).map(|name| (name, vec![None])).collect();
            let mut marks = 0;
            for (changes, point) in lives {
                let io = host.boot();
                host.crash_at(CrashPoint::Completion(point), CrashKind::Power);
                let work = rename_and_remove(&io, &changes, &mut versions, &mut marks);
                if host.until_crash(work).await.is_some() {
                    host.power_loss();
                }
                for (name, versions) in &mut versions {
                    let found = host.durable_image(path(*name));
                    let known = |version: &Option<u8>| match (version, &found) {
                        (None, None) => true,
                        // Its content was synced after the name was made; a crash may fall in between and leave
                        // nothing, or the length without the byte.
                        (Some(mark), Some(bytes)) => {
                            bytes.is_empty() || bytes == &[0] || bytes == &[*mark]
                        }
                        _ => false,
                    };
                    assert!(versions.iter().any(known), "{name}: {found:?} is none of {versions:?}");
                    *versions = vec![found.map(|bytes| bytes.first().copied().unwrap_or(0))];
                }
            }
        });
    }
}
