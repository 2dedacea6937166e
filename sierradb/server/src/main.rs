//! The SierraDB server.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that makes the runtime and ends the process"
)]

use std::process::ExitCode;

use clap::Parser;
use sierradb_io::os::{self, OsOptions, Syncs};
use sierradb_io::{Io, Shutdown};
use sierradb_server::config::{self, Config, ConfigError};
use sierradb_server::flags::{Command, Flags};
use sierradb_server::stop::Signals;
use sierradb_server::{logging, offline, repair, run};
use tokio::runtime::Builder;

/// Requests come and go on some threads and their events are freed on others, thousands of times a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
            Command::Repair(args) => repair::run_repair(&io, args).await,
        }
    });
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

fn serve(config: Config) -> Result<(), String> {
    end_process_on_panic();
    // With one thread a write and its sync run between requests, and no append changes threads.
    let (mut builder, syncs) = match config.serve_threads {
        1 => (Builder::new_current_thread(), Syncs::AmongTasks),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            (builder, Syncs::OnThreads)
        }
    };
    let runtime = builder
        .thread_name("worker")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let options = OsOptions { read_threads: config.read_threads, syncs };
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
    let started = config::gather(&flags.serve)
        .and_then(|sources| config::load(&sources))
        .and_then(|loaded| config::check(loaded, &config::machine()))
        .and_then(|config| logging::start(&config.log).map(|()| config));
    if started.is_err() {
        logging::start("info")?;
    }
    started
}

/// A part of the server that is missing would make the rest answer wrongly, so any panic ends it all.
fn end_process_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(101);
    }));
}
