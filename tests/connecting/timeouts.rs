//! s6-tcpclient and addresses that do not answer.

use crate::beside::{Beside, eventually};
use crate::seen;
use crate::tcpclient::client;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A listener with a backlog that is full: who connects now is not answered.
struct Full {
    listener: TcpListener,
    address: SocketAddr,
    queued: Vec<TcpStream>,
}

impl Full {
    fn new(ip: [u8; 4]) -> Full {
        // SAFETY: system calls on a new descriptor, with an address that lives as long as they do.
        let listener = unsafe {
            let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
            let mut address: libc::sockaddr_in = std::mem::zeroed();
            address.sin_family = libc::AF_INET as _;
            address.sin_addr.s_addr = u32::from_ne_bytes(ip);
            let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            assert_eq!(libc::bind(fd, (&raw const address).cast(), size), 0);
            assert_eq!(libc::listen(fd, 0), 0);
            TcpListener::from_raw_fd(fd)
        };
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queued.push(stream);
            assert!(queued.len() < 50, "the backlog has no end");
        }
        Full { listener, address, queued }
    }

    fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// The ports of those who are waiting for an answer.
    fn asking(&self) -> Vec<String> {
        let ip = u32::from_ne_bytes(match self.address.ip() {
            std::net::IpAddr::V4(ip) => ip.octets(),
            std::net::IpAddr::V6(_) => unreachable!(),
        });
        let to = format!("{ip:08X}:{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row[2] == to && row[3] == "02").map(|row| row[1].to_owned()).collect()
    }
}

#[test]
fn an_address_that_does_not_answer_is_given_up_after_its_time() {
    let both = Beside::new();
    let full = Full::new([127, 0, 0, 1]);
    let before = Instant::now();
    let done = seen(&mut client(&both, &["-H", "-T", "1", "127.0.0.1", &full.port(), "true"]));
    assert!(before.elapsed() >= Duration::from_secs(1));
    let expected = format!(
        "s6-tcpclient: warning: unable to connect to 127.0.0.1 port {}: Connection timed out\n\
         s6-tcpclient: fatal: unable to connect to a suitable IP address\n",
        full.port()
    );
    assert_eq!((done.code, done.err), (111, expected));
}

#[test]
fn another_address_is_tried_meanwhile() {
    let both = Beside::new();
    let full = Full::new([127, 0, 0, 1]);
    let _other = TcpListener::bind(SocketAddr::new([127, 9, 9, 4].into(), full.address.port())).unwrap();
    let before = Instant::now();
    let done = seen(&mut client(&both, &["-H", "-T", "1+100", "127.0.0.1,127.9.9.4", &full.port(), "true"]));
    assert_eq!((done.code, &*done.err), (0, ""));
    assert!(before.elapsed() < Duration::from_secs(90), "it was not left after its first second");
}

#[test]
fn the_second_round_asks_again_and_has_more_time() {
    let both = Beside::new();
    let mut full = Full::new([127, 0, 0, 1]);
    let mut command = client(&both, &["-vH", "-T", "1+100", "127.0.0.1,127.9.9.9", &full.port(), "true"]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut first = Vec::new();
    eventually(|| {
        first = full.asking();
        !first.is_empty()
    });
    eventually(|| full.asking().iter().any(|port| !first.contains(port)));
    // A place is free: the next time that the kernel asks it is answered.
    full.queued.clear();
    full.listener.set_nonblocking(true).unwrap();
    eventually(|| {
        let _ = full.listener.accept();
        full.asking().is_empty()
    });
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said, format!("s6-tcpclient: info: connected to 127.0.0.1 port {}\n", full.port()));
}

#[test]
fn the_whole_is_limited_and_that_has_its_own_exit_code() {
    let both = Beside::new();
    let full = Full::new([127, 0, 0, 1]);
    for (rounds, host) in [("50+50", "127.0.0.1"), ("50", "127.0.0.1,127.9.9.9")] {
        let before = Instant::now();
        let done = seen(&mut client(&both, &["-H", "-t1", "-T", rounds, host, &full.port(), "true"]));
        assert!((1..25).contains(&before.elapsed().as_secs()));
        let expected = format!(
            "s6-tcpclient: warning: unable to connect to 127.0.0.1 port {}: Connection timed out\n\
             s6-tcpclient: fatal: unable to connect to a suitable IP address within 1 s\n",
            full.port()
        );
        assert_eq!((done.code, done.err), (99, expected));
    }
    assert!(full.listener.as_raw_fd() >= 0 && !full.queued.is_empty());
}
