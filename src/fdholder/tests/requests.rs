//! What the store does for clients that behave.

use super::{Store, Witness};
use crate::fdholder::server::store_own;
use crate::fdholder::table;
use crate::fdholder::wire::{Entry, Request};
use crate::limits::FDHOLDER_TURN;
use crate::sys::Errno;
use crate::sys::time::SECOND;
use crate::text::tai::Stamp;

const LIST: &[u8] = b"\0\0\0\x01\0\0L";

fn bytes(request: &Request<'_>) -> Vec<u8> {
    request.encode(&mut [0; 400]).unwrap().to_vec()
}

#[test]
fn a_session_has_the_bytes_of_s6s() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    let fd = [witness.write];
    for (sent, fds, expected) in [
        (
            &b"\0\0\0\x15\0\x01S\x60\0\0\0\x6b\x02\xaf\x5f\x30\xb9\x6b\x92\x06unix:a\0"[..],
            &fd[..],
            &b"\0\0\0\x01\0\0\0"[..],
        ),
        (b"\0\0\0\x14\0\x01S\x60\0\0\0\x6b\x02\xaf\x9b\x31\x77\xe3\x36\x05tcp:b\0", &fd, b"\0\0\0\x01\0\0\0"),
        (LIST, &[], b"\0\0\0\x12\0\0\0\0\0\0\x02unix:a\0tcp:b\0"),
        (b"\0\0\0\x0a\0\0R\0\x06unix:a\0", &[], b"\0\0\0\x01\0\x01\0"),
        (b"\0\0\0\x08\0\0R\0\x04nope\0", &[], b"\0\0\0\x01\0\0\x02"),
        (b"\0\0\0\x15\0\x01S\x60\0\0\0\x6b\x02\xaf\x5f\x35\x59\xb1\xba\x06unix:a\0", &fd, b"\0\0\0\x01\0\0\x10"),
        (b"\0\0\0\x05\0\0!\0\0\0\0", &[], b"\0\0\0\x05\0\0\0\0\0\0\0"),
        (b"\0\0\0\x09\0\0D\x06unix:a\0", &[], b"\0\0\0\x01\0\0\0"),
        (b"\0\0\0\x09\0\0D\x06unix:a\0", &[], b"\0\0\0\x01\0\0\x02"),
    ] {
        assert_eq!(peer.send(sent, fds), Ok(sent.len()));
        store.settle();
        let (answer, fds) = peer.receive(400).unwrap();
        assert_eq!(answer, expected, "to {sent:x?}");
        for fd in fds {
            assert!(witness.is(fd));
        }
    }
}

#[test]
fn what_is_retrieved_is_what_was_stored_and_stays_held() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    assert_eq!(store.store(&peer, b"it", witness.write), 0);
    for _ in 0..3 {
        peer.request(&Request::Retrieve(b"it", false), &[]);
        store.settle();
        let (answer, fds) = peer.answer();
        assert_eq!((answer, fds.len()), (vec![0], 1));
        assert!(witness.is(fds[0]));
    }
    assert!(!witness.alone());
    assert_eq!(store.ask(&peer, &Request::Delete(b"it"), &[]), [0]);
    assert!(witness.alone());
}

#[test]
fn a_held_descriptor_remembers_its_clients() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    store.store(&peer, b"it", witness.write);
    peer.request(&Request::Retrieve(b"it", false), &[]);
    store.settle();
    peer.answer().1[0].close();
    let held = &store.tables.held[0];
    assert_eq!((held.pid, held.last_pid, held.retrievals), (std::process::id(), std::process::id(), 1));
    assert_eq!((held.dev, held.ino), crate::sys::file::identity(witness.write).unwrap());
    assert!(table::intact(held));
}

#[test]
fn retrieving_for_good_lets_go_of_it() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    store.store(&peer, b"it", witness.write);
    peer.request(&Request::Retrieve(b"it", true), &[]);
    store.settle();
    assert!(witness.is(peer.answer().1[0]));
    assert!(store.held().is_empty());
    assert!(witness.alone());
}

