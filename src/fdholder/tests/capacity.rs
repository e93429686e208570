//! What the store takes and gives back: places for clients, memory, time; and that it can be made anew.

use super::{PLACES, Peer, Store, Witness};
use crate::fdholder::server::{Server, Settings, store_own};
use crate::fdholder::wire::Request;
use crate::fdholder::{session, table};
use crate::limits::{FDHOLDER_IDLE, FDHOLDER_LARGE};
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
    let peers: Vec<Peer> = (1..PLACES).map(|_| store.connect()).collect();
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
                owner: None,
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
    let mut peers: Vec<Peer> = (0..PLACES).map(|_| store.connect()).collect();
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
    let peers: Vec<Peer> = (1..PLACES).map(|_| store.connect()).collect();
    let waiting = store.connect();
    assert_eq!(store.due(), Some(0));
    store.pass(0);
    assert!(idle.ended());
    assert!(!peers[0].ended());
    assert_eq!(store.ask(&waiting, &Request::List, &[]), [0; 5]);
}

#[test]
fn a_client_that_has_just_asked_does_not_make_room() {
    let mut store = Store::new();
    let idle: Vec<Peer> = (0..PLACES).map(|_| store.connect()).collect();
    store.pass_without_events(SECOND);
    idle[0].send(LIST, &[]).unwrap();
    store.pass(0);
    assert_eq!(idle[0].answer().0, [0; 5]);
    store.pass(0);
    assert!(idle[1].ended() && !idle[0].ended());
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
    let (idle, half, fatal) = (store.connect(), store.connect(), store.connect());
    half.send(&LIST[..3], &[]).unwrap();
    store.settle();
    store.tables.clients[1].serving = 1;
    store.tables.clients[2].serving = session::ATTEMPTS;
    store.epoll = crate::sys::epoll::Epoll::new().unwrap();
    let listener = store.listener;
    store.server =
        store.with(|_, records, epoll, now| Server::new(listener, Settings::default(), records, epoll, now).unwrap());
    half.send(&LIST[3..], &[]).unwrap();
    store.settle();
    assert_eq!(half.answer().0, [0; 5]);
    assert_eq!(store.ask(&idle, &Request::List, &[]), [0; 5]);
    assert!(fatal.ended());
}

#[test]
fn only_so_many_clients_have_large_answers_waiting() {
    let mut store = Store::new();
    let setter = store.connect();
    let witness = Witness::new();
    for i in 0..50 {
        assert_eq!(store.store(&setter, format!("{i:0>255}").as_bytes(), witness.write), 0);
    }
    let peers: Vec<Peer> = (0..FDHOLDER_LARGE + 1).map(|_| store.connect()).collect();
    for peer in &peers {
        let slot = store.tables.clients.iter().rposition(|client| client.used != 0).unwrap();
        for client in &store.tables.clients[1..=slot] {
            rustix::net::sockopt::set_socket_send_buffer_size(Fd(client.fd), 1).unwrap();
        }
        peer.send(LIST, &[]).unwrap();
        store.settle();
    }
    let nomem = [Errno::NOMEM.raw_os_error() as u8];
    assert_eq!(peers[FDHOLDER_LARGE].answer().0, nomem);
    assert_eq!(store.ask(&setter, &Request::GetDump, &[]), nomem);
    assert_eq!(store.ask(&setter, &Request::Delete(b"none"), &[]), [2]);
    let mut taken = 0;
    while taken < 6 + 5 + 50 * 256 {
        taken += peers[0].receive(1 << 16).unwrap().0.len();
        store.settle();
    }
    assert_eq!(store.ask(&setter, &Request::List, &[]).len(), 5 + 50 * 256);
}

fn store_with(change: impl FnOnce(&mut Settings)) -> Store {
    let mut settings = Settings::default();
    change(&mut settings);
    Store::with_settings(settings)
}

