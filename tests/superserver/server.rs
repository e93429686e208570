//! A super-server at work, its clients, and what it says.

use crate::beside::{Beside, Whose};
use linchpin::sys::Fd;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    Unix(PathBuf),
    Ip(SocketAddr),
}

impl Place {
    /// The socket that listens there; of an IP address with port 0, the place where it really does.
    pub fn listen(self) -> (OwnedFd, Place) {
        match self {
            Place::Unix(path) => {
                let _ = std::fs::remove_file(&path);
                let listener = UnixListener::bind(&path).unwrap();
                // The standard library's backlog is too short for many clients at once.
                rustix::net::listen(Fd(listener.as_raw_fd()), 4096).unwrap();
                (listener.into(), Place::Unix(path))
            }
            Place::Ip(address) => {
                let listener = TcpListener::bind(address).unwrap();
                rustix::net::listen(Fd(listener.as_raw_fd()), 4096).unwrap();
                let place = Place::Ip(listener.local_addr().unwrap());
                (listener.into(), place)
            }
        }
    }

    pub fn connect(&self) -> Client {
        match self {
            Place::Unix(path) => Client::new(UnixStream::connect(path).unwrap().into()),
            Place::Ip(address) => Client::new(TcpStream::connect(address).unwrap().into()),
        }
    }

    /// The name of the server for it.
    pub fn program(&self) -> &'static str {
        match self {
            Place::Unix(_) => "ipcserverd",
            Place::Ip(_) => "tcpserverd",
        }
    }
}

/// A client's end of a connection, which nobody waits for for ever.
pub struct Client(pub File);

impl Client {
    pub fn new(fd: OwnedFd) -> Client {
        rustix::net::sockopt::set_socket_timeout(
            Fd(fd.as_raw_fd()),
            rustix::net::sockopt::Timeout::Recv,
            Some(PATIENCE),
        )
        .unwrap();
        Client(File::from(fd))
    }

    /// Sends a line and answers the line that comes back.
    pub fn echo(&mut self, line: &str) -> String {
        self.send(line);
        self.line()
    }

    pub fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line, without its end; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.0.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Sends nothing more.
    pub fn finish(&mut self) {
        self.try_finish().unwrap();
    }

    pub fn try_finish(&mut self) -> rustix::io::Result<()> {
        rustix::net::shutdown(Fd(self.0.as_raw_fd()), rustix::net::Shutdown::Write)
    }

    /// Sends nothing more, and answers all that comes.
    pub fn rest(mut self) -> String {
        self.finish();
        let mut all = String::new();
        self.0.read_to_string(&mut all).unwrap();
        all
    }

    /// Whether it is closed without a word.
    pub fn is_refused(&mut self) -> bool {
        let mut all = Vec::new();
        // One that is closed before all was read that it sent is reset.
        self.0.read_to_end(&mut all).map_or(true, |_| all.is_empty())
    }

    /// Ends the connection as a crash would: what is on its way is lost.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(Fd(self.0.as_raw_fd()), Some(Duration::ZERO)).unwrap();
    }
}

/// A server. It is ended when it is dropped.
pub struct Server {
    pub both: Beside,
    pub place: Place,
    pub child: Child,
    pub stdout: Option<ChildStdout>,
    lines: Receiver<String>,
    /// All that it said so far.
    pub said: Vec<String>,
}

/// An IPv4 address of this machine, any port.
pub fn v4() -> Place {
    Place::Ip("127.0.0.1:0".parse().unwrap())
}

/// The same for IPv6.
pub fn v6() -> Place {
    Place::Ip("[::1]:0".parse().unwrap())
}

/// A unix socket, of no name yet.
pub fn unix() -> Place {
    Place::Unix(PathBuf::new())
}

/// All of them.
pub fn places() -> [Place; 3] {
    [unix(), v4(), v6()]
}

