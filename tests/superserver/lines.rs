//! What is said, at each verbosity, and what signals do.

use crate::beside::Whose::{self, Ours, Theirs};
use crate::beside::eventually;
use crate::server::*;

/// A child that ends with code 3 as soon as a line has come.
const SHORT: [&str; 3] = ["sh", "-c", "read x; exit 3"];

/// One client is served and one is refused; then the server is told to end.
fn scenario(whose: Whose, place: Place, verbosity: &str) -> Vec<String> {
    let words: Vec<&str> = [verbosity, "-C1"].into_iter().chain(SHORT).collect();
    let mut server = Server::start(whose, place, &words, |_| {});
    let mut first = server.connect();
    eventually(|| !server.children().is_empty());
    assert!(server.connect().is_refused());
    first.send("end");
    assert_eq!(first.line(), "");
    eventually(|| server.children().is_empty());
    let (code, said) = server.stop(libc::SIGTERM);
    assert_eq!(code, Some(0));
    plain(&said)
}

#[test]
fn each_verbosity_has_the_lines_that_debians_has() {
    for verbosity in ["-v0", "-v1", "-v2", "-v3"] {
        let [theirs, ours] = [Theirs, Ours].map(|whose| scenario(whose, unix(), verbosity));
        // Theirs gives a reason that is none: that of the last failure of something else.
        let theirs: Vec<_> = theirs
            .into_iter()
            .map(|line| match line.split_once(" count 1/1: ") {
                Some((start, _)) => format!("{start} count 1/1: too many connections of this user"),
                None => line,
            })
            .collect();
        assert_eq!(ours, theirs, "{verbosity}");
    }
    let expected = [
        "info: starting",
        "info: status: 0/40",
        "info: allow 0:0 pid PID count 1/1",
        "info: status: 1/40",
        "info: deny 0:0 count 1/1: too many connections of this user",
        "info: end pid PID uid 0 exitcode 3",
        "info: status: 0/40",
        "info: received SIGTERM, quitting",
        "info: exiting",
    ];
    assert_eq!(scenario(Ours, unix(), "-v2"), expected);
}

#[test]
fn each_verbosity_has_the_lines_of_tcp() {
    for (place, ip) in [(v4(), "127.0.0.1"), (v6(), "::1")] {
        assert_eq!(scenario(Ours, place.clone(), "-v0"), [""; 0]);
        let reject = format!("info: reject {ip}_PORT count 1/1");
        assert_eq!(scenario(Ours, place.clone(), "-v1"), [&*reject]);
        let expected = [
            &*format!("info: starting - bound to ip {ip} port PORT"),
            "info: status: 0/40",
            &*format!("info: accept {ip}_PORT pid PID count 1/1"),
            "info: status: 1/40",
            &*reject,
            "info: end pid PID exitcode 3 count 0/1",
            "info: status: 0/40",
            "info: received SIGTERM, quitting",
            "info: exiting",
        ];
        assert_eq!(scenario(Ours, place, "-v2"), expected);
    }
}

#[test]
fn with_option_p_nobody_is_named() {
    let [theirs, ours] = [Theirs, Ours].map(|whose| {
        let mut server = Server::start(whose, unix(), &["-P", "-v2", "sh", "-c", "kill -9 $$"], |_| {});
        assert_eq!(server.connect().rest(), "");
        server.until("end pid");
        server.until("status");
        let (code, said) = server.stop(libc::SIGTERM);
        assert_eq!(code, Some(0));
        plain(&said)
    });
    assert_eq!(ours, theirs);
    assert!(ours.contains(&"info: end pid PID uid ? signal 9".to_owned()), "{ours:?}");
}

/// It says what signal it got, and goes on.
const STUBBORN: [&str; 3] =
    ["sh", "-c", "trap 'echo got TERM' TERM; echo begun; while read x; do echo $x; done; echo over"];

