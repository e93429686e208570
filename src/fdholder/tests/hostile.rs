//! Clients that do what they must not: they are cut off, all they sent is closed, and nobody else notices.

use super::{PLACES, Peer, Store, Witness};
use crate::fdholder::wire::{Entry, Request};
use crate::limits::{FDHOLDER_CROWDED, FDHOLDER_PATIENCE};
use crate::sys::time::SECOND;
use crate::sys::{Errno, Fd};
use crate::text::tai::Stamp;
use proptest::prelude::*;

const LIST: &[u8] = b"\0\0\0\x01\0\0L";

/// Sends `bytes` with `fds`; the store must end the connection at once and keep nothing.
fn is_cut_off(bytes: &[u8], fds: usize) {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    peer.send(bytes, &vec![witness.write; fds]).unwrap();
    store.settle();
    assert!(peer.ended(), "{bytes:x?}");
    assert!(witness.alone(), "{bytes:x?}");
    assert_eq!(store.clients(), 0);
    assert!(store.works());
}

#[test]
fn requests_that_are_none_end_the_connection() {
    for (bytes, fds) in [
        (&b"\0\0\0\0\0\0"[..], 0),
        (b"\0\0\0\x01\0\0X", 0),
        (b"\0\0\0\x02\0\0Lx", 0),
        (b"\0\0\0\x02\0\0?x", 0),
        (b"\0\0\0\x08\0\0!\0\0\0\x01abc", 0),
        (b"\0\0\0\x03\0\0D\0\0", 0),
        (b"\0\0\0\x04\0\0D\x01\0\0", 0),
        (b"\0\0\0\x07\0\0D\x04e\0bc\0", 0),
        (b"\0\0\0\x04\0\0D\x01ax", 0),
        (b"\0\0\0\x10\0\0S\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 0),
        (b"\0\0\0\x10\0\x02S\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 2),
        (b"\0\0\0\x10\0\x01S\x60\0\0\0\0\0\0\0\x3b\x9a\xca\0\x01a\0", 1),
        (b"\0\0\0\x01\0\x01L", 1),
        (b"\0\0\0\x10\0\x01.\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 1),
    ] {
        is_cut_off(bytes, fds);
    }
}

#[test]
fn a_header_alone_ends_the_connection_if_no_request_can_follow() {
    is_cut_off(b"\x10\0\0\0\0\0", 0);
    is_cut_off(b"\0\x01\x10\0\0\0", 0);
    is_cut_off(b"\0\0\0\x01\0\xfe", 253);
    // A dump that was not announced pins nothing: its first byte is enough.
    is_cut_off(b"\0\x01\0\0\0\xfd.", 253);
}

#[test]
fn descriptors_without_a_request_end_the_connection_after_the_answer() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    peer.send(LIST, &[witness.write; 200]).unwrap();
    store.settle();
    assert_eq!(peer.answer().0, [0; 5]);
    assert!(peer.ended());
    assert!(witness.alone());
}

#[test]
fn more_descriptors_than_an_unfinished_request_takes_end_the_connection() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    peer.send(b"\0\0\0\x10\0\x01S", &[witness.write; 2]).unwrap();
    store.settle();
    assert!(peer.ended());
    assert!(witness.alone());
}

#[test]
fn a_request_that_never_ends_is_cut_off_in_time_and_its_descriptor_closed() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut witness = Witness::new();
    peer.send(b"\0\0\0\x10\0\x01S", &[witness.write]).unwrap();
    store.settle();
    assert_eq!(store.due(), Some(FDHOLDER_PATIENCE));
    store.pass(FDHOLDER_PATIENCE - SECOND);
    peer.send(b"\x60", &[]).unwrap(); // a trickle buys no time
    store.settle();
    assert!(!peer.ended());
    store.pass(SECOND);
    assert!(peer.ended());
    assert!(witness.alone());
}

#[test]
fn a_request_whose_descriptor_never_comes_is_cut_off_in_time() {
    let mut store = Store::new();
    let peer = store.connect();
    let limit = store.limit(100);
    peer.request(&Request::Store(Entry { limit, id: b"it" }), &[]);
    store.settle();
    assert!(!peer.ended());
    store.pass(FDHOLDER_PATIENCE);
    assert!(peer.ended());
    assert!(store.held().is_empty());
}

#[test]
fn a_client_that_leaves_inside_a_request_leaves_nothing_behind() {
    let mut store = Store::new();
    let mut witness = Witness::new();
    let peer = store.connect();
    peer.send(b"\0\0\0\x10\0\x01S\x60\0\0", &[witness.write]).unwrap();
    store.settle();
    drop(peer);
    store.settle();
    assert_eq!(store.clients(), 0);
    assert!(witness.alone());
}

