//! The stores, ours and s6's: the same answers, the same ends. And what ours does in trouble.

use crate::store::*;
use linchpin::sys::Fd;
use std::fs;
use std::os::fd::AsRawFd;
use std::process::Command;

const LIST: &[u8] = b"\0\0\0\x01\0\0L";

fn store_request(id: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 15 + id.len() as u8, 0, 1, b'S', 0x60, 0, 0, 0, 0x6b, 2, 0xaf, 0x5f, 0, 0, 0, 1];
    bytes.push(id.len() as u8);
    bytes.extend(id);
    bytes.push(0);
    bytes
}

#[test]
fn both_stores_answer_the_same_bytes() {
    let null = fs::File::open("/dev/null").unwrap();
    let fd = [Fd(null.as_raw_fd()), Fd(null.as_raw_fd())];
    let pair = [store_request(b"r1"), store_request(b"r2")].concat();
    let behind = [LIST, &store_request(b"behind")].concat();
    let (a, b, again) = (store_request(b"unix:a"), store_request(b"tcp:b"), store_request(b"unix:a"));
    let odd = store_request(b"sp ce\n\\\xff");
    let script: [(&[u8], usize, usize); 19] = [
        (LIST, 0, 1),
        (&a, 1, 1),
        (&b, 1, 1),
        (LIST, 0, 1),
        (b"\0\0\0\x0a\0\0R\0\x06unix:a\0", 0, 1),
        (b"\0\0\0\x08\0\0R\0\x04nope\0", 0, 1),
        (&again, 1, 1),
        // In this order, because s6 uses the slot that was freed last, and we the first that is free.
        (b"\0\0\0\x09\0\0R\x07\x05tcp:b\0", 0, 1),
        (b"\0\0\0\x09\0\0R\0\x05tcp:b\0", 0, 1),
        (b"\0\0\0\x09\0\0D\x06unix:a\0", 0, 1),
        (b"\0\0\0\x09\0\0D\x06unix:a\0", 0, 1),
        (&odd, 1, 1),
        (&pair, 2, 2),
        (&behind, 1, 2),
        (LIST, 0, 1),
        (b"\0\0\0\x01\0\0L\0\0\0\x01\0\0L\0\0\0\x05\0\0D\x02r1\0", 0, 3),
        (b"\0\0\0\x06\0\0R\x01\x02r2\0", 0, 1),
        (b"\0\0\0\x05\0\0D\x02r2\0", 0, 1),
        (LIST, 0, 1),
    ];
    let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| {
        let store = Store::start(kind);
        let peer = store.connect();
        let mut said = Vec::new();
        for (bytes, fds, answers) in script {
            peer.send(bytes, &fd[..fds]);
            said.push((0..answers).map(|_| peer.answer()).collect::<Vec<_>>());
        }
        said
    });
    for ((ours, s6), (request, ..)) in ours.iter().zip(&s6).zip(script) {
        assert_eq!(ours, s6, "to {request:x?}");
        assert!(ours.iter().all(|(bytes, _)| !bytes.is_empty()), "no answer to {request:x?}");
    }
}

