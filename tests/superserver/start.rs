//! Options, readiness, and what standard input must be.

use crate::beside::Whose::{Ours, Theirs};
use crate::beside::{Beside, outcome};
use crate::server::*;
use linchpin::sys::Fd;
use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};

#[test]
fn readiness_is_told_when_it_serves_and_standard_output_is_closed_then() {
    for (options, told) in [(&["-1"][..], true), (&[], false)] {
        for place in places() {
            let whose = if place == unix() { vec![Theirs, Ours] } else { vec![Ours] };
            for whose in whose {
                let words: Vec<&str> = options.iter().chain(&["cat"]).copied().collect();
                let mut server = Server::start(whose, place.clone(), &words, |_| {});
                let mut said = String::new();
                server.stdout.take().unwrap().read_to_string(&mut said).unwrap();
                let expected = match &server.place {
                    _ if !told => String::new(),
                    Place::Unix(_) => "\n".to_owned(),
                    Place::Ip(address) => format!("{}\n", address.port()),
                };
                assert_eq!(said, expected);
                assert_eq!(server.connect().echo("hello"), "hello");
            }
        }
    }
}

#[test]
fn readiness_needs_a_standard_output() {
    for place in places() {
        let both = Beside::new();
        let program = place.program();
        let place = if place == unix() { Place::Unix(both.path().join("socket")) } else { place };
        let (listener, _) = place.listen();
        let mut command = both.command(Ours, program);
        command.args(["-1", "true"]).stdin(listener);
        let close = || close(1);
        before(&mut command, close);
        let output = command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(100));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.ends_with("fatal: called with option -1 but stdout said: Bad file descriptor\n"), "{said}");
    }
}

#[test]
fn it_works_without_standard_output_and_standard_error() {
    for place in places() {
        let server = Server::start(Ours, place, &["-v2", "cat"], |command| {
            let close = || close(1).and(close(2));
            before(command, close);
        });
        for _ in 0..3 {
            assert_eq!(server.connect().echo("hello"), "hello");
        }
    }
}

#[test]
fn wrong_usage_is_100() {
    let both = Beside::new();
    for words in [
        &[][..],
        &["-v"],
        &["-v", "x", "true"],
        &["-v", "-1", "true"],
        &["-c", "", "true"],
        &["-c", "4294967296", "true"],
        &["-C", "+1", "true"],
        &["-x", "true"],
        &["--verbosity=1", "true"],
        &["-1"],
        &["--"],
        &[""],
    ] {
        for name in ["ipcserverd", "tcpserverd"] {
            let output = both.command(Ours, name).args(words).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.starts_with(&format!("s6-{name}: usage: s6-{name} [ -v verbosity ]")), "{words:?}: {said}");
            assert_eq!(output.status.code(), Some(100));
        }
        assert_eq!(outcome(both.command(Theirs, "ipcserverd").args(words)).code, 100, "{words:?}");
    }
    // Only unix sockets tell who is at the other end.
    for option in ["-p", "-P"] {
        assert_eq!(both.ours("tcpserverd", &[option, "true"]).code, 100);
        assert_eq!(outcome(both.command(Ours, "ipcserverd").args([option, "true"])).code, 100, "no socket");
    }
}

