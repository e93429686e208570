//! Where we do not do as s6: Debian's result, and ours.

use crate::daemon::{Daemon, EVERYTHING, Ours, Theirs, apart, fill, list, null};
use crate::raw::{NEVER, OK, Raw, Said, announce, delete, dump, id, message, retrieve, status, store};
use linchpin::sys::{Fd, file};

#[test]
fn a_message_may_come_in_pieces() {
    for cut in [3, 6] {
        let (theirs, ours) = apart(EVERYTHING, &[], |daemon| {
            let peer = daemon.connect();
            peer.send(&message(b"L", 0)[..cut], &[]);
            // A daemon that ends the connection does so while another one is served twice.
            let other = daemon.connect();
            (0..2).for_each(|_| assert_eq!(list(&other), [""; 0]));
            let _ = linchpin::sys::socket::send(peer.0, &message(b"L", 0)[cut..], &[]);
            peer.said()
        });
        assert_eq!((theirs, ours), (Said::End, Said::Answer(vec![0; 5], Vec::new())));
    }
}

#[test]
fn who_has_said_all_is_answered() {
    let (_, ours) = apart(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        peer.send(&message(b"L", 0).repeat(3), &[]);
        peer.shut();
        // Debian's answers sometimes.
        [(); 4].map(|()| peer.said())
    });
    let answer = Said::Answer(vec![0; 5], Vec::new());
    assert_eq!(ours, [answer.clone(), answer.clone(), answer, Said::End]);
}

#[test]
fn an_identifier_is_not_empty_and_has_no_nul_inside() {
    let (theirs, ours) = apart(EVERYTHING, &[], |daemon| {
        let mut fd = null();
        let names: [&[u8]; 2] = [b"\0", b"e\0bc"];
        let said = names.map(|name| daemon.connect().ask(&store(name), &[fd]));
        fd.close();
        (said, list(&daemon.connect()))
    });
    assert_eq!(theirs, ([status(OK), status(OK)], vec![String::new(), "e".to_owned()]));
    assert_eq!(ours, ([Said::End, Said::End], vec![]));
}

#[test]
fn a_limit_with_a_billion_nanoseconds_ends_its_connection_and_not_the_store() {
    let (theirs, ours) = apart(EVERYTHING, &[], |daemon| {
        let mut fd = null();
        let limit = [0x40, 0, 0, 0x7f, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        let said = daemon.connect().ask(&[b"S", &limit[..], &id(b"a")].concat(), &[fd]);
        fd.close();
        let after = if daemon.whose == Theirs { Err(daemon.end().code()) } else { Ok(list(&daemon.connect())) };
        (said, after)
    });
    assert_eq!(theirs.1, Err(Some(111)));
    assert_eq!(ours, (Said::End, Ok(vec![])));
}

#[test]
fn surplus_descriptors_do_not_take_the_held_one_with_them() {
    let mut zero = file::open(Fd::CWD, c"/dev/zero", rustix::fs::OFlags::RDONLY, 0).unwrap();
    let (theirs, ours) = apart(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        peer.send(&message(&store(b"a"), 1), &[zero, zero, zero]);
        assert_eq!((peer.said(), peer.said()), (status(OK), Said::End));
        // In Debian's one of these connections gets the number that was the held one's.
        let [_first, _second, third] = [(); 3].map(|()| {
            let peer = daemon.connect();
            assert_eq!(list(&peer), ["a"]);
            peer
        });
        third.ask(&retrieve(b"a", 0), &[])
    });
    let right = Said::Answer(vec![0], vec![file::identity(zero).unwrap()]);
    assert_ne!(theirs, right);
    assert_eq!(ours, right);
    zero.close();
}

#[test]
fn a_malformed_dump_message_replaces_nothing() {
    let (theirs, ours) = apart(EVERYTHING, &[], |daemon| {
        let (peer, mut fd) = (daemon.connect(), null());
        fill(&peer, &["a"]);
        assert_eq!(peer.ask(&announce(2), &[]), Said::Answer(vec![0, 0, 0, 0, 1], Vec::new()));
        let mut bad = dump(&[b"a", b"b"]);
        *bad.last_mut().unwrap() = b'x';
        assert_eq!(peer.ask(&bad, &[fd, fd]), Said::End);
        fd.close();
        list(&daemon.connect())
    });
    assert_eq!((theirs, ours), (vec![], vec!["a".to_owned()]));
}

