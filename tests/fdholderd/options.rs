//! Options, limits, signals, exit codes.

use crate::daemon::{Daemon, EVERYTHING, Ours, Rules, Theirs, both, fill, list, null};
use crate::raw::{ENFILE, OK, Raw, Said, announce, message, status, store};
use linchpin::sys::Fd;
use std::time::{Duration, Instant};

#[test]
fn more_clients_than_c_wait_until_one_leaves() {
    both(EVERYTHING, &["-c", "2"], |daemon| {
        let [first, second, third] = [(); 3].map(|()| daemon.connect());
        assert_eq!((list(&first), list(&second)), (vec![], vec![]));
        third.request(b"L", &[]);
        assert!(!third.readable_within(50));
        assert_eq!(list(&first), [""; 0]);
        drop(first);
        third.said()
    });
}

#[test]
fn c_0_is_1() {
    both(EVERYTHING, &["-c", "0"], |daemon| {
        let [first, second] = [(); 2].map(|()| daemon.connect());
        assert_eq!(list(&first), [""; 0]);
        second.request(b"L", &[]);
        assert!(!second.readable_within(50));
        drop(first);
        second.said()
    });
}

#[test]
fn two_hundred_and_fifty_six_clients_at_a_time_are_the_most() {
    both(EVERYTHING, &["-c", "1000"], |daemon| {
        let clients: Vec<Raw> = (0..256).map(|_| daemon.connect()).collect();
        assert!(clients.iter().all(|peer| list(peer).is_empty()));
        let waiting = daemon.connect();
        waiting.request(b"L", &[]);
        assert!(!waiting.readable_within(50));
        drop(clients);
        waiting.said()
    });
}

#[test]
fn no_more_than_n_are_held_and_0_is_1() {
    for (option, room) in [("2", 2), ("0", 1)] {
        both(EVERYTHING, &["-n", option], |daemon| {
            let (peer, mut fd) = (daemon.connect(), null());
            let said: Vec<Said> = (0..3u8).map(|n| peer.ask(&store(&[b'a' + n]), &[fd])).collect();
            fd.close();
            let expected: Vec<Said> = (0..3).map(|n| status(if n < room { OK } else { ENFILE })).collect();
            assert_eq!(said, expected);
        });
    }
}

#[test]
fn n_above_the_limit_of_descriptors_is_that_less_six() {
    for whose in [Theirs, Ours] {
        let daemon = Daemon::start_limited(whose, 64, &["-n", "65"]);
        let room = [58, 59].map(|total| match daemon.connect().ask(&announce(total), &[]) {
            Said::Answer(answer, _) => answer[0],
            Said::End => panic!("{total}"),
        });
        assert_eq!(room, [OK, ENFILE], "{whose:?}");
    }
}

#[test]
fn t_ends_a_client_that_asks_nothing_and_no_other() {
    both(EVERYTHING, &["-t", "2000"], |daemon| {
        let asked = daemon.connect();
        assert_eq!(list(&asked), [""; 0]);
        let begin = Instant::now();
        let idle = daemon.connect();
        assert_eq!(idle.said(), Said::End);
        assert!(begin.elapsed() >= Duration::from_millis(1990), "{:?}", begin.elapsed());
        assert_eq!(list(&asked), [""; 0]);
    });
}

#[test]
fn the_exit_code_tells_what_was_held_and_who_was_connected() {
    for (held, connected) in [(false, false), (true, false), (false, true), (true, true)] {
        let code = both(EVERYTHING, &[], |daemon| {
            let peer = daemon.connect();
            if held {
                fill(&peer, &["a"]);
            }
            assert_eq!(list(&peer).len(), usize::from(held));
            let other = daemon.connect();
            drop(peer);
            // When somebody who came later is answered, the one who left has been noticed.
            list(&other);
            list(&other);
            if !connected {
                drop(other);
                wait_for_descriptors(daemon, held);
            }
            daemon.terminate()
        });
        assert_eq!(code, Some(i32::from(held) | i32::from(connected) << 1));
    }
}

