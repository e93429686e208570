//! Words that a server refuses, and descriptors that it cannot serve.

use crate::compare::{differ, everywhere};
use crate::stage::{Maker, Proto, Signal, Stage, eventually, owned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Stdio;

/// How a server ends that does not begin to serve, and the beginnings of what it says.
fn refused(stage: &mut Stage, label: &str, stdin: Stdio, options: &[&str], prog: &[&str]) {
    let before = stage.raw_log().lines().count();
    let mut command = stage.server_command(options, prog);
    command.stdin(stdin);
    stage.start(command);
    let end = stage.end();
    let says: Vec<_> = stage.raw_log().lines().skip(before).map(|line| level(line).to_owned()).collect();
    let says = says.join(", ").replace("tcp", "ipc");
    stage.note(label, format!("{end}: {says}"));
}

/// A message without its text.
fn level(line: &str) -> &str {
    let text = line.match_indices(": ").nth(1).map_or(line.len(), |(at, _)| at);
    &line[..text]
}

#[test]
fn numbers_are_digits_only() {
    everywhere(|stage| {
        let listener = stage.listener();
        for option in ["-v", "-c", "-C"] {
            for number in ["", "x", "-1", "+1", " 1", "1 ", "1x", "0x1", "4294967296", "99999999999999999999"] {
                let stdin = listener.try_clone().unwrap().into();
                refused(stage, &format!("{option} {number:?}"), stdin, &[option, number], &["cat"]);
            }
            refused(stage, option, listener.try_clone().unwrap().into(), &[option], &[]);
        }
    });
}

#[test]
fn unknown_options_are_refused() {
    everywhere(|stage| {
        let listener = stage.listener();
        let lines: &[&[&str]] =
            &[&["-Z"], &["-1Z"], &["-v2Z"], &["--verbosity=2"], &["-a", "0700"], &["-d"], &["-b", "1"]];
        for options in lines {
            let stdin = listener.try_clone().unwrap().into();
            refused(stage, &options.join(" "), stdin, options, &["cat"]);
        }
    });
}

#[test]
fn there_must_be_a_program() {
    everywhere(|stage| {
        let listener = stage.listener();
        for options in [&[][..], &["--"], &["-v2"], &["-c", "3", "--"], &["-1"], &[""]] {
            let stdin = listener.try_clone().unwrap().into();
            refused(stage, &format!("{options:?}"), stdin, options, &[]);
        }
    });
}

#[test]
fn standard_input_must_be_a_socket() {
    everywhere(|stage| {
        refused(stage, "/dev/null", Stdio::null(), &[], &["cat"]);
        refused(stage, "a pipe", Stdio::piped(), &[], &["cat"]);
        stage.file("file", "");
        let file = std::fs::File::open(stage.path("file")).unwrap();
        refused(stage, "a file", file.into(), &[], &["cat"]);
    });
}

#[test]
fn standard_input_must_be_open() {
    everywhere(|stage| {
        stage.through(&["sh", "-c", "exec \"$@\" <&-", "-"]);
        refused(stage, "closed", Stdio::null(), &[], &["cat"]);
        refused(stage, "closed, with -1", Stdio::null(), &["-1"], &["cat"]);
    });
}

/// What becomes of a server whose standard input is no listener: it ends, or goes on and complains again and again.
fn hopeless(stage: &mut Stage, label: &str, stdin: OwnedFd) {
    let before = stage.raw_log().lines().count();
    let mut command = stage.server_command(&["-v1"], &["cat"]);
    command.stdin(stdin);
    stage.start(command);
    let pid = stage.pid();
    let mut spins = false;
    eventually("it ends or spins", || {
        spins = stage.raw_log().lines().count() > before + 20;
        spins || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    });
    if spins {
        stage.signal(Signal::TERM);
    }
    let end = stage.end();
    let log = stage.raw_log();
    let says = level(log.lines().nth(before).unwrap_or_default()).replace("tcp", "ipc");
    let end = if spins { "spins" } else { &end };
    stage.note(label, format!("{end}: {says}"));
}

#[test]
fn a_socket_that_does_not_listen_is_refused() {
    differ(|stage| {
        use rustix::net::{AddressFamily, SocketType, socket};
        let fresh = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        hopeless(stage, "a stream socket without a name", owned(fresh));
        let (one, mut other) = UnixStream::pair().unwrap();
        other.write_all(b"something to read").unwrap();
        hopeless(stage, "a connected socket", one.into());
    });
}

#[test]
fn a_datagram_socket_is_refused() {
    differ(|stage| {
        let bound = UnixDatagram::bind(stage.path("d")).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"", stage.path("d")).unwrap();
        hopeless(stage, "a datagram socket with an empty datagram", bound.into());
    });
}

#[test]
fn a_listener_of_another_family_is_refused() {
    everywhere(|stage| {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = tcp.local_addr().unwrap();
        let other: OwnedFd = match stage.proto {
            Proto::Ipc => tcp.into(),
            _ => std::os::unix::net::UnixListener::bind(stage.path("s")).unwrap().into(),
        };
        let mut command = stage.server_command(&[], &["env"]);
        command.stdin(other);
        stage.start(command);
        // Debian's ipcserverd takes anybody.
        if stage.maker == Maker::Debian {
            let mut said = Vec::new();
            TcpStream::connect(place).unwrap().read_to_end(&mut said).unwrap();
            stage.signal(Signal::TERM);
            let end = stage.end();
            // The path that it tells may be anything.
            let served = String::from_utf8_lossy(&said).contains("PROTO=IPC");
            stage.spec("end", format!("{end}, having served: {served}"), "");
        } else {
            let end = stage.end();
            let wanted = if stage.proto == Proto::Ipc { "exit 100" } else { "exit 111" };
            stage.spec("end", end, wanted);
        }
    });
}
