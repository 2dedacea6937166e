//! What the machine says about this process; zeros where it says nothing, as in the simulation.

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use sierradb_io::{Io, OpenOptions};

/// Memory and processor time used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Memory that is not backed by files.
    pub(crate) memory_bytes: u64,
    /// Memory present, files included.
    pub(crate) resident_bytes: u64,
    /// The most there ever was of it.
    pub(crate) peak_bytes: u64,
    pub(crate) user_time: Duration,
    pub(crate) system_time: Duration,
}

/// More than these two files ever hold.
const TEXT_BYTES: usize = 8 << 10;

/// The unit of processor times in /proc, the same on all architectures of Linux that we support.
const MILLIS_PER_TICK: u64 = 10;

/// Looks it up.
pub(crate) async fn usage(io: &Io) -> Usage {
    let status = text(io, "/proc/self/status").await;
    let stat = text(io, "/proc/self/stat").await;
    let [user, system] = ticks(&stat).map(|ticks| Duration::from_millis(ticks * MILLIS_PER_TICK));
    Usage {
        memory_bytes: kib(&status, "RssAnon:"),
        resident_bytes: kib(&status, "VmRSS:"),
        peak_bytes: kib(&status, "VmHWM:"),
        user_time: user,
        system_time: system,
    }
}

async fn text(io: &Io, path: &str) -> String {
    let Ok(file) = io.disk().open(Path::new(path), OpenOptions::READ).await else {
        return String::new();
    };
    let (bytes, _) = file.read_at(BytesMut::zeroed(TEXT_BYTES), 0).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Bytes behind `name` in a text with lines such as `VmRSS:   1234 kB`.
fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// User and system time: fields 14 and 15, counted behind the name in parentheses, which is field 2.
fn ticks(stat: &str) -> [u64; 2] {
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let field = |at: usize| {
        behind.split_whitespace().nth(at).and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    [field(11), field(12)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_the_kernel_writes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nRssAnon:\t 512 kB\n";
        assert_eq!((kib(status, "VmHWM:"), kib(status, "RssAnon:")), (2 << 20, 512 << 10));
        assert_eq!(kib(status, "VmSwap:"), 0);
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20";
        assert_eq!(ticks(stat), [150, 25]);
        assert_eq!(ticks(""), [0, 0]);
    }
}
