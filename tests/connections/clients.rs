//! Programs on the other side of a connection, and connlimit.

use crate::compare::{differ, everywhere, over_tcp};
use crate::stage::{Proto, Stage, end_and_output};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const ECHO: &[&str] = &["sh", "-c", "echo up; exec cat"];

/// The client program with these options, to the stage's server.
fn client(stage: &Stage, options: &[&str]) -> Command {
    let mut command = stage.command(if stage.proto == Proto::Ipc { "ipcclient" } else { "tcpclient" });
    command.args(options);
    match stage.proto {
        Proto::Ipc => command.arg("s"),
        // Without -H it would look for names.
        _ => command.args(["-H", stage.proto.ip(), &stage.port()]),
    };
    command
}

fn run(stage: &Stage, options: &[&str], prog: &[&str]) -> String {
    end_and_output(client(stage, options).args(prog))
}

/// What a client says where nobody listens any more. The child of another test may have the listener for a moment longer.
fn until_nobody_listens(stage: &Stage) -> String {
    let mut tries = std::iter::repeat_with(|| run(stage, &[], &["true"])).take(1000);
    tries.find(|seen| !seen.starts_with("exit 0")).unwrap()
}

#[test]
fn a_client_program_has_the_connection_at_6_and_7() {
    everywhere(|stage| {
        stage.serve(&[], ECHO);
        let script = "read up <&6; echo $up; echo said >&7; read back <&6; echo $back
            for fd in 6 7; do grep flags /proc/$$/fdinfo/$fd; readlink /proc/$$/fd/$fd | sed 's/[0-9]*//g'; done
            [ $(readlink /proc/$$/fd/6) = $(readlink /proc/$$/fd/7) ] && echo same; readlink /proc/$$/fd/0";
        let seen = run(stage, &[], &["sh", "-c", script]);
        stage.note("program", seen);
        stage.finish();
    });
}

#[test]
fn a_client_program_has_no_other_descriptor_more() {
    everywhere(|stage| {
        stage.serve(&[], &["true"]);
        let list = "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done";
        let without = end_and_output(stage.bare("sh").args(["-c", list]));
        let with = run(stage, &[], &["sh", "-c", list]);
        let more: Vec<_> = with.lines().filter(|fd| !without.lines().any(|known| known == *fd)).collect();
        stage.note("more", more.join(" "));
        stage.finish();
    });
}