#[test]
fn a_client_that_never_reads_is_not_served_further_and_cut_off_in_time() {
    let mut store = Store::new();
    let peer = store.connect();
    let mut sent = 0;
    // Asks until its own queue is full: nothing of that may pile up in the store.
    while peer.send(&LIST.repeat(100), &[]).is_ok() {
        sent += 1;
        store.settle();
        assert!(sent < 100_000);
    }
    let client = &store.tables.clients[0];
    assert!(client.reply_len > 0 && client.request_len <= 4096);
    assert!(store.works());
    store.pass(FDHOLDER_PATIENCE);
    assert_eq!(store.clients(), 0);
}

#[test]
fn a_connection_to_the_store_is_not_held_by_it() {
    let mut store = Store::new();
    let (peer, other) = (store.connect(), store.connect());
    for fd in [peer.0, other.0] {
        assert_eq!(store.store(&peer, b"self", fd), Errno::INVAL.raw_os_error() as u8);
    }
    drop((peer, other));
    store.settle();
    assert_eq!(store.clients(), 0);
    assert!(store.held().is_empty());
}

/// Lets time pass, as the engine does, until there is something for `peer`; answers how long that took.
fn until_served(store: &mut Store, peer: &Peer) -> u64 {
    let mut waited = 0;
    store.settle();
    while peer.receive(1) == Err(Errno::AGAIN) {
        let due = store.due().unwrap();
        store.pass(due);
        waited += due;
    }
    waited
}

#[test]
fn silent_clients_do_not_lock_others_out() {
    let mut store = Store::new();
    let mut peers: Vec<Peer> = (0..100).map(|_| store.connect()).collect();
    let waiting = store.connect();
    waiting.send(LIST, &[]).unwrap();
    // 32 places, each taken by a silent one at most for so long, and 100 silent ones in front.
    assert_eq!(until_served(&mut store, &waiting), 3 * FDHOLDER_CROWDED);
    assert_eq!(peers.split_off(69).iter().filter(|peer| peer.ended()).count(), 0);
    assert!(peers.iter().all(Peer::ended));
    // Whoever comes now finds those that have been silent for longer.
    store.pass(FDHOLDER_CROWDED);
    let next = store.connect();
    next.send(LIST, &[]).unwrap();
    assert_eq!(until_served(&mut store, &next), 0);
}

#[test]
fn clients_that_do_not_read_on_have_longer_but_not_for_ever() {
    let mut store = Store::new();
    let _peers: Vec<Peer> = (0..PLACES)
        .map(|_| {
            let peer = store.connect();
            peer.send(&LIST[..3], &[]).unwrap();
            store.settle();
            peer
        })
        .collect();
    let waiting = store.connect();
    waiting.send(LIST, &[]).unwrap();
    assert_eq!(until_served(&mut store, &waiting), FDHOLDER_PATIENCE);
}

#[test]
fn identifiers_have_1_to_255_bytes_of_any_kind_but_nul() {
    let mut store = Store::new();
    let witness = Witness::new();
    let peer = store.connect();
    let all: Vec<u8> = (1..=255).collect();
    for id in [&b"x"[..], b"\x01", b"\xff\xfe", b" ", b"\n", &all, &[b'y'; 255]] {
        assert_eq!(store.store(&peer, id, witness.write), 0);
        peer.request(&Request::Retrieve(id, false), &[]);
        store.settle();
        assert!(witness.is(peer.answer().1[0]));
        assert_eq!(store.ask(&peer, &Request::Delete(id), &[]), [0]);
    }
    // 256 bytes: the length byte says 0, which is an empty one with something behind it.
    let mut longer = b"\0\0\x01\x0f\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    longer.extend([b'z'; 256]);
    longer.push(0);
    is_cut_off(&longer, 1);
    is_cut_off(b"\0\0\0\x0f\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0\0\0", 1);
    is_cut_off(b"\0\0\0\x10\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0\x01\0\0", 1);
}

