//! Dumps: all that is held to one client, many descriptors from one.

use super::{Peer, Store, Witness};
use crate::fdholder::table;
use crate::fdholder::wire::{CHUNK, Entries, Entry, HEADER, Request, header, trips};
use crate::limits::FDHOLDER_PATIENCE;
use crate::sys::time::SECOND;
use crate::sys::{Errno, Fd, socket};
use crate::text::tai::Stamp;
use proptest::prelude::*;

const AGAIN: u8 = 11;
const NFILE: u8 = 23;

/// Identifier, limit and descriptor of what came in one message.
type Message = Vec<(Vec<u8>, Stamp, Fd)>;

/// What a client gets that asks for a dump: how many messages were announced, and the messages. Everything is read as it
/// comes.
fn get(store: &mut Store, peer: &Peer) -> (u32, Vec<Message>) {
    let head = store.ask(peer, &Request::GetDump, &[]);
    assert_eq!((head.len(), head[0]), (9, 0), "{head:x?}");
    let [announced, total] = [1, 5].map(|at| u32::from_be_bytes(head[at..at + 4].try_into().unwrap()));
    let mut messages = Vec::new();
    let mut left = total;
    while left > 0 {
        let (payload, fds) = message(store, peer);
        let entries = Entries::decode(&payload, fds.len()).unwrap();
        left -= fds.len() as u32;
        messages.push(entries.iter().zip(fds).map(|(entry, fd)| (entry.id.to_vec(), entry.limit, fd)).collect());
    }
    store.settle();
    assert_eq!(peer.receive(1), Err(Errno::AGAIN));
    (announced, messages)
}

/// One message: its payload, which is read bit by bit while the store goes on, and its descriptors.
fn message(store: &mut Store, peer: &Peer) -> (Vec<u8>, Vec<Fd>) {
    let (head, fds) = peer.receive(HEADER).unwrap();
    let (length, count) = header(&head).expect("a message");
    assert_eq!(fds.len(), count);
    let mut payload = Vec::new();
    while payload.len() < length {
        payload.extend(peer.receive(length - payload.len()).unwrap().0);
        store.settle();
    }
    (payload, fds)
}

fn close(messages: Vec<Message>) -> Vec<Vec<u8>> {
    messages
        .into_iter()
        .flatten()
        .map(|(id, _, mut fd)| {
            fd.close();
            id
        })
        .collect()
}

/// A message of a dump that is set.
fn data(entries: &[(&[u8], Stamp)]) -> Vec<u8> {
    let mut payload = b".".to_vec();
    for (id, limit) in entries {
        payload.extend(limit.to_bytes());
        payload.push(id.len() as u8);
        payload.extend(*id);
        payload.push(0);
    }
    let mut message = (payload.len() as u32).to_be_bytes().to_vec();
    message.extend((entries.len() as u16).to_be_bytes());
    message.extend(payload);
    message
}

/// Sends a message of a dump, with a descriptor for each entry; the status that is answered.
fn set(store: &mut Store, peer: &Peer, ids: &[&[u8]], fds: &[Fd]) -> u8 {
    let limit = store.limit(1 << 40);
    let entries: Vec<_> = ids.iter().map(|id| (*id, limit)).collect();
    let message = data(&entries);
    let mut sent = peer.send(&message, fds).unwrap();
    while sent < message.len() {
        store.settle();
        sent += peer.send(&message[sent..], &[]).unwrap();
    }
    store.settle();
    peer.answer().0[0]
}

fn announce(store: &mut Store, peer: &Peer, total: u32) -> Vec<u8> {
    store.ask(peer, &Request::SetDump(total), &[])
}

fn fill(store: &mut Store, peer: &Peer, n: usize, fd: Fd) {
    for i in 0..n {
        assert_eq!(store.store(peer, format!("{i:04}").as_bytes(), fd), 0);
    }
}

