//! What signals do to a server and to its handlers.

use crate::compare::everywhere;
use crate::stage::{Event::*, Signal, Stage, eventually};
use std::fs::File;

const ECHO: &[&str] = &["sh", "-c", "echo up; exec cat"];

/// The same, but SIGTERM does nothing to it.
const STUBBORN: &[&str] = &["sh", "-c", "trap '' TERM; echo up; exec cat"];

fn idle(signal: Signal) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.serve(&["-v2"], ECHO);
        stage.settled(1);
        stage.signal(signal);
        let end = stage.end();
        stage.note("end", end);
        stage.log_tells("log", &[Starting, Status(0), Received(signal), Exiting]);
    }
}

#[test]
fn sigterm_ends_an_idle_server() {
    everywhere(|stage| idle(Signal::TERM)(stage));
}

#[test]
fn sigquit_ends_an_idle_server() {
    everywhere(|stage| idle(Signal::QUIT)(stage));
}

#[test]
fn sigabrt_ends_an_idle_server() {
    everywhere(|stage| idle(Signal::ABORT)(stage));
}

#[test]
fn sighup_does_nothing_to_an_idle_server() {
    everywhere(|stage| {
        stage.serve(&["-v2"], ECHO);
        stage.settled(1);
        stage.signal(Signal::HUP);
        stage.until("SIGHUP", 1);
        let client = stage.connect_up();
        stage.note("it serves", client.answers());
        stage.settled(2);
        stage.finish();
        let hup = Received(Signal::HUP);
        let term = Received(Signal::TERM);
        stage.log_tells("log", &[Starting, Status(0), hup, Accepted('A', 1), Status(1), term, Exiting]);
    });
}

/// A handler with a client when the server gets a signal after which it ends: whether the client is still served.
fn busy(signal: Signal, handler: &[&str], goes_on: bool) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.serve(&["-v2"], handler);
        let client = stage.connect_up();
        stage.settled(2);
        stage.signal(signal);
        let end = stage.end();
        stage.note("end", end);
        let said =
            if goes_on { format!("goes on: {}", client.answers()) } else { format!("ends: {:?}", client.rest()) };
        stage.note("the handler", said);
        stage.log_tells("log", &[Starting, Status(0), Accepted('A', 1), Status(1), Received(signal), Exiting]);
    }
}

#[test]
fn after_sigterm_handlers_go_on() {
    everywhere(|stage| busy(Signal::TERM, ECHO, true)(stage));
}

#[test]
fn sigquit_ends_handlers() {
    everywhere(|stage| busy(Signal::QUIT, ECHO, false)(stage));
}

#[test]
fn after_sigquit_a_stubborn_handler_goes_on() {
    everywhere(|stage| busy(Signal::QUIT, STUBBORN, true)(stage));
}

#[test]
fn sigabrt_kills_a_stubborn_handler() {
    everywhere(|stage| busy(Signal::ABORT, STUBBORN, false)(stage));
}

#[test]
fn sighup_ends_handlers_and_the_server_goes_on() {
    everywhere(|stage| {
        stage.serve(&["-v2"], ECHO);
        let client = stage.connect_up();
        stage.settled(2);
        stage.signal(Signal::HUP);
        stage.note("the first", client.rest());
        stage.settled(3);
        let next = stage.connect_up();
        stage.settled(4);
        stage.note("the next is served", next.answers());
        stage.finish();
        stage.log_tells(
            "log",
            &[
                Starting,
                Status(0),
                Accepted('A', 1),
                Status(1),
                Received(Signal::HUP),
                Ended('A', "signal 15", 0),
                Status(0),
                Accepted('B', 1),
                Status(1),
                Received(Signal::TERM),
                Exiting,
            ],
        );
    });
}

#[test]
fn after_sighup_a_stubborn_handler_goes_on() {
    everywhere(|stage| {
        stage.serve(&["-v2"], STUBBORN);
        let client = stage.connect_up();
        stage.settled(2);
        for times in 1..=2 {
            stage.signal(Signal::HUP);
            stage.until("SIGHUP", times);
            stage.note("it goes on", client.answers());
        }
        drop(client);
        stage.settled(3);
        stage.finish();
        let hup = Received(Signal::HUP);
        let end = Ended('A', "exitcode 0", 0);
        let term = Received(Signal::TERM);
        stage.log_tells(
            "log",
            &[Starting, Status(0), Accepted('A', 1), Status(1), hup, hup, end, Status(0), term, Exiting],
        );
    });
}

