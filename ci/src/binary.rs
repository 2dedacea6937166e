//! The product must not carry the simulator: cargo unifies features, so one careless default would put
//! simulated disks and deliberate bugs into the server.

use crate::error::Failure;
use crate::shell;
use std::path::Path;

/// What must not occur in the server: names of deliberate bugs, and the simulated disk's symbols.
const FORBIDDEN: [&str; 2] = ["mutant/", "SimDisk"];

/// Builds the server in the two ways people do and looks into it. Then looks into a build that has both, so
/// that a check which finds nothing anywhere fails.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let ways: [&[&str]; 2] = [
        &["build", "--release", "--bin", "sierradb"],
        &["build", "--release", "--package", "sierradb-server"],
    ];
    for way in ways {
        shell::step(root, "cargo", way)?;
        expect_in(&root.join("target/release/sierradb"), "none", |count| count == 0)?;
    }
    shell::step(root, "cargo", &["build", "--package", "sim", "--features", "mutants"])?;
    expect_in(&root.join("target/debug/sim"), "some", |count| count > 0)
}

fn expect_in(path: &Path, expected: &'static str, good: fn(usize) -> bool) -> Result<(), Failure> {
    let bytes = std::fs::read(path).map_err(Failure::file(path))?;
    for needle in FORBIDDEN {
        let count = occurrences(&bytes, needle.as_bytes());
        if !good(count) {
            return Err(Failure::Binary { path: path.to_owned(), needle, count, expected });
        }
    }
    Ok(())
}

fn occurrences(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).filter(|window| *window == needle).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_stand() {
        assert_eq!(occurrences(b"xSimDiskSimDisk", b"SimDisk"), 2);
        assert_eq!(occurrences(b"SimDis", b"SimDisk"), 0);
    }
}