#[test]
fn descriptors_whose_numbers_cannot_be_spared_are_refused_and_nothing_is_lost() {
    const MFILE: u8 = 24;
    let mut store = Store::new();
    let (peer, mut kept, mut refused) = (store.connect(), Witness::new(), Witness::new());
    assert_eq!(store.store(&peer, b"kept", kept.write), 0);
    store.with(|server, _, _, _| server.keep_numbers_from(3));
    assert_eq!(store.store(&peer, b"one", refused.write), MFILE);
    assert_eq!(store.ask(&peer, &Request::SetDump(2), &[]), [0, 0, 0, 0, 1]);
    let mut data = b"\0\0\0\x1f\0\x02.".to_vec();
    for id in [b'a', b'b'] {
        data.extend(store.limit(9).to_bytes());
        data.extend([1, id, 0]);
    }
    peer.send(&data, &[refused.write; 2]).unwrap();
    store.settle();
    assert_eq!(peer.answer().0, [MFILE]);
    assert!(refused.alone());
    assert_eq!(store.held(), [b"kept"]);
    store.with(|server, _, _, _| server.keep_numbers_from(i32::MAX));
    peer.send(&data, &[kept.write; 2]).unwrap();
    store.settle();
    assert_eq!(peer.answer().0, [0]);
    store.let_go_of_all();
    assert!(kept.alone());
}

#[test]
fn three_hundred_descriptors_in_two_messages_without_a_request_are_closed() {
    let mut store = Store::new();
    let mut witness = Witness::new();
    let peer = store.connect();
    for part in [&b"\0\0\0\x01"[..], b"\0\0"] {
        peer.send(part, &[witness.write; 150]).unwrap();
    }
    store.settle();
    assert!(peer.ended());
    assert!(witness.alone());
    assert!(store.works());
}

#[test]
fn a_whole_dump_message_and_the_descriptors_of_the_next_are_the_most_that_waits() {
    let mut store = Store::new();
    let mut witness = Witness::new();
    let peer = store.connect();
    assert_eq!(store.ask(&peer, &Request::SetDump(600), &[]), [0, 0, 0, 0, 3]);
    // Of a message of 253 all but the last byte is there, and descriptors go on coming with every other byte.
    let mut message = (1 + 253 * 16u32).to_be_bytes().to_vec();
    message.extend([0, 253, b'.']);
    message.resize(message.len() + 253 * 16 - 1, 7);
    let _ = peer.send(&message, &[witness.write; 253]);
    store.settle();
    assert_eq!(store.tables.clients[0].fds_len, 253);
    let _ = peer.send(b"x", &[witness.write; 253]);
    let _ = peer.send(b"x", &[witness.write; 253]);
    store.settle();
    assert!(peer.ended());
    assert!(witness.alone());
}

/// Messages for a session that is cut in two ways: their bytes, and how many descriptors go with each.
fn messages() -> impl Strategy<Value = Vec<(Vec<u8>, usize)>> {
    let one = |request: Request<'_>| vec![(request.encode(&mut [0; 400]).unwrap().to_vec(), request.fds())];
    let limit = Stamp { sec: 1 << 63, nano: 7 };
    let data = move |ids: &[u8]| {
        let entries: Vec<_> = ids.iter().flat_map(|id| [&limit.to_bytes()[..], &[2, b'i', *id, 0]].concat()).collect();
        let n = ids.len() as u8;
        ([&[0, 0, 0, 1 + 16 * n, 0, n, b'.'][..], &entries].concat(), ids.len())
    };
    prop_oneof![
        5 => (b'a'..b'f').prop_map(move |id| one(Request::Store(Entry { limit, id: &[b'i', id] }))),
        2 => (b'a'..b'f', any::<bool>()).prop_map(move |(id, delete)| one(Request::Retrieve(&[b'i', id], delete))),
        2 => (b'a'..b'f').prop_map(move |id| one(Request::Delete(&[b'i', id]))),
        1 => Just(one(Request::List)),
        1 => Just(one(Request::GetDump)),
        2 => (b'a'..b'f', b'a'..b'f').prop_map(move |(a, b)| [one(Request::SetDump(2)), vec![data(&[a]), data(&[b])]].concat()),
        // One more than was announced.
        1 => (b'a'..b'f', b'a'..b'f').prop_map(move |(a, b)| [one(Request::SetDump(2)), vec![data(&[a]), data(&[a, b])]].concat()),
        1 => (prop::collection::vec(any::<u8>(), 1..9)).prop_map(|junk| vec![(junk, 0)]),
    ]
}

