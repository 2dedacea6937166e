//! Merges the sources of settings, strongest last, and remembers origins.
//!
//! Order of strength: command line, environment, `[[nodes]]` entry of `node.index`, file, defaults. The
//! environment knows three spellings of `network.client_address`: `SIERRA_NETWORK__CLIENT_ADDRESS`,
//! `SIERRA_NETWORK_CLIENT_ADDRESS` and `SIERRA_NETWORK.CLIENT_ADDRESS`; the first of them wins.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::config::keys::{self, Key};
use crate::config::value::{self, Origin, Setting, Value};

/// Why a configuration was refused. The message is the `<text>` of `config error: <text>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// How a configuration file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// TOML, for names ending in `.toml`.
    Toml,
    /// JSON, for names ending in `.json`.
    Json,
}

impl FileFormat {
    /// The format that belongs to a file name.
    ///
    /// # Errors
    /// [`ConfigError`] for any other ending.
    pub fn of(name: &str) -> Result<Self, ConfigError> {
        match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()) {
            Some(ending) if ending == "toml" => Ok(Self::Toml),
            Some(ending) if ending == "json" => Ok(Self::Json),
            _ => Err(ConfigError(format!("config file {name} must end in .toml or .json"))),
        }
    }
}

/// A configuration file as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its name, as shown in messages.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Everything a configuration is made of.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<ConfigFile>,
    /// The environment: names and values. Only names that begin with `SIERRA_` matter.
    pub environment: Vec<(String, String)>,
    /// Flags given: flag name, key name, value as written.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

/// Settings in force, before relations are checked.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Value and origin per key name; keys without value and default are absent.
    pub settings: BTreeMap<&'static str, Setting>,
    /// Number of `[[nodes]]` entries.
    pub node_entries: u64,
    /// Name of the configuration file.
    pub config_file: Option<String>,
    /// Lines to log at level WARN.
    pub warnings: Vec<String>,
}

/// Merges `sources`.
///
/// # Errors
/// [`ConfigError`]: unknown keys, values of the wrong type or outside their range, a file that cannot be parsed.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut loaded = Loaded::default();
    for key in keys::KEYS {
        if let Some(text) = key.default {
            let value = value::parse_text(key, text).map_err(|why| bad(key, &why, "default"))?;
            loaded.settings.insert(key.name, Setting { value, origin: Origin::Default });
        }
    }
    let mut nodes = Vec::new();
    if let Some(file) = &sources.file {
        loaded.config_file = Some(file.name.clone());
        nodes = load_file(file, &mut loaded)?;
    }
    loaded.node_entries = u64::try_from(nodes.len()).unwrap_or(u64::MAX);
    let environment = load_environment(&sources.environment, &mut loaded.warnings)?;
    let flags = load_flags(&sources.flags)?;
    let own_index = [&flags, &environment, &loaded.settings]
        .into_iter()
        .find_map(|layer| layer.get("node.index"))
        .map(|setting| setting.value.clone());
    if let Some(Value::Number(index)) = own_index
        && let Some(entry) = usize::try_from(index).ok().and_then(|at| nodes.get(at))
    {
        load_node(entry, index, &mut loaded)?;
    }
    loaded.settings.extend(environment);
    loaded.settings.extend(flags);
    Ok(loaded)
}

/// Applies the file to `loaded`; returns the flattened `[[nodes]]` entries.
fn load_file(file: &ConfigFile, loaded: &mut Loaded) -> Result<Vec<Flat>, ConfigError> {
    let mut root = parse_file(file)?;
    let nodes = match root.remove("nodes") {
        None => Vec::new(),
        Some(Json::Array(entries)) => entries,
        Some(_) => return Err(ConfigError(format!("nodes in {} must be [[nodes]]", file.name))),
    };
    for (name, value) in flatten(&root) {
        apply(&name, &value, &Origin::File(file.name.clone()), loaded)?;
    }
    let tables = nodes.iter().map(|entry| match entry {
        Json::Object(table) => Ok(flatten(table)),
        _ => Err(ConfigError(format!("nodes in {} must be [[nodes]] tables", file.name))),
    });
    tables.collect()
}

fn load_node(entry: &Flat, index: u64, loaded: &mut Loaded) -> Result<(), ConfigError> {
    for (name, value) in entry {
        if name.starts_with("node.") {
            return Err(ConfigError(format!("{name} cannot be set inside [[nodes]]")));
        }
        apply(name, value, &Origin::Node(index), loaded)?;
    }
    Ok(())
}