#[test]
fn a_dump_has_the_bytes_of_s6s() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    for stored in [
        &b"\0\0\0\x15\0\x01S\x60\0\0\0\x6b\x02\xaf\x5f\x30\xb9\x6b\x92\x06unix:a\0"[..],
        b"\0\0\0\x14\0\x01S\x40\0\0\0\x6b\x02\xaf\x9b\x31\x77\xe3\x36\x05tcp:b\0",
    ] {
        peer.send(stored, &[witness.write]).unwrap();
        store.settle();
        assert_eq!(peer.answer().0, [0]);
    }
    peer.send(b"\0\0\0\x01\0\0?", &[]).unwrap();
    store.settle();
    let (head, none) = peer.receive(15).unwrap();
    assert_eq!((&head[..], none.len()), (&b"\0\0\0\x09\0\0\0\0\0\0\x01\0\0\0\x02"[..], 0));
    let (message, fds) = peer.receive(400).unwrap();
    assert_eq!(
        message,
        b"\0\0\0\x27\0\x02\x60\0\0\0\x6b\x02\xaf\x5f\x30\xb9\x6b\x92\x06unix:a\0\x40\0\0\0\x6b\x02\xaf\x9b\x31\x77\xe3\x36\x05tcp:b\0"
    );
    assert_eq!(fds.len(), 2);
    assert!(fds.into_iter().all(|fd| witness.is(fd)));
    for (sent, fds, expected) in [
        (&b"\0\0\0\x05\0\0!\0\0\0\x02"[..], 0, &b"\0\0\0\x05\0\0\0\0\0\0\x01"[..]),
        (
            b"\0\0\0\x21\0\x02.\x60\0\0\0\x6b\x02\xaf\x6b\x14\x3d\x75\x67\x02x1\0\x40\0\0\0\x6b\x82\xaf\x9b\x31\x77\xe3\x36\x02x2\0",
            2,
            b"\0\0\0\x01\0\0\0",
        ),
        (b"\0\0\0\x05\0\0!\0\0\0\x02", 0, b"\0\0\0\x05\0\0\0\0\0\0\x01"),
        (b"\0\0\0\x11\0\x01.\x60\0\0\0\x6b\x02\xaf\x6b\x14\x3d\x75\x67\x02y1\0", 1, b"\0\0\0\x01\0\0\x0b"),
        (b"\0\0\0\x11\0\x01.\x60\0\0\0\x6b\x02\xaf\x6b\x14\x3d\x75\x67\x02y2\0", 1, b"\0\0\0\x01\0\0\0"),
    ] {
        assert_eq!(peer.send(sent, &vec![witness.write; fds]), Ok(sent.len()));
        store.settle();
        assert_eq!(peer.receive(400).unwrap().0, expected, "to {sent:x?}");
    }
    assert_eq!(store.held(), [&b"unix:a"[..], b"tcp:b", b"x1", b"x2", b"y1", b"y2"]);
}

#[test]
fn a_dump_comes_in_messages_of_253() {
    for n in [0, 1, 253, 254, 507] {
        let mut store = Store::new();
        let peer = store.connect();
        let mut witness = Witness::new();
        fill(&mut store, &peer, n, witness.write);
        let (announced, messages) = get(&mut store, &peer);
        assert_eq!(announced, trips(n as u32));
        let sizes: Vec<_> = messages.iter().map(Vec::len).collect();
        let expected: Vec<_> = (0..n).step_by(CHUNK).map(|at| CHUNK.min(n - at)).collect();
        assert_eq!(sizes, expected);
        assert!(messages.iter().flatten().all(|(_, _, fd)| fd.is_open()));
        assert_eq!(close(messages), store.held());
        assert_eq!(store.tables.held.iter().filter(|held| held.retrievals == 1).count(), n);
        store.let_go_of_all();
        assert!(witness.alone());
    }
}

#[test]
fn a_full_store_of_the_longest_names_is_dumped_whole_and_costs_one_message_of_memory() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    let capacity = store.tables.held.len();
    for i in 0..capacity {
        assert_eq!(store.store(&peer, format!("{i:0255}").as_bytes(), witness.write), 0);
    }
    peer.request(&Request::GetDump, &[]);
    store.settle();
    assert!(store.tables.clients[0].reply_len as usize <= HEADER + CHUNK * (12 + 1 + 255 + 1));
    assert!(peer.answer().0 == [&[0, 0, 0, 0, 5][..], &(capacity as u32).to_be_bytes()].concat());
    let mut ids = Vec::new();
    while ids.len() < capacity {
        let (payload, fds) = message(&mut store, &peer);
        ids.extend(Entries::decode(&payload, fds.len()).unwrap().iter().map(|entry| entry.id.to_vec()));
        fds.into_iter().for_each(|mut fd| fd.close());
    }
    assert_eq!(ids, store.held());
    assert_eq!(store.ask(&peer, &Request::Delete(b"none"), &[]), [2]);
}

/// A dump of 300, of which the announcement and a part of the first message are on their way to a client that does not
/// read.
fn half_a_dump(store: &mut Store, fd: Fd) -> Peer {
    let setter = store.connect();
    fill(store, &setter, 300, fd);
    drop(setter);
    store.settle();
    let peer = store.connect();
    rustix::net::sockopt::set_socket_send_buffer_size(Fd(store.tables.clients[0].fd), 1).unwrap();
    peer.request(&Request::GetDump, &[]);
    store.settle();
    let client = &store.tables.clients[0];
    assert_eq!((client.dump_next, client.dump_give), (253, 47));
    assert!(client.reply_len > client.reply_sent);
    store.now.boot += 1;
    peer
}

