//! Counts replies in a stream of RESP2 or RESP3 bytes without building them.

/// Where a connection stands in the bytes it receives.
#[derive(Default)]
pub(crate) struct Replies {
    /// Values still missing in the current reply; 0 between replies.
    missing: u64,
    /// Bytes of a bulk string, with its line end, that are still to come.
    skip: usize,
    /// The start of a line that was cut off by the end of the last read.
    line: Vec<u8>,
    /// Error replies so far, and the first of them.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

impl Replies {
    /// Takes what was read and returns how many replies it completes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let mut complete = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let step = self.skip.min(bytes.len());
                bytes = bytes.get(step..).unwrap_or_default();
                self.skip -= step;
                complete += usize::from(self.skip == 0 && self.value_ends());
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.line.extend_from_slice(bytes);
                break;
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            if self.line.is_empty() {
                complete += usize::from(self.header(line));
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                complete += usize::from(self.header(&line));
            }
        }
        complete
    }

    /// Takes one whole line; true if it ends a reply.
    fn header(&mut self, line: &[u8]) -> bool {
        let begins = self.missing == 0;
        self.missing = self.missing.max(1);
        let (kind, rest) = line.split_first().unwrap_or((&0, &[]));
        match kind {
            b'-' | b'!' if begins => self.error(rest),
            _ => {}
        }
        match kind {
            b'$' | b'=' | b'!' => match number(rest) {
                Some(len) => {
                    self.skip = len + 2;
                    false
                }
                None => self.value_ends(), // null
            },
            b'*' | b'~' | b'>' => self.aggregate(number(rest).unwrap_or(0)),
            b'%' => self.aggregate(2 * number(rest).unwrap_or(0)),
            _ => self.value_ends(),
        }
    }

    fn aggregate(&mut self, values: usize) -> bool {
        self.missing += u64::try_from(values).unwrap_or(u64::MAX);
        self.value_ends()
    }

    fn value_ends(&mut self) -> bool {
        self.missing -= 1;
        self.missing == 0
    }

    fn error(&mut self, text: &[u8]) {
        self.errors += 1;
        let text = || String::from_utf8_lossy(text).trim_end().to_owned();
        self.first_error.get_or_insert_with(text);
    }
}

/// The number of a header line; `None` for -1.
fn number(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: &[u8] = b"+OK\r\n:12\r\n$-1\r\n$3\r\na\nb\r\n*2\r\n%1\r\n+k\r\n$0\r\n\r\n*0\r\n*0\r\n-ERR no\r\n_\r\n";

    #[test]
    fn any_split_counts_the_same_replies() {
        for chunk in 1..REPLIES.len() {
            let mut replies = Replies::default();
            let complete: usize = REPLIES.chunks(chunk).map(|bytes| replies.feed(bytes)).sum();
            assert_eq!((complete, replies.errors), (8, 1), "{chunk}");
            assert_eq!(replies.first_error.as_deref(), Some("ERR no"));
        }
    }

    #[test]
    fn half_a_reply_counts_nothing() {
        let mut replies = Replies::default();
        assert_eq!(replies.feed(b"*2\r\n$3\r\nabc\r"), 0);
        assert_eq!(replies.feed(b"\n+x\r\n"), 1);
    }
}
