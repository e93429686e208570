//! Requests and their answers; what ends a connection.

use crate::daemon::{Daemon, EVERYTHING, Rules, both, fill, list, null};
use crate::raw::{
    EBUSY, ENFILE, ENOENT, EPERM, NEVER, OK, Raw, Said, announce, delete, id, message, retrieve, status, store,
};
use linchpin::sys::{Fd, file};

/// Runs requests, each with so many descriptors (of the null device), on one connection.
fn script(daemon: &Daemon, requests: &[(&[u8], usize)]) -> Vec<Said> {
    let (peer, mut fd) = (daemon.connect(), null());
    let said = requests.iter().map(|(payload, fds)| peer.ask(payload, &[fd; 3][..*fds])).collect();
    fd.close();
    said
}

/// What both answer to requests on one connection.
fn answers(rules: Rules, options: &[&str], requests: &[(&[u8], usize)]) -> Vec<Said> {
    both(rules, options, |daemon| script(daemon, requests))
}

#[test]
fn store_list_retrieve_and_delete_are_answered_byte_for_byte() {
    let mut fd = null();
    let identity = file::identity(fd).unwrap();
    fd.close();
    let said = answers(
        EVERYTHING,
        &[],
        &[
            (b"L", 0),
            (&store(b"unix:a"), 1),
            (&store(b"tcp:b"), 1),
            (b"L", 0),
            (&retrieve(b"unix:a", 0), 0),
            (&retrieve(b"nope", 0), 0),
            (&store(b"unix:a"), 1),
            (&delete(b"unix:a"), 0),
            (&delete(b"unix:a"), 0),
        ],
    );
    let answer = |bytes: &[u8]| Said::Answer(bytes.to_vec(), Vec::new());
    let expected = [
        answer(b"\0\0\0\0\0"),
        status(OK),
        status(OK),
        answer(b"\0\0\0\0\x02unix:a\0tcp:b\0"),
        Said::Answer(vec![0], vec![identity]),
        status(ENOENT),
        status(EBUSY),
        status(OK),
        status(ENOENT),
    ];
    assert_eq!(said, expected);
}

#[test]
fn any_but_zero_means_retrieve_and_let_go() {
    for flag in [1, 7, 255] {
        let requests: [(&[u8], usize); 3] = [(&store(b"a"), 1), (&retrieve(b"a", flag), 0), (&retrieve(b"a", flag), 0)];
        assert_eq!(answers(EVERYTHING, &[], &requests)[2], status(ENOENT), "{flag}");
    }
}

#[test]
fn a_missing_right_is_told_before_an_unknown_identifier() {
    let none: Rules = &[("uid/self/allow", "")];
    let requests: [(&[u8], usize); 4] =
        [(&retrieve(b"nope", 0), 0), (&delete(b"nope"), 0), (b"L", 0), (&store(b"a"), 1)];
    assert_eq!(answers(none, &[], &requests), [EPERM; 4].map(status));
    assert_eq!(answers(none, &[], &[(b"?", 0), (&announce(1), 0)]), [EPERM; 2].map(status));
}

#[test]
fn retrieving_for_good_needs_the_right_to_store_too() {
    let retrieves: Rules = &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_RETRIEVE_REGEX", "\n")];
    let requests: [(&[u8], usize); 2] = [(&retrieve(b"nope", 1), 0), (&retrieve(b"nope", 0), 0)];
    assert_eq!(answers(retrieves, &[], &requests), [EPERM, ENOENT].map(status));
}

#[test]
fn of_what_is_against_storing_the_right_comes_first_then_room_then_the_name() {
    let only_a: Rules = &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_STORE_REGEX", "a\n")];
    let requests: [(&[u8], usize); 4] = [(&store(b"b"), 1), (&store(b"a"), 1), (&store(b"b"), 1), (&store(b"a"), 1)];
    assert_eq!(answers(only_a, &["-n", "1"], &requests), [EPERM, OK, EPERM, ENFILE].map(status));
    assert_eq!(answers(only_a, &["-n", "2"], &requests), [EPERM, OK, EPERM, EBUSY].map(status));
}

#[test]
fn a_freed_place_is_used_again() {
    let names = both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        fill(&peer, &["a", "b"]);
        assert_eq!(peer.ask(&delete(b"a"), &[]), status(OK));
        fill(&peer, &["c"]);
        list(&peer)
    });
    assert_eq!(names, ["c", "b"]);
}

#[test]
fn identifiers_are_any_bytes_but_nul_and_have_at_most_255() {
    let longest = [b'x'; 255];
    let odd = b"\x01 \n\\\xff";
    let requests: [(&[u8], usize); 5] =
        [(&store(&longest), 1), (&store(odd), 1), (b"L", 0), (&retrieve(odd, 0), 0), (&retrieve(&longest, 1), 0)];
    assert!(
        answers(EVERYTHING, &[], &requests)
            .iter()
            .all(|said| matches!(said, Said::Answer(answer, _) if answer[0] == 0))
    );
}

/// All of these end the connection, on which nothing else was said; another one is not affected.
fn ends(rules: Rules, requests: &[(Vec<u8>, usize)]) {
    both(rules, &[], |daemon| {
        let (bystander, mut fd) = (daemon.connect(), null());
        for (bytes, fds) in requests {
            let peer = daemon.connect();
            peer.send(bytes, &[fd; 3][..*fds]);
            assert_eq!(peer.said(), Said::End, "{bytes:x?} with {fds}");
        }
        fd.close();
        assert_eq!(list(&bystander), [""; 0]);
    });
}

