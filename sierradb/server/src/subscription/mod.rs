//! Subscriptions: one catch-up-and-live loop each, and the frames that wait for their connection.

pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod selector;
pub(crate) mod state;
pub(crate) mod task;
pub(crate) mod window;