#[test]
fn what_is_stored_while_a_dump_waits_is_left_out_of_it() {
    let mut store = Store::new();
    let witness = Witness::new();
    let peer = half_a_dump(&mut store, witness.write);
    let mut before = store.held();
    let other = store.connect();
    assert_eq!(store.store(&other, b"new", witness.write), 0);
    assert_eq!(peer.answer().0, [0, 0, 0, 0, 2, 0, 0, 1, 44]);
    for count in [253, 47] {
        let (payload, fds) = message(&mut store, &peer);
        assert_eq!(fds.len(), count);
        let entries = Entries::decode(&payload, count).unwrap();
        assert!(entries.iter().map(|entry| entry.id.to_vec()).eq(before.drain(..count)));
        fds.into_iter().for_each(|mut fd| fd.close());
    }
    assert_eq!(peer.receive(1), Err(Errno::AGAIN));
}

/// Reads what there is until the end of the connection; false: it has not ended.
fn read_to_the_end(store: &mut Store, peer: &Peer) -> bool {
    loop {
        match peer.receive(1 << 16) {
            Ok((bytes, _)) if bytes.is_empty() => return true,
            Ok((_, fds)) => fds.into_iter().for_each(|mut fd| fd.close()),
            Err(Errno::CONNRESET) => return true,
            Err(_) => return false,
        }
        store.settle();
    }
}

#[test]
fn a_dump_ends_if_something_is_let_go_of_that_was_announced_and_not_sent() {
    let mut store = Store::new();
    let mut witness = Witness::new();
    let peer = half_a_dump(&mut store, witness.write);
    store.now.boot += 1;
    let other = store.connect();
    let last = store.held().pop().unwrap();
    assert_eq!(store.ask(&other, &Request::Delete(&last), &[]), [0]);
    // Another of the same name is another.
    assert_eq!(store.store(&other, &last, witness.write), 0);
    assert!(read_to_the_end(&mut store, &peer));
    assert_eq!(store.clients(), 1);
    drop(peer);
    store.let_go_of_all();
    assert!(witness.alone());
}

#[test]
fn a_dump_goes_on_if_something_is_let_go_of_that_was_sent() {
    let mut store = Store::new();
    let witness = Witness::new();
    let peer = half_a_dump(&mut store, witness.write);
    store.now.boot += 1;
    let other = store.connect();
    let first = store.held().remove(0);
    assert_eq!(store.ask(&other, &Request::Delete(&first), &[]), [0]);
    assert!(!read_to_the_end(&mut store, &peer));
    assert_eq!((store.tables.clients[0].dump_give, store.clients()), (0, 2));
}

#[test]
fn a_client_that_does_not_take_its_dump_is_cut_off_in_time() {
    let mut store = Store::new();
    let witness = Witness::new();
    let _peer = half_a_dump(&mut store, witness.write);
    store.pass(FDHOLDER_PATIENCE - 2);
    assert_eq!(store.clients(), 1);
    store.pass(1);
    assert_eq!(store.clients(), 0);
    assert_eq!(store.held().len(), 300);
}

#[test]
fn a_dump_may_come_in_pieces_of_any_size_but_not_with_more_than_was_announced() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    assert_eq!(announce(&mut store, &peer, 4), [0, 0, 0, 0, 1]);
    assert_eq!(set(&mut store, &peer, &[b"a"], &[witness.write]), AGAIN);
    assert_eq!(set(&mut store, &peer, &[b"b", b"c"], &[witness.write; 2]), AGAIN);
    let limit = store.limit(9);
    peer.send(&data(&[(b"d", limit), (b"e", limit)]), &[witness.write; 2]).unwrap();
    store.settle();
    assert!(peer.ended());
    assert_eq!(store.held(), [b"a", b"b", b"c"]);
    store.let_go_of_all();
    assert!(witness.alone());
}

#[test]
fn while_a_dump_is_awaited_nothing_else_is_served() {
    for request in [Request::List, Request::SetDump(1), Request::GetDump, Request::Delete(b"a")] {
        let mut store = Store::new();
        let peer = store.connect();
        announce(&mut store, &peer, 1);
        peer.request(&request, &[]);
        store.settle();
        assert!(peer.ended(), "{request:?}");
    }
}

