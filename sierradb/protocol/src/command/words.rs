//! Words of a request being written, the way the parsers read them.

use std::fmt::Display;

use bytes::Bytes;

/// Collects the words of one request.
#[derive(Debug)]
pub(crate) struct Words(Vec<Bytes>);

impl Words {
    pub(crate) fn new(command: &'static str) -> Self {
        Self(vec![Bytes::from_static(command.as_bytes())])
    }

    pub(crate) fn keyword(&mut self, word: &'static str) {
        self.0.push(Bytes::from_static(word.as_bytes()));
    }

    pub(crate) fn text(&mut self, value: impl Display) {
        self.0.push(Bytes::from(value.to_string()));
    }

    pub(crate) fn bytes(&mut self, value: Bytes) {
        self.0.push(value);
    }

    pub(crate) fn all(&mut self, values: &[Bytes]) {
        self.0.extend_from_slice(values);
    }

    pub(crate) fn option(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.keyword(name);
            self.text(value);
        }
    }

    pub(crate) fn option_bytes(&mut self, name: &'static str, value: Option<&Bytes>) {
        if let Some(value) = value {
            self.keyword(name);
            self.bytes(value.clone());
        }
    }

    pub(crate) fn finish(self) -> Vec<Bytes> {
        self.0
    }
}
