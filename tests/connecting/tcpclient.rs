use crate::beside::{Beside, Ours};
use crate::{LOOK, Seen, seen};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

/// `s6-tcpclient` with words.
pub fn client(both: &Beside, words: &[&str]) -> Command {
    let mut command = both.command(Ours, "tcpclient");
    command.args(words);
    command
}

pub fn port(listener: &TcpListener) -> String {
    listener.local_addr().unwrap().port().to_string()
}

/// The client's answer, and who it was to the listener.
fn met(listener: &TcpListener, mut command: Command) -> (Seen, SocketAddr) {
    let done = seen(&mut command);
    listener.set_nonblocking(true).unwrap();
    let (_, peer) = listener.accept().unwrap_or_else(|e| panic!("nobody came ({e}): {done:?}"));
    (done, peer)
}

#[test]
fn the_program_finds_the_connection_and_its_two_ends() {
    let both = Beside::new();
    for ip in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let port = port(&listener);
        let (done, peer) = met(&listener, client(&both, &["-H", ip, &port, "sh", "-c", LOOK]));
        let own = peer.port();
        let expected =
            format!("PROTO=TCP\nTCPLOCALIP={ip}\nTCPLOCALPORT={own}\nTCPREMOTEIP={ip}\nTCPREMOTEPORT={port}\n");
        let fds = "6 socket\n7 socket\nflags:\t02\nflags:\t02\none\n";
        assert_eq!((done.code, &*done.err), (0, ""));
        assert!(done.out.starts_with(&expected) && done.out.ends_with(fds), "{done:?}");
    }
}

#[test]
fn bytes_go_both_ways() {
    let both = Beside::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let words = ["-H", "127.0.0.1", &port(&listener), "sh", "-c", "echo question >&7; exec 7>&-; cat <&6"];
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut peer, _) = listener.accept().unwrap();
            let mut asked = [0; 9];
            peer.read_exact(&mut asked).unwrap();
            peer.write_all(&asked).unwrap();
        });
        seen(&mut client(&both, &words))
    });
    assert_eq!((done.code, &*done.out), (0, "question\n"));
}

#[test]
fn the_first_address_that_answers_wins() {
    let both = Beside::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = port(&listener);
    // Only this test knows 127.9.9.9 and its neighbours.
    let (done, _) = met(&listener, client(&both, &["-v", "127.9.9.9,127.9.9.8,127.0.0.1", &port, "true"]));
    assert_eq!(done.code, 0);
    assert_eq!(done.err, format!("s6-tcpclient: info: connected to 127.0.0.1 port {port}\n"));
    let done = seen(&mut client(&both, &["127.9.9.9,127.9.9.8", &port, "true"]));
    let warning = |ip| format!("s6-tcpclient: warning: unable to connect to {ip} port {port}: Connection refused\n");
    let fatal = "s6-tcpclient: fatal: unable to connect to a suitable IP address\n";
    let expected = format!("{}{}{fatal}", warning("127.9.9.9"), warning("127.9.9.8"));
    assert_eq!((done.code, done.err), (111, expected));
    let done = seen(&mut client(&both, &["-T5", "127.9.9.9", &port, "true"]));
    assert_eq!((done.code, done.err), (111, format!("{}{fatal}", warning("127.9.9.9"))));
}

#[test]
fn verbosity_adds_up() {
    let both = Beside::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (options, speaks) in
        [("-v", true), ("-vv", true), ("-q", false), ("-qv", false), ("-qqvv", true), ("-vQ", false)]
    {
        let words = [options, "-H", "127.0.0.1", &port(&listener), "true"];
        assert_eq!(!met(&listener, client(&both, &words)).0.err.is_empty(), speaks, "{options}");
    }
}