#[test]
fn after_a_dump_everything_else_is_served_again_and_dump_data_is_not() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    assert_eq!(announce(&mut store, &peer, 0), [0; 5]);
    announce(&mut store, &peer, 1);
    assert_eq!(set(&mut store, &peer, &[b"a"], &[witness.write]), 0);
    assert_eq!(store.ask(&peer, &Request::List, &[]), b"\0\0\0\0\x01a\0");
    let limit = store.limit(9);
    peer.send(&data(&[(b"b", limit)]), &[witness.write]).unwrap();
    store.settle();
    assert!(peer.ended());
}

#[test]
fn a_dump_that_is_never_finished_is_cut_off_and_what_it_brought_stays() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    announce(&mut store, &peer, 2);
    assert_eq!(set(&mut store, &peer, &[b"a"], &[witness.write]), AGAIN);
    assert_eq!(store.due(), Some(FDHOLDER_PATIENCE));
    store.pass(FDHOLDER_PATIENCE);
    assert!(peer.ended());
    assert_eq!(store.held(), [b"a"]);
}

#[test]
fn a_dump_for_which_there_is_no_room_is_refused_and_the_connection_goes_on() {
    let mut store = Store::new();
    store.capacity = 3;
    let peer = store.connect();
    let mut witness = Witness::new();
    assert_eq!(announce(&mut store, &peer, 4), [NFILE]);
    assert_eq!(announce(&mut store, &peer, u32::MAX), [NFILE]);
    assert_eq!(store.store(&peer, b"a", witness.write), 0);
    assert_eq!(announce(&mut store, &peer, 3), [NFILE]);
    // Between the announcement and the data somebody else is faster.
    assert_eq!(announce(&mut store, &peer, 2), [0, 0, 0, 0, 1]);
    let other = store.connect();
    assert_eq!(store.store(&other, b"b", witness.write), 0);
    assert_eq!(set(&mut store, &peer, &[b"c", b"a"], &[witness.write; 2]), NFILE);
    assert_eq!(store.held(), [b"a", b"b"]);
    assert_eq!(store.ask(&other, &Request::Delete(b"b"), &[]), [0]);
    assert_eq!(set(&mut store, &peer, &[b"c", b"a"], &[witness.write; 2]), 0);
    store.let_go_of_all();
    assert!(witness.alone());
}

#[test]
fn what_a_dump_brings_takes_the_place_of_what_is_held_under_its_name() {
    let mut store = Store::new();
    let peer = store.connect();
    let (mut old, mut new, mut last) = (Witness::new(), Witness::new(), Witness::new());
    assert_eq!([b"a", b"b"].map(|id| store.store(&peer, id, old.write)), [0, 0]);
    announce(&mut store, &peer, 3);
    assert_eq!(set(&mut store, &peer, &[b"a", b"c", b"a"], &[new.write, new.write, last.write]), 0);
    assert_eq!(store.held(), [b"a", b"b", b"c"]);
    for (id, witness) in [(b"a", &last), (b"b", &old), (b"c", &new)] {
        peer.request(&Request::Retrieve(id, true), &[]);
        store.settle();
        assert!(witness.is(peer.answer().1[0]));
    }
    assert!([&mut old, &mut new, &mut last].into_iter().all(Witness::alone));
}

#[test]
fn a_message_with_one_wrong_entry_changes_nothing() {
    for wrong in [
        &b"\x60\0\0\0\0\0\0\0\0\0\0\0\0\0"[..],
        b"\x60\0\0\0\0\0\0\0\x3b\x9a\xca\0\x01x\0",
        b"\x60\0\0\0\0\0\0\0\0\0\0\0\x01xx",
    ] {
        let mut store = Store::new();
        let peer = store.connect();
        let (mut old, mut new) = (Witness::new(), Witness::new());
        assert_eq!(store.store(&peer, b"a", old.write), 0);
        announce(&mut store, &peer, 2);
        let limit = store.limit(9);
        let mut message = data(&[(b"a", limit)]);
        message.extend(wrong);
        message[3] += wrong.len() as u8;
        message[5] = 2;
        peer.send(&message, &[new.write; 2]).unwrap();
        store.settle();
        assert!(peer.ended(), "{wrong:x?}");
        assert!(new.alone());
        let other = store.connect();
        peer_gets(&mut store, &other, b"a", &old);
        store.let_go_of_all();
        assert!(old.alone());
    }
}

fn peer_gets(store: &mut Store, peer: &Peer, id: &[u8], witness: &Witness) {
    peer.request(&Request::Retrieve(id, false), &[]);
    store.settle();
    assert!(witness.is(peer.answer().1[0]));
}

