//! What the store takes and gives back: places for clients, memory, time; and that it can be made anew.

use super::{Peer, Store, Witness};
use crate::fdholder::server::{Server, Settings, store_own};
use crate::fdholder::table;
use crate::fdholder::wire::Request;
use crate::limits::FDHOLDER_IDLE;
use crate::sys::time::SECOND;
use crate::sys::{Errno, Fd, unix};

const LIST: &[u8] = b"\0\0\0\x01\0\0L";

#[test]
fn a_large_answer_comes_whole_and_its_memory_is_given_back() {
    let mut store = Store::new();
    let peer = store.connect();
    assert_eq!(store.ask(&peer, &Request::List, &[]), [0; 5]);
    let names: Vec<Vec<u8>> = (0..1024).map(|i| format!("{i:0>255}").into_bytes()).collect();
    store.with(|_, records, _, now| {
        for name in &names {
            store_own(&mut records.held, name, Fd(i32::MAX), crate::fdholder::table::Origin::Client, now).unwrap();
        }
    });
    let before = store.pages();
    peer.send(LIST, &[]).unwrap();
    store.settle();
    assert!(store.pages() > before + 60, "the answer is in the arena");
    let mut answer = Vec::new();
    while answer.len() < 6 + 5 + 1024 * 256 {
        answer.extend(peer.receive(1 << 20).unwrap().0);
        store.settle();
    }
    assert_eq!(answer[..11], *b"\0\x04\0\x05\0\0\0\0\0\x04\0");
    let found: Vec<_> = answer[11..].chunks(256).map(|name| &name[..255]).collect();
    assert_eq!(found, names);
    assert!(store.pages() <= before + 2, "{} pages more", store.pages() - before);
}

#[test]
fn clients_cost_memory_only_where_they_are() {
    let mut store = Store::new();
    let pages = store.pages();
    let peer = store.connect();
    let witness = Witness::new();
    for id in [b"a", b"b", b"c"] {
        store.store(&peer, id, witness.write);
    }
    store.ask(&peer, &Request::Retrieve(b"a", false), &[]);
    store.pass(SECOND);
    store.due();
    assert!(store.pages() - pages <= 4, "{} pages", store.pages() - pages);
}

#[test]
fn memory_shrinks_again_when_clients_leave_and_descriptors_are_let_go() {
    let mut store = Store::new();
    let first = store.connect();
    store.ask(&first, &Request::List, &[]);
    let pages = store.pages();
    let peers: Vec<Peer> = (1..store.tables.clients.len()).map(|_| store.connect()).collect();
    for peer in &peers {
        store.ask(peer, &Request::List, &[]);
    }
    let limit = store.limit(5);
    store.with(|server, records, _, now| {
        for i in 0..1000u32 {
            let (id, fd) = (format!("{i}"), Fd::NONE);
            let identity = (0, 0);
            let new = table::New {
                id: id.as_bytes(),
                limit,
                fd,
                origin: table::Origin::Client,
                pid: 1,
                uid: 0,
                now: now.boot,
                identity,
            };
            records.held.store(&new).unwrap();
        }
        server.note_changes(&mut records.held);
    });
    assert_eq!(store.held().len(), 1000);
    assert!(store.pages() > pages + 100);
    drop(peers);
    store.pass(5 * SECOND);
    assert!(store.held().is_empty());
    store.pass(SECOND); // often another client comes at once
    assert!(store.pages() <= pages + 8, "{} pages more", store.pages() - pages);
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
    store.pass(SECOND); // its memory is given back
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
    store.server =
        store.with(|_, records, epoll, now| Server::new(listener, Settings::default(), records, epoll, now).unwrap());
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
