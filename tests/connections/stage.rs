//! One scenario with one maker's programs over one protocol: a directory, a server with its listener and its log, clients,
//! and the transcript of what happened.

use crate::tmp::TempDir;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Whose programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Maker {
    Debian,
    Linchpin,
}

/// What connections are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proto {
    Ipc,
    Tcp4,
    Tcp6,
}

impl Proto {
    /// The wrapper's name; with a `d`, the server's.
    pub fn server(self) -> &'static str {
        if self == Proto::Ipc { "ipcserver" } else { "tcpserver" }
    }

    /// The address that servers are bound to.
    pub fn ip(self) -> &'static str {
        match self {
            Proto::Ipc => "",
            Proto::Tcp4 => "127.0.0.1",
            Proto::Tcp6 => "::1",
        }
    }
}

/// A line of a transcript: what was done or looked at, and what came of it.
#[derive(Clone, Debug)]
pub struct Line {
    pub label: String,
    pub value: String,
    /// Belongs to the protocol: it need not be the same over another one.
    pub specific: bool,
    /// What the specification says; ours must say that.
    pub wanted: Option<String>,
}

/// An event that a server's log tells at verbosity 2.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    Starting,
    Exiting,
    /// So many connections.
    Status(u32),
    /// A handler, called by a letter, has been started; so many connections of its client.
    Accepted(char, u32),
    /// A client has too many connections.
    Refused(u32),
    /// A handler has ended like this; so many connections of its client are left.
    Ended(char, &'a str, u32),
    Received(Signal),
    /// A line that is no matter of protocols.
    Line(&'a str),
}

/// The commands of linchpin that scenarios use.
const COMMANDS: &[&str] = &[
    "accessrules-cdb-from-fs",
    "applyuidgid",
    "connlimit",
    "envdir",
    "envuidgid",
    "ioconnect",
    "ipcclient",
    "ipcserver",
    "ipcserver-access",
    "ipcserver-socketbinder",
    "ipcserverd",
    "setuidgid",
    "sudo",
    "sudoc",
    "sudod",
    "tcpclient",
    "tcpserver",
    "tcpserver-access",
    "tcpserver-socketbinder",
    "tcpserverd",
];

/// How long something may take that happens at once unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The place of one scenario with one maker's programs over one protocol.
pub struct Stage {
    pub maker: Maker,
    pub proto: Proto,
    dir: TempDir,
    server: Option<Child>,
    /// Where the server listens.
    place: Option<SocketAddr>,
    /// Words before the server's command, and its additional variables.
    before: Vec<String>,
    variables: Vec<(String, String)>,
    /// Greatest numbers of connections, in all and of one client: for the log.
    limits: (u32, u32),
    transcript: Vec<Line>,
}

impl Stage {
    pub fn new(maker: Maker, proto: Proto) -> Stage {
        let dir = TempDir::new();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        std::fs::create_dir(dir.path().join("here")).unwrap();
        if maker == Maker::Linchpin {
            for name in COMMANDS {
                let link = dir.path().join("bin").join(format!("s6-{name}"));
                std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_linchpin"), link).unwrap();
            }
        }
        Stage {
            maker,
            proto,
            dir,
            server: None,
            place: None,
            before: Vec::new(),
            variables: Vec::new(),
            limits: (40, 40),
            transcript: Vec::new(),
        }
    }

    // What is written down.

    /// What was written down.
    pub fn transcript(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.transcript)
    }

    fn write(&mut self, label: &str, value: String, specific: bool, wanted: Option<String>) {
        let again = |label: &String| self.transcript.iter().any(|line| line.label == *label);
        let mut unique = label.to_owned();
        for number in 2.. {
            if !again(&unique) {
                break;
            }
            unique = format!("{label} #{number}");
        }
        self.transcript.push(Line { label: unique, value, specific, wanted });
    }

    /// Writes a line that must be the same everywhere. The same label again gets a number.
    pub fn note(&mut self, label: &str, value: impl std::fmt::Display) {
        self.write(label, value.to_string(), false, None);
    }

    /// Writes a line that belongs to the protocol, and what it must be with our programs.
    pub fn spec(&mut self, label: &str, value: impl std::fmt::Display, wanted: &str) {
        self.write(label, value.to_string(), true, Some(wanted.to_owned()));
    }

    // Files and commands.

    /// The directory in which everything runs.
    pub fn here(&self) -> PathBuf {
        self.dir.path().join("here")
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.here().join(name)
    }

    /// Writes a file in it, with the directories on the way to that.
    pub fn file(&self, name: &str, content: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
    }

    /// What PATH must be for the programs of this maker to be found.
    pub fn search(&self) -> String {
        match self.maker {
            Maker::Debian => "/usr/bin:/bin".into(),
            Maker::Linchpin => format!("{}:/usr/bin:/bin", self.dir.path().join("bin").display()),
        }
    }

    /// The maker's command `s6-NAME`: PATH is its environment, it reads nothing, says nothing, and complains to the log.
    pub fn command(&self, name: &str) -> Command {
        self.bare(&match self.maker {
            Maker::Debian => format!("/usr/bin/s6-{name}"),
            Maker::Linchpin => self.dir.path().join(format!("bin/s6-{name}")).to_str().unwrap().to_owned(),
        })
    }

    /// The same for any program.
    pub fn bare(&self, program: &str) -> Command {
        let log = File::options().append(true).create(true).open(self.dir.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.env_clear().env("PATH", self.search()).current_dir(self.here());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Runs the maker's `s6-NAME` with these words to its end: how it ended, and what it wrote to its standard output.
    pub fn run(&self, name: &str, words: &[&str]) -> String {
        end_and_output(self.command(name).args(words))
    }

    /// Lets a shell, in which the maker's programs are found, run `script` to its end: how it ended, and what it wrote.
    pub fn shell(&self, script: &str) -> String {
        end_and_output(self.bare("/bin/sh").args(["-c", script]))
    }

    // The server.

    /// Words that come before the server's command.
    pub fn through(&mut self, words: &[&str]) {
        self.before = words.iter().map(|&word| word.to_owned()).collect();
    }

    /// A variable of the server's environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.into(), value.into()));
    }

    /// What the log tells as limits; 40 and 40 if nothing else is said.
    pub fn limits(&mut self, all: u32, one: u32) {
        self.limits = (all, one);
    }

    /// Listens at a place of its own; what the binders would hand on.
    pub fn listener(&mut self) -> OwnedFd {
        self.listen(true)
    }

    /// The same, blocking or not.
    pub fn listen(&mut self, non_blocking: bool) -> OwnedFd {
        if self.proto == Proto::Ipc {
            let listener = UnixListener::bind(self.path("s")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            std::fs::set_permissions(self.path("s"), mode).unwrap();
            listener.set_nonblocking(non_blocking).unwrap();
            return listener.into();
        }
        let listener = TcpListener::bind((self.proto.ip(), 0)).unwrap();
        listener.set_nonblocking(non_blocking).unwrap();
        self.place = Some(listener.local_addr().unwrap());
        listener.into()
    }

    /// Starts the server (`s6-ipcserverd` or `s6-tcpserverd`) for a new listener.
    pub fn serve(&mut self, options: &[&str], prog: &[&str]) {
        let listener = self.listener();
        let mut command = self.server_command(options, prog);
        command.stdin(listener);
        self.start(command);
    }

    /// The server's command.
    pub fn server_command(&self, options: &[&str], prog: &[&str]) -> Command {
        let server = self.command(&format!("{}d", self.proto.server()));
        let mut command = match self.before.split_first() {
            None => server,
            Some((first, more)) => {
                let mut command = self.bare(first);
                command.args(more).arg(server.get_program());
                command
            }
        };
        command.args(options).args(prog).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a command as the server.
    pub fn start(&mut self, mut command: Command) {
        self.server = Some(command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")));
    }

    /// Starts the wrapper (`s6-ipcserver` or `s6-tcpserver`) with `-1` and waits until it is ready.
    pub fn wrapper(&mut self, options: &[&str], prog: &[&str]) {
        let mut command = self.command(self.proto.server());
        command.args(options).arg("-1");
        match self.proto {
            Proto::Ipc => command.arg("s"),
            _ => command.args([self.proto.ip(), "0"]),
        };
        command.args(prog).envs(self.variables.iter().map(|(name, value)| (name, value))).stdout(Stdio::piped());
        self.start(command);
        let mut ready = String::new();
        self.server.as_mut().unwrap().stdout.take().unwrap().read_to_string(&mut ready).unwrap();
        if self.proto != Proto::Ipc {
            let port = ready.strip_suffix('\n').and_then(|port| port.parse().ok());
            let port = port.unwrap_or_else(|| panic!("{ready:?} is no port: {}", self.raw_log()));
            self.place = Some(SocketAddr::new(self.proto.ip().parse().unwrap(), port));
        } else {
            assert_eq!(ready, "\n", "{}", self.raw_log());
        }
    }

    /// The server's port is that of this listener.
    pub fn placed(&mut self, listener: &TcpListener) {
        let port = listener.local_addr().unwrap().port();
        self.place = Some(SocketAddr::new(self.proto.ip().parse().unwrap(), port));
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    /// A pipe that the server's command was given as its standard output.
    pub fn server_output(&mut self) -> String {
        let mut output = String::new();
        self.server.as_mut().unwrap().stdout.take().unwrap().read_to_string(&mut output).unwrap();
        output
    }

    /// Sends the server a signal, once it takes signals.
    pub fn signal(&self, signal: Signal) {
        if [Signal::TERM, Signal::HUP, Signal::QUIT, Signal::ABORT].contains(&signal) {
            let set = |name| u64::from_str_radix(&status_field(self.pid(), name), 16).unwrap_or_default();
            let bit = 1_u64 << (signal.as_raw() - 1);
            eventually("the server takes signals", || (set("SigBlk") | set("SigCgt")) & bit != 0);
        }
        kill_process(Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits for the server's end.
    pub fn end(&mut self) -> String {
        let mut server = self.server.take().unwrap();
        let mut end = None;
        eventually("the server ends", || {
            end = server.try_wait().unwrap();
            end.is_some()
        });
        how(end.unwrap())
    }

    /// Ends the server with SIGTERM, and notes how it ended.
    pub fn finish(&mut self) {
        self.signal(Signal::TERM);
        let end = self.end();
        self.note("the server ends", end);
    }

    /// The server's port, or nothing.
    pub fn port(&self) -> String {
        self.place.map(|place| place.port().to_string()).unwrap_or_default()
    }

    // Clients.

    /// A connection to the server.
    pub fn connect(&self) -> Client {
        let (socket, port) = match self.place {
            None => (UnixStream::connect(self.path("s")).unwrap(), 0),
            Some(place) => {
                let stream = TcpStream::connect(place).unwrap();
                let port = stream.local_addr().unwrap().port();
                // Only what all sockets can do is done with it.
                (UnixStream::from(OwnedFd::from(stream)), port)
            }
        };
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { socket, port }
    }

    /// A connection whose handler has said `up`.
    pub fn connect_up(&self) -> Client {
        let client = self.connect();
        assert_eq!(client.line(), "up", "{}", self.raw_log());
        client
    }

    /// Notes the environment that `client`'s handler has printed; `number` is what its connection must be counted as, `more`
    /// what else belongs to the protocol.
    pub fn environment(&mut self, label: &str, client: &Client, number: u32, more: &[&str]) {
        let printed = client.rest();
        let own = |line: &&str| ["PROTO=", "IPC", "TCP"].iter().any(|start| line.starts_with(start));
        let (own, others): (Vec<_>, Vec<_>) = printed.lines().partition(own);
        let mut others: Vec<_> = others.into_iter().filter(|line| !line.starts_with("PATH=")).collect();
        others.sort_unstable();
        self.note(&format!("{label}: other variables"), others.join("\n"));
        let number = number.to_string();
        let (ip, port, client_port) = (self.proto.ip(), self.port(), client.port.to_string());
        let mut wanted: Vec<String> = if self.proto == Proto::Ipc {
            let pairs = [("EUID", "0"), ("EGID", "0"), ("PATH", "")];
            pairs.iter().map(|(name, value)| format!("IPCREMOTE{name}={value}")).collect()
        } else {
            let names = ["LOCALIP", "LOCALPORT", "REMOTEIP", "REMOTEPORT"];
            let values = [ip, &port, ip, &client_port];
            names.iter().zip(values).map(|(name, value)| format!("TCP{name}={value}")).collect()
        };
        let proto = if self.proto == Proto::Ipc { "IPC" } else { "TCP" };
        wanted.extend([format!("PROTO={proto}"), format!("{proto}CONNNUM={number}")]);
        wanted.extend(more.iter().map(|&line| line.to_owned()));
        wanted.sort_unstable();
        let mut own: Vec<String> = own.into_iter().map(str::to_owned).collect();
        own.sort_unstable();
        self.spec(label, own.join("\n"), &wanted.join("\n"));
    }

    /// A client whose user is nobody, and its end of the connection in a shell's descriptors 6 and 7. (Debian's
    /// `s6-ipcclient`: nobody may not go where ours was built.)
    pub fn nobody(&self, script: &str) -> Child {
        let mut command = self.bare("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/s6-ipcclient", "s"]);
        command.args(["/bin/sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    // The log.

    /// All that was written to standard error.
    pub fn raw_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Waits until the log has so many lines with `text`.
    pub fn until(&self, text: &str, times: usize) {
        let what = || format!("{times} of {text:?} in {:?}", self.raw_log());
        eventually(&what(), || self.raw_log().lines().filter(|line| line.contains(text)).count() >= times);
    }

    /// Waits until the log tells the number of connections for the `times`th time (the first is told at the start).
    pub fn settled(&self, times: usize) {
        self.until("info: status: ", times);
    }

    /// The log without what is different in each run. Processes are called A, B, ... in the order in which they appear.
    pub fn log(&self) -> String {
        let mut pids: Vec<String> = Vec::new();
        let here = self.here().display().to_string();
        let log = self.raw_log().replace(&here, "HERE");
        let line = |line: &str| {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            for at in 1..words.len() {
                let (word, number) = (words[at - 1].as_str(), words[at].trim_end_matches(':'));
                if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                    if words[at].rsplit_once('_').is_some_and(|(ip, _)| ip == self.proto.ip()) {
                        words[at] = "CLIENT".into();
                    }
                } else if word == "pid" {
                    let known = pids.iter().position(|pid| pid == number);
                    let index = known.unwrap_or_else(|| {
                        pids.push(number.to_owned());
                        pids.len() - 1
                    });
                    let letter = char::from(b'A' + u8::try_from(index).unwrap());
                    words[at] = words[at].replace(number, &letter.to_string());
                } else if word == "port" && number == self.port() {
                    words[at] = "PORT".into();
                }
            }
            words.join(" ")
        };
        log.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Notes the log line by line; it must tell these events.
    pub fn log_tells(&mut self, label: &str, events: &[Event]) {
        let wanted: Vec<String> = events.iter().map(|event| self.told(event)).collect();
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        for at in 0..lines.len().max(wanted.len()) {
            let line = |line: Option<&str>| line.unwrap_or("nothing").to_owned();
            let wanted = Some(line(wanted.get(at).map(String::as_str)));
            self.write(&format!("{label}, line {}", at + 1), line(lines.get(at).copied()), true, wanted);
        }
    }

    /// The same, as one line of the transcript.
    pub fn log_tells_at_once(&mut self, label: &str, events: &[Event]) {
        let wanted: Vec<String> = events.iter().map(|event| self.told(event)).collect();
        let log = self.log();
        // What Debian's child says before it executes its program comes when it comes.
        let (children, server): (Vec<_>, Vec<_>) = log.lines().partition(|line| line.contains(" (child): "));
        self.spec(label, [server, children].concat().join("\n"), &wanted.join("\n"));
    }

    /// An event as the server tells it.
    fn told(&self, event: &Event) -> String {
        let ipc = self.proto == Proto::Ipc;
        let (all, one) = self.limits;
        let and = if ipc { "+" } else { " and " };
        let text = match *event {
            Event::Line(line) => return line.to_owned(),
            Event::Starting if ipc => "starting".to_owned(),
            Event::Starting => format!("starting - bound to ip {} port PORT", self.proto.ip()),
            Event::Exiting => "exiting".to_owned(),
            Event::Status(number) => format!("status: {number}/{all}"),
            Event::Accepted(pid, count) if ipc => format!("allow 0:0 pid {pid} count {count}/{one}"),
            Event::Accepted(pid, count) => format!("accept CLIENT pid {pid} count {count}/{one}"),
            Event::Refused(count) if ipc => format!("deny 0:0 count {count}/{one}: too many connections of this user"),
            Event::Refused(count) => format!("reject CLIENT count {count}/{one}"),
            Event::Ended(pid, how, _) if ipc => format!("end pid {pid} uid 0 {how}"),
            Event::Ended(pid, how, left) => format!("end pid {pid} {how} count {left}/{one}"),
            Event::Received(Signal::TERM) => "received SIGTERM, quitting".to_owned(),
            Event::Received(Signal::HUP) => {
                format!("received SIGHUP, sending SIGTERM{and}SIGCONT to all connections")
            }
            Event::Received(Signal::QUIT) => {
                format!("received SIGQUIT, sending SIGTERM{and}SIGCONT to all connections and quitting")
            }
            Event::Received(_) => "received SIGABRT, sending SIGKILL to all connections and quitting".to_owned(),
        };
        format!("s6-{}d: info: {text}", self.proto.server())
    }
}

impl Drop for Stage {
    /// Handlers of scenarios end when their clients have gone; the server is told.
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// A client's end of a connection.
pub struct Client {
    /// A socket of either kind.
    socket: UnixStream,
    /// The port from which the connection was made; 0 without ports.
    pub port: u16,
}

impl Client {
    /// The next line, without its end; what there is of it if the connection ends.
    pub fn line(&self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match (&self.socket).read(&mut byte) {
                Ok(1) if byte == *b"\n" => break,
                Ok(1) => line.extend(byte),
                Ok(_) => break,
                Err(e) => panic!("after {:?}: {e}", String::from_utf8_lossy(&line)),
            }
        }
        String::from_utf8(line).unwrap()
    }

    /// All that comes until the connection ends.
    pub fn rest(&self) -> String {
        let mut rest = String::new();
        (&self.socket).read_to_string(&mut rest).unwrap_or_else(|e| panic!("after {rest:?}: {e}"));
        rest
    }

    pub fn say(&self, text: &str) {
        (&self.socket).write_all(text.as_bytes()).unwrap();
    }

    /// Whether something said comes back.
    pub fn answers(&self) -> bool {
        self.say("echo\n");
        self.line() == "echo"
    }
}

/// A descriptor of rustix's as one of std's.
pub fn owned(fd: rustix::fd::OwnedFd) -> OwnedFd {
    // SAFETY: it was owned, and its owner has let go of it.
    #[allow(unsafe_code)]
    unsafe {
        OwnedFd::from_raw_fd(rustix::fd::IntoRawFd::into_raw_fd(fd))
    }
}

/// How a process ended.
pub fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit {code}"),
        None => format!("signal {}", status.signal().unwrap()),
    }
}

/// Runs a command to its end.
pub fn end_and_output(command: &mut Command) -> String {
    let done = command.stdout(Stdio::piped()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let output = String::from_utf8(done.stdout).unwrap();
    format!("{}: {}", how(done.status), output.trim_end())
}

/// Waits for what has no event.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The text after `name:` in a process's status file.
pub fn status_field(pid: impl std::fmt::Display, name: &str) -> String {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
