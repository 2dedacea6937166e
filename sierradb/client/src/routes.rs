//! Frames of one connection, sorted by subscription.
//!
//! The redis crate hands frames over one by one from the task that reads the socket, so nothing in here may wait. It
//! does not have to: each subscription has a window, the server sends no more than that, and its queue has room for it.
//! A frame may come before the reply with the id of its subscription has been looked at; it waits in a queue then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{PushInfo, PushKind};
use sierradb_protocol::reply::Frame;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::convert;

/// Where frames go; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    capacity: usize,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    by_id: BTreeMap<Uuid, Route>,
    /// The connection has ended: no queue gets anything any more.
    is_closed: bool,
}

#[derive(Debug)]
struct Route {
    /// None once the connection has ended.
    sender: Option<mpsc::Sender<Frame>>,
    /// The other end until somebody asks for it.
    unclaimed: Option<mpsc::Receiver<Frame>>,
}

impl Routes {
    /// Queues with room for `capacity` frames each, and one more for the frame that ends a subscription.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.saturating_add(1), table: Arc::default() }
    }

    /// The queue of a subscription; what came for it before is in there. If the connection has ended meanwhile, so
    /// does the queue behind that.
    pub(crate) fn claim(&self, id: Uuid) -> Option<mpsc::Receiver<Frame>> {
        let mut table = self.lock();
        let is_closed = table.is_closed;
        let route = table.by_id.entry(id).or_insert_with(|| Route::new(self.capacity));
        if is_closed {
            route.sender = None;
        }
        route.unclaimed.take()
    }

    /// Forgets a subscription.
    pub(crate) fn remove(&self, id: Uuid) {
        self.lock().by_id.remove(&id);
    }

    /// Takes a push of the connection. Its end closes all queues.
    pub(crate) fn push(&self, info: PushInfo) {
        let PushInfo { kind, data } = info;
        if kind == PushKind::Disconnection {
            return self.close();
        }
        let Ok(value) = convert::value(redis::Value::Push { kind, data }) else { return };
        let Ok(frame) = Frame::read(&value) else { return };
        let id = match &frame {
            Frame::Subscribed { .. } => return,
            Frame::Event { subscription_id, .. } | Frame::Ended { subscription_id, .. } => {
                *subscription_id
            }
        };
        let mut table = self.lock();
        let route = table.by_id.entry(id).or_insert_with(|| Route::new(self.capacity));
        let sent = route.sender.as_ref().map(|sender| sender.try_send(frame));
        // Full: the server broke its window, and a gap would go unnoticed, so the queue ends here. Closed: nobody
        // listens any more; the entry stays, or the next frame would open a queue again.
        if let Some(Err(mpsc::error::TrySendError::Full(_))) = sent {
            route.sender = None;
        }
    }

    fn close(&self) {
        let mut table = self.lock();
        table.is_closed = true;
        table.by_id.values_mut().for_each(|route| route.sender = None);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    fn new(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        Self { sender: Some(sender), unclaimed: Some(receiver) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_frame(id: Uuid) -> PushInfo {
        let why = redis::Value::BulkString(b"TRYAGAIN server is shutting down".to_vec());
        let id = redis::Value::SimpleString(id.to_string());
        PushInfo { kind: PushKind::Other("end".into()), data: vec![id, redis::Value::Int(0), why] }
    }

    #[test]
    fn a_frame_that_comes_first_waits_for_its_subscription() {
        let routes = Routes::new(1);
        let id = Uuid::from_u128(1);
        routes.push(end_frame(id));
        let mut queue = routes.claim(id).unwrap();
        assert!(matches!(queue.try_recv(), Ok(Frame::Ended { .. })));
        assert!(routes.claim(id).is_none(), "a queue is claimed once");
        routes.remove(id);
        assert!(routes.claim(id).is_some());
    }

    #[test]
    fn the_end_of_the_connection_closes_the_queues() {
        let routes = Routes::new(1);
        let mut queue = routes.claim(Uuid::nil()).unwrap();
        routes.push(PushInfo { kind: PushKind::Disconnection, data: vec![] });
        assert_eq!(queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }

    #[test]
    fn a_queue_claimed_after_the_end_of_the_connection_holds_what_came_and_ends() {
        let routes = Routes::new(1);
        let id = Uuid::from_u128(1);
        routes.push(end_frame(id));
        routes.push(PushInfo { kind: PushKind::Disconnection, data: vec![] });
        let mut queue = routes.claim(id).unwrap();
        assert!(queue.try_recv().is_ok());
        assert_eq!(queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        let mut empty = routes.claim(Uuid::nil()).unwrap();
        assert_eq!(empty.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }

    #[test]
    fn more_frames_than_the_window_end_the_queue_instead_of_leaving_a_gap() {
        let routes = Routes::new(1);
        let id = Uuid::from_u128(1);
        let mut queue = routes.claim(id).unwrap();
        (0..3).for_each(|_| routes.push(end_frame(id)));
        assert!(queue.try_recv().is_ok() && queue.try_recv().is_ok());
        assert_eq!(queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    }

    #[test]
    fn pushes_of_others_are_ignored() {
        let routes = Routes::new(1);
        routes.push(PushInfo { kind: PushKind::Invalidate, data: vec![redis::Value::Nil] });
        routes.push(PushInfo { kind: PushKind::Other("end".into()), data: vec![] });
        assert!(routes.lock().by_id.is_empty());
    }
}