#[test]
fn bytes_behind_a_request_end_the_connection() {
    let behind = |payload: &[u8]| (message(&[payload, b"x"].concat(), 0), 0);
    let mut store = store(b"a");
    store.push(b'x');
    ends(
        EVERYTHING,
        &[
            behind(b"L"),
            behind(b"?"),
            behind(&announce(1)),
            behind(&delete(b"a")),
            behind(&retrieve(b"a", 0)),
            (message(&store, 1), 1),
        ],
    );
}

#[test]
fn a_wrong_number_of_descriptors_ends_the_connection() {
    let with = |payload: &[u8], fds: usize| (message(payload, fds as u16), fds);
    ends(
        EVERYTHING,
        &[
            with(&store(b"a"), 0),
            with(&store(b"a"), 2),
            with(b"L", 1),
            with(b"?", 1),
            with(&announce(1), 1),
            with(&delete(b"a"), 1),
            with(&retrieve(b"a", 0), 1),
        ],
    );
}

#[test]
fn what_is_no_request_ends_the_connection() {
    ends(
        EVERYTHING,
        &[
            (message(b"", 0), 0),
            (message(b"X", 0), 0),
            (message(b"s", 0), 0),
            (message(b"D", 0), 0),
            (message(b"D\0\0", 0), 0),
            (message(b"D\x01ab", 0), 0),
            (message(b"D\x02a\0", 0), 0),
            (message(b"R\0", 0), 0),
            (message(b"!\0\0\0", 0), 0),
            (b"\x10\0\0\x01\0\0".to_vec(), 0),
            (b"\0\0\0\x01\x01\0L".to_vec(), 0),
        ],
    );
}

#[test]
fn descriptors_are_a_queue_of_the_connection() {
    let (mut first, mut second) = (null(), file::open(Fd::CWD, c"/dev/zero", rustix::fs::OFlags::RDONLY, 0).unwrap());
    let identities = [first, second].map(|fd| file::identity(fd).unwrap());
    // The one that a store behind a list takes comes with the list's first byte.
    let said = both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        let batch = [message(b"L", 0), message(&store(b"r1"), 1)].concat();
        peer.send(&batch, &[first]);
        let pair = [message(&store(b"r2"), 1), message(&store(b"r3"), 1)].concat();
        let mut said = vec![peer.said(), peer.said()];
        peer.send(&pair, &[first, second]);
        said.extend([peer.said(), peer.said()]);
        said.extend(["r1", "r2", "r3"].map(|name| peer.ask(&retrieve(name.as_bytes(), 0), &[])));
        said
    });
    let given = |which: usize| Said::Answer(vec![0], vec![identities[which]]);
    assert_eq!(said[1..], [status(OK), status(OK), status(OK), given(0), given(0), given(1)]);
    first.close();
    second.close();
}

#[test]
fn descriptors_that_no_request_takes_end_the_connection_after_the_answer() {
    both(EVERYTHING, &[], |daemon| {
        let (peer, mut fd) = (daemon.connect(), null());
        peer.send(&message(&store(b"a"), 1), &[fd, fd, fd]);
        fd.close();
        assert_eq!((peer.said(), peer.said()), (status(OK), Said::End));
        assert_eq!(list(&daemon.connect()), ["a"]);
    });
}

#[test]
fn a_descriptor_that_was_announced_and_does_not_come_ends_the_connection() {
    // The first thing that is said.
    both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        peer.send(&message(&store(b"a"), 1), &[]);
        peer.shut();
        assert_eq!(peer.said(), Said::End);
        assert_eq!(list(&daemon.connect()), [""; 0]);
    });
}

#[test]
fn requests_may_come_many_at_a_time_and_are_answered_in_order() {
    both(EVERYTHING, &[], |daemon| {
        let (peer, mut fd) = (daemon.connect(), null());
        let batch = [message(&store(b"a"), 1), message(b"L", 0), message(&retrieve(b"a", 1), 0), message(b"L", 0)];
        peer.send(&batch.concat(), &[fd]);
        fd.close();
        (0..4).map(|_| peer.said()).collect::<Vec<_>>()
    });
}

#[test]
fn three_hundred_requests_in_one_piece_are_all_answered() {
    both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        peer.send(&message(b"L", 0).repeat(300), &[]);
        (0..300).for_each(|_| assert_eq!(peer.said(), Said::Answer(vec![0; 5], Vec::new())));
    });
}

#[test]
fn the_header_of_the_next_request_may_be_all_that_is_there_of_it() {
    both(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        peer.send(&[message(b"L", 0), message(b"L", 0)[..6].to_vec()].concat(), &[]);
        let first = peer.said();
        peer.send(b"L", &[]);
        (first, peer.said())
    });
}

#[test]
fn what_was_asked_before_the_end_of_a_connection_is_done() {
    both(EVERYTHING, &[], |daemon| {
        let other = daemon.connect();
        fill(&other, &["a"]);
        let peer = daemon.connect();
        peer.send(&message(&delete(b"a"), 0), &[]);
        drop(peer);
        let gone = |peer: &Raw| list(peer).is_empty();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !gone(&other) {
            assert!(std::time::Instant::now() < deadline, "it was not let go of");
        }
    });
}

#[test]
fn limits_are_kept_as_they_were_sent() {
    let limit = [0x40, 0, 0, 0x7f, 0, 0, 0, 0, 0x31, 0x77, 0xe3, 0x36];
    let said = answers(
        EVERYTHING,
        &[],
        &[(&[b"S", &limit[..], &id(b"a")].concat(), 1), (&[b"S", &NEVER[..], &id(b"b")].concat(), 1), (b"?", 0)],
    );
    assert_eq!(said[2], Said::Answer(b"\0\0\0\0\x01\0\0\0\x02".to_vec(), Vec::new()));
}
