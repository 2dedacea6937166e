//! Clients from outside. A test never passes because its client is missing, unless somebody asked for that.

use std::process::{Command, Stdio};

/// Set to `optional` to leave out tests whose program is not installed.
const SWITCH: &str = "SIERRADB_TEST_CLIENTS";

/// The command `name`, or `None` where it is missing and the environment allows that.
pub(crate) fn program(name: &str, probe: &[&str]) -> Option<Command> {
    let found = Command::new(name)
        .args(probe)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if found {
        return Some(Command::new(name));
    }
    let optional = std::env::var(SWITCH).is_ok_and(|value| value == "optional");
    assert!(
        optional,
        "this test needs `{name} {}`; {SWITCH}=optional leaves it out",
        probe.join(" ")
    );
    None
}

/// A python that can `import redis`: the one that `SIERRADB_TEST_PYTHON` names, else `python3`.
pub(crate) fn python() -> Option<Command> {
    let name = std::env::var("SIERRADB_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    program(&name, &["-c", "import redis"])
}