#[test]
fn sighup_ends_a_stopped_handler() {
    everywhere(|stage| {
        stage.serve(&["-v2"], &["sh", "-c", "echo $$; kill -STOP $$; exec cat"]);
        let client = stage.connect();
        let stat = format!("/proc/{}/stat", client.line());
        eventually("the handler stops", || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T ")));
        stage.settled(2);
        stage.signal(Signal::HUP);
        stage.note("the client gets", client.rest());
        stage.settled(3);
        stage.finish();
        let end = Ended('A', "signal 15", 0);
        let (hup, term) = (Received(Signal::HUP), Received(Signal::TERM));
        stage.log_tells("log", &[Starting, Status(0), Accepted('A', 1), Status(1), hup, end, Status(0), term, Exiting]);
    });
}

#[test]
fn a_signal_reaches_all_handlers() {
    everywhere(|stage| {
        stage.serve(&["-v2"], ECHO);
        let clients: Vec<_> = (0..5)
            .map(|number| {
                let client = stage.connect_up();
                stage.settled(2 + number);
                client
            })
            .collect();
        stage.signal(Signal::HUP);
        let said: Vec<_> = clients.iter().map(crate::stage::Client::rest).collect();
        stage.note("clients get", said.concat());
        stage.settled(11);
        stage.note("ends", stage.raw_log().matches("signal 15").count());
        stage.finish();
    });
}

#[test]
fn other_signals_do_what_they_do_to_any_process() {
    everywhere(|stage| {
        for signal in [Signal::INT, Signal::USR1, Signal::USR2, Signal::ALARM, Signal::KILL] {
            let _ = std::fs::remove_file(stage.path("s"));
            let before = stage.raw_log().matches("status").count();
            stage.serve(&["-v2"], ECHO);
            stage.settled(before + 1);
            let client = stage.connect_up();
            stage.settled(before + 2);
            stage.signal(signal);
            let end = stage.end();
            stage.note(&format!("{signal:?}"), end);
            stage.note("the handler goes on", client.answers());
        }
    });
}

#[test]
fn sigpipe_and_sigcont_do_nothing_to_a_server() {
    everywhere(|stage| {
        stage.serve(&["-v2"], ECHO);
        stage.settled(1);
        for signal in [Signal::PIPE, Signal::CONT, Signal::CHILD] {
            stage.signal(signal);
        }
        let client = stage.connect_up();
        stage.note("it serves", client.answers());
        stage.settled(2);
        stage.finish();
        stage.log_tells("log", &[Starting, Status(0), Accepted('A', 1), Status(1), Received(Signal::TERM), Exiting]);
    });
}

#[test]
fn a_child_that_is_no_handler_is_reaped_and_not_told() {
    everywhere(|stage| {
        assert!(stage.shell("mkfifo fifo").starts_with("exit 0"));
        stage.through(&["sh", "-c", "cat fifo >&2 & echo $! >child; exec \"$@\"", "-"]);
        stage.serve(&["-v2"], ECHO);
        let fifo = File::options().write(true).open(stage.path("fifo")).unwrap();
        stage.settled(1);
        let child = std::fs::read_to_string(stage.path("child")).unwrap();
        drop(fifo);
        let child = std::path::Path::new("/proc").join(child.trim());
        eventually("the child is reaped", || !child.exists());
        let client = stage.connect_up();
        stage.settled(2);
        stage.note("it serves", client.answers());
        stage.finish();
        stage.log_tells("log", &[Starting, Status(0), Accepted('A', 1), Status(1), Received(Signal::TERM), Exiting]);
    });
}

#[test]
fn signals_that_came_before_the_server_was_ready_count() {
    everywhere(|stage| {
        // The shell's SIGTERM is blocked and stays pending until the server takes it.
        stage.through(&["env", "--block-signal=TERM", "sh", "-c", "kill -TERM $$; exec \"$@\"", "-"]);
        stage.serve(&["-v2"], ECHO);
        let end = stage.end();
        stage.note("end", end);
        stage.log_tells_at_once("log", &[Starting, Status(0), Received(Signal::TERM), Exiting]);
    });
}
