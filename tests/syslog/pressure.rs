//! socklog when its lines are not read: it takes nothing, loses nothing, and ends when it is told to.

use crate::beside::*;
use crate::server::*;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

#[test]
fn ten_thousand_datagrams_at_full_speed_all_arrive_in_order() {
    let both = Beside::new();
    let messages: Vec<Vec<u8>> = (0..10_000).map(|n| format!("<13>message {n}").into_bytes()).collect();
    let lines = same(&both, &[], &messages);
    assert!(lines.lines().enumerate().all(|(n, line)| line == format!("user.notice: message {n}")));
    assert_eq!(lines.lines().count(), 10_000);
}

/// A socklog whose lines go to a pipe that is full; its ends, and what is in it.
fn stuck(both: &Beside, whose: Whose, words: &[&str]) -> (Server, File, usize) {
    let (read, write) = small_pipe();
    let filled = fill(&write);
    let words: Vec<&str> = ["-x", "log"].iter().chain(words).copied().collect();
    let server = Server::start(both, whose, &words, Stdio::null(), Stdio::from(write));
    (server, read, filled)
}

/// Sends numbered messages until nobody takes them any more; answers how many went.
fn send_until_full(client: &UnixDatagram, message: impl Fn(usize) -> Vec<u8>) -> usize {
    client.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let mut count = 0;
    loop {
        match client.send(&message(count)) {
            Ok(_) => count += 1,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => {
                assert!(matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "message {count}: {e}");
                return count;
            }
        }
    }
}

fn numbered(count: usize) -> Vec<u8> {
    format!("<13>{count} {}", "x".repeat(100)).into_bytes()
}

/// Reads lines until one begins like this; answers all.
fn read_until(read: &mut File, beginning: &str) -> String {
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let n = read.read(&mut piece).unwrap();
        assert!(n > 0, "it ended before {beginning:?}");
        text.extend_from_slice(&piece[..n]);
        let lines = String::from_utf8_lossy(&text);
        if lines.ends_with('\n') && lines.lines().next_back().is_some_and(|line| line.starts_with(beginning)) {
            return lines.into_owned();
        }
    }
}

fn are_numbered<'l>(lines: impl Iterator<Item = &'l str>) -> usize {
    let mut count = 0;
    for line in lines {
        assert!(line.starts_with(&format!("user.notice: {count} ")), "line {count} is {line:?}");
        count += 1;
    }
    count
}

#[test]
fn clients_wait_while_nobody_reads_and_then_all_they_sent_is_there() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (server, mut read, filled) = stuck(&both, whose, &[]);
        let client = client(&both);
        let sent = send_until_full(&client, numbered);
        assert!((5..2000).contains(&sent), "{whose:?} lets clients send {sent}");
        let last = format!("user.notice: {sent} ");
        let reader = std::thread::spawn(move || (read_until(&mut read, &last), read));
        client.set_write_timeout(None).unwrap();
        client.send(&numbered(sent)).unwrap();
        let (text, _read) = reader.join().unwrap();
        assert_eq!(are_numbered(text[filled..].lines()), sent + 1, "{whose:?}");
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), (0, String::new()), "{whose:?}");
    }
}

/// Sends SIGTERM, and waits until it was taken note of.
fn tell_to_end(server: &Server) {
    let status = format!("/proc/{}/status", server.child.id());
    server.signal(libc::SIGTERM);
    eventually(|| {
        let status = content(status.as_ref());
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
        pending.is_none_or(|pending| u64::from_str_radix(pending.trim(), 16).unwrap() & 1 << (libc::SIGTERM - 1) == 0)
    });
}

#[test]
fn told_to_end_it_waits_for_its_reader_as_long_as_it_may() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (server, _read, _) = stuck(&both, whose, &["-t", "300"]);
        (0..5).for_each(|n| send(&client(&both), &numbered(n)));
        // Debian's must have taken something to have to wait for it; ours looks at it for as long.
        eventually(|| !is_running(&server));
        tell_to_end(&server);
        assert_eq!(server.end(), (99, String::new()), "{whose:?}");
    }
}

/// Whether it is doing something: it waits for an event if it is not.
fn is_running(server: &Server) -> bool {
    let stat = content(format!("/proc/{}/stat", server.child.id()).as_ref());
    !stat.contains(") S ")
}

#[test]
fn told_to_end_it_prints_what_clients_have_sent_already() {
    // Debian's prints what it has read; what is in the socket's queue goes with it.
    let both = Beside::new();
    let (server, mut read, filled) = stuck(&both, Ours, &[]);
    let sent = send_until_full(&client(&both), numbered);
    tell_to_end(&server);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(server.end(), (0, String::new()));
    assert_eq!(are_numbered(reader.join().unwrap()[filled..].lines()), sent);
}

#[test]
fn told_to_end_in_the_middle_of_a_line_it_completes_it() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (mut read, write) = small_pipe();
        let words = ["-x", "log", "-l", "1048576"];
        let server = Server::start(&both, whose, &words, Stdio::null(), Stdio::from(write));
        let mut message = b"<13>".to_vec();
        message.resize(100_000, b'x');
        client(&both).send(&message).unwrap();
        let mut first = [0; 10];
        read.read_exact(&mut first).unwrap();
        match whose {
            Ours => tell_to_end(&server),
            // It is deaf while it writes.
            Theirs => server.signal(libc::SIGTERM),
        }
        let mut rest = Vec::new();
        read.read_to_end(&mut rest).unwrap();
        assert_eq!(server.end(), (0, String::new()), "{whose:?}");
        assert_eq!(first.len() + rest.len(), "user.notice: ".len() + 100_000 - 4 + 1, "{whose:?}");
    }
}

#[test]
fn without_a_reader_it_fails_at_the_next_message() {
    let both = Beside::new();
    // It is full: nothing can be written while another thread's child still has the other end for a moment.
    let (server, read, _) = stuck(&both, Ours, &[]);
    drop(read);
    client(&both).send(b"x").unwrap();
    assert_eq!(server.end(), (111, "s6-socklog: fatal: unable to write to stdout: Broken pipe\n".to_owned()));
}

#[test]
fn its_memory_does_not_grow() {
    let both = Beside::new();
    let mut server = Server::at_log(&both, Ours, &["-l", "1048576"]);
    let client = client(&both);
    let peak = |server: &Server| {
        let status = content(format!("/proc/{}/status", server.child.id()).as_ref());
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
    };
    let mut large = b"<13>".to_vec();
    large.resize(150_000, b'x');
    let mut peaks = [0; 2];
    for peak_now in &mut peaks {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..200).for_each(|_| send(&client, &large));
                client.send(b"end").unwrap();
            });
            server.lines_until("end");
        });
        *peak_now = peak(&server);
    }
    println!("VmHWM {} kB after 200 messages of 150000 bytes, {} kB after 400", peaks[0], peaks[1]);
    assert!(peaks[1] <= peaks[0] + 64, "{peaks:?}");
    server.signal(libc::SIGTERM);
    server.end();
}