#[test]
fn a_full_store_refuses_and_goes_on() {
    let mut store = Store::new();
    store.capacity = 2;
    let peer = store.connect();
    let mut witness = Witness::new();
    assert_eq!([b"a", b"b", b"c"].map(|id| store.store(&peer, id, witness.write)), [0, 0, 23]);
    assert_eq!(store.ask(&peer, &Request::Delete(b"a"), &[]), [0]);
    assert_eq!(store.store(&peer, b"c", witness.write), 0);
    assert_eq!(store.held(), [b"c", b"b"]);
    for id in [b"b", b"c"] {
        store.ask(&peer, &Request::Delete(id), &[]);
    }
    assert!(witness.alone());
}

#[test]
fn what_we_store_ourselves_is_there_for_clients_and_never_expires() {
    let mut store = Store::new();
    let mut witness = Witness::new();
    let fd = witness.write.duplicate(3).unwrap();
    store
        .with(|_, records, _, now| {
            store_own(&mut records.held, b"unix:/run/s", fd, crate::fdholder::table::Origin::Board, now)
        })
        .unwrap();
    assert_eq!(store.tables.held[0].origin, 1);
    assert_eq!(store.due(), None);
    store.pass(1_000_000_000 * SECOND);
    let peer = store.connect();
    peer.request(&Request::Retrieve(b"unix:/run/s", true), &[]);
    store.settle();
    assert!(witness.is(peer.answer().1[0]));
    assert!(witness.alone());
}

#[test]
fn an_expired_descriptor_is_closed_and_its_name_is_free() {
    let mut store = Store::new();
    let peer = store.connect();
    let (mut first, later) = (Witness::new(), Witness::new());
    let limit = store.limit(5);
    assert_eq!(store.ask(&peer, &Request::Store(Entry { limit, id: b"it" }), &[first.write]), [0]);
    let limit = store.limit(9);
    assert_eq!(store.ask(&peer, &Request::Store(Entry { limit, id: b"other" }), &[later.write]), [0]);
    assert_eq!(store.due(), Some(5 * SECOND));
    store.pass(5 * SECOND);
    assert!(first.alone());
    assert_eq!(store.held(), [b"other"]);
    assert_eq!(store.due(), Some(4 * SECOND));
    assert_eq!(store.store(&peer, b"it", later.write), 0);
    store.pass(4 * SECOND);
    assert_eq!(store.held(), [b"it"]);
}

#[test]
fn an_expired_descriptor_is_not_served_even_if_nobody_looked_at_the_clock() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    let limit = store.limit(5);
    store.ask(&peer, &Request::Store(Entry { limit, id: b"it" }), &[witness.write]);
    store.now.wall = limit;
    assert_eq!(store.ask(&peer, &Request::Retrieve(b"it", false), &[]), [Errno::NOENT.raw_os_error() as u8]);
    assert!(witness.alone());
}

#[test]
fn expiry_is_looked_at_every_minute_because_the_wall_clock_may_be_set() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    let limit = store.limit(86400);
    store.ask(&peer, &Request::Store(Entry { limit, id: b"it" }), &[witness.write]);
    assert_eq!(store.due(), Some(60 * SECOND));
    let limit = Stamp { sec: u64::MAX, nano: 999_999_999 };
    assert_eq!(store.ask(&peer, &Request::Store(Entry { limit, id: b"ever" }), &[witness.write]), [0]);
    assert_eq!(store.due(), Some(60 * SECOND));
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    let limit = store.limit(100);
    let message = bytes(&Request::Store(Entry { limit, id: b"slow" }));
    for (i, byte) in message.iter().enumerate() {
        let fds = [witness.write];
        peer.send(&[*byte], &fds[..usize::from(i == 0)]).unwrap();
        store.settle();
    }
    assert_eq!(peer.answer().0, [0]);
    assert_eq!(store.held(), [b"slow"]);
}

#[test]
fn descriptors_belong_to_the_messages_in_the_order_of_both() {
    let mut store = Store::new();
    let peer = store.connect();
    let witnesses = [Witness::new(), Witness::new()];
    let limit = store.limit(100);
    let mut batch = LIST.to_vec();
    batch.extend(bytes(&Request::Store(Entry { limit, id: b"first" })));
    batch.extend(bytes(&Request::Store(Entry { limit, id: b"second" })));
    peer.send(&batch, &[witnesses[0].write, witnesses[1].write]).unwrap();
    store.settle();
    assert_eq!([peer.answer().0, peer.answer().0, peer.answer().0], [vec![0; 5], vec![0], vec![0]]);
    for (id, witness) in [b"first".as_slice(), b"second"].iter().zip(&witnesses) {
        peer.request(&Request::Retrieve(id, false), &[]);
        store.settle();
        assert!(witness.is(peer.answer().1[0]));
    }
}

