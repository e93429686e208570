//! socklog with a socket that somebody else has bound and holds.

use crate::beside::*;
use crate::server::*;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

fn held(both: &Beside) -> UnixDatagram {
    UnixDatagram::bind(log(both)).unwrap()
}

fn given(socket: &UnixDatagram) -> Stdio {
    Stdio::from(OwnedFd::from(socket.try_clone().unwrap()))
}

#[test]
fn a_datagram_socket_as_standard_input_is_served_and_left_as_it_is() {
    let both = Beside::new();
    for words in [&[][..], &["-0"]] {
        let socket = held(&both);
        let mut server = Server::start(&both, Ours, words, given(&socket), Stdio::piped());
        let client = client(&both);
        client.send(b"<13>a").unwrap();
        client.send(b"").unwrap();
        client.send(b"end").unwrap();
        assert_eq!(server.lines_until("end"), b"user.notice: a\n");
        assert!(!both.path().join("log.lock").exists());
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), (0, String::new()));
        // It waits here, for the next one.
        client.send(b"<13>b").unwrap();
        client.send(b"end").unwrap();
        let mut server = Server::start(&both, Ours, words, given(&socket), Stdio::piped());
        assert_eq!(server.lines_until("end"), b"user.notice: b\n");
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), (0, String::new()));
        std::fs::remove_file(log(&both)).unwrap();
    }
}

