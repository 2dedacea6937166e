//! What is compared, and what is asked for.

use super::request::{PAYLOAD_BYTES, Question};

/// One line of the ratio table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) clients: usize,
    pub(crate) pipeline: usize,
    pub(crate) question: Question,
    /// Below this ratio to Redis the run fails if asked to.
    pub(crate) floor: f64,
    /// The ratio we want.
    pub(crate) aim: f64,
}

/// Events that each stream holds before the reading rows begin; more than one reply takes.
pub(crate) const EVENTS_PER_READ_STREAM: u64 = 200;

const APPEND: Question = Question::Append { payload_bytes: PAYLOAD_BYTES };

/// All rows, writes first.
pub(crate) const ROWS: [Row; 5] = [
    Row {
        name: "append, 1 client",
        clients: 1,
        pipeline: 1,
        question: APPEND,
        floor: 1.0,
        aim: 1.3,
    },
    Row {
        name: "append, 64 clients",
        clients: 64,
        pipeline: 1,
        question: APPEND,
        floor: 1.0,
        aim: 1.5,
    },
    Row {
        name: "append, 64 clients x pipeline 16",
        clients: 64,
        pipeline: 16,
        question: APPEND,
        floor: 2.0,
        aim: 3.0,
    },
    Row {
        name: "read 100 events, 64 clients",
        clients: 64,
        pipeline: 1,
        question: Question::Scan { count: 100 },
        floor: 0.6,
        aim: 1.0,
    },
    Row {
        name: "stream version, 64 clients",
        clients: 64,
        pipeline: 1,
        question: Question::Head,
        floor: 0.7,
        aim: 1.0,
    },
];

impl Row {
    /// Streams that this row works on: reads must not see what the appending rows left.
    pub(crate) fn prefix(&self) -> &'static str {
        match self.question {
            Question::Append { .. } => "append-",
            Question::Scan { .. } | Question::Head => "read-",
        }
    }
}
