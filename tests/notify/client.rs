//! A service that says what its test wants it to say. It is this program once more ([`plays_the_service`]); the test talks
//! to each process of it over a connection.
#![allow(unsafe_code)]

use linchpin::sys::{Fd, socket};
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::collections::HashMap;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where, beside the scan directory, the test listens.
const MEETING: &str = "meeting";

/// This program.
pub fn program() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

/// `run`, through `wrapper`, such as `s6-setuidgid nobody`.
pub fn run_through(wrapper: &str) -> String {
    let words = "--exact --ignored --nocapture client::plays_the_service";
    format!("#!/bin/sh\nexec {wrapper} {} {words} >/dev/null\n", program())
}

/// `run`.
pub fn run() -> String {
    run_through("")
}

fn address(base: &Path) -> SocketAddrUnix {
    SocketAddrUnix::new(crate::supervision::c_path(&base.join(MEETING)).as_c_str()).unwrap()
}

fn seqpacket() -> OwnedFd {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

/// Where the test waits for processes of the service.
pub struct Meeting(OwnedFd);

impl Meeting {
    /// `base` is `$BASE`.
    pub fn new(base: &Path) -> Meeting {
        let fd = seqpacket();
        rustix::net::bind(&fd, &address(base)).unwrap();
        // The service may not be root any more.
        std::fs::set_permissions(base.join(MEETING), std::fs::Permissions::from_mode(0o666)).unwrap();
        rustix::net::listen(&fd, 64).unwrap();
        Meeting(fd)
    }

    /// The next process of the service.
    pub fn next(&self) -> Process {
        assert!(crate::supervision::readable(Fd(self.0.as_raw_fd()), crate::supervision::PATIENCE), "nobody comes");
        let connection = rustix::net::accept_with(&self.0, SocketFlags::CLOEXEC).unwrap();
        let mut process = Process { connection, pid: 0, env: HashMap::new(), listened: Vec::new() };
        let (text, fds) = process.receive();
        process.listened = fds;
        process.pid = socket::peer(process.fd()).unwrap().pid as i32;
        process.env = text
            .split(|byte| *byte == 0)
            .filter_map(|entry| std::str::from_utf8(entry).unwrap().split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        process
    }
}

/// A process of the service. It ends when this is dropped.
#[must_use]
pub struct Process {
    connection: OwnedFd,
    pub pid: i32,
    /// Its environment.
    pub env: HashMap<String, String>,
    /// The descriptors that it was given at its start, in order.
    pub listened: Vec<OwnedFd>,
}

impl Process {
    fn fd(&self) -> Fd {
        Fd(self.connection.as_raw_fd())
    }

    fn receive(&self) -> (Vec<u8>, Vec<OwnedFd>) {
        assert!(crate::supervision::readable(self.fd(), crate::supervision::PATIENCE), "no answer");
        receive(self.fd()).expect("it has ended")
    }

    fn ask(&self, what: u8, text: &[u8], fds: &[Fd]) -> Vec<u8> {
        socket::send_waiting(self.fd(), &[&[what], text].concat(), fds).unwrap();
        self.receive().0
    }

    /// Has it send a message to its notification socket. It is heard when this returns.
    pub fn say(&self, message: &str) {
        self.say_with(message, &[]);
    }

    /// The same with descriptors.
    pub fn say_with(&self, message: &str, fds: &[Fd]) {
        self.send(message.as_bytes(), fds);
        self.barrier();
    }

    /// Has it send something, and does not wait for it to be heard.
    pub fn send(&self, message: &[u8], fds: &[Fd]) {
        assert_eq!(self.ask(b'n', message, fds), b"0", "sending {:?}", String::from_utf8_lossy(message));
    }

    /// Has it send something that may be its end: it is not waited for.
    pub fn send_last(&self, message: &[u8]) {
        socket::send_waiting(self.fd(), &[b"n", message].concat(), &[]).unwrap();
    }

    /// Waits until everything that was said is heard.
    pub fn barrier(&self) {
        let (read, write) = linchpin::sys::fd::pipe().unwrap();
        self.send(b"BARRIER=1", &[write]);
        // Ours, and that which has been received and closed by everybody else.
        let mut write = write;
        write.close();
        assert!(crate::supervision::readable(read, crate::supervision::PATIENCE), "the barrier is not heard");
        let mut read = read;
        read.close();
    }

    /// Has it ignore a signal.
    pub fn ignore(&self, signal: i32) {
        self.ask(b'i', signal.to_string().as_bytes(), &[]);
    }

    /// Has it accept a connection, and store it under a name.
    pub fn accept_and_store(&self, listener: Fd, name: &str) {
        assert_eq!(self.ask(b'a', name.as_bytes(), &[listener]), b"0");
        self.barrier();
    }

    /// Has it read what has come over the descriptor of this place in [`Process::listened`], and write it back after its
    /// own pid.
    pub fn echo(&self, place: usize) {
        self.ask(b'e', (3 + place).to_string().as_bytes(), &[]);
    }

    /// Has it send a message over and over again, until it is killed; answers at once.
    pub fn flood(&self, message: &str) {
        self.ask(b'f', message.as_bytes(), &[]);
    }

    /// Names of the descriptors that it was given.
    pub fn names(&self) -> Vec<&str> {
        let names = self.env.get("LISTEN_FDNAMES").map_or("", String::as_str);
        let names: Vec<_> = names.split(':').filter(|name| !name.is_empty()).collect();
        assert_eq!(names.len(), self.listened.len());
        names
    }

    /// What it was given under a name.
    pub fn listened(&self, name: &str) -> Fd {
        let place = self.names().iter().position(|given| *given == name).unwrap_or_else(|| panic!("no {name}"));
        Fd(self.listened[place].as_raw_fd())
    }

    pub fn kill(&self, signal: i32) {
        assert!(self.pid > 1);
        linchpin::sys::process::kill(self.pid, signal).unwrap();
    }
}

/// One packet; `None`: the other side has ended.
fn receive(fd: Fd) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
    // Without MSG_DONTWAIT it would be simpler; but this is what there is.
    linchpin::sys::poll::readable(fd, None).unwrap();
    let (mut bytes, mut fds) = (vec![0; 64 * 1024], vec![Fd::NONE; socket::MAX_FDS]);
    let got = socket::receive(fd, &mut bytes, &mut fds).ok()?;
    bytes.truncate(got.bytes);
    // SAFETY: the kernel has just made them, for us.
    let fds = fds[..got.fds].iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd.0) }).collect();
    (got.bytes > 0).then_some((bytes, fds))
}