#[test]
fn our_end_has_the_address_and_port_that_were_asked_for() {
    let both = Beside::new();
    for (ip, own) in [("127.0.0.1", "127.0.0.7"), ("::1", "::1")] {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let port = port(&listener);
        let (_, peer) = met(&listener, client(&both, &["-H", "-i", own, ip, &port, "true"]));
        assert_eq!(peer.ip().to_string(), own);
        // One that was free a moment ago; another program may take it meanwhile.
        let free = TcpListener::bind((own, 0)).unwrap().local_addr().unwrap().port();
        let done = seen(&mut client(&both, &["-H", "-p", &free.to_string(), "-i", own, ip, &port, "sh", "-c", LOOK]));
        if done.code == 0 {
            assert!(done.out.contains(&format!("TCPLOCALIP={own}\nTCPLOCALPORT={free}\n")), "{done:?}");
        } else {
            assert_eq!(done.err, "s6-tcpclient: fatal: unable to bind socket: Address already in use\n");
        }
        let words = ["-H", "-p", &port, ip, &port, "true"];
        let taken = seen(&mut client(&both, &words));
        assert_eq!(
            (taken.code, &*taken.err),
            (111, "s6-tcpclient: fatal: unable to bind socket: Address already in use\n")
        );
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = port(&listener);
    let done = seen(&mut client(&both, &["-H", "-i192.0.2.1", "127.0.0.1", &port, "true"]));
    assert_eq!(
        (done.code, &*done.err),
        (111, "s6-tcpclient: fatal: unable to bind socket: Cannot assign requested address\n")
    );
    let done = seen(&mut client(&both, &["-H", "-i::1", "127.0.0.1", &port, "true"]));
    let reason =
        format!("warning: unable to connect to 127.0.0.1 port {port}: Address family not supported by protocol\n");
    assert!(done.code == 111 && done.err.contains(&reason), "{done:?}");
}

#[test]
fn nothing_that_was_said_about_another_connection_stays() {
    let both = Beside::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stale = ["PROTO", "TCPREMOTEIP", "TCPREMOTEHOST", "TCPLOCALHOST", "TCPREMOTEINFO"];
    let run = |options: &[&str]| {
        let port = port(&listener);
        let mut command = client(&both, options);
        command.args(["127.0.0.1", &port, "env"]).envs(stale.map(|name| (name, "stale"))).env("OTHER", "stale");
        met(&listener, command).0
    };
    let done = run(&["-H"]);
    assert_eq!(done.out.lines().filter(|line| line.contains("stale")).collect::<Vec<_>>(), ["OTHER=stale"]);
    assert!(run(&["-H", "-l", "me"]).out.contains("TCPLOCALHOST=me\n"));
}

#[test]
fn interfaces_of_ipv6_addresses_are_looked_up() {
    let both = Beside::new();
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = port(&listener);
    for host in ["::1%lo", "::1%1", "0:0::1"] {
        let (done, _) = met(&listener, client(&both, &["-H", host, &port, "env"]));
        assert!(done.code == 0 && done.out.contains("TCPREMOTEIP=::1\n"), "{host}: {done:?}");
    }
    let done = seen(&mut client(&both, &["-H", "fe80::1%none0", &port, "env"]));
    let text = "s6-tcpclient: fatal: unable to find the network interface of fe80::1%none0: No such device\n";
    assert_eq!((done.code, &*done.err), (111, text));
}

#[test]
fn wrong_words_are_told() {
    let both = Beside::new();
    let run = |words: &[&str]| seen(&mut client(&both, words));
    for words in [
        &[][..],
        &["127.0.0.1"],
        &["127.0.0.1", "1"],
        &["-x", "127.0.0.1", "1", "true"],
        &["--4", "127.0.0.1", "1", "true"],
        &["-t", "x", "127.0.0.1", "1", "true"],
        &["-T", "", "127.0.0.1", "1", "true"],
        &["-T", "1+", "127.0.0.1", "1", "true"],
        &["-T", "+1", "127.0.0.1", "1", "true"],
        &["-T", "1+1+1", "127.0.0.1", "1", "true"],
        &["-p", "65536", "127.0.0.1", "1", "true"],
        &["-i", "name", "127.0.0.1", "1", "true"],
        &["-H", "name", "1", "true"],
        &["-H", "127.0.0.1,", "1", "true"],
        &["-H", "127.0.0.1%lo", "1", "true"],
    ] {
        let done = run(words);
        assert!(
            done.code == 100 && done.err.starts_with("s6-tcpclient: usage: s6-tcpclient [ -q"),
            "{words:?}: {done:?}"
        );
    }
    let fatal = |words: &[&str]| {
        let done = run(words);
        assert_eq!(done.code, 100, "{words:?}: {done:?}");
        done.err.strip_prefix("s6-tcpclient: fatal: ").unwrap().to_owned()
    };
    for bad in ["65536", "-1", "http", ""] {
        assert_eq!(fatal(&["127.0.0.1", bad, "true"]), format!("invalid port number: {bad}\n"));
    }
    assert_eq!(fatal(&["-4", "::1", "1", "true"]), "no IPv4 address for ::1\n");
    assert_eq!(fatal(&["-H4", "-6", "127.0.0.1,127.0.0.2", "1", "true"]), "no IPv6 address for 127.0.0.1,127.0.0.2\n");
    let many = vec!["127.9.9.9"; 17].join(",");
    assert_eq!(fatal(&["-H", &many, "1", "true"]), format!("more than 16 addresses: {many}\n"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (done, _) = met(&listener, client(&both, &["-H", "127.0.0.1", &port(&listener), "no-such-program"]));
    let text = "s6-tcpclient: fatal: unable to exec no-such-program: No such file or directory\n";
    assert_eq!((done.code, &*done.err), (127, text));
}

#[test]
fn sixteen_addresses_are_tried() {
    let both = Beside::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let list = [vec!["127.9.9.9"; 15], vec!["127.0.0.1"]].concat().join(",");
    assert_eq!(met(&listener, client(&both, &["-H", &list, &port(&listener), "true"])).0.code, 0);
}

#[test]
fn small_pieces_are_sent_at_once_if_that_is_asked_for() {
    let both = Beside::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (options, expected) in [("-d", 0), ("-D", 1), ("-dD", 1), ("-Dd", 0)] {
        let mut command =
            client(&both, &[options, "-H", "127.0.0.1", &port(&listener), "sh", "-c", "echo up >&7; exec cat <&6"]);
        let mut child = command.spawn().unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.read_exact(&mut [0; 3]).unwrap();
        let mut value: libc::c_int = -1;
        // SAFETY: system calls; what they open is closed, what they write to is large enough.
        unsafe {
            let process = libc::syscall(libc::SYS_pidfd_open, child.id(), 0) as i32;
            let copy = libc::syscall(libc::SYS_pidfd_getfd, process, 6, 0) as i32;
            let mut size = size_of::<libc::c_int>() as libc::socklen_t;
            let place = (&raw mut value).cast();
            assert_eq!(libc::getsockopt(copy, libc::IPPROTO_TCP, libc::TCP_NODELAY, place, &mut size), 0);
            libc::close(copy);
            libc::close(process);
        }
        drop(peer);
        assert!(child.wait().unwrap().success());
        assert_eq!(value, expected, "{options}");
    }
}
