//! A value with its origin, and the parsing of values by the kind of their key.

use std::fmt;

use crate::config::keys::{Key, Kind};

/// A checked value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, secret or word.
    Text(String),
    /// Number.
    Number(u64),
    /// Switch.
    Switch(bool),
    /// List.
    List(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Switch(on) => write!(f, "{on}"),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// The configuration file of this name.
    File(String),
    /// The `[[nodes]]` entry of this number in the configuration file.
    Node(u64),
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(name) => f.write_str(name),
            Self::Node(index) => write!(f, "[[nodes]] entry {index}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value in force.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Reads a value written as text (environment, flags, defaults).
///
/// # Errors
/// What was expected, in words.
pub(crate) fn parse_text(key: &Key, text: &str) -> Result<Value, String> {
    match key.kind {
        Kind::Text | Kind::Secret => Ok(Value::Text(text.to_owned())),
        Kind::Word(words) => word(words, text),
        Kind::Number { min, max } => {
            let number = text.trim().replace('_', "").parse();
            number.map_err(|_| "expected a number".to_owned()).and_then(|n| within(n, min, max))
        }
        Kind::Switch => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Switch(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Switch(false)),
            _ => Err("expected true or false".to_owned()),
        },
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::List(items.map(str::to_owned).collect()))
        }
    }
}

/// Reads a value of a configuration file.
///
/// # Errors
/// What was expected, in words.
pub(crate) fn parse_json(key: &Key, value: &serde_json::Value) -> Result<Value, String> {
    use serde_json::Value as Json;
    match (key.kind, value) {
        (Kind::Text | Kind::Secret, Json::String(text)) => Ok(Value::Text(text.clone())),
        (Kind::Word(words), Json::String(text)) => word(words, text),
        (Kind::Number { min, max }, Json::Number(number)) => match number.as_u64() {
            Some(n) => within(n, min, max),
            None => Err("expected a whole number, 0 or more".to_owned()),
        },
        (Kind::Switch, Json::Bool(on)) => Ok(Value::Switch(*on)),
        (Kind::List, Json::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            let list: Option<Vec<String>> = texts.collect();
            list.map(Value::List).ok_or_else(|| "expected a list of texts".to_owned())
        }
        (Kind::List, Json::String(text)) => parse_text(key, text),
        (Kind::Text | Kind::Secret | Kind::Word(_), _) => Err("expected a text".to_owned()),
        (Kind::Number { .. }, _) => Err("expected a number".to_owned()),
        (Kind::Switch, _) => Err("expected true or false".to_owned()),
        (Kind::List, _) => Err("expected a list of texts".to_owned()),
    }
}

fn word(words: &[&str], text: &str) -> Result<Value, String> {
    if words.contains(&text) {
        Ok(Value::Text(text.to_owned()))
    } else {
        Err(format!("expected {}", words.join(" or ")))
    }
}

fn within(number: u64, min: u64, max: u64) -> Result<Value, String> {
    if (min..=max).contains(&number) {
        Ok(Value::Number(number))
    } else if max >= i64::MAX.unsigned_abs() {
        Err(format!("expected at least {min}"))
    } else {
        Err(format!("expected a number between {min} and {max}"))
    }
}
