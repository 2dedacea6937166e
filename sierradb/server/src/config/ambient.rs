//! The one file of the server that looks at the process around it: environment, home directory, configuration file.
#![expect(clippy::disallowed_methods, reason = "everything below gets what is read here passed in")]

use std::path::PathBuf;

use crate::config::{ConfigError, ConfigFile, FileFormat, Machine, Sources};
use crate::flags::ServeFlags;

/// Environment, configuration file and flags of this process.
///
/// # Errors
/// [`ConfigError`] if the file given, or one found, cannot be read.
pub fn gather(flags: &ServeFlags) -> Result<Sources, ConfigError> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Sources {
        file: read_file(flags.config.as_deref())?,
        environment: environment.collect(),
        flags: flags.settings(),
    })
}

fn read_file(given: Option<&str>) -> Result<Option<ConfigFile>, ConfigError> {
    let unreadable = |name: &str, error: std::io::Error| {
        ConfigError(format!("cannot read config file {name}: {error}"))
    };
    if let Some(name) = given {
        FileFormat::of(name)?;
        let text = std::fs::read_to_string(name).map_err(|error| unreadable(name, error))?;
        return Ok(Some(ConfigFile { name: name.to_owned(), text }));
    }
    let home = base_dir("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("sierradb/sierra.toml"));
    for path in [Some(PathBuf::from("./sierra.toml")), home].into_iter().flatten() {
        let name = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Some(ConfigFile { name, text })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&name, error)),
        }
    }
    Ok(None)
}

/// What this machine and process contribute.
pub fn machine() -> Machine {
    Machine {
        default_dir: base_dir("XDG_DATA_HOME", ".local/share").map(|dir| dir.join("sierradb/db")),
        process_id: std::process::id(),
        cores: std::thread::available_parallelism()
            .map_or(0, |cores| u64::try_from(cores.get()).unwrap_or(u64::MAX)),
    }
}

fn base_dir(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set(variable).map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(below_home)))
}
