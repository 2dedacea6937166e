use std::task::Waker;

use sierradb_io::Mono;
use sierradb_net::Dialect;
use tokio::sync::oneshot;

use super::*;

fn ticket() -> Ticket {
    Ticket { command: None, started: Mono(0), dialect: Dialect::Resp3, is_muted: false }
}

fn done(number: u64) -> Work {
    Work::Done(Reply::Position(Some(number)))
}

/// A read of `partition` that ends when the sender says with what.
fn read(partition: Option<u16>) -> (oneshot::Sender<u64>, Work) {
    let (sender, receiver) = oneshot::channel();
    let future = Box::pin(async move { Reply::Position(receiver.await.ok()) });
    (sender, Work::Read { future, partition: partition.map(PartitionId::new) })
}

fn poll(order: &mut Order) -> Vec<u64> {
    let mut context = Context::from_waker(Waker::noop());
    order.poll_reads(&mut context);
    let mut delivered = Vec::new();
    while let Some((_, reply)) = order.next_due(&mut context) {
        let Reply::Position(Some(number)) = reply else { panic!("{reply:?}") };
        delivered.push(number);
    }
    delivered
}

#[test]
fn replies_keep_the_order_of_requests_whatever_ends_first() {
    let mut order = Order::default();
    let (first, work) = read(Some(1));
    order.push(ticket(), work);
    let (second, work) = read(Some(2));
    order.push(ticket(), work);
    order.push(ticket(), done(3));
    assert!(poll(&mut order).is_empty());
    second.send(2).unwrap();
    assert!(poll(&mut order).is_empty());
    first.send(1).unwrap();
    assert_eq!(poll(&mut order), [1, 2, 3]);
    assert!(order.is_empty() && order.reads.is_empty());
}

#[test]
fn an_append_waits_for_reads_of_its_partition_alone() {
    let mut order = Order::default();
    let (sender, work) = read(Some(1));
    order.push(ticket(), work);
    let at = PartitionId::new;
    assert!(!order.admits(Touches::Write(at(1))));
    assert!(order.admits(Touches::Write(at(2))));
    assert!(order.admits(Touches::Read(at(1))) && order.admits(Touches::ReadAny));
    assert!(order.admits(Touches::Nothing) && !order.admits(Touches::Everything));
    sender.send(0).unwrap();
    assert_eq!(poll(&mut order), [0]);
    assert!(order.admits(Touches::Everything));

    let (_sender, work) = read(None);
    order.push(ticket(), work);
    assert!(!order.admits(Touches::Write(at(7))), "a read of any partition reads this one");
}

#[test]
fn what_is_in_work_is_bounded() {
    let mut order = Order::default();
    let mut senders = Vec::new();
    for _ in 0..MAX_ACTIVE_READS {
        assert!(order.admits(Touches::ReadAny));
        let (sender, work) = read(None);
        senders.push(sender);
        order.push(ticket(), work);
    }
    assert!(!order.admits(Touches::ReadAny));
    while order.admits(Touches::Nothing) {
        order.push(ticket(), done(0));
    }
    assert_eq!(order.slots.len(), MAX_REQUESTS_IN_FLIGHT);
}

#[test]
fn replies_that_nobody_took_stay_in_order() {
    let mut order = Order::default();
    (0..5).for_each(|number| order.push(ticket(), done(number)));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(order.next_due(&mut context).is_some());
    }
    assert_eq!(poll(&mut order), [2, 3, 4]);
}