/// No test, but the service.
#[test]
#[ignore = "tests of notifications execute it as a service"]
fn plays_the_service() {
    let Some(base) = std::env::var_os("BASE") else { return };
    let test = seqpacket();
    rustix::net::connect(&test, &address(Path::new(&base))).unwrap();
    let env: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}\0")).collect();
    let count = std::env::var("LISTEN_FDS").map_or(0, |count| count.parse().unwrap());
    let given: Vec<_> = (3..3 + count).map(Fd).collect();
    let test = Fd(test.as_raw_fd());
    socket::send_waiting(test, env.concat().as_bytes(), &given).unwrap();
    // Its end is the test's.
    while let Some((request, fds)) = receive(test) {
        let (what, text) = request.split_first().unwrap();
        let fds: Vec<_> = fds.iter().map(|fd| Fd(fd.as_raw_fd())).collect();
        let answer = obey(*what, text, &fds);
        socket::send_waiting(test, answer.to_string().as_bytes(), &[]).unwrap();
    }
}

/// Answers an errno, or 0.
fn obey(what: u8, text: &[u8], fds: &[Fd]) -> i32 {
    let number = || std::str::from_utf8(text).unwrap().parse::<i32>().unwrap();
    match what {
        b'n' => notify(text, fds),
        b'i' => {
            // SAFETY: no handler.
            unsafe { libc::signal(number(), libc::SIG_IGN) };
            0
        }
        b'a' => {
            let accepted = rustix::net::accept(fds[0]).unwrap();
            notify(&[b"FDSTORE=1\nFDNAME=", text].concat(), &[Fd(accepted.as_raw_fd())])
        }
        b'e' => {
            let mut buf = [0; 256];
            let n = rustix::io::read(Fd(number()), &mut buf).unwrap();
            let answer = format!("{} {}", std::process::id(), std::str::from_utf8(&buf[..n]).unwrap());
            linchpin::sys::file::write_all(Fd(number()), answer.as_bytes()).unwrap();
            0
        }
        b'f' => {
            let text = text.to_vec();
            std::thread::spawn(move || {
                loop {
                    notify(&text, &[]);
                }
            });
            0
        }
        other => panic!("{other}?"),
    }
}

/// sd_pid_notify_with_fds(3).
fn notify(message: &[u8], fds: &[Fd]) -> i32 {
    send_to(&std::env::var("NOTIFY_SOCKET").unwrap(), message, fds)
}

/// Sends a datagram to what `NOTIFY_SOCKET` says; answers an errno, or 0.
pub fn send_to(place: &str, message: &[u8], fds: &[Fd]) -> i32 {
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap(),
        None => SocketAddrUnix::new(place).unwrap(),
    };
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
    let done = rustix::net::connect(&fd, &address)
        .and_then(|()| socket::send_waiting(Fd(fd.as_raw_fd()), message, fds).map(drop));
    done.map_or_else(|e| e.raw_os_error(), |()| 0)
}