/// The reference ends in an endless loop.
#[test]
fn equal_limits_in_a_dump_do_no_harm() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    let limit = store.limit(50);
    announce(&mut store, &peer, 2);
    peer.send(&data(&[(b"a", limit), (b"b", limit)]), &[witness.write; 2]).unwrap();
    store.settle();
    assert_eq!(peer.answer().0, [0]);
    assert_eq!(store.ask(&peer, &Request::Delete(b"b"), &[]), [0]);
    let earlier = store.limit(20);
    assert_eq!(store.ask(&peer, &Request::Store(Entry { limit: earlier, id: b"c" }), &[witness.write]), [0]);
    assert_eq!(store.due(), Some(20 * SECOND));
    store.pass(20 * SECOND);
    assert_eq!(store.held(), [b"a"]);
    store.pass(30 * SECOND);
    assert!(store.held().is_empty());
    assert!(witness.alone());
}

#[test]
fn limits_that_are_stored_singly_differ_by_a_nanosecond_at_least_and_those_of_a_dump_are_kept() {
    let mut store = Store::new();
    let peer = store.connect();
    let witness = Witness::new();
    let limit = Stamp { sec: store.limit(50).sec, nano: 999_999_998 };
    for id in [b"a", b"b", b"c"] {
        assert_eq!(store.ask(&peer, &Request::Store(Entry { limit, id }), &[witness.write]), [0]);
    }
    announce(&mut store, &peer, 1);
    peer.send(&data(&[(b"d", limit)]), &[witness.write]).unwrap();
    store.settle();
    assert_eq!(peer.answer().0, [0]);
    let limits: Vec<_> = store.tables.held[..4].iter().map(table::limit).collect();
    assert_eq!(limits, [limit, limit.plus(1), Stamp { sec: limit.sec + 1, nano: 0 }, limit]);
}

#[test]
fn a_connection_to_the_store_is_not_taken_from_a_dump() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    announce(&mut store, &peer, 2);
    let inval = Errno::INVAL.raw_os_error() as u8;
    assert_eq!(set(&mut store, &peer, &[b"a", b"b"], &[witness.write, peer.0]), inval);
    assert!(store.held().is_empty());
    assert_eq!(set(&mut store, &peer, &[b"a", b"b"], &[witness.write; 2]), 0);
    drop(peer);
    store.settle();
    assert_eq!(store.clients(), 0);
    store.let_go_of_all();
    assert!(witness.alone());
}

#[test]
fn the_largest_message_of_a_dump_is_taken_whole() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    let ids: Vec<_> = (0..socket::MAX_FDS).map(|i| format!("{i:0255}").into_bytes()).collect();
    let ids: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
    announce(&mut store, &peer, 253);
    assert_eq!(set(&mut store, &peer, &ids, &[witness.write; 253]), 0);
    assert_eq!(store.held(), ids);
    store.let_go_of_all();
    assert!(witness.alone());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    /// What one store gives is what another takes, limit for limit, however it is cut.
    #[test]
    fn a_dump_of_one_store_makes_another_like_it(
        limits in prop::collection::vec((1u64..1000, 0u32..1_000_000_000), 0..40),
        cut in 1usize..50,
    ) {
        let (mut from, mut to) = (Store::new(), Store::new());
        let (giver, taker) = (from.connect(), to.connect());
        let mut witness = Witness::new();
        for (i, (sec, nano)) in limits.iter().enumerate() {
            let limit = Stamp { sec: from.now.wall.sec + sec, nano: *nano };
            from.ask(&giver, &Request::Store(Entry { limit, id: format!("id {i}").as_bytes() }), &[witness.write]);
        }
        let entries: Vec<_> = get(&mut from, &giver).1.into_iter().flatten().collect();
        announce(&mut to, &taker, entries.len() as u32);
        for part in entries.chunks(cut) {
            let fds: Vec<Fd> = part.iter().map(|(_, _, fd)| *fd).collect();
            let ids: Vec<_> = part.iter().map(|(id, limit, _)| (&id[..], *limit)).collect();
            taker.send(&data(&ids), &fds).unwrap();
            to.settle();
            assert!(matches!(taker.answer().0[0], 0 | AGAIN));
            fds.into_iter().for_each(|mut fd| fd.close());
        }
        let shape = |store: &Store| -> Vec<_> {
            let used = store.tables.held.iter().take(store.tables.header.held_top as usize).filter(|held| held.used != 0);
            used.map(|held| (table::name(held).to_vec(), table::limit(held))).collect()
        };
        prop_assert_eq!(shape(&from), shape(&to));
        from.let_go_of_all();
        to.let_go_of_all();
        prop_assert!(witness.alone());
    }
}