/// Waits until no connection is left, as far as /proc tells.
fn wait_for_descriptors(daemon: &Daemon, held: bool) {
    let connections = || {
        let links = std::fs::read_dir(format!("/proc/{}/fd", daemon.process.id())).unwrap().flatten();
        links
            .filter(|link| std::fs::read_link(link.path()).is_ok_and(|to| to.to_str().unwrap().starts_with("socket:")))
            .count()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while connections() > 1 {
        assert!(Instant::now() < deadline, "a client is still there; held: {held}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn clients_that_say_nothing_do_not_delay_the_end() {
    let code = both(EVERYTHING, &["-T", "100000"], |daemon| {
        let clients: Vec<Raw> = (0..5).map(|_| daemon.connect()).collect();
        clients.iter().for_each(|peer| assert_eq!(list(peer), [""; 0]));
        daemon.terminate()
    });
    assert_eq!(code, Some(2));
}

/// A client that has asked for more than its socket takes, and has been given some of it.
fn greedy(daemon: &Daemon) -> (Raw, usize) {
    const LISTS: usize = 60;
    let (peer, mut fd) = (daemon.connect(), null());
    for n in 0..100 {
        assert_eq!(peer.ask(&store(format!("{n:0250}").as_bytes()), &[fd]), status(OK));
    }
    fd.close();
    peer.send(&message(b"L", 0).repeat(LISTS), &[]);
    assert!(peer.readable_within(30_000));
    (peer, LISTS)
}

#[test]
fn who_is_owed_answers_gets_them_before_the_end() {
    let code = both(EVERYTHING, &[], |daemon| {
        let (peer, lists) = greedy(daemon);
        daemon.signal(libc::SIGTERM);
        for _ in 0..lists {
            assert!(matches!(peer.said(), Said::Answer(answer, _) if answer.len() == 5 + 100 * 251));
        }
        daemon.end().code()
    });
    assert_eq!(code, Some(3));
}

#[test]
fn with_upper_t_the_end_comes_then_though_answers_are_owed() {
    let code = both(EVERYTHING, &["-T", "300"], |daemon| {
        let (_peer, _) = greedy(daemon);
        let begin = Instant::now();
        let code = daemon.terminate();
        assert!(begin.elapsed() >= Duration::from_millis(290), "{:?}", begin.elapsed());
        code
    });
    assert_eq!(code, Some(3));
}

#[test]
fn who_connects_near_the_end_waits_and_is_not_refused() {
    both(EVERYTHING, &[], |daemon| {
        let (peer, lists) = greedy(daemon);
        daemon.signal(libc::SIGTERM);
        let late = daemon.connect();
        late.request(b"L", &[]);
        assert!(!late.readable_within(50));
        (0..lists).for_each(|_| drop(peer.said()));
        (late.said(), daemon.end().code())
    });
}

#[test]
fn a_hangup_makes_it_read_a_new_file_of_rules() {
    both(EVERYTHING, &["-x", "rules.cdb"], |daemon| {
        let early = daemon.connect();
        assert_eq!(list(&early), [""; 0]);
        std::fs::remove_file(daemon.path().join("rules/uid/self/env/S6_FDHOLDER_LIST")).unwrap();
        crate::daemon::compile_rules(daemon.path());
        let before = daemon.connect().ask(b"L", &[]);
        daemon.signal(libc::SIGHUP);
        // The signal is seen first in the turn in which this connection is.
        (before, daemon.connect().ask(b"L", &[]), early.ask(b"L", &[]))
    });
}

#[test]
fn the_old_rules_stay_in_force_if_there_is_no_new_file() {
    both(EVERYTHING, &["-x", "rules.cdb"], |daemon| {
        std::fs::remove_file(daemon.path().join("rules.cdb")).unwrap();
        daemon.signal(libc::SIGHUP);
        list(&daemon.connect())
    });
}

#[test]
fn a_hangup_means_nothing_where_rules_are_a_directory() {
    both(EVERYTHING, &[], |daemon| {
        daemon.signal(libc::SIGHUP);
        list(&daemon.connect())
    });
}

#[test]
fn rules_in_a_file_mean_what_they_mean_in_a_directory() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let rules: Rules = &[
        ("uid/self/allow", ""),
        ("uid/self/env/S6_FDHOLDER_LIST", "\n"),
        ("uid/self/env/S6_FDHOLDER_STORE_REGEX", "^a\n"),
        ("uid/7/deny", ""),
        ("gid/8/allow", ""),
        ("gid/8/env/S6_FDHOLDER_LIST", "\n"),
        ("gid/9/allow", ""),
        ("gid/9/env/S6_FDHOLDER_LIST", ""),
    ];
    let seen = [&[][..], &["-x", "rules.cdb"]].map(|options| {
        both(rules, options, |daemon| {
            let peer = daemon.connect();
            let mut said =
                vec![peer.ask(&store(b"ab"), &[Fd(0)]), peer.ask(&store(b"ba"), &[Fd(0)]), peer.ask(b"L", &[])];
            said.extend([(7, 8), (6, 8), (6, 9), (6, 10)].map(|(uid, gid)| daemon.connect_as(uid, gid).ask(b"L", &[])));
            said
        })
    });
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn the_last_of_i_and_x_counts() {
    let empty: Rules = &[("uid/self/allow", "")];
    // What the options are given here is followed by `-i rules`.
    both(EVERYTHING, &["-i", "nowhere"], |daemon| list(&daemon.connect()));
    both(empty, &["-x", "rules.cdb", "-i", "nowhere"], |daemon| daemon.connect().ask(b"L", &[]));
}
