//! Faults at each point, in each kind of request: the process is entered again as process 1 would be, and the client does
//! not notice. It fails here by a panic that the test catches: all that it leaves behind is what is in the arena and in the
//! kernel, as after a fault.

use super::{Peer, Store, Witness};
use crate::fdholder::server::Server;
use crate::fdholder::session;
use crate::fdholder::wire::{Builder, CHUNK, Entry, HEADER, Request};
use crate::sys::epoll::Epoll;
use crate::sys::{Errno, Fd, inject, socket};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What of this process is open.
fn open() -> BTreeSet<i32> {
    let listed: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    listed.into_iter().filter(|fd| Fd(*fd).is_open()).collect()
}

impl Store {
    fn named(&self) -> BTreeSet<i32> {
        let held = self.tables.held.iter().filter(|held| held.used != 0).map(|held| held.fd);
        let clients = self.tables.clients.iter().take(self.tables.header.clients_top as usize);
        let clients = clients.filter(|client| client.used != 0);
        let clients = clients.flat_map(|client| session::queue(client).iter().copied().chain([client.fd]));
        held.chain(clients).collect()
    }

    /// As [`Store::settle`], whatever faults come; answers how many came.
    fn survive(&mut self) -> usize {
        let (mut faults, mut turns) = (0, 0);
        loop {
            let own = &open() - &self.named();
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(0) => return faults,
                Ok(_) => turns += 1,
                Err(_) => {
                    faults += 1;
                    self.enter_again(own);
                }
            }
            assert!(turns < 10_000, "the loop spins");
        }
    }

    fn enter_again(&mut self, mut own: BTreeSet<i32>) {
        own.remove(&self.epoll.fd().0);
        self.epoll.fd().close();
        // Whatever was closed has another meaning now.
        let guard = Witness::new();
        let others: Vec<Fd> = (0..8).map(|_| guard.write.duplicate(0).unwrap()).collect();
        self.epoll = Epoll::new().unwrap();
        let (listener, settings) = (self.listener, self.settings);
        self.server = self.with(|_, records, epoll, now| Server::new(listener, settings, records, epoll, now).unwrap());
        own.extend(others.iter().map(|fd| fd.0).chain([guard.read.0, guard.write.0, self.epoll.fd().0]));
        for fd in &(&open() - &self.named()) - &own {
            if !self.with(|server, records, epoll, now| server.adopt(Fd(fd), records, epoll, now)) {
                Fd(fd).close();
            }
        }
        assert!(others.into_iter().all(|fd| guard.is(fd)), "something was closed, or used, that had another meaning");
    }

    fn connect_through(&mut self) -> Peer {
        let peer = Peer(crate::sys::unix::connect(&self.path, None).unwrap());
        self.survive();
        peer
    }

    fn ask_through(&mut self, peer: &Peer, request: &Request<'_>, fds: &[Fd]) -> (Vec<u8>, Vec<Fd>) {
        peer.request(request, fds);
        self.survive();
        peer.answer()
    }

    fn status(&mut self, peer: &Peer, request: &Request<'_>, fds: &[Fd]) -> u8 {
        let (answer, fds) = self.ask_through(peer, request, fds);
        assert_eq!((answer.len(), fds.len()), (1, 0));
        answer[0]
    }
}

/// Has `scenario` done once without a fault, and once with each one that it can meet: the first few passages of each point.
/// Nothing may be left open.
fn through_faults(scenario: impl Fn(&mut Store)) {
    let mut met = 0;
    for point in inject::POINTS.iter().flat_map(|group| group.iter()).filter(|point| point.starts_with("holder.")) {
        for nth in 1..40 {
            let before = open();
            let mut store = Store::new();
            inject::configure(format!("{point}:{nth}:assertion").as_bytes(), 0);
            println!("{point} {nth}");
            scenario(&mut store);
            store.survive();
            let was_met = inject::is_over();
            inject::configure(b"holder.closing:1000000", 0);
            store.let_go_of_all();
            store.settle();
            assert_eq!(store.clients(), 0, "{point} {nth}");
            drop(store);
            assert_eq!(open(), before, "{point} {nth}");
            if !was_met {
                break;
            }
            met += 1;
        }
    }
    println!("{met} faults");
    assert!(met > 10);
}

