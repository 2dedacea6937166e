//! The Redis serialization protocol, versions 2 and 3.

mod decimal;
mod decode;
mod encode;
mod error;
mod guard;
mod inline;

pub use decode::{Access, Decoder};
pub use encode::{Dialect, Encoder};
pub use error::ProtocolError;
