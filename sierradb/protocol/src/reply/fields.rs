//! Reading replies: maps by key, numbers, texts, in the shapes of RESP2 and RESP3.

use bytes::Bytes;
use uuid::Uuid;

use crate::error_code::ErrorCode;
use crate::value::Value;

/// Why a reply could not be read as what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ReplyError {
    /// The server refused the request.
    #[error("{code} {text}")]
    Refused { code: ErrorCode, text: String },
    #[error("expected {expected}, found {found}")]
    Unexpected { expected: &'static str, found: String },
    #[error("the field {name} is missing")]
    Missing { name: &'static str },
}

/// The entries of a map: pairs in RESP3, a flat array in RESP2.
#[derive(Debug)]
pub struct Fields<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Fields<'a> {
    /// The entries of `value`.
    ///
    /// # Errors
    ///
    /// If it is an error reply, no map, or has a key that is no text.
    pub fn of(value: &'a Value) -> Result<Self, ReplyError> {
        let entries: Vec<_> = match value {
            Value::Map(entries) => entries.iter().map(|(key, value)| (key, value)).collect(),
            Value::Array(items) if items.len().is_multiple_of(2) => {
                items.chunks_exact(2).filter_map(pair).collect()
            }
            other => return Err(other.unexpected("a map")),
        };
        let named = entries.into_iter().map(|(key, value)| Ok((key.text()?, value)));
        named.collect::<Result<_, _>>().map(Self)
    }

    /// The keys in the order sent.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(key, _)| *key)
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn get(&self, name: &'static str) -> Result<&'a Value, ReplyError> {
        let found = self.0.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value).ok_or(ReplyError::Missing { name })
    }
}

fn pair(items: &[Value]) -> Option<(&Value, &Value)> {
    match items {
        [key, value] => Some((key, value)),
        _ => None,
    }
}

impl Value {
    /// The refusal for a value of another kind; an error reply speaks for itself.
    pub fn unexpected(&self, expected: &'static str) -> ReplyError {
        match self {
            Self::Error { code, text } => ReplyError::Refused { code: *code, text: text.clone() },
            other => ReplyError::Unexpected { expected, found: other.kind().to_owned() },
        }
    }

    /// The text of a simple or bulk string.
    ///
    /// # Errors
    ///
    /// If it is something else, or not UTF-8.
    pub fn text(&self) -> Result<&str, ReplyError> {
        match self {
            Self::Simple(text) => Ok(text),
            Self::Bulk(bytes) => {
                std::str::from_utf8(bytes).map_err(|_invalid| self.unexpected("UTF-8"))
            }
            other => Err(other.unexpected("a string")),
        }
    }

    /// The bytes of a bulk or simple string.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn bytes(&self) -> Result<Bytes, ReplyError> {
        match self {
            Self::Simple(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            Self::Bulk(bytes) => Ok(bytes.clone()),
            other => Err(other.unexpected("a string")),
        }
    }

    /// A number of at least 0 that fits `N`.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn number<N: TryFrom<i64>>(&self) -> Result<N, ReplyError> {
        let expected = "a number in range";
        match self {
            Self::Integer(value) => N::try_from(*value).map_err(|_range| self.unexpected(expected)),
            other => Err(other.unexpected(expected)),
        }
    }

    /// A boolean, or 0 or 1.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn boolean(&self) -> Result<bool, ReplyError> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::Integer(0) => Ok(false),
            Self::Integer(1) => Ok(true),
            other => Err(other.unexpected("a boolean")),
        }
    }

    /// A UUID in text.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn uuid(&self) -> Result<Uuid, ReplyError> {
        Uuid::try_parse(self.text()?).map_err(|_invalid| self.unexpected("a UUID"))
    }

    /// The items of an array or push.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn items(&self) -> Result<&[Self], ReplyError> {
        match self {
            Self::Array(items) | Self::Push(items) => Ok(items),
            other => Err(other.unexpected("an array")),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Simple(_) => "a simple string",
            Self::Bulk(_) => "a bulk string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Null => "nothing",
            Self::Map(_) => "a map",
            Self::Array(_) => "an array",
            Self::Push(_) => "a push",
            Self::Error { .. } => "an error",
        }
    }
}

/// What a RESP2 connection would carry for `value`.
#[cfg(test)]
pub(crate) fn resp2(value: Value) -> Value {
    match value {
        Value::Map(entries) => {
            let flat = entries.into_iter().flat_map(|(key, value)| [resp2(key), resp2(value)]);
            Value::Array(flat.collect())
        }
        Value::Array(items) | Value::Push(items) => {
            Value::Array(items.into_iter().map(resp2).collect())
        }
        Value::Boolean(value) => Value::Integer(i64::from(value)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reply_speaks_for_itself() {
        let refused = Value::Error { code: ErrorCode::TryAgain, text: "later".into() };
        let expected = ReplyError::Refused { code: ErrorCode::TryAgain, text: "later".into() };
        assert_eq!(Fields::of(&refused).unwrap_err(), expected);
        assert_eq!(refused.text().unwrap_err(), expected);
        assert_eq!(refused.number::<u64>().unwrap_err().to_string(), "TRYAGAIN later");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |value: Value| value.number::<u16>().unwrap_err().to_string();
        assert_eq!(error(Value::Integer(-1)), "expected a number in range, found a number");
        assert_eq!(error(Value::Null), "expected a number in range, found nothing");
        let odd = Value::Array(vec![Value::Null]);
        assert_eq!(Fields::of(&odd).unwrap_err().to_string(), "expected a map, found an array");
        let empty = Value::Map(vec![]);
        let missing = Fields::of(&empty).unwrap().get("x").unwrap_err();
        assert_eq!(missing, ReplyError::Missing { name: "x" });
    }
}
