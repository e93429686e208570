//! Where the daemons are, a socket for one of them, and what happens to it.

use crate::holder::{AT_ONCE, engine};
pub use crate::root::{multiarch, root};
use crate::scandir::*;
use crate::tmp::TempDir;
use linchpin::sys::process;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// How a daemon gets its socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the engine, as descriptor 3.
    Given,
    /// From the engine, as descriptor 0.
    GivenAs0,
    /// From our client, as descriptor 3.
    Retrieved,
    /// From s6's client, as descriptor 0.
    RetrievedAs0,
}

/// The socket.
#[derive(Clone)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// That of a socket for datagrams: it is the test that knows how to send some.
    Datagrams,
}

/// A connection to it.
pub trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

impl Address {
    /// Calls: whoever is refused fails.
    pub fn call(&self) -> Box<dyn Stream> {
        match self {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).expect("a socket that is held refuses nobody");
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                Box::new(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).expect("a socket that is held refuses nobody");
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                Box::new(stream)
            }
            Address::Datagrams => panic!("it takes no calls"),
        }
    }
}

/// What to say to a daemon, and what it must answer.
pub struct Talk {
    pub say: &'static [u8],
    pub hear: &'static str,
}

impl Talk {
    /// A page from the directory `www`.
    pub const HTTP: Talk = Talk { say: b"GET /index.html HTTP/1.0\r\n\r\n", hear: "a page of the test" };

    /// Says it on a connection, and listens until the answer has come.
    pub fn with(&self, stream: &mut dyn Stream) {
        stream.write_all(self.say).unwrap();
        let (mut heard, mut buf) = (Vec::new(), [0; 4096]);
        loop {
            let n = stream.read(&mut buf);
            heard.extend_from_slice(&buf[..*n.as_ref().unwrap_or(&0)]);
            let text = String::from_utf8_lossy(&heard);
            if text.contains(self.hear) {
                return;
            }
            assert!(matches!(n, Ok(1..)), "{n:?} after {text:?}, not {:?}", self.hear);
        }
    }
}

/// A daemon in a directory of its own, on a socket that is not held yet.
pub struct Place {
    dir: TempDir,
    socket: Option<OwnedFd>,
    address: Address,
}

impl Place {
    /// On a port of the loopback device.
    pub fn tcp() -> Place {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(socket.local_addr().unwrap());
        Place::of(TempDir::new(), socket.into(), address)
    }

    /// On a socket in its directory.
    pub fn unix() -> Place {
        let dir = TempDir::new();
        let path = dir.path().join("socket");
        let socket = UnixListener::bind(&path).unwrap();
        Place::of(dir, socket.into(), Address::Unix(path))
    }

    /// Without a socket: it takes datagrams, and is made when the place is there.
    pub fn of_datagrams() -> Place {
        Place { dir: TempDir::new(), socket: None, address: Address::Datagrams }
    }

