//! Order, budgets and ends.

use sierradb_io::os::wait;
use sierradb_protocol::Sink;

use super::*;

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Writes at most `count` bytes of what waits, as a socket would.
fn write(out: &mut Outgoing, count: usize) -> Vec<u8> {
    out.collect(&context());
    let mut slices = [IoSlice::new(&[]); 8];
    let used = out.slices(&mut slices);
    let mut bytes: Vec<u8> =
        slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect();
    bytes.truncate(count);
    out.written(bytes.len());
    bytes
}

fn write_all(out: &mut Outgoing) -> String {
    let mut all = Vec::new();
    loop {
        let bytes = write(out, usize::MAX);
        if bytes.is_empty() {
            return String::from_utf8(all).unwrap();
        }
        all.extend(bytes);
    }
}

fn send(sender: &PushSender, frame: &str) {
    wait(sender.send(Bytes::copy_from_slice(frame.as_bytes()))).unwrap();
}

#[test]
fn replies_overtake_pushes_that_have_not_begun() {
    let mut out = Outgoing::new();
    let sender = out.push_sender();
    send(&sender, "<push1>");
    send(&sender, "<push2>");
    assert_eq!(write(&mut out, 3), b"<pu");
    out.reply(Dialect::Resp3).word("OK");
    send(&sender, "<push3>");
    assert_eq!(write(&mut out, 5), b"sh1>+");
    assert_eq!(write_all(&mut out), "OK\r\n<push2><push3>");
    assert!(out.is_empty());
    assert_eq!(out.waiting_push_bytes(), 0);
}

#[test]
fn a_push_wakes_whoever_looked_last() {
    struct Rung(AtomicBool);
    impl std::task::Wake for Rung {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let mut out = Outgoing::new();
    let sender = out.push_sender();
    let bells = [(); 2].map(|()| Arc::new(Rung(AtomicBool::new(false))));
    for bell in [&bells[0], &bells[0], &bells[1]] {
        out.collect(&Context::from_waker(&Waker::from(Arc::clone(bell))));
    }
    send(&sender, "<push>");
    assert_eq!(bells.map(|bell| bell.0.load(Ordering::Relaxed)), [false, true]);
    assert_eq!(write_all(&mut out), "<push>");
}

#[test]
fn many_frames_are_written_in_order_through_few_slices() {
    let mut out = Outgoing::new();
    let sender = out.push_sender();
    let frames: Vec<String> = (0..50).map(|n| format!("<{n}>")).collect();
    frames.iter().for_each(|frame| send(&sender, frame));
    assert_eq!(write_all(&mut out), frames.concat());
}

#[test]
fn a_closed_subscription_leaves_nothing_behind_but_a_begun_frame() {
    let mut out = Outgoing::new();
    let (gone, stays) = (out.push_sender(), out.push_sender());
    send(&gone, "<gone1>");
    send(&stays, "<stays>");
    send(&gone, "<gone2>");
    assert_eq!(write(&mut out, 2), b"<g");
    gone.close();
    out.reply(Dialect::Resp3).word("OK");
    assert_eq!(wait(gone.send(Bytes::from_static(b"late"))), Err(PushClosed));
    assert_eq!(write_all(&mut out), "one1>+OK\r\n<stays>");
    assert_eq!(out.waiting_push_bytes(), 0, "its charge is given back");
    assert_eq!(wait(gone.room()), Err(PushClosed));
    assert_eq!(wait(stays.room()), Ok(()));
}

#[test]
fn senders_wait_for_the_budget_and_go_on_as_bytes_leave() {
    let mut out = Outgoing::new();
    let sender = out.push_sender();
    let half = Bytes::from(vec![b'x'; limits::PUSH_BUDGET_BYTES / 2 - limits::PUSH_OVERHEAD_BYTES]);
    for _ in 0..2 {
        wait(sender.send(half.clone())).unwrap();
    }
    assert_eq!(out.waiting_push_bytes(), limits::PUSH_BUDGET_BYTES);
    let mut waiting = Box::pin(sender.send(Bytes::from_static(b"more")));
    assert!(waiting.as_mut().poll(&mut context()).is_pending());
    assert_eq!(write(&mut out, half.len() - 1).len(), half.len() - 1);
    assert!(waiting.as_mut().poll(&mut context()).is_pending(), "a frame in part is no room");
    assert_eq!(write(&mut out, 1).len(), 1);
    assert!(waiting.as_mut().poll(&mut context()).is_ready());
}

#[test]
fn one_push_of_any_size_may_wait_alone() {
    let mut out = Outgoing::new();
    let sender = out.push_sender();
    let huge = Bytes::from(vec![b'x'; limits::PUSH_BUDGET_BYTES * 2]);
    wait(sender.send(huge.clone())).unwrap();
    let mut room = Box::pin(sender.room());
    assert!(room.as_mut().poll(&mut context()).is_pending());
    assert_eq!(write_all(&mut out).len(), huge.len());
    assert!(room.as_mut().poll(&mut context()).is_ready());
    // Behind a small one it waits for all of the budget.
    send(&sender, "small");
    let mut second = Box::pin(sender.send(huge));
    assert!(second.as_mut().poll(&mut context()).is_pending());
    assert_eq!(write_all(&mut out), "small");
    assert!(second.as_mut().poll(&mut context()).is_ready());
}

#[test]
fn the_end_of_the_connection_reaches_every_sender() {
    let out = Outgoing::new();
    let sender = out.push_sender();
    let full = Bytes::from(vec![b'x'; limits::PUSH_BUDGET_BYTES]);
    wait(sender.send(full.clone())).unwrap();
    let mut waiting = Box::pin(sender.send(full));
    assert!(waiting.as_mut().poll(&mut context()).is_pending());
    drop(out);
    assert_eq!(wait(waiting), Err(PushClosed));
    assert_eq!(wait(sender.send(Bytes::from_static(b"x"))), Err(PushClosed));
}

#[test]
fn replies_have_their_own_budget() {
    let mut out = Outgoing::new();
    out.reply_bytes(&vec![b'x'; limits::REPLY_BUDGET_BYTES - 1]);
    assert!(!out.is_over_budget());
    out.reply_bytes(b"x");
    assert!(out.is_over_budget());
    assert_eq!(write_all(&mut out).len(), limits::REPLY_BUDGET_BYTES);
    assert!(!out.is_over_budget());
    assert_eq!(out.replies.capacity(), 0, "room is given back");
}

#[test]
fn replies_written_together_are_the_same_and_have_room_at_once() {
    let mut out = Outgoing::new();
    for _ in 0..2 {
        let mut replies = out.replies();
        for number in 0..300 {
            replies.to(Dialect::Resp3).integer(number);
            replies.to(Dialect::Resp2).boolean(true);
        }
        assert!(!replies.is_over_budget());
        drop(replies);
        let expected: String = (0..300).map(|number| format!(":{number}\r\n:1\r\n")).collect();
        assert_eq!(write_all(&mut out), expected);
    }
    drop(out.replies());
    assert!(out.replies.capacity() >= out.last_burst && out.last_burst > 2_000);
}

#[test]
fn replies_not_yet_in_the_buffer_count() {
    let mut out = Outgoing::new();
    out.reply_bytes(&vec![b'x'; limits::REPLY_BUDGET_BYTES - 5]);
    let mut replies = out.replies();
    assert!(!replies.is_over_budget());
    replies.to(Dialect::Resp2).word("OK");
    assert!(replies.is_over_budget());
}
