//! Greatest numbers of connections: of all, and of one client.

use crate::compare::{differ, everywhere};
use crate::stage::{Client, Event::*, Signal, Stage};
use std::io::{BufRead, BufReader};

/// A handler that goes on until its client has gone.
const ECHO: &[&str] = &["sh", "-c", "echo up; exec cat"];

#[test]
fn at_the_limit_the_next_client_waits() {
    everywhere(|stage| {
        stage.limits(1, 1);
        stage.serve(&["-v2", "-c1"], ECHO);
        let first = stage.connect_up();
        stage.settled(2);
        let second = stage.connect();
        second.say("early\n");
        stage.note("the first is served", first.answers());
        drop(first);
        stage.note("then the second", format!("{} {}", second.line(), second.line()));
        drop(second);
        stage.settled(5);
        stage.finish();
        stage.log_tells(
            "log",
            &[
                Starting,
                Status(0),
                Accepted('A', 1),
                Status(1),
                Ended('A', "exitcode 0", 0),
                Status(0),
                Accepted('B', 1),
                Status(1),
                Ended('B', "exitcode 0", 0),
                Status(0),
                Received(Signal::TERM),
                Exiting,
            ],
        );
    });
}

#[test]
fn at_a_limit_of_two_the_third_client_waits() {
    everywhere(|stage| {
        stage.limits(2, 2);
        stage.serve(&["-v2", "-c", "2"], ECHO);
        let first = stage.connect_up();
        stage.settled(2);
        let second = stage.connect_up();
        stage.settled(3);
        let third = stage.connect();
        stage.note("two are served", first.answers() && second.answers());
        drop(second);
        stage.note("then the third", third.line());
        stage.settled(5);
        stage.finish();
        stage.log_tells(
            "log",
            &[
                Starting,
                Status(0),
                Accepted('A', 1),
                Status(1),
                Accepted('B', 2),
                Status(2),
                Ended('B', "exitcode 0", 1),
                Status(1),
                Accepted('C', 2),
                Status(2),
                Received(Signal::TERM),
                Exiting,
            ],
        );
    });
}

#[test]
fn signals_are_taken_while_clients_wait() {
    everywhere(|stage| {
        stage.serve(&["-v2", "-c1"], ECHO);
        let first = stage.connect_up();
        stage.settled(2);
        let second = stage.connect();
        stage.signal(Signal::HUP);
        stage.note("the first", first.rest());
        stage.note("the second", second.line());
        stage.settled(4);
        stage.finish();
    });
}

/// A client that has one connection more than is allowed; the other goes on.
fn one_too_many(stage: &mut Stage, verbosity: &str) -> Client {
    stage.limits(40, 1);
    stage.serve(&["-C", "1", verbosity], ECHO);
    let first = stage.connect_up();
    if verbosity == "-v2" {
        stage.settled(2);
    }
    let second = stage.connect();
    stage.note("the second gets", second.rest());
    stage.note("the first goes on", first.answers());
    first
}

#[test]
fn a_client_with_too_many_connections_is_refused() {
    everywhere(|stage| {
        let _first = one_too_many(stage, "-v2");
        stage.finish();
        stage.log_tells(
            "log",
            &[Starting, Status(0), Accepted('A', 1), Status(1), Refused(1), Received(Signal::TERM), Exiting],
        );
    });
}

#[test]
fn a_refusal_is_told_when_little_is() {
    everywhere(|stage| {
        let _first = one_too_many(stage, "-v1");
        stage.finish();
        stage.log_tells("log", &[Refused(1)]);
    });
}

#[test]
fn a_refusal_at_the_lowest_verbosity() {
    everywhere(|stage| {
        let _first = one_too_many(stage, "-v0");
        stage.finish();
        // s6-ipcserverd tells it even so.
        let ipc = stage.proto == crate::stage::Proto::Ipc;
        stage.log_tells_at_once("log", if ipc { &[Refused(1)] } else { &[] });
    });
}