    fn of(dir: TempDir, socket: OwnedFd, address: Address) -> Place {
        std::fs::create_dir(dir.path().join("www")).unwrap();
        std::fs::write(dir.path().join("www/index.html"), Talk::HTTP.hear).unwrap();
        Place { dir, socket: Some(socket), address }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn port(&self) -> u16 {
        match &self.address {
            Address::Tcp(address) => address.port(),
            Address::Unix(_) | Address::Datagrams => panic!("it has no port"),
        }
    }

    pub fn file(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    /// Runs one of the programs to its end.
    pub fn run(&self, command: &str) {
        let shell = self.in_root(command);
        let done = std::process::Command::new("sh").args(["-c", &shell]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// A piece of a shell script that executes one of the programs: `command` begins with its path in the root.
    fn in_root(&self, command: &str) -> String {
        let (root, libraries) = (root().display().to_string(), ["usr/lib", "lib"]);
        let path = libraries.map(|dir| format!("{root}/{dir}/{}", multiarch())).join(":");
        format!("cd '{}'; export ROOT='{root}' LD_LIBRARY_PATH='{path}'; {command}", self.path().display())
    }

    /// The engine on `command`, a shell's that begins with `exec`, as a service `daemon`, which is given `it`. It is down.
    fn supervised(&self, way: Way, command: &str) -> Svscan {
        let (client, sockets) = match way {
            Way::Given => (String::new(), "it\n"),
            Way::GivenAs0 => (String::new(), "0 it\n"),
            Way::Retrieved => {
                (format!("'{}' fdholder-retrieve --listen-fds ../fdholder/s it --", env!("CARGO_BIN_EXE_linchpin")), "")
            }
            Way::RetrievedAs0 => ("s6-fdholder-retrieve ../fdholder/s it".to_owned(), ""),
        };
        self.file("command", &self.in_root(command));
        let run = format!("#!/bin/sh\nexec {client} sh '{}/command'\n", self.path().display());
        let mut files = vec![("run", run.as_str()), ("kill-leftovers", ""), AT_ONCE, DOWN];
        if !sockets.is_empty() {
            files.push(("sockets", sockets));
        }
        engine(&[("daemon", &files)])
    }

    /// Has `command` supervised, each of its processes killed at a time, three times; callers talk to it before, and at
    /// once after.
    pub fn survives(mut self, way: Way, command: &str, talk: &Talk) {
        let svscan = self.supervised(way, command);
        let before = svscan.store("it", self.socket.take().unwrap());
        svscan.ok("s6-svc -u daemon");
        talk.with(&mut *self.address.call());
        let number = if matches!(way, Way::GivenAs0 | Way::RetrievedAs0) { 0 } else { 3 };
        let mut pid = svscan.pid_of("daemon");
        for _ in 0..3 {
            assert_eq!(crate::holder::what(pid, number), before);
            assert!(pid > 1);
            process::kill(-pid, 9).unwrap();
            // One hangs up before the next one talks: some daemons serve one at a time.
            let waiting = [(); 3].map(|()| self.address.call());
            waiting.into_iter().for_each(|mut stream| talk.with(&mut *stream));
            eventually(|| svscan.status("daemon").pid != pid);
            pid = svscan.pid_of("daemon");
        }
        assert_eq!((svscan.held(), svscan.deaths("daemon").len()), (vec!["it".to_owned()], 3));
    }

    /// Has `command` supervised, on a socket for datagrams that `store` has held under the name `it`. `send` sends the
    /// datagram of that number, and `heard` waits until the daemon has done something about all up to that one. Some are
    /// sent before it runs; it is killed three times, others are sent before, while it can do nothing, and after.
    pub fn loses_nothing(
        self,
        way: Way,
        command: &str,
        store: impl FnOnce(&Svscan),
        mut send: impl FnMut(u16),
        mut heard: impl FnMut(u16),
    ) {
        // Twice as many are in the queue at most; the shortest one, that of a unix socket, has room for ten.
        const FEW: u16 = 5;
        let svscan = self.supervised(way, command);
        store(&svscan);
        let mut sent = 0;
        let mut send_few = |send: &mut dyn FnMut(u16)| {
            (sent + 1..=sent + FEW).for_each(send);
            sent += FEW;
            sent
        };
        let last = send_few(&mut send);
        svscan.ok("s6-svc -u daemon");
        heard(last);
        for _ in 0..3 {
            let pid = svscan.pid_of("daemon");
            assert!(pid > 1);
            // What it has read when it dies would be lost, and nobody's fault but its own.
            process::kill(-pid, 19).unwrap();
            eventually(|| is_stopped(pid));
            send_few(&mut send);
            process::kill(-pid, 9).unwrap();
            heard(send_few(&mut send));
            eventually(|| svscan.status("daemon").pid != pid);
        }
        assert_eq!((svscan.held(), svscan.deaths("daemon").len()), (vec!["it".to_owned()], 3));
    }
}

/// Whether all threads of a process are.
fn is_stopped(pid: i32) -> bool {
    let stopped = |thread: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap().contains("\nState:\tT ")
    };
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(stopped)
}