impl Server {
    /// Ours, with these words.
    pub fn ours(place: Place, words: &[&str]) -> Server {
        Server::start(Whose::Ours, place, words, |_| {})
    }

    /// Whoever's, with these words, prepared by `change`.
    pub fn start(whose: Whose, place: Place, words: &[&str], change: impl FnOnce(&mut Command)) -> Server {
        let both = Beside::new();
        let place = match place {
            Place::Unix(_) => Place::Unix(both.path().join("socket")),
            ip => ip,
        };
        let (listener, place) = place.listen();
        Server::with(both, whose, listener, place, words, change)
    }

    /// With this socket.
    pub fn with(
        both: Beside,
        whose: Whose,
        listener: impl Into<Stdio>,
        place: Place,
        words: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Server {
        let mut command = both.command(whose, place.program());
        command.args(words).stdin(listener).stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        drop(command);
        let stderr = child.stderr.take();
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            let Some(stderr) = stderr else { return };
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let stdout = child.stdout.take();
        Server { both, place, child, stdout, lines, said: Vec::new() }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn connect(&self) -> Client {
        self.place.connect()
    }

    pub fn kill(&self, signal: i32) {
        linchpin::sys::process::kill(self.pid(), signal).unwrap();
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{e} after {:#?}", self.said));
        self.said.push(line.clone());
        line
    }

    /// Waits for a line in which this is.
    pub fn until(&mut self, what: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Waits for its end and answers how that was, and all that it said.
    pub fn end(&mut self) -> (ExitStatus, Vec<String>) {
        let status = self.wait();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        (status, std::mem::take(&mut self.said))
    }

    /// Waits for its end only: children may still hold its standard error.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(std::time::Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it with a signal; answers its exit code and all that it said.
    pub fn stop(&mut self, signal: i32) -> (Option<i32>, Vec<String>) {
        self.kill(signal);
        let (status, said) = self.end();
        (status.code(), said)
    }

    /// Its children, the ended ones too.
    pub fn children(&self) -> Vec<i32> {
        let list = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap();
        list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Its descriptors.
    pub fn descriptors(&self) -> Vec<String> {
        let dir = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let mut all: Vec<_> = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill(libc::SIGABRT);
            let _ = self.child.wait();
        }
    }
}

/// Lines without what is different each time: pids, ports, and the name of the program.
pub fn plain(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| plain_line(line)).collect()
}

fn plain_line(line: &str) -> String {
    let mut words = Vec::new();
    let mut before = "";
    for word in line.split(' ') {
        words.push(match before {
            "pid" => "PID".to_owned(),
            "port" => "PORT".to_owned(),
            "accept" | "reject" => format!("{}_PORT", word.rsplit_once('_').unwrap().0),
            _ => word.to_owned(),
        });
        before = word;
    }
    let line = words.join(" ");
    line.split_once(": ").map_or(line.clone(), |(_, rest)| rest.to_owned())
}

/// Has a child do something before it becomes the program.
#[allow(unsafe_code)]
pub fn before(command: &mut Command, what: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) {
    // SAFETY: all that tests do there are system calls.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, what) };
}

/// close(2)
pub fn close(number: i32) -> std::io::Result<()> {
    Fd(number).close();
    Ok(())
}

/// Ignores a signal.
#[allow(unsafe_code)]
pub fn ignore(signal: i32) {
    // SAFETY: there is no handler.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// A new socket.
#[allow(unsafe_code)]
pub fn socket(family: AddressFamily, kind: SocketType) -> OwnedFd {
    let fd = rustix::net::socket(family, kind, None).unwrap();
    let number = rustix::fd::IntoRawFd::into_raw_fd(fd);
    // SAFETY: nobody else owns it.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(number) }
}

/// The address of a unix socket at that path, or of a name without a file if it begins with `@`.
pub fn address(name: &str) -> SocketAddrUnix {
    match name.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        None => SocketAddrUnix::new(name),
    }
    .unwrap()
}
