//! Between the redis crate's values and ours.

use sierradb_protocol::reply::ReplyError;
use sierradb_protocol::{Command, ErrorCode, Value};

use crate::error::ClientError;

/// The words of a command as the redis crate sends them.
pub(crate) fn packed(command: &Command) -> redis::Cmd {
    let mut packed = redis::Cmd::new();
    for word in command.to_args() {
        packed.arg(&*word);
    }
    packed
}

/// A reply as a tree of ours.
///
/// # Errors
///
/// If it is, or holds, what SierraDB never sends.
pub(crate) fn value(reply: redis::Value) -> Result<Value, ClientError> {
    let values = |items: Vec<redis::Value>| {
        items.into_iter().map(value).collect::<Result<Vec<_>, ClientError>>()
    };
    Ok(match reply {
        redis::Value::Nil => Value::Null,
        redis::Value::Int(number) => Value::Integer(number),
        redis::Value::BulkString(bytes) => Value::Bulk(bytes.into()),
        redis::Value::SimpleString(text) => Value::Simple(text),
        redis::Value::Okay => Value::Simple("OK".to_owned()),
        redis::Value::Boolean(flag) => Value::Boolean(flag),
        redis::Value::Array(items) => Value::Array(values(items)?),
        redis::Value::Map(entries) => {
            let entry = |(key, entry)| Ok((value(key)?, value(entry)?));
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, ClientError>>()?)
        }
        redis::Value::Push { kind, data } => {
            let mut items = vec![Value::Simple(push_word(&kind))];
            items.append(&mut values(data)?);
            Value::Push(items)
        }
        redis::Value::ServerError(error) => {
            let text = error.details().unwrap_or_default();
            match ErrorCode::from_word(error.code()) {
                Some(code) => Value::Error { code, text: text.to_owned() },
                None => return Err(ClientError::refused(error.code(), text)),
            }
        }
        other => {
            let found = format!("{other:?}");
            return Err(ReplyError::Unexpected { expected: "a type SierraDB sends", found }.into());
        }
    })
}

/// First word of a push.
pub(crate) fn push_word(kind: &redis::PushKind) -> String {
    match kind {
        redis::PushKind::Message => "message".to_owned(),
        redis::PushKind::Subscribe => "subscribe".to_owned(),
        redis::PushKind::Other(word) => word.clone(),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_we_send_is_taken() {
        let text = |text: &str| redis::Value::SimpleString(text.into());
        let reply = redis::Value::Map(vec![
            (text("has_more"), redis::Value::Boolean(true)),
            (
                text("events"),
                redis::Value::Array(vec![
                    redis::Value::Nil,
                    redis::Value::Int(7),
                    redis::Value::BulkString(b"x".to_vec()),
                    redis::Value::Okay,
                ]),
            ),
        ]);
        let simple = |text: &str| Value::Simple(text.into());
        let items = vec![Value::Null, Value::Integer(7), Value::Bulk("x".into()), simple("OK")];
        let expected = Value::Map(vec![
            (simple("has_more"), Value::Boolean(true)),
            (simple("events"), Value::Array(items)),
        ]);
        assert_eq!(value(reply).unwrap(), expected);
        let kind = redis::PushKind::Other("event".into());
        let push = redis::Value::Push { kind, data: vec![redis::Value::Nil] };
        assert_eq!(value(push).unwrap(), Value::Push(vec![simple("event"), Value::Null]));
    }

    #[test]
    fn other_types_are_refused() {
        assert!(matches!(value(redis::Value::Double(1.0)), Err(ClientError::Reply(_))));
        assert!(value(redis::Value::Array(vec![redis::Value::Set(vec![])])).is_err());
    }
}
