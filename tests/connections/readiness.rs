//! What a server says when it is ready.

use crate::compare::everywhere;
use crate::stage::{Stage, eventually, owned};
use std::process::Stdio;

const ECHO: &[&str] = &["sh", "-c", "echo up; exec cat"];

/// What a server that is ready must have said.
fn ready(stage: &Stage) -> String {
    format!("{}\n", stage.port())
}

#[test]
fn a_ready_server_says_so_and_closes_its_output() {
    everywhere(|stage| {
        let listener = stage.listener();
        let mut command = stage.server_command(&["-1"], ECHO);
        command.stdin(listener).stdout(Stdio::piped());
        stage.start(command);
        // Up to its end, that is: nobody has it any more.
        let said = stage.server_output();
        let wanted = ready(stage);
        stage.spec("said", said, &wanted);
        let client = stage.connect_up();
        stage.note("it serves", client.answers());
        stage.finish();
    });
}

#[test]
fn a_server_that_was_not_asked_says_nothing_and_closes_its_output() {
    everywhere(|stage| {
        let listener = stage.listener();
        let mut command = stage.server_command(&["-v2"], ECHO);
        command.stdin(listener).stdout(Stdio::piped());
        stage.start(command);
        stage.settled(1);
        let said = stage.server_output();
        stage.note("said", said);
        let client = stage.connect_up();
        stage.note("it serves", client.answers());
        stage.settled(2);
        stage.finish();
    });
}

#[test]
fn it_is_ready_after_signals_are_and_has_told_its_start() {
    everywhere(|stage| {
        let listener = stage.listener();
        let mut command = stage.server_command(&["-1", "-v2"], ECHO);
        command.stdin(listener).stdout(Stdio::piped());
        stage.start(command);
        let said = stage.server_output();
        stage.note("told before", stage.raw_log().contains("status: 0/40"));
        stage.signal(crate::stage::Signal::HUP);
        stage.until("SIGHUP", 1);
        let wanted = ready(stage);
        stage.spec("said", said, &wanted);
        stage.finish();
    });
}

#[test]
fn without_an_output_it_cannot_say_so() {
    everywhere(|stage| {
        stage.through(&["sh", "-c", "exec \"$@\" >&-", "-"]);
        let listener = stage.listener();
        let mut command = stage.server_command(&["-1"], ECHO);
        command.stdin(listener);
        stage.start(command);
        let end = stage.end();
        stage.note("end", end);
        let said = "fatal: called with option -1 but stdout said: Bad file descriptor\n";
        let wanted = format!("s6-{}d: {said}", stage.proto.server());
        stage.spec("log", stage.raw_log(), &wanted);
    });
}

#[test]
fn an_output_that_is_not_needed_may_be_closed() {
    everywhere(|stage| {
        stage.through(&["sh", "-c", "exec \"$@\" >&-", "-"]);
        stage.serve(&[], ECHO);
        let client = stage.connect_up();
        stage.note("it serves", client.answers());
        stage.finish();
    });
}

#[test]
fn a_file_can_be_told() {
    everywhere(|stage| {
        stage.through(&["sh", "-c", "exec \"$@\" >ready", "-"]);
        stage.serve(&["-1"], ECHO);
        let wanted = ready(stage);
        eventually("it is ready", || std::fs::read_to_string(stage.path("ready")).is_ok_and(|said| said == wanted));
        let client = stage.connect_up();
        stage.note("it serves", client.answers());
        stage.finish();
    });
}

#[test]
fn nobody_need_read_it() {
    everywhere(|stage| {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let listener = stage.listener();
        let mut command = stage.server_command(&["-1", "-v2"], ECHO);
        command.stdin(listener).stdout(owned(writer));
        stage.start(command);
        let client = stage.connect_up();
        stage.note("it serves", client.answers());
        stage.settled(2);
        stage.finish();
    });
}
