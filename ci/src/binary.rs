//! The product must not carry the simulator: cargo unifies features, so one careless default would put
//! simulated disks and deliberate bugs into the server.

use crate::error::Failure;
use crate::shell;
use std::path::Path;

/// What must not occur in the server: names of deliberate bugs, and the simulated disk's symbols.
const FORBIDDEN: [&str; 2] = ["mutant/", "SimDisk"];

/// Builds the server in the two ways people do and looks into it.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let ways: [&[&str]; 2] = [
        &["build", "--release", "--bin", "sierradb"],
        &["build", "--release", "--package", "sierradb-server"],
    ];
    for way in ways {
        shell::step(root, "cargo", way)?;
        let path = root.join("target/release/sierradb");
        let bytes = std::fs::read(&path).map_err(Failure::file(&path))?;
        for needle in FORBIDDEN {
            let count = occurrences(&bytes, needle.as_bytes());
            if count > 0 {
                return Err(Failure::Binary { path, needle, count, expected: "none" });
            }
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
