//! Requests, splits and refusals.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

/// All requests in `bytes`, arriving in pieces of the given sizes (the last one repeats), and how it ends.
fn decode_in(bytes: &[u8], sizes: &[usize]) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut requests = Vec::new();
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(*sizes.last().unwrap()));
    let mut rest = bytes;
    loop {
        loop {
            match decoder.next() {
                Ok(Some(request)) => requests.push(request.words().map(|a| a.to_vec()).collect()),
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
        if rest.is_empty() {
            return (requests, None);
        }
        let (piece, tail) = rest.split_at(sizes.next().unwrap().clamp(1, rest.len()));
        // Both ways in are one.
        if tail.len() % 2 == 0 {
            decoder.receive(piece);
        } else {
            decoder.input().extend_from_slice(piece);
        }
        rest = tail;
    }
}

fn decode(bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    decode_in(bytes, &[usize::MAX])
}

fn words(bytes: &[u8]) -> Vec<Vec<String>> {
    let (requests, error) = decode(bytes);
    assert_eq!(error, None, "{}", bytes.escape_ascii());
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    requests.iter().map(|request| request.iter().map(text).collect()).collect()
}

fn refusal(bytes: &[u8]) -> String {
    let (requests, error) = decode(bytes);
    assert_eq!(requests, Vec::<Vec<Vec<u8>>>::new());
    format!("-ERR {}", error.unwrap().reply().unwrap())
}

#[test]
fn requests_follow_one_another_in_any_mixture() {
    let bytes =
        b"*1\r\n$4\r\nPING\r\n\r\n  \r\n*0\r\n*-1\r\nECHO 'a b'\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n";
    assert_eq!(words(bytes), [vec!["PING"], vec!["ECHO", "a b"], vec!["ECHO", ""]]);
}

#[test]
fn every_accepted_type_is_an_argument() {
    let bytes = b"*6\r\n$1\r\na\r\n+b c\r\n:-42\r\n(123456789012345678901234567890\r\n=7\r\ntxt:d\re\r\n+\r\n";
    let expected = ["a", "b c", "-42", "123456789012345678901234567890", "d\re", ""];
    assert_eq!(words(bytes), [expected]);
}

#[test]
fn content_may_hold_anything() {
    assert_eq!(words(b"*1\r\n$8\r\n\r\n*1\r\n$0\r\n"), [["\r\n*1\r\n$0"]]);
}

#[test]
fn each_refusal_has_its_text() {
    for (bytes, text) in [
        (&b"*1\r\n*1\r\n"[..], "expected '$', got '*'"),
        (b"*1\r\n%", "expected '$', got '%'"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*1\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$1048577\r\n", "invalid bulk length"),
        (b"*1\r\n=3\r\n", "invalid bulk length"),
        (b"*1\r\n$1048576\r\n", "request too large"),
        (b"*1\r\n$3\r\nPING\r\n", "invalid bulk terminator"),
        (b"*1\r\n$3\r\nPIN\rG", "invalid bulk terminator"),
        (b"*1\r\n+a\n", "invalid bulk terminator"),
        (b"a 'b\r\n", "unbalanced quotes in request"),
    ] {
        let expected = format!("-ERR Protocol error: {text}");
        assert_eq!(refusal(bytes), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn lines_without_an_end_are_refused_at_their_limit() {
    for (start, text) in [
        ("*", "too big mbulk count string"),
        ("*1\r\n$", "too big bulk count string"),
        ("*1\r\n+", "too big bulk count string"),
        ("", "too big inline request"),
    ] {
        let fill = limits::LINE_MAX_BYTES;
        let line = |len: usize| [start.as_bytes(), &vec![b'1'; len]].concat();
        assert_eq!(decode(&line(fill - 1)), (vec![], None), "{start:?} may still end");
        assert_eq!(refusal(&line(fill)), format!("-ERR Protocol error: {text}"));
    }
    let longest = [vec![b'a'; limits::LINE_MAX_BYTES - 1], b"\n".to_vec()].concat();
    assert_eq!(decode(&longest).0.len(), 1);
}

#[test]
fn the_sum_of_a_request_is_limited_too() {
    let half = [b"$524288\r\n".to_vec(), vec![b'x'; 524_288], b"\r\n".to_vec()].concat();
    let bytes = [b"*2\r\n", half.as_slice(), half.as_slice()].concat();
    assert_eq!(refusal(&bytes), "-ERR Protocol error: request too large");
    let simple = [b"*20\r\n".to_vec(), [&b"+"[..], &[b'x'; 60_000], b"\r\n"].concat().repeat(20)];
    assert_eq!(refusal(&simple.concat()), "-ERR Protocol error: request too large");
}

#[test]
fn before_login_requests_are_small() {
    let refused = |bytes: &[u8]| {
        let mut decoder = Decoder::new(LIMIT);
        decoder.set_access(Access::BeforeAuth);
        decoder.input().extend_from_slice(bytes);
        let error = decoder.next().err().map(|error| error.to_string());
        decoder.set_access(Access::Granted);
        (error, decoder.next().is_ok())
    };
    let count = Some("Protocol error: unauthenticated multibulk length".to_owned());
    let length = Some("Protocol error: unauthenticated bulk length".to_owned());
    assert_eq!(refused(b"*11\r\n"), (count.clone(), false), "a refusal is final");
    assert_eq!(refused(b"*10\r\n"), (None, true));
    assert_eq!(refused(b"*1\r\n$16385\r\n"), (length.clone(), false));
    assert_eq!(refused(b"*1\r\n$16384\r\n"), (None, true));
    assert_eq!(refused(b"a a a a a a a a a a a\r\n"), (count, false));
    let long = [&[b'a'; 16_385][..], b"\r\n"].concat();
    assert_eq!(refused(&long), (length.clone(), false));
    assert_eq!(refused(&[b"*1\r\n+", long.as_slice()].concat()), (length, false));
}

#[test]
fn access_given_by_a_request_counts_for_the_next_one() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.set_access(Access::BeforeAuth);
    decoder.input().extend_from_slice(b"AUTH pw\r\n*11\r\n");
    assert_eq!(decoder.next().unwrap().unwrap().len(), 2);
    decoder.set_access(Access::Granted);
    assert_eq!(decoder.next(), Ok(None));
}

#[test]
fn access_taken_by_a_request_is_missed_by_the_next_one() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.receive(b"*1\r\n$5\r\nRESET\r\n*11\r\n");
    assert_eq!(decoder.next().unwrap().unwrap().len(), 1);
    decoder.set_access(Access::BeforeAuth);
    assert_eq!(decoder.next(), Err(ProtocolError::CountBeforeAuth));
}

#[test]
fn requests_that_arrive_together_share_their_memory() {
    let mut decoder = Decoder::new(LIMIT);
    let bytes = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n".repeat(100);
    decoder.receive(&bytes);
    let mut kept = Vec::new();
    while let Some(request) = decoder.next().unwrap() {
        kept.push(request.words().nth(1).unwrap().to_bytes());
    }
    assert_eq!((kept.len(), decoder.buffered()), (100, 0));
    assert!(decoder.frame.is_empty(), "nothing holds them beside those who keep them");
    let distances =
        kept.windows(2).map(|pair| pair[1].as_ptr() as usize - pair[0].as_ptr() as usize);
    assert!(distances.into_iter().all(|distance| distance == bytes.len() / 100));
}

#[test]
fn what_arrives_before_all_requests_are_taken_comes_behind_them() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.receive(b"PING\r\nPING\r\nEC");
    assert_eq!(decoder.next().unwrap().unwrap().len(), 1);
    decoder.receive(b"HO a b\r\nPI");
    assert_eq!(decoder.buffered(), "PING\r\nECHO a b\r\nPI".len());
    let mut lens = Vec::new();
    while let Some(request) = decoder.next().unwrap() {
        lens.push(request.len());
    }
    assert_eq!((lens, decoder.buffered()), (vec![1, 3], 2));
}

#[test]
fn a_long_beginning_stays_where_it_arrived() {
    let mut decoder = Decoder::new(LIMIT);
    let input = decoder.input_with_room(200_000);
    input.extend_from_slice(b"PING\r\n*2\r\n$4\r\nECHO\r\n$100000\r\n");
    input.extend_from_slice(&[b'x'; 90_000]);
    let received = decoder.input().as_ptr_range();
    assert_eq!(decoder.next().unwrap().unwrap().len(), 1);
    assert_eq!(decoder.next(), Ok(None));
    decoder.input().extend_from_slice(&[b'x'; 10_000]);
    decoder.input().extend_from_slice(b"\r\n");
    let kept = decoder.next().unwrap().unwrap().words().nth(1).unwrap().to_bytes();
    assert_eq!(kept.len(), 100_000);
    assert!(received.contains(&kept.as_ptr()), "not copied");
}

#[test]
fn browsers_get_no_reply() {
    let (requests, error) = decode(b"POST / HTTP/1.1\r\n");
    assert_eq!((requests.len(), error.unwrap().reply()), (0, None));
    assert_eq!(words(b"*1\r\n$4\r\nPOST\r\n"), [["POST"]], "as an array it is a command like any");
}

#[test]
fn large_arguments_are_slices_of_what_was_received() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.input().extend_from_slice(b"*2\r\n$1\r\na\r\n$500000\r\n");
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.missing(), 500_002);
    decoder.input().extend_from_slice(&[b'x'; 500_000]);
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.missing(), 2);
    let received = decoder.input().as_ptr_range();
    decoder.input().reserve(2); // moves the bytes, if it has to, before we look
    let received = if decoder.input().as_ptr_range().contains(&received.start) {
        received
    } else {
        decoder.input().as_ptr_range()
    };
    decoder.input().extend_from_slice(b"\r\n");
    let request = decoder.next().unwrap().unwrap();
    let kept = request.words().nth(1).unwrap().to_bytes();
    assert_eq!(kept.len(), 500_000);
    assert!(received.contains(&kept.as_ptr()), "not copied");
}

