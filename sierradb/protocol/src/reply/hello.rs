//! Reply of HELLO.

use crate::command::RespVersion;
use crate::reply::fields::{Fields, ReplyError};
use crate::value::{Sink, Value};

/// What the server says about itself and the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloReply {
    /// Version of the server.
    pub version: String,
    /// Protocol the connection speaks from this reply on.
    pub proto: RespVersion,
    /// Number of the connection.
    pub id: u64,
    /// Identity of the node in its cluster.
    pub peer_id: String,
    /// How many partitions there are.
    pub num_partitions: u16,
}

impl HelloReply {
    /// Writes the nine entries. Their keys are bulk strings, as clients of Redis demand.
    pub fn write_to<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.map(9);
        sink.bulk(b"server");
        sink.bulk(b"sierradb");
        sink.bulk(b"version");
        sink.bulk(self.version.as_bytes());
        sink.bulk(b"proto");
        sink.integer(u64::from(self.proto.number()));
        sink.bulk(b"id");
        sink.integer(self.id);
        sink.bulk(b"mode");
        sink.bulk(b"standalone");
        sink.bulk(b"role");
        sink.bulk(b"master");
        sink.bulk(b"modules");
        sink.array(0);
        sink.bulk(b"peer_id");
        sink.bulk(self.peer_id.as_bytes());
        sink.bulk(b"num_partitions");
        sink.integer(u64::from(self.num_partitions));
    }

    /// Reads the reply.
    ///
    /// # Errors
    ///
    /// If it is another one, or a refusal.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let fields = Fields::of(value)?;
        let proto = fields.get("proto")?;
        Ok(Self {
            version: fields.get("version")?.text()?.to_owned(),
            proto: match proto.number()? {
                2_u8 => RespVersion::V2,
                3 => RespVersion::V3,
                _ => return Err(proto.unexpected("2 or 3")),
            },
            id: fields.get("id")?.number()?,
            peer_id: fields.get("peer_id")?.text()?.to_owned(),
            num_partitions: fields.get("num_partitions")?.number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::fields::resp2;

    #[test]
    fn hello_is_read_as_it_was_written_and_has_the_keys_of_the_contract() {
        let hello = HelloReply {
            version: "0.4.0".into(),
            proto: RespVersion::V3,
            id: 7,
            peer_id: "12D3KooW".into(),
            num_partitions: 32,
        };
        let value = Value::collect(|sink| hello.write_to(sink));
        let keys: Vec<_> = Fields::of(&value).unwrap().keys().collect();
        let expected = [
            "server",
            "version",
            "proto",
            "id",
            "mode",
            "role",
            "modules",
            "peer_id",
            "num_partitions",
        ];
        assert_eq!(keys, expected);
        assert_eq!(HelloReply::read(&value).as_ref(), Ok(&hello));
        assert_eq!(HelloReply::read(&resp2(value)), Ok(hello));
    }
}