/// The lines of a client program's `env` that belong to the protocol.
fn own(printed: &str) -> String {
    let printed = printed.strip_prefix("exit 0: ").unwrap_or(printed);
    let own = |line: &&str| ["PROTO=", "IPC", "TCP"].iter().any(|start| line.starts_with(start));
    let mut lines: Vec<_> = printed.lines().filter(own).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn a_client_program_learns_its_own_name() {
    differ(|stage| {
        stage.serve(&[], &["true"]);
        let seen = own(&run(stage, &[], &["env"]));
        stage.spec("no name", seen, "IPCLOCALPATH=\nPROTO=IPC");
        let seen = own(&run(stage, &["-p", "bound"], &["env"]));
        stage.spec("-p", seen, "IPCLOCALPATH=bound\nPROTO=IPC");
        let seen = own(&run(stage, &["-l", "called"], &["env"]));
        stage.spec("-l", seen, "IPCLOCALPATH=called\nPROTO=IPC");
        let seen = own(&run(stage, &["-l", "called", "-p", "bound2"], &["env"]));
        stage.spec("-l and -p", seen, "IPCLOCALPATH=called\nPROTO=IPC");
        // A path that exists is not taken.
        let seen = run(stage, &["-p", "bound"], &["true"]);
        stage.note("-p again", seen);
        stage.finish();
    });
}

#[test]
fn a_tcp_client_program_learns_both_ends() {
    over_tcp(|stage| {
        stage.serve(&[], &["true"]);
        let (ip, port) = (stage.proto.ip(), stage.port());
        let script = "env | grep -v ^TCPLOCALPORT; case $TCPLOCALPORT in *[!0-9]*|'') ;; *) echo TCPLOCALPORT is a number ;; esac";
        let seen = own(&run(stage, &["-l", "called"], &["sh", "-c", script]));
        let wanted = format!(
            "PROTO=TCP\nTCPLOCALHOST=called\nTCPLOCALIP={ip}\nTCPLOCALPORT is a number\nTCPREMOTEIP={ip}\nTCPREMOTEPORT={port}"
        );
        stage.spec("environment", seen, &wanted);
        stage.finish();
    });
}

#[test]
fn stale_variables_of_a_client_are_replaced() {
    differ(|stage| {
        stage.serve(&[], &["true"]);
        let mut command = client(stage, &[]);
        command.env("IPCLOCALPATH", "old").env("PROTO", "old").env("IPCREMOTEPATH", "old").arg("env");
        let seen = own(&end_and_output(&mut command));
        stage.note("environment", seen);
        stage.finish();
    });
}

#[test]
fn a_client_tells_of_its_connection_if_asked() {
    differ(|stage| {
        stage.serve(&["-v0"], &["true"]);
        for options in [&[][..], &["-v"], &["-q"], &["-vQ"], &["-qv"], &["-vv"]] {
            let before = stage.raw_log().len();
            run(stage, options, &["true"]);
            let said = stage.raw_log()[before..].to_owned();
            stage.note(&format!("{options:?}"), said);
        }
        stage.finish();
    });
}

#[test]
fn where_nobody_listens_a_client_fails() {
    everywhere(|stage| {
        // A place that was one.
        drop(stage.listener());
        let seen = until_nobody_listens(stage);
        stage.note("nobody listens", seen);
        let says = stage.raw_log().lines().last().unwrap_or_default().split(": ").nth(1).unwrap_or_default().to_owned();
        stage.note("says", says);
    });
}

#[test]
fn words_that_a_client_refuses() {
    differ(|stage| {
        stage.file("file", "");
        let lines: &[&[&str]] = &[
            &[],
            &["s"],
            &["-Z", "s", "true"],
            &["-p"],
            &["missing", "true"],
            &["file", "true"],
            &["", "true"],
            &["--", "s"],
        ];
        for words in lines {
            let seen = stage.run("ipcclient", words);
            stage.note(&words.join(" "), seen);
        }
        for length in [107, 108] {
            let seen = stage.run("ipcclient", &[&"x".repeat(length), "true"]);
            stage.note(&format!("{length} bytes"), seen);
        }
    });
}

#[test]
fn a_client_program_that_cannot_be_executed() {
    everywhere(|stage| {
        stage.serve(&[], &["true"]);
        stage.file("plain", "");
        for prog in ["missing", "./plain", "/"] {
            let seen = run(stage, &[], &[prog]);
            stage.note(prog, seen);
        }
        stage.finish();
    });
}

/// Runs connlimit with these variables and `echo admitted`.
fn limited(stage: &Stage, variables: &[(&str, &str)]) -> String {
    let mut command = stage.command("connlimit");
    command.envs(variables.iter().copied()).args(["echo", "admitted"]);
    end_and_output(&mut command)
}

#[test]
fn connlimit_compares_two_numbers() {
    differ(|stage| {
        for (number, most) in [
            ("0", "1"),
            ("1", "1"),
            ("2", "1"),
            ("1", "0"),
            ("40", "39"),
            ("4294967295", "4294967295"),
            ("1", "4294967296"),
        ] {
            let seen = limited(stage, &[("PROTO", "IPC"), ("IPCCONNNUM", number), ("IPCCONNMAX", most)]);
            stage.note(&format!("{number} of {most}"), seen);
        }
        for garbage in ["", "x", "1x", " 1", "-1", "+1"] {
            let seen = limited(stage, &[("PROTO", "IPC"), ("IPCCONNNUM", "1"), ("IPCCONNMAX", garbage)]);
            stage.note(&format!("of {garbage:?}"), seen);
            let seen = limited(stage, &[("PROTO", "IPC"), ("IPCCONNNUM", garbage), ("IPCCONNMAX", "1")]);
            stage.note(&format!("{garbage:?}"), seen);
        }
        let seen = limited(stage, &[]);
        stage.note("nothing", seen);
        let seen = limited(stage, &[("PROTO", ""), ("CONNNUM", "1"), ("CONNMAX", "1")]);
        stage.note("an empty PROTO", seen);
        let seen = limited(stage, &[("PROTO", "IPC")]);
        stage.note("no number", seen);
        let seen = limited(stage, &[("PROTO", "IPC"), ("IPCCONNMAX", "1")]);
        stage.note("no number, but a limit", seen);
        let seen = limited(stage, &[("PROTO", "IPC"), ("IPCCONNNUM", "5")]);
        stage.note("no limit", seen);
        let seen = limited(stage, &[("PROTO", "TCP"), ("TCPCONNNUM", "2"), ("TCPCONNMAX", "1"), ("IPCCONNMAX", "9")]);
        stage.note("another protocol", seen);
        let seen = stage.run("connlimit", &[]);
        stage.note("no program", seen);
    });
}

#[test]
fn connlimit_admits_as_many_as_it_says() {
    everywhere(|stage| {
        stage.set(if stage.proto == Proto::Ipc { "IPCCONNMAX" } else { "TCPCONNMAX" }, "2");
        let connlimit = stage.command("connlimit").get_program().to_str().unwrap().to_owned();
        stage.serve(&["-v2"], &[&connlimit, "sh", "-c", "echo up; exec cat"]);
        let _first = stage.connect_up();
        stage.settled(2);
        let second = stage.connect_up();
        stage.settled(3);
        stage.note("the third", stage.connect().rest());
        stage.settled(5);
        drop(second);
        stage.settled(6);
        let fourth = stage.connect_up();
        stage.note("the fourth", fourth.answers());
        stage.note("refused", stage.raw_log().matches("exitcode 1").count());
        stage.finish();
    });
}

#[test]
fn connlimit_needs_a_number_which_there_is_not_without_credentials() {
    differ(|stage| {
        stage.set("IPCCONNMAX", "2");
        let connlimit = stage.command("connlimit").get_program().to_str().unwrap().to_owned();
        stage.serve(&["-P", "-v2"], &[&connlimit, "echo", "admitted"]);
        stage.note("a client", stage.connect().rest());
        stage.settled(3);
        stage.note("refused", stage.raw_log().matches("exitcode 100").count());
        stage.finish();
    });
}

/// The client with `ioconnect`, whose input is a pipe of the test's.
fn connected(stage: &Stage, options: &[&str]) -> std::process::Child {
    let ioconnect = stage.command("ioconnect").get_program().to_str().unwrap().to_owned();
    let mut command = client(stage, &[]);
    command.arg(ioconnect).args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn ioconnect_tells_the_other_end_of_the_end_and_waits_for_the_answer() {
    everywhere(|stage| {
        // The handler answers after the end of what it reads.
        stage.serve(&[], &["sh", "-c", "wc -c; echo over"]);
        let mut child = connected(stage, &[]);
        let text = vec![b'x'; 300_000];
        child.stdin.take().unwrap().write_all(&text).unwrap();
        let done = child.wait_with_output().unwrap();
        stage.note("said", String::from_utf8(done.stdout).unwrap());
        stage.note("end", crate::stage::how(done.status));
        stage.finish();
    });
}

#[test]
fn ioconnect_carries_much_in_both_directions() {
    everywhere(|stage| {
        stage.serve(&[], &["cat"]);
        let mut child = connected(stage, &[]);
        let text: Vec<u8> = (0..1_000_003_u32).map(|at| (at % 251) as u8).collect();
        let mut stdin = child.stdin.take().unwrap();
        let mut back = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                stdin.write_all(&text).unwrap();
                drop(stdin);
            });
            child.stdout.take().unwrap().read_to_end(&mut back).unwrap();
        });
        stage.note("the same comes back", back == text);
        let end = child.wait().unwrap();
        stage.note("end", crate::stage::how(end));
        stage.finish();
    });
}

