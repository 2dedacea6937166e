//! The requests of a row, encoded once.

/// Names of streams that a load spreads over, the same on both servers.
pub(crate) const STREAMS: u32 = 1_000;
/// Bytes of an event's payload.
pub(crate) const PAYLOAD_BYTES: usize = 256;

/// The two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SierraDb,
    Redis,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// One event with that many bytes: EAPPEND, XADD.
    Append { payload_bytes: usize },
    /// The first events of a stream: ESCAN, XRANGE.
    Scan { count: u32 },
    /// How far a stream is: ESVER, XLEN.
    Head,
}

/// One encoded request per stream.
pub(crate) struct Requests {
    encoded: Vec<Vec<u8>>,
    state: u64,
}

impl Requests {
    /// Requests to the streams `<prefix>0` … `<prefix>999`.
    pub(crate) fn new(kind: Kind, question: Question, prefix: &str) -> Self {
        let encoded =
            (0..STREAMS).map(|n| encode(kind, question, &format!("{prefix}{n}"))).collect();
        Self { encoded, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// A request to some stream; the order is the same in every run.
    pub(crate) fn any(&mut self) -> &[u8] {
        // xorshift64*: cheap, and good enough to spread over names.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        self.nth(high)
    }

    /// The request to stream `n`, counted round.
    pub(crate) fn nth(&self, n: u64) -> &[u8] {
        let index = usize::try_from(n % u64::from(STREAMS)).unwrap_or(0);
        self.encoded.get(index).map_or(&[], Vec::as_slice)
    }
}

fn encode(kind: Kind, question: Question, stream: &str) -> Vec<u8> {
    let count = match question {
        Question::Scan { count } => count.to_string(),
        _ => String::new(),
    };
    let payload = match question {
        Question::Append { payload_bytes } => "x".repeat(payload_bytes),
        _ => String::new(),
    };
    let words: Vec<&str> = match (kind, question) {
        (Kind::SierraDb, Question::Append { .. }) => {
            vec!["EAPPEND", stream, "Happened", "PAYLOAD", &payload]
        }
        (Kind::SierraDb, Question::Scan { .. }) => vec!["ESCAN", stream, "-", "+", "COUNT", &count],
        (Kind::SierraDb, Question::Head) => vec!["ESVER", stream],
        (Kind::Redis, Question::Append { .. }) => vec!["XADD", stream, "*", "Happened", &payload],
        (Kind::Redis, Question::Scan { .. }) => vec!["XRANGE", stream, "-", "+", "COUNT", &count],
        (Kind::Redis, Question::Head) => vec!["XLEN", stream],
    };
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_servers_get_the_same_streams_in_the_same_order() {
        let mut ours = Requests::new(Kind::SierraDb, Question::Head, "s");
        let mut theirs = Requests::new(Kind::Redis, Question::Head, "s");
        for _ in 0..1_000 {
            let (a, b) = (ours.any().to_vec(), theirs.any().to_vec());
            assert_eq!(&a[b"*2\r\n$5\r\nESVER".len()..], &b[b"*2\r\n$4\r\nXLEN".len()..]);
        }
    }

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        let requests = Requests::new(Kind::SierraDb, Question::Append { payload_bytes: 3 }, "s");
        let wanted =
            b"*5\r\n$7\r\nEAPPEND\r\n$2\r\ns7\r\n$8\r\nHappened\r\n$7\r\nPAYLOAD\r\n$3\r\nxxx\r\n";
        assert_eq!(requests.nth(7), wanted);
    }
}