#[test]
fn there_may_be_fewer_places_and_fewer_descriptors_than_there_could_be() {
    let mut store = store_with(|settings| (settings.clients_max, settings.held_max) = (2, 1));
    let (first, _second, third) = (store.connect(), store.connect(), store.connect());
    let witness = Witness::new();
    assert_eq!(store.clients(), 2);
    assert_eq!(store.store(&first, b"a", witness.write), 0);
    assert_eq!(store.store(&first, b"b", witness.write), Errno::NFILE.raw_os_error() as u8);
    assert_eq!(store.ask(&first, &Request::SetDump(1), &[]), [Errno::NFILE.raw_os_error() as u8]);
    third.send(LIST, &[]).unwrap();
    drop(first);
    store.settle();
    assert_eq!(third.answer().0, b"\0\0\0\0\x01a\0");
}

#[test]
fn no_place_at_all_is_one() {
    let mut store = store_with(|settings| settings.clients_max = 0);
    assert!(store.works());
}

#[test]
fn with_a_timeout_the_first_answer_has_a_deadline_and_idle_time_after_it_has_not() {
    let mut store = store_with(|settings| settings.timeout = 2 * SECOND);
    let (idle, trickle, asks) = (store.connect(), store.connect(), store.connect());
    assert_eq!(store.due(), Some(2 * SECOND));
    store.pass(SECOND);
    assert_eq!(store.ask(&asks, &Request::List, &[]), [0; 5]);
    trickle.send(&LIST[..3], &[]).unwrap();
    store.settle();
    assert_eq!(store.due(), Some(SECOND), "a part of a request buys no time");
    store.pass(SECOND);
    assert!(idle.ended() && trickle.ended());
    assert!(!asks.ended());
    store.pass(SECOND); // the memory of those who left is given back
    assert!(store.due() > Some(100 * SECOND));
}

#[test]
fn with_a_timeout_later_answers_have_it_too() {
    let mut store = store_with(|settings| settings.timeout = 2 * SECOND);
    let peer = store.connect();
    store.clog(&peer);
    assert_eq!(store.due(), Some(2 * SECOND));
    store.pass(2 * SECOND);
    assert_eq!(store.clients(), 0);
}

impl Store {
    fn end_soon(&mut self) {
        self.with(|server, records, epoll, _| server.end_soon(records, epoll));
        self.settle();
    }

    fn is_done(&mut self) -> bool {
        self.with(|server, records, _, _| server.is_done(records))
    }
}

#[test]
fn a_store_that_is_to_end_is_done_at_once_when_nobody_is_owed_anything() {
    let mut store = Store::new();
    let idle = store.connect();
    let witness = Witness::new();
    assert_eq!(store.store(&idle, b"a", witness.write), 0);
    assert!(!store.is_done());
    store.end_soon();
    assert!(store.is_done());
    assert_eq!(store.with(|_, records, _, _| records.counts()), (1, 1));
    // Newcomers and idle clients wait; they are told nothing.
    let late = store.connect();
    for peer in [&idle, &late] {
        peer.send(LIST, &[]).unwrap();
    }
    store.settle();
    assert_eq!([&idle, &late].map(|peer| peer.receive(1)), [Err(Errno::AGAIN), Err(Errno::AGAIN)]);
    assert!(store.is_done());
    assert_eq!(store.clients(), 1);
}

#[test]
fn a_store_that_is_to_end_finishes_what_has_been_begun() {
    let mut store = Store::new();
    let (half, full) = (store.connect(), store.connect());
    half.send(&LIST[..4], &[]).unwrap();
    store.settle();
    let asked = store.clog(&full);
    store.end_soon();
    assert!(!store.is_done());
    half.send(&[&LIST[4..], LIST].concat(), &[]).unwrap();
    store.settle();
    assert_eq!(half.answer().0, [0; 5]);
    for _ in 0..asked {
        assert_eq!(full.answer().0, [0; 5]);
        store.settle();
    }
    // What came in along with the rest is served too; then no more.
    assert_eq!(half.answer().0, [0; 5]);
    half.send(LIST, &[]).unwrap();
    store.settle();
    assert_eq!(half.receive(1), Err(Errno::AGAIN));
    assert!(store.is_done());
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let path = std::ffi::CString::new(vec![b'x'; unix::MAX_PATH + 1]).unwrap();
    assert_eq!(crate::fdholder::server::listen(&path), Err(Errno::NAMETOOLONG));
}