/// What standard input may be by mistake.
fn odd() -> Vec<(&'static str, Stdio)> {
    use rustix::net::{AddressFamily as Family, SocketType as Kind};
    // One of another child of ours.
    let pipe = || Command::new("true").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let accepted = tcp.accept().unwrap().0;
    let shut = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::shutdown(Fd(shut.as_raw_fd()), rustix::net::Shutdown::Both).unwrap();
    vec![
        ("null", Stdio::null()),
        ("file", File::open("/proc/self/exe").unwrap().into()),
        ("directory", File::open("/").unwrap().into()),
        ("pipe to read from", OwnedFd::from(pipe().stdout.unwrap()).into()),
        ("pipe to write to", OwnedFd::from(pipe().stdin.unwrap()).into()),
        ("terminal", File::options().read(true).write(true).open("/dev/ptmx").unwrap().into()),
        ("character device", File::open("/dev/zero").unwrap().into()),
        ("unix datagram", OwnedFd::from(UnixDatagram::unbound().unwrap()).into()),
        ("unix pair", OwnedFd::from(UnixStream::pair().unwrap().0).into()),
        ("unix stream", socket(Family::UNIX, Kind::STREAM).into()),
        ("unix packets", socket(Family::UNIX, Kind::SEQPACKET).into()),
        ("udp", OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap()).into()),
        ("udp of ipv6", OwnedFd::from(UdpSocket::bind("[::1]:0").unwrap()).into()),
        ("tcp", socket(Family::INET, Kind::STREAM).into()),
        ("tcp that connected", OwnedFd::from(connected).into()),
        ("tcp that was accepted", OwnedFd::from(accepted).into()),
        ("tcp that does not listen any more", OwnedFd::from(shut).into()),
        ("netlink", socket(Family::NETLINK, Kind::RAW).into()),
    ]
}

#[test]
fn a_standard_input_that_is_no_listening_socket_is_refused() {
    let both = Beside::new();
    for name in ["ipcserverd", "tcpserverd"] {
        for (what, stdin) in odd() {
            let output = both.command(Ours, name).arg("true").stdin(stdin).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let text = said.strip_prefix(&format!("s6-{name}: fatal: ")).unwrap_or_else(|| panic!("{what}: {said}"));
            let is_socket =
                what.starts_with("unix") || what.contains("tcp") || what.contains("udp") || what == "netlink";
            let of_kind = if name == "ipcserverd" {
                what.starts_with("unix")
            } else {
                what.contains("p") && !what.starts_with("unix")
            };
            let (expected, code) = match (is_socket, of_kind, name) {
                (false, ..) => ("stdin is not a socket", 100),
                (_, true, _) => ("stdin is a socket that does not listen", 100),
                (_, _, "ipcserverd") => ("stdin is not a unix socket", 100),
                _ => ("unable to get local socket information: Address family not supported by protocol", 111),
            };
            assert_eq!((text.trim_end(), output.status.code()), (expected, Some(code)), "{what}");
        }
        let mut closed = both.command(Ours, name);
        let close = || close(0);
        closed.arg("true");
        before(&mut closed, close);
        let output = closed.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("s6-{name}: fatal: unable to fstat stdin: Bad file descriptor\n"));
        assert_eq!(output.status.code(), Some(111));
    }
}

#[test]
fn a_listening_socket_of_the_other_family_is_refused() {
    let both = Beside::new();
    let path = both.path().join("socket");
    let unix = OwnedFd::from(UnixListener::bind(path).unwrap());
    let tcp = OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    assert_eq!(outcome(both.command(Ours, "ipcserverd").arg("true").stdin(tcp)).code, 100);
    assert_eq!(outcome(both.command(Ours, "tcpserverd").arg("true").stdin(unix)).code, 111);
}

#[test]
fn a_socket_that_listens_no_more_ends_it() {
    for place in places() {
        let both = Beside::new();
        let place = if place == unix() { Place::Unix(both.path().join("socket")) } else { place };
        let (listener, place) = place.listen();
        let ours = listener.try_clone().unwrap();
        let mut server = Server::with(both, Ours, listener, place, &["cat"], |_| {});
        let mut client = server.connect();
        assert_eq!(client.echo("hello"), "hello");
        rustix::net::shutdown(Fd(ours.as_raw_fd()), rustix::net::Shutdown::Both).unwrap();
        assert_eq!(server.wait().code(), Some(111));
        assert!(server.line().contains("fatal: trouble with socket"));
        assert_eq!(client.echo("still here"), "still here");
    }
}