fn entry(store: &Store, id: &'static str) -> Entry<'static> {
    Entry { limit: store.limit(1 << 40), id: id.as_bytes() }
}

fn held(store: &mut Store) -> Vec<String> {
    store.held().into_iter().map(|id| String::from_utf8(id).unwrap()).collect()
}

fn retrievals(store: &Store) -> Vec<u32> {
    store.tables.held.iter().filter(|held| held.used != 0).map(|held| held.retrievals).collect()
}

const OK: u8 = 0;
const NOENT: u8 = Errno::NOENT.raw_os_error() as u8;
const BUSY: u8 = Errno::BUSY.raw_os_error() as u8;
const INVAL: u8 = Errno::INVAL.raw_os_error() as u8;
const AGAIN: u8 = Errno::AGAIN.raw_os_error() as u8;

#[test]
fn what_is_stored_is_stored_once_and_what_is_refused_is_refused() {
    through_faults(|store| {
        let peer = store.connect_through();
        let (mut first, mut second) = (Witness::new(), Witness::new());
        let a = entry(store, "a");
        assert_eq!(store.status(&peer, &Request::Store(a), &[first.write]), OK);
        assert_eq!(store.status(&peer, &Request::Store(a), &[second.write]), BUSY);
        let own = Fd(store.tables.clients[0].fd); // the store's side, of which a duplicate comes
        assert_eq!(store.status(&peer, &Request::Store(entry(store, "loop")), &[peer.0]), INVAL);
        assert!(own.is_open() && second.alone() && !first.alone());
        assert_eq!(held(store), ["a"]);
    });
}

#[test]
fn what_is_deleted_is_deleted_once() {
    through_faults(|store| {
        let peer = store.connect_through();
        let mut witness = Witness::new();
        for id in ["a", "b"] {
            assert_eq!(store.status(&peer, &Request::Store(entry(store, id)), &[witness.write]), OK);
        }
        assert_eq!(store.status(&peer, &Request::Delete(b"b"), &[]), OK);
        assert_eq!(store.status(&peer, &Request::Delete(b"b"), &[]), NOENT);
        assert_eq!(held(store), ["a"]);
        assert_eq!(store.status(&peer, &Request::Delete(b"a"), &[]), OK);
        assert!(witness.alone());
    });
}

#[test]
fn what_is_retrieved_comes_once_and_counts_once() {
    through_faults(|store| {
        let peer = store.connect_through();
        let mut witness = Witness::new();
        assert_eq!(store.status(&peer, &Request::Store(entry(store, "a")), &[witness.write]), OK);
        for (count, delete) in [(1, false), (2, false), (0, true)] {
            let (answer, fds) = store.ask_through(&peer, &Request::Retrieve(b"a", delete), &[]);
            assert_eq!((answer, fds.len()), (vec![0], 1));
            assert!(witness.is(fds[0]));
            assert_eq!(retrievals(store).first().copied().unwrap_or(0), count);
        }
        assert_eq!(store.status(&peer, &Request::Retrieve(b"a", true), &[]), NOENT);
        assert!(witness.alone() && peer.receive(1).is_err());
    });
}

#[test]
fn lists_come_whole_and_once() {
    through_faults(|store| {
        let peer = store.connect_through();
        let witness = Witness::new();
        for id in ["a", "b"] {
            assert_eq!(store.status(&peer, &Request::Store(entry(store, id)), &[witness.write]), OK);
        }
        let (answer, _) = store.ask_through(&peer, &Request::List, &[]);
        assert_eq!(answer, b"\0\0\0\0\x02a\0b\0");
        let (answer, _) = store.ask_through(&peer, &Request::Info(0), &[]);
        assert_eq!(answer[..7], [0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(peer.receive(1).err(), Some(Errno::AGAIN));
    });
}

#[test]
fn many_requests_at_once_and_in_pieces_are_answered_one_by_one() {
    through_faults(|store| {
        let peer = store.connect_through();
        let (first, second) = (Witness::new(), Witness::new());
        let mut all = Vec::new();
        let mut buf = [0; 400];
        for request in [
            Request::Store(entry(store, "a")),
            Request::Store(entry(store, "b")),
            Request::Retrieve(b"a", true),
            Request::Delete(b"a"),
            Request::List,
        ] {
            all.extend_from_slice(request.encode(&mut buf).unwrap());
        }
        // The descriptor of the second comes before its request does; the last request comes in pieces.
        let (cut, end) = (30, all.len() - 3);
        assert_eq!(peer.send(&all[..cut], &[first.write, second.write]), Ok(cut));
        store.survive();
        assert_eq!(peer.send(&all[cut..end], &[]), Ok(end - cut));
        store.survive();
        assert_eq!(peer.send(&all[end..], &[]), Ok(3));
        store.survive();
        for expected in [OK, OK, OK, NOENT] {
            let (answer, fds) = peer.answer();
            assert_eq!(answer, [expected]);
            assert!(fds.into_iter().all(|fd| first.is(fd)));
        }
        assert_eq!(peer.answer().0, b"\0\0\0\0\x01b\0");
        assert!(second.is(second.write.duplicate(0).unwrap()));
    });
}

/// Sends messages that bring descriptors; answers the statuses.
fn set_dump(store: &mut Store, peer: &Peer, ids: &[String], fd: Fd) -> Vec<u8> {
    let (answer, _) = store.ask_through(peer, &Request::SetDump(ids.len() as u32), &[]);
    assert_eq!(answer[0], OK);
    let mut statuses = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let mut room = vec![0; 80_000];
        let mut message = Builder::new(&mut room);
        message.bytes(b".");
        for id in chunk {
            message.entry(store.limit(1 << 40), id.as_bytes());
        }
        let message = message.finish(chunk.len()).unwrap();
        assert_eq!(socket::send(peer.0, message, &vec![fd; chunk.len()]), Ok(message.len()));
        store.survive();
        statuses.push(peer.answer().0[0]);
    }
    statuses
}

#[test]
fn a_dump_that_is_set_is_held_whole_and_once() {
    through_faults(|store| {
        let peer = store.connect_through();
        let (mut old, mut new) = (Witness::new(), Witness::new());
        for id in ["1", "260"] {
            assert_eq!(store.status(&peer, &Request::Store(entry(store, id)), &[old.write]), OK);
        }
        let ids: Vec<String> = (0..264).map(|i| i.to_string()).collect();
        assert_eq!(set_dump(store, &peer, &ids, new.write), [AGAIN, OK]);
        assert!(old.alone() && !new.alone());
        assert_eq!(held(store).len(), 264);
    });
}

#[test]
fn of_what_is_named_twice_in_a_message_the_last_is_held() {
    through_faults(|store| {
        let peer = store.connect_through();
        let witness = Witness::new();
        let ids: Vec<String> = ["a", "b", "a", "c", "a"].map(String::from).to_vec();
        assert_eq!(set_dump(store, &peer, &ids, witness.write), [OK]);
        assert_eq!(held(store), ["a", "b", "c"]);
        let (answer, fds) = store.ask_through(&peer, &Request::Retrieve(b"a", true), &[]);
        assert_eq!((answer, fds.len()), (vec![0], 1));
        assert!(witness.is(fds[0]));
    });
}

#[test]
fn a_dump_that_is_got_comes_whole_and_counts_once() {
    through_faults(|store| {
        let peer = store.connect_through();
        let witness = Witness::new();
        let ids: Vec<String> = (0..264).map(|i| i.to_string()).collect();
        assert_eq!(set_dump(store, &peer, &ids, witness.write), [AGAIN, OK]);
        let (answer, _) = store.ask_through(&peer, &Request::GetDump, &[]);
        assert_eq!(answer, [0, 0, 0, 0, 2, 0, 0, 1, 8]);
        for count in [CHUNK, 264 - CHUNK] {
            let (_, fds) = peer.answer();
            assert_eq!(fds.len(), count);
            assert!(fds.into_iter().all(|fd| witness.is(fd)));
        }
        assert_eq!(retrievals(store), vec![1; 264]);
        assert_eq!(store.status(&peer, &Request::Delete(b"none"), &[]), NOENT);
    });
}

#[test]
fn an_answer_that_waits_goes_on_where_it_was() {
    through_faults(|store| {
        let peer = store.connect_through();
        let witness = Witness::new();
        let ids: Vec<String> = (0..80).map(|i| format!("{i:0>255}")).collect();
        assert_eq!(set_dump(store, &peer, &ids, witness.write), [OK]);
        rustix::net::sockopt::set_socket_send_buffer_size(Fd(store.tables.clients[0].fd), 1).unwrap();
        peer.request(&Request::List, &[]);
        let expected: Vec<u8> = ids.iter().flat_map(|id| id.bytes().chain([0])).collect();
        let mut answer = Vec::new();
        while answer.len() < HEADER + 5 + expected.len() {
            store.survive();
            answer.extend(peer.receive(4096).expect("more of the answer").0);
        }
        assert_eq!(answer[HEADER + 5..], expected);
        assert_eq!(store.status(&peer, &Request::Delete(b"none"), &[]), NOENT);
    });
}

#[test]
fn who_leaves_is_gone_and_what_it_asked_before_is_done() {
    through_faults(|store| {
        let (peer, other) = (store.connect_through(), store.connect_through());
        let mut witness = Witness::new();
        // It does not take its first answer: the kernel tells of that before it gives what was sent later.
        peer.request(&Request::List, &[]);
        store.survive();
        let (mut all, mut buf) = (Vec::new(), [0; 400]);
        for request in
            [Request::Store(entry(store, "a")), Request::Retrieve(b"a", true), Request::Store(entry(store, "b"))]
        {
            all.extend_from_slice(request.encode(&mut buf).unwrap());
        }
        assert_eq!(peer.send(&all, &[witness.write; 2]), Ok(all.len()));
        drop(peer);
        store.survive();
        assert_eq!(store.clients(), 1);
        assert_eq!(held(store), ["a", "b"]);
        assert_eq!(store.status(&other, &Request::Delete(b"none"), &[]), NOENT);
        assert!(!witness.alone());
    });
}

#[test]
fn who_may_not_store_is_refused_and_its_descriptors_are_closed() {
    through_faults(|store| {
        let peer = store.connect_through();
        crate::fdholder::rights::forbid(&mut store.tables.clients[0]);
        let mut witness = Witness::new();
        let perm = Errno::PERM.raw_os_error() as u8;
        assert_eq!(store.status(&peer, &Request::Store(entry(store, "a")), &[witness.write]), perm);
        store.tables.clients[0].rights = crate::fdholder::rights::SETDUMP; // its descriptors are kept
        assert_eq!(store.status(&peer, &Request::Store(entry(store, "a")), &[witness.write]), perm);
        assert!(witness.alone());
    });
}

#[test]
fn a_client_at_whose_request_the_process_always_fails_is_cut_off_alone() {
    let mut store = Store::new();
    let (bad, good) = (store.connect(), store.connect());
    bad.request(&Request::List, &[]);
    for _ in 0..session::ATTEMPTS {
        let own = &open() - &store.named();
        inject::configure(b"holder.begun:1:assertion", 0);
        assert!(catch_unwind(AssertUnwindSafe(|| store.turn())).is_err());
        store.enter_again(own);
    }
    store.settle();
    assert!(bad.ended());
    assert_eq!(store.ask(&good, &Request::List, &[]), [0; 5]);
}