#[test]
fn who_was_refused_is_admitted_once_another_connection_has_ended() {
    everywhere(|stage| {
        stage.limits(40, 2);
        stage.serve(&["-C2", "-v2"], ECHO);
        let first = stage.connect_up();
        stage.settled(2);
        let second = stage.connect_up();
        stage.settled(3);
        stage.note("the third gets", stage.connect().rest());
        drop(first);
        stage.settled(4);
        let fourth = stage.connect_up();
        stage.settled(5);
        stage.note("both are served", fourth.answers() && second.answers());
        stage.finish();
        stage.log_tells(
            "log",
            &[
                Starting,
                Status(0),
                Accepted('A', 1),
                Status(1),
                Accepted('B', 2),
                Status(2),
                Refused(2),
                Ended('A', "exitcode 0", 1),
                Status(1),
                Accepted('C', 2),
                Status(2),
                Received(Signal::TERM),
                Exiting,
            ],
        );
    });
}

#[test]
fn no_connection_of_a_client_may_be_allowed() {
    everywhere(|stage| {
        stage.limits(40, 0);
        stage.serve(&["-C0", "-v2"], ECHO);
        stage.note("a client gets", stage.connect().rest());
        stage.note("and again", stage.connect().rest());
        stage.until("count", 2);
        stage.finish();
        stage.log_tells("log", &[Starting, Status(0), Refused(0), Refused(0), Received(Signal::TERM), Exiting]);
    });
}

#[test]
fn no_connection_at_all_means_one() {
    everywhere(|stage| {
        stage.limits(1, 1);
        stage.serve(&["-c0", "-v2"], ECHO);
        let first = stage.connect_up();
        stage.settled(2);
        let second = stage.connect();
        drop(first);
        stage.note("the second", second.line());
        stage.settled(4);
        stage.finish();
    });
}

#[test]
fn a_clients_limit_is_never_above_that_of_all() {
    everywhere(|stage| {
        stage.limits(3, 3);
        stage.serve(&["-c3", "-C5", "-v2"], ECHO);
        let _client = stage.connect_up();
        stage.settled(2);
        stage.finish();
        stage.log_tells("log", &[Starting, Status(0), Accepted('A', 1), Status(1), Received(Signal::TERM), Exiting]);
    });
}

#[test]
fn more_than_the_greatest_limit_is_that() {
    everywhere(|stage| {
        stage.limits(16384, 40);
        stage.serve(&["-c4294967295", "-v2"], ECHO);
        stage.settled(1);
        stage.finish();
        stage.log_tells("log", &[Starting, Status(0), Received(Signal::TERM), Exiting]);
    });
}

#[test]
fn users_have_limits_of_their_own() {
    differ(|stage| {
        stage.serve(&["-C1", "-v2"], ECHO);
        let root = stage.connect_up();
        stage.settled(2);
        let script = "head -n 1 <&6; echo nobody >&7; head -n 1 <&6; read x";
        let mut nobody = stage.nobody(script);
        let mut said = BufReader::new(nobody.stdout.take().unwrap()).lines();
        let lines = [said.next().unwrap().unwrap(), said.next().unwrap().unwrap()];
        stage.note("nobody gets", lines.join(" "));
        stage.settled(3);
        let second = stage.nobody("cat <&6").wait_with_output().unwrap();
        stage.note("nobody's second", String::from_utf8(second.stdout).unwrap());
        stage.note("root's second", stage.connect().rest());
        stage.note("root's first", root.answers());
        drop(nobody.stdin.take());
        nobody.wait().unwrap();
        stage.settled(4);
        let again = stage.nobody("head -n 1 <&6").wait_with_output().unwrap();
        stage.note("nobody's third", String::from_utf8(again.stdout).unwrap());
        stage.settled(6);
        stage.finish();
    });
}

#[test]
fn without_credentials_only_the_limit_of_all_counts() {
    differ(|stage| {
        stage.serve(&["-P", "-C1", "-c2", "-v2"], ECHO);
        let first = stage.connect_up();
        stage.settled(2);
        let second = stage.connect_up();
        stage.settled(3);
        let third = stage.connect();
        stage.note("two are served", first.answers() && second.answers());
        drop(first);
        stage.note("the third", third.line());
        stage.settled(5);
        stage.finish();
        stage.note("log", stage.log());
    });
}

#[test]
fn who_has_gone_before_the_server_came_is_served() {
    everywhere(|stage| {
        let listener = stage.listener();
        drop(stage.connect());
        let gone = stage.connect();
        gone.say("said\n");
        drop(gone);
        let mut command = stage.server_command(&["-v2"], &["sh", "-c", "cat >>heard"]);
        command.stdin(listener);
        stage.start(command);
        stage.until("exitcode 0", 2);
        stage.settled(5);
        stage.note("heard", std::fs::read_to_string(stage.path("heard")).unwrap());
        stage.finish();
    });
}
