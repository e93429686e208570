//! Clients that do what they must not: they are cut off, all they sent is closed, and nobody else notices.

use super::{Peer, Store, Witness};
use crate::fdholder::wire::{Entry, Request};
use crate::limits::FDHOLDER_PATIENCE;
use crate::sys::time::SECOND;
use crate::sys::{Errno, Fd};
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

#[test]
fn silent_clients_do_not_lock_others_out() {
    let mut store = Store::new();
    let mut peers: Vec<Peer> = (0..100).map(|_| store.connect()).collect();
    let waiting = store.connect();
    waiting.send(LIST, &[]).unwrap();
    // As the engine does: what is due is done when it is due.
    let mut waited = 0;
    while waiting.receive(1) == Err(Errno::AGAIN) {
        let due = store.due().unwrap();
        store.pass(due);
        waited += due;
    }
    // 32 places, each taken by a silent one at most for so long, and 100 silent ones in front.
    assert_eq!(waited, 3 * FDHOLDER_PATIENCE);
    assert_eq!(peers.split_off(69).iter().filter(|peer| peer.ended()).count(), 0);
    assert!(peers.iter().all(Peer::ended));
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