#[test]
fn both_stores_end_the_connection_for_the_same_reasons() {
    let null = fs::File::open("/dev/null").unwrap();
    let fd = [Fd(null.as_raw_fd()); 3];
    let [ours, s6] = [Kind::Ours, Kind::S6].map(Store::start);
    let before = ours.descriptors();
    for (bytes, fds) in [
        (&b"\0\0\0\0\0\0"[..], 0),
        (b"\0\0\0\x01\0\0X", 0),
        (b"\0\0\0\x02\0\0Lx", 0),
        (b"\x10\0\0\x01\0\0", 0),
        (b"\0\0\0\x03\0\0D\0\0", 0),
        (b"\0\0\0\x04\0\0D\x01ab", 0),
        (b"\0\0\0\x05\0\0D\x01a\0b", 0),
        (b"\0\0\0\x01\0\x01L", 1),
        (b"\0\0\0\x10\0\0S\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 0),
        (b"\0\0\0\x10\0\x02S\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 2),
        (b"\0\0\0\x10\0\x01.\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 1),
    ] {
        for store in [&ours, &s6] {
            let peer = store.connect();
            peer.send(bytes, &fd[..fds]);
            assert!(peer.ended(), "{bytes:x?} to {}", store.path.display());
        }
    }
    // Answered first: the request was complete, and what came along with it belongs to none.
    for store in [&ours, &s6] {
        let peer = store.connect();
        peer.send(LIST, &fd);
        assert_eq!(peer.answer().0.len(), 11);
        assert!(peer.ended());
    }
    assert_eq!(ours.descriptors(), before);
}

#[test]
fn strangers_are_refused_and_named() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let store = Store::start(Kind::Ours);
    let open = "chmod 711 \"$1\"; exec s6-setuidgid nobody s6-fdholder-list \"$2\"";
    let run = Command::new("sh").args(["-c", open, "sh"]).arg(&store.dir).arg(&store.path).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let log = store.log();
    assert!(log.contains("fdholder: client pid ") && log.contains(" uid 65534 is refused"), "{log}");
    assert_eq!(store.run(Kind::S6, &["list"], &[]).0, Some(0));
}

/// Limits the numbers of descriptors that the store may have; `None` lifts that.
fn limit(store: &Store, soft: Option<usize>) {
    let pid = store.process.id().to_string();
    let limits = Command::new("prlimit").args(["--pid", &pid, "--nofile", "--noheadings", "--output", "HARD"]).output();
    let hard = String::from_utf8(limits.unwrap().stdout).unwrap();
    let soft = soft.map_or(hard.trim().to_owned(), |soft| soft.to_string());
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={soft}:")]).status().unwrap();
    assert!(done.success());
}

/// The lowest number that is not open.
fn lowest_free(store: &Store) -> usize {
    (0..).find(|n| fs::symlink_metadata(format!("/proc/{}/fd/{n}", store.process.id())).is_err()).unwrap()
}

#[test]
fn a_store_that_has_run_out_of_descriptors_lives_and_serves_those_who_wait_later() {
    let store = Store::start(Kind::Ours);
    let early = store.connect();
    early.send(&store_request(b"kept"), &[Fd(0)]);
    assert_eq!(early.answer().0, b"\0\0\0\x01\0\0\0");
    limit(&store, Some(lowest_free(&store)));
    let late = store.connect();
    late.send(LIST, &[]);
    // Those who are in are served meanwhile.
    for _ in 0..200 {
        early.send(LIST, &[]);
        assert_eq!(early.answer().0.len(), 16);
    }
    // What cannot be received cannot be held; whoever sent it is told, and goes on.
    early.send(&store_request(b"lost"), &[Fd(0)]);
    assert_eq!(early.answer().0, b"\0\0\0\x01\0\0\x18");
    early.send(LIST, &[]);
    assert_eq!(early.answer().0, b"\0\0\0\x0a\0\0\0\0\0\0\x01kept\0");
    drop(early);
    limit(&store, None);
    assert_eq!(late.answer().0, b"\0\0\0\x0a\0\0\0\0\0\0\x01kept\0");
    let log = store.log();
    assert_eq!(log.matches("unable to accept").count(), 1, "{log}");
}

#[test]
fn no_client_leaves_a_descriptor_behind() {
    let store = Store::start(Kind::Ours);
    let last = store.connect();
    let served = || {
        last.send(LIST, &[]);
        assert_eq!(last.answer().0, b"\0\0\0\x05\0\0\0\0\0\0\0");
    };
    served();
    let before = store.descriptors();
    for i in 0..50u8 {
        let peer = store.connect();
        peer.send(&store_request(&[b'n', b'a' + i % 26]), &[Fd(0)]);
        peer.answer();
        let piece = usize::from(i) % 20 + 1;
        peer.send(&store_request(b"unfinished")[..piece], &[Fd(0), Fd(0)][..usize::from(i % 3)]);
    }
    for i in 0..26u8 {
        let id = [b'n', b'a' + i];
        assert_eq!(store.run(Kind::Ours, &["delete"], &[std::str::from_utf8(&id).unwrap()]).0, Some(0));
    }
    // What happened before on other connections is seen before, or in the same turn.
    served();
    served();
    assert_eq!(store.descriptors(), before);
}
