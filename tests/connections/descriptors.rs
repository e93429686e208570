//! What a handler inherits: descriptors, signals, and what else a process has.

use crate::compare::everywhere;
use crate::stage::{Signal, status_field};
use std::path::Path;

/// Of the descriptors 0 and 1: their flags, and that they are the same socket.
const LOOK: &[&str] = &[
    "sh",
    "-c",
    r#"for fd in 0 1; do grep flags /proc/$$/fdinfo/$fd; readlink /proc/$$/fd/$fd | sed 's/[0-9]*//g'; done
    if [ "$(readlink /proc/$$/fd/0)" = "$(readlink /proc/$$/fd/1)" ]; then echo same; fi
    if [ "$(readlink /proc/$$/fd/2)" = "$(readlink /proc/$PPID/fd/2)" ]; then echo "error is the server's"; fi"#,
];

#[test]
fn a_handler_reads_and_writes_its_connection_without_flags() {
    everywhere(|stage| {
        stage.serve(&[], LOOK);
        let client = stage.connect();
        stage.note("descriptors", client.rest());
        stage.finish();
    });
}

#[test]
fn a_connection_is_blocking_whatever_the_listener_is() {
    everywhere(|stage| {
        let listener = stage.listen(false);
        let mut command = stage.server_command(&["-v2"], LOOK);
        command.stdin(listener);
        stage.start(command);
        stage.settled(1);
        let client = stage.connect();
        stage.note("descriptors", client.rest());
        stage.finish();
    });
}

#[test]
fn the_listener_is_not_handed_on() {
    everywhere(|stage| {
        let listener = stage.listen(false);
        let mut command = stage.server_command(&["-v2"], &["cat"]);
        command.stdin(listener);
        stage.start(command);
        stage.settled(1);
        let process = Path::new("/proc").join(stage.pid().to_string());
        let sockets = (0..64).filter(|fd| {
            let link = std::fs::read_link(process.join(format!("fd/{fd}")));
            link.is_ok_and(|link| link.to_str().unwrap().starts_with("socket:"))
        });
        for (number, fd) in sockets.enumerate() {
            let flags = std::fs::read_to_string(process.join(format!("fdinfo/{fd}"))).unwrap();
            let flags =
                flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default().trim().to_owned();
            let flags = i32::from_str_radix(&flags, 8).unwrap();
            stage.note(&format!("socket {number}: closed for others"), flags & libc::O_CLOEXEC != 0);
            stage.note(&format!("socket {number}: non-blocking"), flags & libc::O_NONBLOCK != 0);
        }
        stage.finish();
    });
}

#[test]
fn descriptors_that_are_open_stay_open_for_handlers() {
    everywhere(|stage| {
        stage.file("nine", "content of nine\n");
        stage.through(&["sh", "-c", "exec 7>seven 9<nine; exec \"$@\"", "-"]);
        let list = "cat <&9; echo said >&7; for fd in /proc/$$/fd/*; do echo \"${fd##*/}\"; done";
        stage.serve(&[], &["sh", "-c", list]);
        let client = stage.connect();
        stage.note("list", client.rest());
        stage.note("said", std::fs::read_to_string(stage.path("seven")).unwrap());
        stage.finish();
    });
}

#[test]
fn no_signal_is_blocked_and_sigpipe_is_not_ignored() {
    everywhere(|stage| {
        stage.through(&["env", "--block-signal=USR1,TERM,CHLD", "--ignore-signal=INT,PIPE,USR2"]);
        stage.serve(&["-v2"], &["grep", "-E", "^(Sig(Pnd|Blk|Ign|Cgt)|ShdPnd)", "/proc/self/status"]);
        let client = stage.connect();
        stage.note("signals", client.rest());
        stage.settled(3);
        // The server takes SIGTERM even so.
        stage.finish();
    });
}

#[test]
fn a_handler_that_writes_to_nobody_dies_of_sigpipe() {
    everywhere(|stage| {
        stage.serve(&["-v2"], &["sh", "-c", "echo up; read x; echo one; while :; do echo more; done"]);
        let client = stage.connect_up();
        stage.settled(2);
        client.say("\n");
        assert_eq!(client.line(), "one");
        drop(client);
        stage.until("signal 13", 1);
        stage.note("ends of handlers", stage.raw_log().matches("signal 13").count());
        stage.finish();
    });
}

#[test]
fn umask_directory_limits_and_priority_are_the_servers() {
    everywhere(|stage| {
        stage.through(&["sh", "-c", "umask 027; ulimit -Sn 77; ulimit -c 0; exec nice -n 3 \"$@\"", "-"]);
        let look = "umask; ulimit -Sn; ulimit -Hc; nice; [ \"$(readlink /proc/$$/cwd)\" = \"$(readlink /proc/$PPID/cwd)\" ] && \
                    echo here";
        stage.serve(&[], &["sh", "-c", look]);
        let client = stage.connect();
        stage.note("handler", client.rest());
        stage.finish();
    });
}

#[test]
fn handlers_are_children_in_the_servers_session_and_group() {
    everywhere(|stage| {
        stage.through(&["setsid"]);
        stage.serve(&[], &["sh", "-c", "cut -d ' ' -f 4-6 /proc/$$/stat"]);
        let client = stage.connect();
        let server = stage.pid().to_string();
        stage.note("parent, group, session", client.rest().replace(&server, "SERVER"));
        stage.finish();
    });
}

#[test]
fn words_of_the_handler_come_as_they_are() {
    everywhere(|stage| {
        stage.serve(&["--"], &["sh", "-c", "tr '\\0' '|' </proc/$$/cmdline; echo", "a", "b c", "", "-v", "--", "é$x*"]);
        let client = stage.connect();
        stage.note("command line", client.rest());
        stage.finish();
    });
}

#[test]
fn a_server_leaves_no_zombies_and_no_descriptors() {
    everywhere(|stage| {
        stage.serve(&["-v2"], &["sh", "-c", "echo up; read x"]);
        stage.settled(1);
        let descriptors =
            |stage: &crate::stage::Stage| std::fs::read_dir(format!("/proc/{}/fd", stage.pid())).unwrap().count();
        let before = descriptors(stage);
        for round in 0..20 {
            let client = stage.connect_up();
            stage.settled(2 + 2 * round);
            drop(client);
            stage.settled(3 + 2 * round);
        }
        stage.note("more descriptors", descriptors(stage) - before);
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", stage.pid())).unwrap_or_default();
        stage.note("children", children);
        stage.note("it runs", status_field(stage.pid(), "PPid") == std::process::id().to_string());
        stage.signal(Signal::QUIT);
        let end = stage.end();
        stage.note("end", end);
    });
}
