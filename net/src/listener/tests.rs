//! Limits and drain, on real sockets.

use sierradb_io::os::wait;
use tokio::io::AsyncReadExt;

use super::*;

async fn acceptor(io: &Io, max_clients: u32) -> Acceptor {
    let listener = io.net().bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    Acceptor::new(io.clone(), listener, max_clients)
}

fn is_pending(future: Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[test]
fn a_client_too_many_is_told_and_hung_up_on() {
    let io = Io::os();
    wait(async {
        let acceptor = acceptor(&io, 1).await;
        let (counts, port) = (acceptor.counts(), acceptor.local_addr().port());
        let first = io.net().connect("127.0.0.1", port).await.unwrap();
        let served = acceptor.next().await;
        assert_eq!(served.peer, first.local_addr());
        let mut second = io.net().connect("127.0.0.1", port).await.unwrap();
        let mut told = String::new();
        let (third, ()) = tokio::join!(acceptor.next(), async {
            second.read_to_string(&mut told).await.unwrap();
            drop(served); // its place goes to the next one
            let third = io.net().connect("127.0.0.1", port).await.unwrap();
            drop(third);
        });
        assert_eq!(told, "-ERR max number of clients reached\r\n");
        assert_eq!((counts.accepted(), counts.rejected(), counts.open()), (2, 1, 1));
        drop(third);
        counts.drained().await;
        assert_eq!(counts.open(), 0);
    });
}

#[test]
fn draining_waits_for_the_last_client() {
    let io = Io::os();
    wait(async {
        let acceptor = acceptor(&io, 10).await;
        let (counts, port) = (acceptor.counts(), acceptor.local_addr().port());
        let client = io.net().connect("127.0.0.1", port).await.unwrap();
        let served = acceptor.next().await;
        drop(acceptor);
        assert!(io.net().connect("127.0.0.1", port).await.is_err(), "nobody listens any more");
        let mut drained = Box::pin(counts.drained());
        assert!(is_pending(drained.as_mut()));
        drop((client, served));
        drained.await;
    });
}
