//! What the store does for clients that behave.

use super::{Peer, Store, Witness};
use crate::fdholder::server::store_own;
use crate::fdholder::table;
use crate::fdholder::wire::{Entry, Request};
use crate::limits::{FDHOLDER_IDLE, FDHOLDER_TURN};
use crate::sys::time::SECOND;
use crate::sys::{Errno, Fd, unix};
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
        (b"\0\0\0\x01\0\0?", &[], b"\0\0\0\x01\0\0\x01"),
        (b"\0\0\0\x05\0\0!\0\0\0\x02", &[], b"\0\0\0\x01\0\0\x01"),
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
    store.with(|_, records, _, now| store_own(&mut records.held, b"unix:/run/s", fd, true, now)).unwrap();
    assert_eq!(store.tables.held[0].board, 1);
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

/// Makes the client's queue full: sends lists until no answer comes.
fn clog(store: &mut Store, peer: &Peer) -> usize {
    let mut asked = 0;
    let slot = store.tables.clients.iter().rposition(|client| client.used != 0).unwrap();
    while store.tables.clients[slot].reply_len == 0 {
        peer.send(LIST, &[]).unwrap();
        asked += 1;
        store.settle();
    }
    asked
}

#[test]
fn an_answer_that_waits_is_sent_when_the_client_reads() {
    let mut store = Store::new();
    let peer = store.connect();
    let asked = clog(&mut store, &peer);
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
    let asked = clog(&mut store, &peer);
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
    clog(&mut store, &peer);
    peer.request(&Request::Retrieve(b"it", true), &[]);
    store.settle();
    drop(peer);
    store.settle();
    assert_eq!(store.held(), [b"it"]);
    assert_eq!(store.clients(), 1);
}

#[test]
fn a_large_answer_comes_whole_and_its_memory_is_given_back() {
    let mut store = Store::new();
    let peer = store.connect();
    assert_eq!(store.ask(&peer, &Request::List, &[]), [0; 5]);
    let names: Vec<Vec<u8>> = (0..1024).map(|i| format!("{i:0>255}").into_bytes()).collect();
    store.with(|_, records, _, now| {
        for name in &names {
            store_own(&mut records.held, name, Fd(i32::MAX), false, now).unwrap();
        }
    });
    let blocks = |store: &Store| rustix::fs::fstat(Fd(store.tables.header.arena_fd)).unwrap().st_blocks / 8;
    let before = blocks(&store);
    peer.send(LIST, &[]).unwrap();
    store.settle();
    assert!(blocks(&store) > before + 60, "the answer is in the arena");
    let mut answer = Vec::new();
    while answer.len() < 6 + 5 + 1024 * 256 {
        answer.extend(peer.receive(1 << 20).unwrap().0);
        store.settle();
    }
    assert_eq!(answer[..11], *b"\0\x04\0\x05\0\0\0\0\0\x04\0");
    let found: Vec<_> = answer[11..].chunks(256).map(|name| &name[..255]).collect();
    assert_eq!(found, names);
    assert!(blocks(&store) <= before + 2, "{} pages more", blocks(&store) - before);
}

#[test]
fn clients_cost_memory_only_where_they_are() {
    let mut store = Store::new();
    let pages = rustix::fs::fstat(Fd(store.tables.header.arena_fd)).unwrap().st_blocks / 8;
    let peer = store.connect();
    let witness = Witness::new();
    for id in [b"a", b"b", b"c"] {
        store.store(&peer, id, witness.write);
    }
    store.ask(&peer, &Request::Retrieve(b"a", false), &[]);
    store.pass(SECOND);
    store.due();
    let after = rustix::fs::fstat(Fd(store.tables.header.arena_fd)).unwrap().st_blocks / 8;
    assert!(after - pages <= 4, "{} pages", after - pages);
}

#[test]
fn when_all_places_are_taken_the_next_client_waits_for_one() {
    let mut store = Store::new();
    let mut peers: Vec<Peer> = (0..store.tables.clients.len()).map(|_| store.connect()).collect();
    let waiting = store.connect();
    waiting.send(LIST, &[]).unwrap();
    store.settle();
    assert_eq!(waiting.receive(1), Err(Errno::AGAIN));
    peers.remove(7);
    store.settle();
    assert_eq!(waiting.answer().0, [0; 5]);
}

#[test]
fn an_idle_client_may_stay_for_long_but_makes_room_when_places_run_out() {
    let mut store = Store::new();
    let idle = store.connect();
    store.pass(60 * SECOND);
    assert!(!idle.ended());
    let peers: Vec<Peer> = (1..store.tables.clients.len()).map(|_| store.connect()).collect();
    let waiting = store.connect();
    store.pass(SECOND);
    assert!(idle.ended());
    assert!(!peers[0].ended());
    assert_eq!(store.ask(&waiting, &Request::List, &[]), [0; 5]);
}

#[test]
fn an_idle_client_does_not_stay_for_ever() {
    let mut store = Store::new();
    let idle = store.connect();
    assert_eq!(store.due(), Some(FDHOLDER_IDLE));
    store.pass(FDHOLDER_IDLE);
    assert!(idle.ended());
    assert_eq!(store.due(), None);
}

#[test]
fn an_event_for_a_client_that_is_gone_is_known_to_be_late() {
    let mut store = Store::new();
    let first = store.connect();
    let generation = store.tables.clients[0].generation;
    drop(first);
    store.settle();
    let _second = store.connect();
    assert_eq!(store.tables.clients[0].used, 1);
    assert!(!store.with(|server, records, epoll, now| server.client_ready(0, generation, records, epoll, now)));
    assert!(!store.with(|server, records, epoll, now| server.client_ready(31, 0, records, epoll, now)));
}

#[test]
fn a_server_that_is_made_anew_goes_on_with_the_clients_it_finds() {
    let mut store = Store::new();
    let (idle, half, torn) = (store.connect(), store.connect(), store.connect());
    half.send(&LIST[..3], &[]).unwrap();
    store.settle();
    store.tables.clients[2].serving = 1;
    store.epoll = crate::sys::epoll::Epoll::new().unwrap();
    let listener = store.listener;
    store.server = store
        .with(|_, records, epoll, now| crate::fdholder::server::Server::new(listener, records, epoll, now).unwrap());
    half.send(&LIST[3..], &[]).unwrap();
    store.settle();
    assert_eq!(half.answer().0, [0; 5]);
    assert_eq!(store.ask(&idle, &Request::List, &[]), [0; 5]);
    assert!(torn.ended());
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let path = std::ffi::CString::new(vec![b'x'; unix::MAX_PATH + 1]).unwrap();
    assert_eq!(crate::fdholder::server::listen(&path), Err(Errno::NAMETOOLONG));
}
