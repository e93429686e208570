//! getdump and setdump.

use crate::daemon::{Daemon, EVERYTHING, Rules, both, fill, list, null};
use crate::raw::{
    EAGAIN, ENFILE, EPERM, NEVER, OK, Raw, Said, announce, delete, dump, id, message, retrieve, status, store,
};
use linchpin::sys::{Fd, file};

fn trips(n: u32) -> Said {
    Said::Answer([&[0][..], &n.to_be_bytes()].concat(), Vec::new())
}

/// A dump's message with the null device for each of these identifiers.
fn bring(peer: &Raw, names: &[&[u8]]) -> Said {
    let mut fd = null();
    let said = peer.ask(&dump(names), &vec![fd; names.len()]);
    fd.close();
    said
}

#[test]
fn an_empty_dump_is_no_message_and_changes_nothing() {
    let said = both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        [b"?".to_vec(), announce(0), b"L".to_vec()].map(|payload| peer.ask(&payload, &[]))
    });
    assert_eq!(said[..2], [Said::Answer(vec![0; 9], Vec::new()), trips(0)]);
}

#[test]
fn a_dump_gives_copies_of_everything_with_its_limits() {
    let mut zero = file::open(Fd::CWD, c"/dev/zero", rustix::fs::OFlags::RDONLY, 0).unwrap();
    let mut null = null();
    let identities = [zero, null].map(|fd| file::identity(fd).unwrap());
    let limit = [0x40, 0, 0, 0x7f, 0, 0, 0, 0, 0x31, 0x77, 0xe3, 0x36];
    let (announced, data, left) = both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        assert_eq!(peer.ask(&store(b"unix:a"), &[zero]), status(OK));
        assert_eq!(peer.ask(&[b"S", &limit[..], &id(b"tcp:b")].concat(), &[null]), status(OK));
        (peer.ask(b"?", &[]), peer.said(), list(&peer))
    });
    assert_eq!(announced, Said::Answer(b"\0\0\0\0\x01\0\0\0\x02".to_vec(), Vec::new()));
    let entries = [&NEVER[..], &id(b"unix:a"), &limit, &id(b"tcp:b")].concat();
    assert_eq!(data, Said::Answer(entries, identities.to_vec()));
    assert_eq!(left, ["unix:a", "tcp:b"]);
    zero.close();
    null.close();
}

#[test]
fn a_dump_is_brought_in_one_message_or_in_several() {
    let said = both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        let mut said = vec![peer.ask(&announce(2), &[]), bring(&peer, &[b"a", b"b"])];
        said.extend([peer.ask(&announce(3), &[]), bring(&peer, &[b"c"]), bring(&peer, &[b"d", b"e"])]);
        (said, list(&peer))
    });
    assert_eq!(said.0, [trips(1), status(OK), trips(1), status(EAGAIN), status(OK)]);
    assert_eq!(said.1, ["a", "b", "c", "d", "e"]);
}

#[test]
fn two_hundred_and_fifty_three_descriptors_go_in_one_message() {
    let names: Vec<Vec<u8>> = (0..253).map(|n| format!("{n:0255}").into_bytes()).collect();
    both(EVERYTHING, &[], |daemon| {
        let (peer, mut fd) = (daemon.connect(), null());
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        assert_eq!(peer.ask(&announce(253), &[]), trips(1));
        assert_eq!(peer.ask(&dump(&names), &[fd; 253]), status(OK));
        fd.close();
        let got = [peer.ask(b"?", &[]), peer.said()];
        let Said::Answer(data, fds) = &got[1] else { panic!("{got:?}") };
        assert_eq!((data.len(), fds.len()), (253 * 269, 253));
        got
    });
}

#[test]
fn a_dump_replaces_what_has_the_same_identifier_and_of_two_the_last_counts() {
    let mut fds =
        [c"/dev/zero", c"/dev/full"].map(|path| file::open(Fd::CWD, path, rustix::fs::OFlags::RDONLY, 0).unwrap());
    let identities = fds.map(|fd| file::identity(fd).unwrap());
    let said = both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        fill(&peer, &["a"]);
        assert_eq!(peer.ask(&announce(1), &[]), trips(1));
        assert_eq!(peer.ask(&dump(&[b"a"]), &fds[..1]), status(OK));
        let first = peer.ask(&retrieve(b"a", 0), &[]);
        assert_eq!(peer.ask(&announce(2), &[]), trips(1));
        assert_eq!(peer.ask(&dump(&[b"a", b"a"]), &fds), status(OK));
        (first, peer.ask(&retrieve(b"a", 0), &[]), list(&peer))
    });
    let given = |which: usize| Said::Answer(vec![0], vec![identities[which]]);
    assert_eq!(said, (given(0), given(1), vec!["a".to_owned()]));
    fds.iter_mut().for_each(Fd::close);
}

