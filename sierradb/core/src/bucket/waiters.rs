//! Appends not yet answered.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::AppendError;
use crate::event::AppendResult;

/// Answer of an append.
pub(crate) type Answer = Result<AppendResult, AppendError>;

/// The answering end: used once.
#[derive(Debug)]
pub(crate) struct Waiter(oneshot::Sender<Answer>);

impl Waiter {
    /// Answers. Nobody may be listening any more, which changes nothing.
    pub(crate) fn answer(self, answer: Answer) {
        drop(self.0.send(answer));
    }
}

/// The answer of an append that was queued; see [`Database::begin_append`](crate::Database::begin_append).
/// Dropping it does not take the append back.
#[derive(Debug)]
pub struct PendingAppend(State);

#[derive(Debug)]
enum State {
    Ready(Option<Answer>),
    Waiting { receiver: oneshot::Receiver<Answer>, bucket_id: u16 },
}

impl PendingAppend {
    /// An answer known at once.
    pub(crate) fn ready(answer: Answer) -> Self {
        Self(State::Ready(Some(answer)))
    }

    /// An answer that `Waiter` will give.
    pub(crate) fn waiting(bucket_id: u16) -> (Waiter, Self) {
        let (sender, receiver) = oneshot::channel();
        (Waiter(sender), Self(State::Waiting { receiver, bucket_id }))
    }
}

impl Future for PendingAppend {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        match &mut self.0 {
            State::Ready(answer) => match answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending, // polled again after its end: nothing will ever come
            },
            State::Waiting { receiver, bucket_id } => {
                let bucket_id = *bucket_id;
                Pin::new(receiver).poll(context).map(|answer| match answer {
                    Ok(answer) => answer,
                    Err(_) => Err(AppendError::OutcomeUnknown {
                        bucket_id,
                        waited: Duration::ZERO,
                        cause: "the database was stopped".to_owned(),
                    }),
                })
            }
        }
    }
}
