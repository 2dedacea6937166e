//! What the binary does besides serving: `verify` and `dump`, on directories nobody serves.

use std::io::{IsTerminal, Write};
use std::path::Path;

use serde_json::{Value as Json, json};
use sierradb::{
    DumpItem, LogEnding, Soundness, VerifyDepth, VerifyOptions, VerifyProgress, VerifyReport,
    dump_segment, verify,
};
use sierradb_io::{DiskError, Io};

use crate::flags::{DumpArgs, VerifyArgs};

/// Exit code where the check itself could not be made.
const CANNOT_RUN: u8 = 3;

/// Checks a data directory, prints what it found, and returns the exit code: 0 sound, 1 a start repairs it without
/// loss, 2 damaged, 3 not checked.
///
/// # Errors
/// If stdout takes no more.
pub async fn run_verify(io: &Io, args: &VerifyArgs) -> std::io::Result<u8> {
    let depth = if args.quick { VerifyDepth::Quick } else { VerifyDepth::Full };
    let options = VerifyOptions { bucket_id: args.bucket, depth };
    let mut progress = Progress::new();
    let result = verify(io, Path::new(&args.dir), options, &mut |at| progress.show(at)).await;
    progress.clear();
    let mut out = std::io::stdout().lock();
    let code = match &result {
        Ok(report) => exit_code(report.soundness),
        Err(_) => CANNOT_RUN,
    };
    match (&result, args.json) {
        (Ok(report), true) => writeln!(out, "{:#}", as_json(report))?,
        (Ok(report), false) => print(&mut out, report)?,
        (Err(error), true) => writeln!(out, "{:#}", json!({ "error": error.to_string() }))?,
        (Err(error), false) => writeln!(std::io::stderr(), "error: {error}")?,
    }
    Ok(code)
}

/// Prints the frames and events of one segment file, and returns the exit code: 0 all readable, 2 something is not,
/// 3 the file cannot be read.
///
/// # Errors
/// If stdout takes no more.
pub async fn run_dump(io: &Io, args: &DumpArgs) -> std::io::Result<u8> {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let (mut written, mut code) = (Ok(()), 0);
    let result: Result<(), DiskError> = dump_segment(io, Path::new(&args.segment), &mut |item| {
        if matches!(item, DumpItem::Bad { .. }) {
            code = exit_code(Soundness::Damaged);
        }
        if written.is_ok() {
            written = writeln!(out, "{item}");
        }
    })
    .await;
    written?;
    out.flush()?;
    if let Err(error) = result {
        writeln!(std::io::stderr(), "error: {error}")?;
        return Ok(CANNOT_RUN);
    }
    Ok(code)
}

fn exit_code(soundness: Soundness) -> u8 {
    match soundness {
        Soundness::Sound => 0,
        Soundness::Repairable => 1,
        Soundness::Damaged => 2,
    }
}

fn print(out: &mut impl Write, report: &VerifyReport) -> std::io::Result<()> {
    for bucket in &report.buckets {
        writeln!(
            out,
            "bucket {}: {} segments, {} frames, {} events, {} bytes, last index {}, end {}",
            bucket.bucket_id,
            bucket.segments,
            bucket.frames,
            bucket.events,
            bucket.frame_bytes,
            bucket.last_index,
            ending(bucket.ending),
        )?;
    }
    for partition in &report.partitions {
        writeln!(
            out,
            "partition {}: {} events, sequences {} to {}",
            partition.partition_id,
            partition.events,
            partition.first_sequence,
            partition.last_sequence,
        )?;
    }
    for finding in &report.findings {
        writeln!(out, "{}: {finding}", soundness(finding.soundness))?;
    }
    if report.unlisted_findings > 0 {
        writeln!(out, "and {} findings more", report.unlisted_findings)?;
    }
    writeln!(out, "{}", soundness(report.soundness))
}

fn as_json(report: &VerifyReport) -> Json {
    let buckets = report.buckets.iter().map(|bucket| {
        json!({
            "bucket": bucket.bucket_id,
            "segments": bucket.segments,
            "frames": bucket.frames,
            "events": bucket.events,
            "frame_bytes": bucket.frame_bytes,
            "last_index": bucket.last_index,
            "ending": ending(bucket.ending),
        })
    });
    let partitions = report.partitions.iter().map(|partition| {
        json!({
            "partition": partition.partition_id,
            "events": partition.events,
            "first_sequence": partition.first_sequence,
            "last_sequence": partition.last_sequence,
        })
    });
    let findings = report.findings.iter().map(|finding| {
        json!({
            "soundness": soundness(finding.soundness),
            "bucket": finding.bucket_id,
            "segment": finding.segment,
            "offset": finding.offset,
            "problem": finding.problem.to_string(),
        })
    });
    json!({
        "soundness": soundness(report.soundness),
        "buckets": buckets.collect::<Vec<_>>(),
        "partitions": partitions.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
        "unlisted_findings": report.unlisted_findings,
    })
}

fn soundness(soundness: Soundness) -> &'static str {
    match soundness {
        Soundness::Sound => "sound",
        Soundness::Repairable => "repairable",
        Soundness::Damaged => "damaged",
    }
}

fn ending(ending: LogEnding) -> &'static str {
    match ending {
        LogEnding::Clean => "clean",
        LogEnding::Torn => "torn",
        LogEnding::Holed => "holed",
        LogEnding::Damaged => "damaged",
    }
}

/// One line that is written over again, on a terminal only.
struct Progress {
    is_terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, at: VerifyProgress) {
        let VerifyProgress { bucket_id, segment, offset, pass } = at;
        self.line(&format!(
            "bucket {bucket_id} segment {segment}: {} MiB, pass {pass}",
            offset >> 20
        ));
    }

    fn clear(&mut self) {
        self.line("");
    }

    fn line(&mut self, text: &str) {
        if self.is_terminal {
            // A terminal that is gone must not end the check.
            self.is_terminal = write!(std::io::stderr(), "\r\x1b[K{text}").is_ok();
        }
    }
}