fn apply(
    name: &str,
    value: &Json,
    origin: &Origin,
    loaded: &mut Loaded,
) -> Result<(), ConfigError> {
    if keys::is_compatibility(name) {
        loaded.warnings.push(no_effect(name));
        return Ok(());
    }
    let key = keys::find(name).ok_or_else(|| unknown(name, &origin.to_string()))?;
    let value = value::parse_json(key, value).map_err(|why| bad(key, &why, &origin.to_string()))?;
    loaded.settings.insert(key.name, Setting { value, origin: origin.clone() });
    Ok(())
}

fn no_effect(name: &str) -> String {
    format!("config key '{name}' has no effect")
}

fn unknown(name: &str, place: &str) -> ConfigError {
    let hint = keys::nearest(name).map(|known| format!("; did you mean '{known}'?"));
    ConfigError(format!("unknown key '{name}' in {place}{}", hint.unwrap_or_default()))
}

fn bad(key: &Key, why: &str, place: &str) -> ConfigError {
    ConfigError(format!("invalid value for {} in {place}: {why}", key.name))
}

type Flat = Vec<(String, Json)>;

fn parse_file(file: &ConfigFile) -> Result<serde_json::Map<String, Json>, ConfigError> {
    let root: Json = match FileFormat::of(&file.name)? {
        FileFormat::Toml => toml::from_str(&file.text).map_err(|err| {
            let at = err.span().map_or(0, |span| span.start);
            let line = file.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
            ConfigError(format!("{} line {line}: {}", file.name, err.message().trim_end()))
        })?,
        FileFormat::Json => serde_json::from_str(&file.text)
            .map_err(|err| ConfigError(format!("{}: {err}", file.name)))?,
    };
    match root {
        Json::Object(table) => Ok(table),
        _ => Err(ConfigError(format!("{}: expected a table of keys", file.name))),
    }
}

/// Dotted names of all leaves. Sections are one deep, so a deeper table is a leaf and refused by its kind.
fn flatten(table: &serde_json::Map<String, Json>) -> Flat {
    let mut flat = Vec::new();
    for (name, value) in table {
        match value {
            Json::Object(inner) => {
                let leaves = inner.iter().map(|(leaf, v)| (format!("{name}.{leaf}"), v.clone()));
                flat.extend(leaves);
            }
            _ => flat.push((name.clone(), value.clone())),
        }
    }
    flat
}

fn load_environment(
    environment: &[(String, String)],
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<&'static str, Setting>, ConfigError> {
    let mut found: BTreeMap<&'static str, (u8, Setting)> = BTreeMap::new();
    for (variable, text) in environment {
        let Some(rest) = variable.strip_prefix("SIERRA_") else { continue };
        let rest = rest.to_ascii_lowercase();
        let (rank, name) = spelled(&rest);
        if keys::is_compatibility(&name) {
            warnings.push(no_effect(&name));
            continue;
        }
        let Some(key) = keys::find(&name) else {
            let section = rest.split(['_', '.']).next().unwrap_or_default();
            if keys::is_section(section) {
                return Err(unknown(&name, &format!("the environment ({variable})")));
            }
            warnings.push(format!("environment variable {variable} is no setting and is ignored"));
            continue;
        };
        let value = value::parse_text(key, text).map_err(|why| bad(key, &why, variable))?;
        let setting = Setting { value, origin: Origin::Environment(variable.clone()) };
        match found.get(key.name) {
            Some((stronger, _)) if *stronger <= rank => {}
            _ => drop(found.insert(key.name, (rank, setting))),
        }
    }
    Ok(found.into_iter().map(|(name, (_, setting))| (name, setting)).collect())
}

/// Rank (lower wins) and key name of an environment variable without its prefix, in lower case.
fn spelled(rest: &str) -> (u8, String) {
    if let Some((section, leaf)) = rest.split_once("__") {
        return (0, format!("{section}.{leaf}"));
    }
    if rest.contains('.') {
        return (2, rest.to_owned());
    }
    let all = keys::KEYS.iter().map(|key| key.name).chain(keys::COMPATIBILITY_KEYS.iter().copied());
    let same = |name: &&str| name.replace('.', "_") == rest;
    match all.into_iter().find(same) {
        Some(name) => (1, name.to_owned()),
        None => (1, rest.replacen('_', ".", 1)),
    }
}

fn load_flags(
    flags: &[(&'static str, &'static str, String)],
) -> Result<BTreeMap<&'static str, Setting>, ConfigError> {
    let mut found = BTreeMap::new();
    for (flag, name, text) in flags {
        let key = keys::find(name).ok_or_else(|| unknown(name, flag))?;
        let value = value::parse_text(key, text).map_err(|why| bad(key, &why, flag))?;
        found.insert(key.name, Setting { value, origin: Origin::Flag(flag) });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
