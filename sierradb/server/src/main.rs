//! The SierraDB server.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment and makes the runtime"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sierradb_io::os::{self, OsOptions};
use sierradb_io::{Io, Shutdown};
use sierradb_server::config::{self, Config, ConfigError, ConfigFile, Machine, Sources};
use sierradb_server::flags::{Command, Flags};
use sierradb_server::stop::Signals;
use sierradb_server::{logging, offline, run};

fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Some(command) = &flags.command {
        return run_offline(command);
    }
    let served =
        configure(&flags).map_err(|error| format!("config error: {error}")).and_then(serve);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            tracing::error!(target: "sierradb", "{text}");
            ExitCode::from(1)
        }
    }
}

/// What needs no server. A closed stdout ends it early, without a word: there is nobody to say it to.
fn run_offline(command: &Command) -> ExitCode {
    let code = os::wait(async {
        let io = Io::os();
        match command {
            Command::Verify(args) => offline::run_verify(&io, args).await,
            Command::Dump(args) => offline::run_dump(&io, args).await,
        }
    });
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

fn serve(config: Config) -> Result<(), String> {
    end_process_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("worker")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let options = OsOptions { read_threads: config.read_threads };
    let io = Io::os_on(runtime.handle().clone(), options);
    runtime.block_on(async {
        let signals =
            Signals::install().map_err(|error| format!("cannot handle signals: {error}"))?;
        let stop = Shutdown::new();
        tokio::spawn(signals.watch(stop.clone()));
        run(io, config, stop).await.map_err(|error| error.to_string())
    })
}

/// Merges all sources and starts logging.
fn configure(flags: &Flags) -> Result<Config, ConfigError> {
    let started = read_sources(flags)
        .and_then(|sources| config::load(&sources))
        .and_then(|loaded| config::check(loaded, &machine()))
        .and_then(|config| logging::start(&config.log).map(|()| config));
    if started.is_err() {
        logging::start("info")?;
    }
    started
}

fn read_sources(flags: &Flags) -> Result<Sources, ConfigError> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Sources {
        file: read_file(flags.serve.config.as_deref())?,
        environment: environment.collect(),
        flags: flags.serve.settings(),
    })
}

fn read_file(given: Option<&str>) -> Result<Option<ConfigFile>, ConfigError> {
    let unreadable = |name: &str, error: std::io::Error| {
        ConfigError(format!("cannot read config file {name}: {error}"))
    };
    if let Some(name) = given {
        config::FileFormat::of(name)?;
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

fn machine() -> Machine {
    Machine {
        default_dir: base_dir("XDG_DATA_HOME", ".local/share").map(|dir| dir.join("sierradb/db")),
        process_id: std::process::id(),
    }
}

fn base_dir(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set(variable).map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(below_home)))
}

/// A part of the server that is missing would make the rest answer wrongly, so any panic ends it all.
fn end_process_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(101);
    }));
}
