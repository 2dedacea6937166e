//! Pinned bytes of every piece, in every dialect.

use sierradb_protocol::Value;

use super::*;

const ALL: [Dialect; 3] = [Dialect::Resp2Unasked, Dialect::Resp2, Dialect::Resp3];

fn bytes(dialect: Dialect, write: impl Fn(&mut Encoder<'_>)) -> String {
    let mut out = BytesMut::new();
    write(&mut Encoder::new(&mut out, dialect));
    out.escape_ascii().to_string()
}

/// What each dialect makes of it.
fn each(write: impl Fn(&mut Encoder<'_>)) -> [String; 3] {
    ALL.map(|dialect| bytes(dialect, &write))
}

#[test]
fn aggregates_have_the_header_of_their_dialect() {
    assert_eq!(each(|e| e.map(11)), [r"*22\r\n", r"*22\r\n", r"%11\r\n"]);
    assert_eq!(each(|e| e.array(0)), [r"*0\r\n"; 3]);
    assert_eq!(each(|e| e.push(4)), [r">4\r\n", r"*4\r\n", r">4\r\n"]);
}

#[test]
fn scalars_have_the_form_of_their_dialect() {
    assert_eq!(each(|e| e.boolean(true)), [r":1\r\n", r":1\r\n", r"#t\r\n"]);
    assert_eq!(each(|e| e.boolean(false)), [r":0\r\n", r":0\r\n", r"#f\r\n"]);
    assert_eq!(each(|e| e.null()), [r"$-1\r\n", r"$-1\r\n", r"_\r\n"]);
    assert_eq!(each(|e| e.bulk(b"a\r\n\xFF")), [r"$4\r\na\r\n\xff\r\n"; 3]);
    assert_eq!(each(|e| e.bulk(b"")), [r"$0\r\n\r\n"; 3]);
    assert_eq!(each(|e| e.word("OK")), [r"+OK\r\n"; 3]);
}

#[test]
fn numbers_are_exact_at_their_ends() {
    let max = u64::try_from(i64::MAX).unwrap();
    for (value, text) in
        [(0, r":0\r\n"), (9, r":9\r\n"), (10, r":10\r\n"), (max, r":9223372036854775807\r\n")]
    {
        assert_eq!(bytes(Dialect::Resp3, |e| e.integer(value)), text);
    }
    for (value, text) in [(-1, r":-1\r\n"), (i64::MIN, r":-9223372036854775808\r\n")] {
        assert_eq!(bytes(Dialect::Resp3, |e| e.integer_i64(value)), text);
    }
}

#[test]
fn pieces_of_any_length_keep_their_order() {
    // Each length of a bulk string meets the end of the stage elsewhere.
    for len in 0..2 * STAGE_BYTES + 10 {
        let payload = vec![b'x'; len];
        let mut out = BytesMut::new();
        let mut encoder = Encoder::new(&mut out, Dialect::Resp3);
        for _ in 0..3 {
            encoder.word("key");
            encoder.integer(7);
            encoder.bulk(&payload);
        }
        drop(encoder);
        let one = [format!("+key\r\n:7\r\n${len}\r\n").as_bytes(), &payload, b"\r\n"].concat();
        assert_eq!(out, one.repeat(3), "{len}");
    }
}

#[test]
#[should_panic(expected = "beyond what a reply can carry")]
fn numbers_beyond_the_protocol_are_a_bug() {
    Encoder::new(&mut BytesMut::new(), Dialect::Resp3).integer(1 << 63);
}

#[test]
fn lines_cannot_be_broken_out_of() {
    let evil = "a\r\n+b\0\t\x7F\x1Bé\u{85}";
    let safe = "a  +b    \u{e9}\u{85}";
    let escaped = safe.as_bytes().escape_ascii().to_string();
    assert_eq!(bytes(Dialect::Resp3, |e| e.simple(evil)), format!(r"+{escaped}\r\n"));
    assert_eq!(
        bytes(Dialect::Resp3, |e| e.error(ErrorCode::InvalidArg, evil)),
        format!(r"-INVALIDARG {escaped}\r\n")
    );
    assert_eq!(
        bytes(Dialect::Resp3, |e| e.simple_bytes(b"x\xFF\xFEy\r")),
        r"+x\xef\xbf\xbd\xef\xbf\xbdy \r\n"
    );
}

#[test]
fn a_protocol_error_is_the_reply_clients_know() {
    let error = crate::ProtocolError::ArgumentType { got: b'*' };
    let text = error.reply().unwrap();
    assert_eq!(
        bytes(Dialect::Resp2, |e| e.error(ErrorCode::Err, &text)),
        r"-ERR Protocol error: expected \'$\', got \'*\'\r\n"
    );
}

#[test]
fn trees_and_streams_give_the_same_bytes() {
    let tree = Value::Push(vec![
        Value::Simple("message".into()),
        Value::Integer(3),
        Value::Map(vec![(Value::Simple("k".into()), Value::Bulk("v".into()))]),
        Value::Null,
        Value::Boolean(true),
    ]);
    assert_eq!(
        each(|e| tree.write_to(e)),
        [
            r">5\r\n+message\r\n:3\r\n*2\r\n+k\r\n$1\r\nv\r\n$-1\r\n:1\r\n",
            r"*5\r\n+message\r\n:3\r\n*2\r\n+k\r\n$1\r\nv\r\n$-1\r\n:1\r\n",
            r">5\r\n+message\r\n:3\r\n%1\r\n+k\r\n$1\r\nv\r\n_\r\n#t\r\n",
        ]
    );
}

#[test]
fn an_id_is_written_as_others_write_it() {
    let shown = |id: Uuid| (bytes(Dialect::Resp3, |e| e.uuid(id)), format!(r"+{id}\r\n"));
    for number in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978] {
        let (ours, theirs) = shown(Uuid::from_u128(number));
        assert_eq!(ours, theirs);
    }
    for byte in 0..=u8::MAX {
        let (ours, theirs) = shown(Uuid::from_bytes([byte; 16]));
        assert_eq!(ours, theirs);
    }
}