#[test]
fn a_client_that_stops_sending_still_gets_its_answers() {
    let mut store = Store::new();
    let peer = store.connect();
    peer.send(&[LIST, LIST].concat(), &[]).unwrap();
    rustix::net::shutdown(peer.0, rustix::net::Shutdown::Write).unwrap();
    store.settle();
    assert_eq!([peer.answer().0, peer.answer().0], [[0; 5], [0; 5]]);
    assert!(peer.ended());
    assert_eq!(store.clients(), 0);
}

#[test]
fn many_requests_at_once_are_all_answered_but_not_all_in_one_turn() {
    let mut store = Store::new();
    let (greedy, modest) = (store.connect(), store.connect());
    let requests = 3 * FDHOLDER_TURN;
    greedy.send(&LIST.repeat(requests), &[]).unwrap();
    modest.send(LIST, &[]).unwrap();
    store.turn();
    assert_eq!(modest.answer().0, [0; 5]);
    let mut answered = greedy.receive(100_000).unwrap().0.len() / 11;
    assert_eq!(answered, FDHOLDER_TURN);
    // The rest is in the store's buffer: it comes without a further byte from the client.
    while answered < requests {
        assert!(store.turn() > 0);
        answered += greedy.receive(100_000).unwrap().0.len() / 11;
    }
    assert_eq!(answered, requests);
}

#[test]
fn an_answer_that_waits_is_sent_when_the_client_reads() {
    let mut store = Store::new();
    let peer = store.connect();
    let asked = store.clog(&peer);
    for _ in 0..3 {
        peer.send(LIST, &[]).unwrap();
    }
    store.settle();
    for i in 0..asked + 3 {
        assert_eq!(peer.answer().0, [0; 5], "answer {i}");
        store.settle();
    }
    assert_eq!(peer.receive(1), Err(Errno::AGAIN));
}

#[test]
fn a_retrieval_that_waits_brings_the_right_descriptor_whatever_happens_meanwhile() {
    let mut store = Store::new();
    let setter = store.connect();
    let witness = Witness::new();
    store.store(&setter, b"it", witness.write);
    let peer = store.connect();
    let asked = store.clog(&peer);
    peer.request(&Request::Retrieve(b"it", true), &[]);
    peer.request(&Request::Delete(b"it"), &[]);
    store.settle();
    // Strangers come and go, and numbers are used again.
    let decoy = Witness::new();
    store.store(&setter, b"decoy", decoy.write);
    for _ in 0..asked {
        peer.answer();
        store.settle();
    }
    let (status, fds) = peer.answer();
    assert_eq!((status, fds.len()), (vec![0], 1));
    assert!(witness.is(fds[0]));
    assert_eq!(peer.answer().0, [2]);
    assert_eq!(store.held(), [b"decoy"]);
}

#[test]
fn a_client_that_vanishes_before_its_descriptor_went_out_takes_nothing_along() {
    let mut store = Store::new();
    let setter = store.connect();
    let witness = Witness::new();
    store.store(&setter, b"it", witness.write);
    let peer = store.connect();
    store.clog(&peer);
    peer.request(&Request::Retrieve(b"it", true), &[]);
    store.settle();
    drop(peer);
    store.settle();
    assert_eq!(store.held(), [b"it"]);
    assert_eq!(store.clients(), 1);
}

#[test]
fn a_client_that_leaves_without_waiting_for_its_answers_is_served_all_the_same() {
    let mut store = Store::new();
    let mut witness = Witness::new();
    let setter = store.connect();
    assert_eq!([b"a", b"b"].map(|id| store.store(&setter, id, witness.write)), [0, 0]);
    let peer = store.connect();
    let requests = [
        Request::List,
        Request::Delete(b"a"),
        Request::GetDump,
        // What could not be given stays.
        Request::Retrieve(b"b", true),
    ];
    peer.send(&requests.map(|request| bytes(&request)).concat(), &[]).unwrap();
    let limit = store.limit(9);
    peer.request(&Request::Store(Entry { limit, id: b"c" }), &[witness.write]);
    drop(peer);
    store.settle();
    assert_eq!(store.held(), [b"c", b"b"]);
    assert_eq!(store.clients(), 1);
    store.let_go_of_all();
    assert!(witness.alone());
}