/// What a server says and does that gets a signal while a child is there that does not mind SIGTERM: its lines, its exit
/// code if it ended, what the child said afterwards.
fn signalled(whose: Whose, place: Place, signal: i32) -> (Vec<String>, Option<i32>, String) {
    let words: Vec<&str> = ["-v2"].into_iter().chain(STUBBORN).collect();
    let mut server = Server::start(whose, place, &words, |_| {});
    let mut client = server.connect();
    assert_eq!(client.line(), "begun");
    server.until("status: 1/");
    server.kill(signal);
    if signal == libc::SIGHUP {
        server.until("received");
        let heard = client.line();
        let rest = client.rest();
        server.until("status: 0/");
        server.kill(libc::SIGTERM);
        server.until("exiting");
        let code = server.wait().code();
        return (plain(&std::mem::take(&mut server.said)), code, format!("{heard}\n{rest}"));
    }
    server.until("exiting");
    let code = server.wait().code();
    // The child is alive after its server, unless it was killed.
    if signal == libc::SIGTERM {
        assert_eq!(client.echo("alone"), "alone");
    } else if signal == libc::SIGQUIT {
        assert_eq!(client.line(), "got TERM");
    }
    (plain(&std::mem::take(&mut server.said)), code, client.rest())
}

#[test]
fn signals_do_what_they_do_to_debians() {
    for (signal, said, left) in [
        (libc::SIGTERM, &["info: received SIGTERM, quitting"][..], "over\n"),
        (
            libc::SIGHUP,
            &[
                "info: received SIGHUP, sending SIGTERM+SIGCONT to all connections",
                "info: end pid PID uid 0 exitcode 0",
                "info: status: 0/40",
                "info: received SIGTERM, quitting",
            ],
            "got TERM\nover\n",
        ),
        (libc::SIGQUIT, &["info: received SIGQUIT, sending SIGTERM+SIGCONT to all connections and quitting"], "over\n"),
        (libc::SIGABRT, &["info: received SIGABRT, sending SIGKILL to all connections and quitting"], ""),
    ] {
        for place in places() {
            let ours = signalled(Ours, place.clone(), signal);
            assert_eq!((ours.1, &*ours.2), (Some(0), left), "signal {signal}");
            if place == unix() {
                // Debian's may see the end of its child before it has ended itself.
                let theirs = std::iter::repeat_with(|| signalled(Theirs, unix(), signal)).take(5);
                assert!(theirs.into_iter().any(|theirs| theirs == ours), "signal {signal}: {ours:?}");
                assert_eq!(ours.0[4..ours.0.len() - 1], *said);
            } else {
                let first = said[0].replace("SIGTERM+SIGCONT", "SIGTERM and SIGCONT");
                assert!(ours.0.contains(&first), "{first} in {ours:?}");
            }
        }
    }
}

#[test]
fn a_stopped_child_is_not_taken_for_an_ended_one() {
    for place in places() {
        let mut server = Server::ours(place, &["-v2", "cat"]);
        let mut client = server.connect();
        assert_eq!(client.echo("one"), "one");
        let child = server.children()[0];
        linchpin::sys::process::kill(child, libc::SIGSTOP).unwrap();
        let stopped = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap().contains(") T ");
        eventually(stopped);
        assert_eq!(server.connect().echo("two"), "two");
        // A hang-up ends it though: it is told to go on.
        server.kill(libc::SIGHUP);
        assert_eq!(client.line(), "");
        server.until("signal 15");
    }
}

#[test]
fn signals_that_somebody_ignores_are_obeyed_and_children_are_reaped() {
    let mut server = Server::start(Ours, unix(), &["-v2", "true"], |command| {
        let ignored = || {
            for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGHUP] {
                ignore(signal);
            }
            Ok(())
        };
        before(command, ignored);
    });
    assert_eq!(server.connect().rest(), "");
    server.until("end pid");
    let (code, said) = server.stop(libc::SIGTERM);
    assert_eq!(code, Some(0), "{said:?}");
}