/// Sends a stream to a new store in pieces of the given lengths, the descriptors of each request with its first byte;
/// what is answered until the end, how many descriptors came, what is held then.
fn session(requests: &[(Vec<u8>, usize)], cuts: &[usize]) -> (Vec<u8>, usize, Vec<Vec<u8>>, bool) {
    let mut store = Store::new();
    let mut witness = Witness::new();
    let peer = store.connect();
    let stream: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    let mut begins = Vec::new();
    let mut at = 0;
    for (bytes, fds) in requests {
        begins.push((at, *fds));
        at += bytes.len();
    }
    let (mut answers, mut given) = (Vec::new(), 0);
    let mut from = 0;
    for to in cuts.iter().copied().chain([stream.len()]) {
        if to <= from {
            continue;
        }
        let fds: usize = begins.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, fds)| fds).sum();
        let _ = peer.send(&stream[from..to], &vec![witness.write; fds]);
        from = to;
        store.settle();
        while let Ok((bytes, fds)) = peer.receive(1 << 16) {
            given += fds.len();
            fds.into_iter().for_each(|mut fd| fd.close());
            if bytes.is_empty() {
                break;
            }
            answers.extend(bytes);
        }
    }
    let held = store.held();
    let ended = peer.ended();
    drop(peer);
    store.settle();
    assert_eq!(store.clients(), 0);
    store.let_go_of_all();
    assert!(witness.alone(), "a descriptor is left");
    (answers, given, held, ended)
}

/// A piece of a stream: valid requests, broken ones, junk; with some descriptors.
fn piece() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let store = |id: u8, fds| (b"\0\0\0\x10\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0\x01?\0".to_vec(), id, fds);
    prop_oneof![
        4 => (b'a'..b'f').prop_map(move |id| {
            let (mut bytes, id, fds) = store(id, 1);
            bytes[20] = id;
            (bytes, fds)
        }),
        2 => (b'a'..b'f', any::<bool>()).prop_map(|(id, delete)| (vec![0, 0, 0, 5, 0, 0, b'R', delete.into(), 1, id, 0], 0)),
        2 => (b'a'..b'f').prop_map(|id| (vec![0, 0, 0, 4, 0, 0, b'D', 1, id, 0], 0)),
        2 => Just((LIST.to_vec(), 0)),
        1 => (prop::collection::vec(any::<u8>(), 1..30), 0usize..4),
        1 => (0usize..22, 0usize..3).prop_map(|(cut, fds)| (b"\0\0\0\x10\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0\x01z"[..=cut.min(20)].to_vec(), fds)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A session means the same whether it comes whole or byte by byte.
    #[test]
    fn a_session_means_the_same_however_it_is_cut(
        requests in prop::collection::vec(messages(), 1..12).prop_map(|messages| messages.concat()),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let total: usize = requests.iter().map(|(bytes, _)| bytes.len()).sum();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(total)).collect();
        cuts.sort_unstable();
        let whole = session(&requests, &[]);
        prop_assert_eq!(&whole, &session(&requests, &cuts));
        if total < 150 {
            prop_assert_eq!(&whole, &session(&requests, &(1..total).collect::<Vec<_>>()));
        }
    }

    /// Whatever several clients send in whatever pieces: the store works on, and when they are gone and their time is
    /// up every descriptor that is not held is closed, and held ones are when they are deleted.
    #[test]
    fn no_stream_of_bytes_and_descriptors_does_any_harm(
        script in prop::collection::vec((0usize..3, piece(), any::<bool>()), 1..40),
    ) {
        let mut store = Store::new();
        let mut witness = Witness::new();
        let peers = [store.connect(), store.connect(), store.connect()];
        for (who, (bytes, fds), settle) in script {
            let _ = peers[who].send(&bytes, &vec![witness.write; fds]);
            if settle {
                store.settle();
            }
        }
        store.settle();
        drop(peers);
        store.pass(FDHOLDER_PATIENCE);
        prop_assert_eq!(store.clients(), 0);
        prop_assert!(store.works());
        let peer = store.connect();
        for id in store.held() {
            prop_assert_eq!(store.ask(&peer, &Request::Delete(&id), &[]), [0]);
        }
        prop_assert!(witness.alone());
    }
}

#[test]
fn a_held_descriptor_that_cannot_be_sent_is_an_answer_not_an_end() {
    let mut store = Store::new();
    store.with(|_, records, _, now| {
        crate::fdholder::server::store_own(
            &mut records.held,
            b"bad",
            Fd(i32::MAX),
            crate::fdholder::table::Origin::Client,
            now,
        )
        .unwrap();
    });
    let peer = store.connect();
    assert_eq!(store.ask(&peer, &Request::Retrieve(b"bad", true), &[]), [Errno::BADF.raw_os_error() as u8]);
    assert_eq!(store.ask(&peer, &Request::List, &[]), b"\0\0\0\0\x01bad\0");
}
