//! Log lines: `LEVEL target: message field=value …`, one per line, coloured on a terminal only.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::config::ConfigError;

/// Starts logging to stdout with `filter`. Later calls of the same process change nothing.
///
/// # Errors
/// [`ConfigError`] if `filter` cannot be read.
pub fn start(filter: &str) -> Result<(), ConfigError> {
    let invalid = |err| ConfigError(format!("invalid log filter '{filter}': {err}"));
    let filter = EnvFilter::try_new(filter).map_err(invalid)?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stdout().is_terminal())
        .event_format(Line)
        .with_writer(std::io::stdout)
        .finish();
    // A second start in one process (tests) keeps the first subscriber; there is nothing to report.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(())
}

/// The format of a line.
#[derive(Debug, Clone, Copy)]
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        let (on, off) =
            if writer.has_ansi_escapes() { (colour(*meta.level()), "\x1b[0m") } else { ("", "") };
        write!(writer, "{on}{}{off} {}: ", meta.level(), meta.target())?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}
