//! Log lines: `LEVEL target: message field=value …`, one per line, coloured on a terminal only.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
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
    if let Some(word) = unknown_word(filter) {
        return Err(ConfigError(format!(
            "invalid log filter '{filter}': '{word}' is neither a level (off, error, warn, info, debug, trace) nor a part of sierradb"
        )));
    }
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

/// A word that stands alone is a level or one of our targets. The filter would take any other for a target too, and a
/// server started with `--log inof` would say nothing at all.
fn unknown_word(filter: &str) -> Option<&str> {
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.find(|word| {
        let is_alone = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        is_alone && !word.starts_with("sierradb") && word.parse::<LevelFilter>().is_err()
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_noticed() {
        for good in [
            "info",
            "DEBUG",
            "0",
            "off",
            "sierradb=debug,warn",
            "sierradb::bucket",
            "tokio=warn",
            "",
        ] {
            assert_eq!(unknown_word(good), None, "{good}");
        }
        assert_eq!(unknown_word("inof"), Some("inof"));
        assert_eq!(unknown_word("sierradb=debug, wran"), Some("wran"));
        let error = start("inof").unwrap_err().to_string();
        assert!(error.contains("invalid log filter 'inof'"), "{error}");
    }
}