#[test]
fn of_several_free_places_the_first_is_used() {
    let (theirs, ours) = apart(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        fill(&peer, &["a", "b", "c"]);
        assert_eq!([b"a", b"b"].map(|name| peer.ask(&delete(name), &[])), [status(OK), status(OK)]);
        fill(&peer, &["d"]);
        list(&peer)
    });
    assert_eq!((theirs, ours), (vec!["d".to_owned(), "c".to_owned()], vec!["d".to_owned(), "c".to_owned()]));
}

#[test]
fn what_has_expired_is_gone_even_if_there_is_always_something_to_do() {
    let (_, ours) = apart(EVERYTHING, &[], |daemon| {
        let (peer, mut fd) = (daemon.connect(), null());
        let limit = [[0; 8], [0; 8]].concat();
        let past = [b"S", &limit[..12], &id(b"past")].concat();
        // In one piece, so that there is no time between them in which nothing is to be done.
        peer.send(&[message(&past, 1), message(&retrieve(b"past", 0), 0)].concat(), &[fd]);
        fd.close();
        let mut said = [peer.said(), peer.said()];
        said[1] = match said[1].clone() {
            Said::Answer(answer, _) => status(answer[0]),
            end => end,
        };
        (said, list(&daemon.connect()))
    });
    assert_eq!(ours.1, [""; 0]);
    assert_eq!(ours.0[0], status(OK));
}

#[test]
fn a_file_that_is_no_constant_database_leaves_the_old_rules_in_force() {
    for junk in [&b"junk"[..], &[b'x'; 5000], b""] {
        let (theirs, ours) = apart(EVERYTHING, &["-x", "rules.cdb"], |daemon| {
            let new = daemon.path().join("new");
            std::fs::write(&new, junk).unwrap();
            std::fs::rename(new, daemon.path().join("rules.cdb")).unwrap();
            daemon.signal(libc::SIGHUP);
            (daemon.connect().ask(b"L", &[]), daemon.log())
        });
        let answer = Said::Answer(vec![0; 5], Vec::new());
        assert_eq!(theirs.0, if junk.is_empty() { answer.clone() } else { Said::End });
        assert_eq!(ours.0, answer);
        assert!(ours.1.contains("unable to cdb_init rules.cdb: Invalid argument: the old rules stay"), "{}", ours.1);
    }
}

/// Sends a request, and with it the header of another one with as many descriptors as go: they wait for the rest.
fn pin(peer: &Raw, fd: Fd) {
    let begun = [&message(b"L", 0)[..], &message(&dump(&[&b"a"[..]; 253]), 253)[..6]].concat();
    let _ = linchpin::sys::socket::send(peer.0, &begun, &[fd; 253]);
}

#[test]
fn a_store_whose_descriptors_are_used_up_goes_on_and_has_them_back_when_the_clients_leave() {
    let limited = |whose| {
        let mut daemon = Daemon::start_limited(whose, 300, &["-n", "100", "-c", "256", "-x", "rules.cdb"]);
        let (keeper, mut fd) = (daemon.connect(), null());
        fill(&keeper, &["kept"]);
        let before = daemon.descriptors();
        let hostile: Vec<Raw> = (0..8).map(|_| daemon.connect()).collect();
        hostile.iter().for_each(|peer| pin(peer, fd));
        fd.close();
        let more: Vec<Raw> = (0..200).filter_map(|_| Raw::try_connect(&daemon.path().join("s")).ok()).collect();
        if whose == Theirs {
            return Err(daemon.end().code());
        }
        assert_eq!(list(&keeper), ["kept"]);
        drop((hostile, more));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while daemon.descriptors() != before {
            assert!(std::time::Instant::now() < deadline, "{} descriptors, {before} before", daemon.descriptors());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let late = daemon.connect();
        Ok((list(&keeper), list(&late)))
    };
    assert_eq!(limited(Theirs), Err(Some(111)));
    assert_eq!(limited(Ours), Ok((vec!["kept".to_owned()], vec!["kept".to_owned()])));
}

#[test]
fn a_descriptor_that_is_let_go_of_behind_its_retrieval_is_the_one_that_was_asked_for() {
    let mut zero = file::open(Fd::CWD, c"/dev/zero", rustix::fs::OFlags::RDONLY, 0).unwrap();
    let right = Said::Answer(vec![0], vec![file::identity(zero).unwrap()]);
    let (theirs, ours) = apart(EVERYTHING, &[], |daemon| {
        let peer = daemon.connect();
        assert_eq!(peer.ask(&[b"S", &NEVER[..], &id(b"a")].concat(), &[zero]), status(OK));
        peer.send(&[message(&retrieve(b"a", 0), 0), message(&delete(b"a"), 0)].concat(), &[]);
        [peer.said(), Said::End]
    });
    assert_ne!(theirs[0], right);
    assert_eq!(ours[0], right);
    zero.close();
}