#[test]
fn announced_lengths_reserve_nothing() {
    let mut decoder = Decoder::new(64 << 20);
    decoder.input().extend_from_slice(b"*1048576\r\n$60000000\r\n");
    assert_eq!(decoder.next(), Ok(None));
    assert!(decoder.buffer.capacity() < 1_000, "{} bytes", decoder.buffer.capacity());
    assert_eq!(decoder.guard.spans().len(), 0);
}

/// Requests as clients send them.
fn arrays() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let argument = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        Just(b"\r\n".to_vec()),
        Just(vec![b'x'; 300]),
    ];
    proptest::collection::vec(proptest::collection::vec(argument, 1..9), 0..5)
}

fn encode(requests: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for request in requests {
        bytes.extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
        for argument in request {
            bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            bytes.extend_from_slice(argument);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

/// Bytes that get far into the parser more often than even ones.
fn near_resp() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "*1\r\n", "*2\r\n", "*3\r\n", "$1\r\na\r\n", "$4\r\nPING\r\n", "+ok\r\n", ":1\r\n", "(9\r\n",
            "=5\r\ntxt:a\r\n", "\r\n", "\r", "\n", "*", "$", "-1", "'", "\"", "\\x4", "PING", " ", "POST", "*0\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn what_is_left_of_a_buffer_is_filled_while_its_requests_are_in_work() {
    let mut decoder = Decoder::new(LIMIT);
    let mut in_work = Vec::new();
    let mut buffers = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let input = decoder.input_with_room(4096);
        assert!(input.capacity() >= 1024);
        input.extend_from_slice(b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n");
        let kept = decoder.next().unwrap().unwrap().words().nth(1).unwrap().to_bytes();
        buffers.insert(kept.as_ptr() as usize / 4096);
        in_work.push(kept);
    }
    assert!(buffers.len() <= 4, "{}", buffers.len());
    assert!(in_work.iter().all(|kept| kept == "hello"));
}

#[test]
fn a_request_that_is_known_to_be_long_gets_all_the_room_it_needs() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.input_with_room(4096).extend_from_slice(b"*2\r\n$4\r\nECHO\r\n$6000\r\n");
    assert_eq!(decoder.next(), Ok(None));
    let room = decoder.missing();
    let input = decoder.input_with_room(room);
    assert!(input.capacity() - input.len() >= room);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_encoded_is_decoded(requests in arrays()) {
        prop_assert_eq!(decode(&encode(&requests)), (requests, None));
    }

    #[test]
    fn no_split_changes_anything(bytes in near_resp(), sizes in proptest::collection::vec(1..7_usize, 1..6)) {
        let whole = decode(&bytes);
        prop_assert_eq!(&decode_in(&bytes, &[1]), &whole);
        prop_assert_eq!(&decode_in(&bytes, &sizes), &whole);
    }

    #[test]
    fn a_finished_parser_of_others_agrees(requests in arrays()) {
        use redis_protocol::resp2::{decode::decode_bytes, types::{BytesFrame, Resp2Frame}};
        let mut rest = Bytes::from(encode(&requests));
        let (mine, _) = decode(&rest);
        for request in mine {
            let (frame, len) = decode_bytes(&rest).unwrap().unwrap();
            let BytesFrame::Array(items) = frame else { panic!("{frame:?}") };
            let theirs: Vec<_> = items.iter().map(|item| item.as_bytes().unwrap().to_vec()).collect();
            prop_assert_eq!(request, theirs);
            rest.advance(len);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn memory_follows_the_bytes_received(bytes in near_resp()) {
        let mut decoder = Decoder::new(LIMIT);
        decoder.input().extend_from_slice(&bytes);
        while let Ok(Some(_)) = decoder.next() {}
        prop_assert!(decoder.guard.spans().len() * 3 <= bytes.len());
        prop_assert!(decoder.buffered() <= bytes.len());
        prop_assert!(decoder.missing() <= LIMIT);
    }
}
