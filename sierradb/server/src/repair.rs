//! `sierradb repair`: shows what is damaged and, only if told so by name, gives it up.

use std::io::Write;
use std::path::Path;

use sierradb::repair::{
    Holes, LostPartition, ManifestPlan, RepairError, TailLoss, accept_tail_loss, find_holes,
    find_manifest, find_tail_loss, rebuild_manifest,
};
use sierradb_io::Io;

use crate::flags::RepairArgs;

/// Nothing is wrong, or it is repaired.
const DONE: u8 = 0;
/// Something is wrong and was only shown.
const SHOWN: u8 = 1;
/// It could not be looked at or repaired.
const CANNOT_RUN: u8 = 3;

/// Shows, and with the flag that says so repairs; returns the exit code: 0 nothing to do or done, 1 shown only,
/// 3 not possible.
///
/// # Errors
/// If stdout takes no more; nothing is changed before everything was shown.
pub async fn run_repair(io: &Io, args: &RepairArgs) -> std::io::Result<u8> {
    let dir = Path::new(&args.dir);
    let result = match args.bucket {
        Some(bucket_id) => repair_tail(io, dir, bucket_id, args.accept_tail_loss).await,
        None => repair_manifest(io, dir, args.accept).await,
    };
    match result {
        Ok(code) => Ok(code),
        Err(Stopped::Output(error)) => Err(error),
        Err(Stopped::Repair(
            error @ (RepairError::LogSound { .. } | RepairError::ManifestSound),
        )) => {
            writeln!(std::io::stdout(), "{error}")?;
            Ok(DONE)
        }
        Err(Stopped::Repair(error)) => {
            writeln!(std::io::stderr(), "error: {error}")?;
            Ok(CANNOT_RUN)
        }
    }
}

/// Why a repair went no further.
enum Stopped {
    Output(std::io::Error),
    Repair(RepairError),
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<RepairError> for Stopped {
    fn from(error: RepairError) -> Self {
        Self::Repair(error)
    }
}

async fn repair_tail(
    io: &Io,
    dir: &Path,
    bucket_id: u16,
    is_accepted: bool,
) -> Result<u8, Stopped> {
    let loss = match find_tail_loss(io, dir, bucket_id).await {
        Err(sound @ RepairError::LogSound { .. }) => {
            // A start reads the log to its end, but not all of it: the rest is read here.
            let holes = find_holes(io, dir, bucket_id).await?;
            show_holes(&holes)?;
            return if holes.hole_count > 0 { Ok(SHOWN) } else { Err(sound.into()) };
        }
        loss => loss?,
    };
    show_loss(&loss)?;
    if !is_accepted {
        show_holes(&find_holes(io, dir, bucket_id).await?)?;
        let mut out = std::io::stdout();
        writeln!(out, "nothing was changed; add --accept-tail-loss to give this up")?;
        return Ok(SHOWN);
    }
    accept_tail_loss(io, dir, &loss).await?;
    writeln!(std::io::stdout(), "done; a copy of what was given up is in damaged/ of the bucket")?;
    Ok(DONE)
}

fn show_loss(loss: &TailLoss) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let TailLoss { bucket_id, segment, offset, cause, last_index, .. } = loss;
    writeln!(out, "bucket {bucket_id} segment {segment} offset {offset}: {cause}")?;
    writeln!(out, "the log would end with index {last_index}; these frames would be lost:")?;
    for frame in &loss.frames {
        let state = if frame.is_readable { "readable" } else { "damaged" };
        writeln!(
            out,
            "segment {} offset {} index {} partition {} sequence {} events {} {state}",
            frame.segment,
            frame.offset,
            frame.index,
            frame.partition_id,
            frame.first_sequence,
            frame.events,
        )?;
    }
    let listed = u64::try_from(loss.frames.len()).unwrap_or(u64::MAX);
    if loss.frame_count > listed {
        writeln!(out, "and {} frames more", loss.frame_count - listed)?;
    }
    for partition in &loss.partitions {
        let LostPartition { partition_id, first_sequence, last_sequence, events, .. } = partition;
        let readable = partition.readable_events;
        writeln!(
            out,
            "partition {partition_id} would lose {events} events, sequences {first_sequence} to {last_sequence}, {readable} of them readable",
        )?;
    }
    if !loss.later_segments.is_empty() {
        writeln!(out, "segments given up as a whole: {:?}", loss.later_segments)?;
    }
    writeln!(out, "{} bytes more belong to no frame that can be named", loss.unnamed_bytes)
}

/// What a start passes and reads are refused.
fn show_holes(holes: &Holes) -> std::io::Result<()> {
    if holes.hole_count == 0 {
        return Ok(());
    }
    let bucket_id = holes.bucket_id;
    let mut out = std::io::stdout().lock();
    writeln!(out, "unreadable, while what lies behind is served:")?;
    for hole in &holes.holes {
        writeln!(
            out,
            "bucket {bucket_id} segment {} offset {} index {} to {}: {}",
            hole.segment, hole.offset, hole.first_index, hole.last_index, hole.cause,
        )?;
    }
    let listed = u64::try_from(holes.holes.len()).unwrap_or(u64::MAX);
    if holes.hole_count > listed {
        writeln!(out, "and {} more", holes.hole_count - listed)?;
    }
    for partition in &holes.partitions {
        let LostPartition { partition_id, first_sequence, last_sequence, events, .. } = partition;
        writeln!(
            out,
            "partition {partition_id}: {events} events between sequences {first_sequence} and {last_sequence}",
        )?;
    }
    writeln!(out, "nothing needs to be given up for these; only a copy can bring them back")
}

async fn repair_manifest(io: &Io, dir: &Path, is_accepted: bool) -> Result<u8, Stopped> {
    let plan = find_manifest(io, dir).await?;
    show_plan(&plan)?;
    if !is_accepted {
        let mut out = std::io::stdout();
        writeln!(out, "nothing was changed; add --accept to write this manifest")?;
        return Ok(SHOWN);
    }
    rebuild_manifest(io, dir, &plan).await?;
    writeln!(std::io::stdout(), "done; the damaged manifest is kept beside the new one")?;
    Ok(DONE)
}

fn show_plan(plan: &ManifestPlan) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} segment headers say:", plan.headers)?;
    writeln!(out, "partitions {}", plan.partition_count)?;
    writeln!(out, "buckets {}", plan.bucket_count)?;
    writeln!(out, "segment size {}", plan.segment_size_bytes)?;
    match plan.hash_seed {
        Some(_) => writeln!(out, "index files can be kept"),
        None => writeln!(out, "index files are built anew at the next start"),
    }
}