#[test]
fn ioconnect_ends_when_nothing_happens_for_long() {
    everywhere(|stage| {
        stage.serve(&[], ECHO);
        let mut child = connected(stage, &["-t", "300"]);
        let stdin = child.stdin.take();
        let done = child.wait_with_output().unwrap();
        drop(stdin);
        stage.note("said", String::from_utf8(done.stdout).unwrap());
        stage.note("end", crate::stage::how(done.status));
        stage.finish();
    });
}

#[test]
fn ioconnect_needs_its_descriptors() {
    differ(|stage| {
        let none = stage.shell("s6-ioconnect 6<&- 7<&-");
        stage.note("closed", none);
        for options in ["-r 2", "-w 0", "-r x", "-t x", "-Z", "-r 7 -w 6 6</dev/null 7</dev/null >/dev/null"] {
            let seen = stage.shell(&format!("s6-ioconnect {options} 6<&0 7<&0"));
            stage.note(options, seen);
        }
        // Old options that mean nothing any more.
        let seen = stage.shell("s6-ioconnect -0167 6</dev/null 7>/dev/null");
        stage.note("-0167", seen);
        let seen = stage.shell("echo said | s6-ioconnect -r 8 -w 9 8</dev/null 9>nine; cat nine");
        stage.note("other descriptors", seen);
    });
}