#[test]
fn sockets_that_listen_fds_counts_are_served_beside_standard_input() {
    let both = Beside::new();
    let socket = held(&both);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut command = std::process::Command::new("/bin/sh");
    // The unix socket becomes 3, that of UDP 0; 4 tells that it is ready.
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" -d 4 3<&0 <&2 4>ready"#;
    command.args(["-c", script]).arg(both.command(Ours, "socklog").get_program()).current_dir(both.path());
    let ready = both.path().join("ready");
    assert!(std::process::Command::new("mkfifo").arg(&ready).status().unwrap().success());
    let told = std::fs::File::options().read(true).write(true).open(&ready).unwrap();
    let output = OwnedFd::from(udp.try_clone().unwrap());
    let mut child = command.stdin(given(&socket)).stderr(output).stdout(Stdio::piped()).spawn().unwrap();
    (&told).read_exact(&mut [0]).unwrap();
    client(&both).send(b"<13>over unix").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"<14>over udp", udp.local_addr().unwrap()).unwrap();
    let port = sender.local_addr().unwrap().port();
    let mut lines: Vec<String> =
        BufReader::new(child.stdout.as_mut().unwrap()).lines().take(2).map(Result::unwrap).collect();
    lines.sort();
    assert_eq!(lines, [format!("127.0.0.1_{port}: user.info: over udp"), "user.notice: over unix".to_owned()]);
    linchpin::sys::process::kill(child.id() as i32, libc::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn descriptors_that_are_meant_for_somebody_else_are_left_alone() {
    let both = Beside::new();
    let held = held(&both);
    // LISTEN_PID is another one's, so it binds; and what it would bind is taken.
    let script = r#"export LISTEN_PID=1 LISTEN_FDS=1; exec "$0" -x log 3<&0 </dev/null"#;
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", script]).arg(both.command(Ours, "socklog").get_program()).current_dir(both.path());
    let output = command.stdin(given(&held)).output().unwrap();
    assert_eq!(output.status.code(), Some(111));
    assert!(String::from_utf8(output.stderr).unwrap().contains("unable to bind socket to log"));
}

#[test]
fn without_a_socket_it_refuses_if_it_was_told_that_there_is_one() {
    let both = Beside::new();
    let run = |script: &str, input: Stdio| {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script]).arg(both.command(Ours, "socklog").get_program()).current_dir(both.path());
        let output = command.stdin(input).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(r#"exec "$0" -0"#, Stdio::null());
    assert_eq!(code, Some(100));
    assert!(said.contains("no socket was handed over"), "{said}");
    let (stream, _other) = UnixStream::pair().unwrap();
    let input = Stdio::from(OwnedFd::from(stream));
    let (code, said) = run(r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" 3<&0 </dev/null"#, input);
    assert_eq!(code, Some(100));
    assert!(said.contains("descriptor 3, which LISTEN_FDS counts, is no datagram socket"), "{said}");
    let socket = held(&both);
    let (code, said) = run(r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" -d 3 3<&0 </dev/null"#, given(&socket));
    assert_eq!(code, Some(100));
    assert!(said.contains("notification fd 3 is a socket"), "{said}");
}

#[test]
fn told_to_end_while_nobody_reads_it_leaves_all_to_the_next() {
    let both = Beside::new();
    let socket = held(&both);
    let (read, write) = small_pipe();
    fill(&write);
    let server = Server::start(&both, Ours, &["-t", "20000"], given(&socket), Stdio::from(write));
    let client = client(&both);
    (0..5).for_each(|n| send(&client, format!("<13>{n}").as_bytes()));
    client.send(b"end").unwrap();
    server.signal(libc::SIGTERM);
    assert_eq!(server.end(), (0, String::new()));
    drop(read);
    let mut server = Server::start(&both, Ours, &[], given(&socket), Stdio::piped());
    let lines = String::from_utf8(server.lines_until("end")).unwrap();
    assert_eq!(lines, (0..5).map(|n| format!("user.notice: {n}\n")).collect::<String>());
    server.signal(libc::SIGTERM);
    server.end();
}

#[test]
fn a_message_that_finds_no_reader_is_there_for_the_next() {
    let both = Beside::new();
    let socket = held(&both);
    // It is full: nothing can be written while another thread's child still has the other end for a moment.
    let (read, write) = small_pipe();
    fill(&write);
    let server = Server::start(&both, Ours, &[], given(&socket), Stdio::from(write));
    drop(read);
    client(&both).send(b"<13>x").unwrap();
    assert_eq!(server.end().0, 111);
    client(&both).send(b"end").unwrap();
    let mut server = Server::start(&both, Ours, &[], given(&socket), Stdio::piped());
    assert_eq!(server.lines_until("end"), b"user.notice: x\n");
    server.signal(libc::SIGTERM);
    server.end();
}

#[test]
fn a_socket_that_was_shut_down_is_no_reason_to_spin() {
    let both = Beside::new();
    let socket = held(&both);
    let server = Server::start(&both, Ours, &[], given(&socket), Stdio::piped());
    socket.shutdown(std::net::Shutdown::Read).unwrap();
    assert_eq!(server.end(), (111, "s6-socklog: fatal: trouble with socket\n".to_owned()));
}

/// Twenty of them are killed while clients send as fast as they can.
#[test]
fn nothing_is_lost_when_it_is_killed_twenty_times() {
    const KILLS: usize = 20;
    const LEAST: usize = 20_000;
    let both = Beside::new();
    let socket = held(&both);
    let (read, write) = pipe();
    let (printed, sending) = (AtomicUsize::new(0), std::sync::atomic::AtomicBool::new(true));
    let (sent, lines) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut lines = Vec::new();
            for line in BufReader::new(read).lines().map(Result::unwrap) {
                if line == "end" {
                    break;
                }
                lines.push(line);
                printed.fetch_add(1, Relaxed);
            }
            lines
        });
        let sender = scope.spawn(|| {
            let client = client(&both);
            let mut sent = 0;
            while sending.load(Relaxed) || sent < LEAST {
                client.send(format!("<13>number {sent}").as_bytes()).unwrap();
                sent += 1;
            }
            client.send(b"end").unwrap();
            sent
        });
        for kill in 0..KILLS {
            let output = Stdio::from(write.try_clone().unwrap());
            let server = Server::start(&both, Ours, &[], given(&socket), output);
            let enough = printed.load(Relaxed) + 50 + kill * 7;
            eventually(|| printed.load(Relaxed) >= enough);
            server.signal(libc::SIGKILL);
            assert_eq!(server.end().0, 1009);
        }
        sending.store(false, Relaxed);
        let server = Server::start(&both, Ours, &[], given(&socket), Stdio::from(write));
        let lines = reader.join().unwrap();
        let sent = sender.join().unwrap();
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), (0, String::new()));
        (sent, lines)
    });
    let mut count: HashMap<&str, usize> = HashMap::new();
    for line in &lines {
        *count.entry(line.strip_prefix("user.notice: number ").expect("lines are whole")).or_default() += 1;
    }
    let missing = (0..sent).filter(|n| !count.contains_key(n.to_string().as_str())).count();
    let repeated: usize = count.values().map(|times| times - 1).sum();
    println!("{sent} datagrams, {KILLS} kills: {missing} missing, {repeated} repeated");
    assert_eq!((missing, count.len()), (0, sent));
    assert!(repeated <= KILLS);
}
