//! Replies: written into any [`Sink`](crate::Sink), read back from a [`Value`](crate::Value).
//!
//! Each reply has its one home here, with the order of its keys. Readers take RESP2 and RESP3 shapes alike.

mod append;
mod command;
mod event;
mod fields;
mod hello;
mod info;
mod push;
mod scan;

pub use append::{Appended, AppendedEvent, MultiAppended};
pub use command::{write_command_reply, write_help};
pub use event::{Event, EventFields};
pub use fields::{Fields, ReplyError};
pub use hello::HelloReply;
pub use info::{InfoSelection, InfoText};
pub use push::{Frame, FrameEnd, write_end, write_event_frame, write_subscribed};
pub use scan::{EventBatch, read_event, read_position, write_event, write_position, write_scan};