#[test]
fn a_dump_that_is_too_large_is_refused_and_the_connection_goes_on() {
    let said = both(EVERYTHING, &["-n", "2"], |daemon| {
        let peer = daemon.connect();
        let mut said = vec![peer.ask(&announce(3), &[]), peer.ask(&announce(u32::MAX), &[])];
        fill(&peer, &["a"]);
        said.extend([peer.ask(&announce(2), &[]), peer.ask(&announce(1), &[]), bring(&peer, &[b"b"])]);
        (said, list(&peer))
    });
    assert_eq!(said.0, [status(ENFILE), status(ENFILE), status(ENFILE), trips(1), status(OK)]);
}

#[test]
fn room_that_is_gone_when_a_dump_comes_is_told_and_it_may_be_tried_again() {
    let said = both(EVERYTHING, &["-n", "2"], |daemon| {
        let (peer, other) = (daemon.connect(), daemon.connect());
        let announced = peer.ask(&announce(2), &[]);
        fill(&other, &["x"]);
        let refused = bring(&peer, &[b"a", b"b"]);
        assert_eq!(other.ask(&delete(b"x"), &[]), status(OK));
        (announced, refused, bring(&peer, &[b"a", b"b"]), list(&other))
    });
    assert_eq!(said, (trips(1), status(ENFILE), status(OK), vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn while_a_dump_is_awaited_anything_else_ends_the_connection() {
    both(EVERYTHING, &[], |daemon| {
        for other in [b"L".to_vec(), b"?".to_vec(), announce(1), delete(b"a"), retrieve(b"a", 0)] {
            let peer = daemon.connect();
            assert_eq!(peer.ask(&announce(2), &[]), trips(1));
            assert_eq!(peer.ask(&other, &[]), Said::End, "{other:?}");
        }
    });
}

#[test]
fn a_dump_that_was_not_announced_or_is_larger_ends_the_connection() {
    both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        assert_eq!(bring(&peer, &[b"a"]), Said::End);
        let peer = daemon.connect();
        assert_eq!((peer.ask(&announce(1), &[]), bring(&peer, &[b"a", b"b"])), (trips(1), Said::End));
        let peer = daemon.connect();
        assert_eq!((peer.ask(&announce(1), &[]), peer.ask(b".", &[])), (trips(1), Said::End));
        let peer = daemon.connect();
        assert_eq!(
            (peer.ask(&announce(1), &[]), bring(&peer, &[b"a"]), bring(&peer, &[b"b"])),
            (trips(1), status(OK), Said::End)
        );
        assert_eq!(list(&daemon.connect()), ["a"]);
    });
}

#[test]
fn a_malformed_entry_ends_the_connection_and_nothing_of_its_message_is_held() {
    both(EVERYTHING, &[], |daemon| {
        let (peer, mut fd) = (daemon.connect(), null());
        assert_eq!(peer.ask(&announce(3), &[]), trips(1));
        assert_eq!(bring(&peer, &[b"early"]), status(EAGAIN));
        let mut bad = dump(&[b"a", b"b"]);
        *bad.last_mut().unwrap() = b'x';
        assert_eq!(peer.ask(&bad, &[fd, fd]), Said::End);
        fd.close();
        assert_eq!(list(&daemon.connect()), ["early"], "an earlier message stays");
    });
}

#[test]
fn dumps_need_rights_of_their_own_and_then_no_other() {
    let dumps: Rules = &[
        ("uid/self/allow", ""),
        ("uid/self/env/S6_FDHOLDER_GETDUMP", "\n"),
        ("uid/self/env/S6_FDHOLDER_SETDUMP", "\n"),
    ];
    both(dumps, &[], |daemon| {
        let peer = daemon.connect();
        assert_eq!((peer.ask(&announce(1), &[]), bring(&peer, &[b"a"])), (trips(1), status(OK)));
        assert_eq!(peer.ask(&retrieve(b"a", 0), &[]), status(EPERM));
        let Said::Answer(data, fds) = (peer.ask(b"?", &[]), peer.said()).1 else { panic!() };
        assert_eq!((data, fds.len()), (dump(&[b"a"])[1..].to_vec(), 1));
    });
}

#[test]
fn a_client_that_leaves_within_its_dump_leaves_what_it_has_brought() {
    both(EVERYTHING, &[], |daemon: &mut Daemon| {
        let peer = daemon.connect();
        assert_eq!((peer.ask(&announce(2), &[]), bring(&peer, &[b"a"])), (trips(1), status(EAGAIN)));
        peer.send(&message(b".", 0)[..3], &[]);
        drop(peer);
        assert_eq!(list(&daemon.connect()), ["a"]);
    });
}
