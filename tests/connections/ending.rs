//! What the log tells of handlers: how they ended, that they could not be started, and how much at which verbosity.

use crate::compare::everywhere;
use crate::stage::{Event, Event::*, Maker, Signal, Stage};
use std::os::unix::fs::PermissionsExt;

/// Connects once for each of `says`, to a handler that ends as it is told; the log.
fn ends(stage: &mut Stage, handler: &[&str], says: &[(&str, &str)]) {
    stage.serve(&["-v2"], handler);
    stage.settled(1);
    let mut events = vec![Starting, Status(0)];
    for (number, &(said, how)) in says.iter().enumerate() {
        let client = stage.connect_up();
        stage.settled(2 + 2 * number);
        client.say(&format!("{said}\n"));
        stage.note("the client gets", client.rest());
        stage.settled(3 + 2 * number);
        let letter = char::from(b'A' + u8::try_from(number).unwrap());
        events.extend([Accepted(letter, 1), Status(1), Ended(letter, how, 0), Status(0)]);
    }
    stage.finish();
    events.extend([Received(Signal::TERM), Exiting]);
    stage.log_tells("log", &events);
}

#[test]
fn exit_codes_are_told() {
    everywhere(|stage| {
        let codes = [("0", "exitcode 0"), ("1", "exitcode 1"), ("111", "exitcode 111"), ("255", "exitcode 255")];
        ends(stage, &["sh", "-c", "echo up; read x; exit $x"], &codes);
    });
}

#[test]
fn signals_that_ended_handlers_are_told() {
    everywhere(|stage| {
        stage.through(&["sh", "-c", "ulimit -c 0; exec \"$@\"", "-"]);
        let signals = [("TERM", "signal 15"), ("KILL", "signal 9"), ("SEGV", "signal 11"), ("USR1", "signal 10")];
        ends(stage, &["sh", "-c", "echo up; read x; kill -$x $$"], &signals);
    });
}

/// A handler that cannot be started: one client after the other gets nothing, and the server goes on.
fn unstartable(stage: &mut Stage, handler: &str, reason: &str) {
    stage.serve(&["-v2"], &[handler, "word"]);
    for client in 1..=2 {
        stage.note("a client gets", stage.connect().rest());
        stage.until(reason, client);
        if stage.maker == Maker::Debian {
            // A child of the server says it, which is a connection and ends.
            stage.settled(1 + 2 * client);
        }
    }
    stage.finish();
    let warning = format!("s6-{}d: warning: unable to spawn {handler}: {reason}", stage.proto.server());
    let warning = Line(&warning);
    stage.log_tells_at_once("log", &[Starting, Status(0), warning, warning, Received(Signal::TERM), Exiting]);
}

#[test]
fn a_handler_that_is_missing_is_told() {
    everywhere(|stage| unstartable(stage, "missing", "No such file or directory"));
}

#[test]
fn a_handler_that_may_not_be_executed_is_told() {
    everywhere(|stage| {
        stage.file("plain", "#!/bin/sh\n");
        unstartable(stage, "./plain", "Permission denied");
    });
}

#[test]
fn a_handler_that_is_no_program_is_told() {
    everywhere(|stage| {
        stage.file("garbage", "\0");
        std::fs::set_permissions(stage.path("garbage"), PermissionsExt::from_mode(0o755)).unwrap();
        unstartable(stage, "./garbage", "Exec format error");
    });
}

#[test]
fn a_handler_that_appears_later_is_run() {
    everywhere(|stage| {
        stage.serve(&["-v1"], &["./later"]);
        stage.note("nothing", stage.connect().rest());
        stage.until("later", 1);
        stage.file("new", "#!/bin/sh\necho here\n");
        std::fs::set_permissions(stage.path("new"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(stage.path("new"), stage.path("later")).unwrap();
        stage.note("then", stage.connect().rest());
        stage.finish();
    });
}

#[test]
fn a_handler_is_looked_for_in_path() {
    everywhere(|stage| {
        for (dir, said) in [("first", "first"), ("second", "second")] {
            stage.file(&format!("{dir}/handler"), &format!("#!/bin/sh\necho {said}\n"));
        }
        // The first is no program that can be run: as with execvp, the search goes on.
        std::fs::set_permissions(stage.path("second/handler"), PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("missing:{0}/first:{0}/second:/usr/bin:/bin", stage.here().display());
        stage.set("PATH", &path);
        stage.serve(&["-v0"], &["handler"]);
        stage.note("found", stage.connect().rest());
        stage.finish();
    });
}

#[test]
fn without_a_path_there_is_a_default() {
    everywhere(|stage| {
        stage.through(&["env", "-u", "PATH"]);
        stage.serve(&["-v0"], &["echo", "found"]);
        stage.note("found", stage.connect().rest());
        stage.finish();
    });
}

/// The same events at one verbosity.
fn session(stage: &mut Stage, options: &[&str], verbose: bool) {
    stage.serve(options, &["sh", "-c", "echo up; read x; exit 7"]);
    let client = stage.connect_up();
    client.say("\n");
    stage.note("the client gets", client.rest());
    if verbose {
        stage.settled(3);
    }
    stage.finish();
    let term = Received(Signal::TERM);
    let end = Ended('A', "exitcode 7", 0);
    let all: &[Event] = &[Starting, Status(0), Accepted('A', 1), Status(1), end, Status(0), term, Exiting];
    stage.log_tells("log", if verbose { all } else { &[] });
}

#[test]
fn at_verbosity_0_nothing_is_told() {
    everywhere(|stage| session(stage, &["-v0"], false));
}

#[test]
fn at_verbosity_1_nothing_usual_is_told() {
    everywhere(|stage| session(stage, &["-v", "1"], false));
}

#[test]
fn at_verbosity_2_everything_is_told() {
    everywhere(|stage| session(stage, &["-v", "2"], true));
}

#[test]
fn more_verbosity_than_there_is_tells_no_more() {
    everywhere(|stage| session(stage, &["-v0", "-v4"], true));
}
