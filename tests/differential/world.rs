//! One scan directory with one set of daemons on it, the clients that drive them, and the transcript of what happened.
//!
//! Every process that a world starts has a mark in its environment, which whatever it starts inherits; those that are
//! left are killed when the world ends. Services find `$BASE`, the directory around the scan directory, and the FIFO
//! `$SAID`, through which they talk to their scenario, line by line.

use crate::compare::{Combination, Make, Transcript};
use crate::listener::Listener;
pub use crate::processes::*;
use crate::supervision::*;
use crate::tmp::TempDir;
use linchpin::sys::{Fd, file, process};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Commands of s6 that linchpin has too: scenarios may use these.
pub const COMMANDS: &[&str] = &[
    "s6-svc",
    "s6-svok",
    "s6-svstat",
    "s6-svwait",
    "s6-svlisten",
    "s6-svlisten1",
    "s6-svscanctl",
    "s6-svperms",
    "s6-svdt",
    "s6-svdt-clear",
    "s6-svlink",
    "s6-svunlink",
    "s6-permafailon",
    "s6-notifyoncheck",
    "s6-instance-maker",
    "s6-instance-create",
    "s6-instance-delete",
    "s6-instance-control",
    "s6-instance-status",
    "s6-instance-list",
    "s6-mkfifodir",
    "s6-cleanfifodir",
    "s6-ftrig-notify",
    "s6-ftrig-listen",
    "s6-ftrig-listen1",
    "s6-ftrig-wait",
    "s6-setsid",
    "s6-setlock",
    "s6-setuidgid",
    "s6-applyuidgid",
    "s6-envuidgid",
    "s6-envdir",
    "s6-softlimit",
    "s6-fghack",
];

/// A status file, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    pub stamp: u128,
    pub ready_stamp: u128,
    pub pid: i32,
    pub wstat: u16,
    pub flags: u8,
}

/// Flags of a status file.
pub const PAUSED: u8 = 1;
pub const FINISHING: u8 = 2;
pub const WANT_UP: u8 = 4;
pub const READY_FLAG: u8 = 8;

/// The world of one scenario in one combination.
pub struct World {
    pub combination: Combination,
    base: TempDir,
    mark: String,
    daemons: Vec<(String, Child)>,
    said: Fd,
    heard: Vec<u8>,
    transcript: Transcript,
}

impl World {
    pub fn new(combination: Combination) -> World {
        prepare_process();
        let base = TempDir::new();
        std::fs::create_dir(base.path().join("scan")).unwrap();
        std::fs::create_dir(base.path().join("bin")).unwrap();
        if combination.clients == Make::Linchpin {
            let have = available();
            for name in COMMANDS.iter().filter(|name| have.iter().any(|have| have == *name)) {
                std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_linchpin"), base.path().join("bin").join(name)).unwrap();
            }
        }
        make_fifo(&base.path().join("said"));
        let flags = OFlags::RDWR | OFlags::NONBLOCK;
        let said = file::open(Fd::CWD, &c_path(&base.path().join("said")), flags, 0).unwrap();
        let mark = format!("DIFFERENTIAL={}", base.path().display());
        World { combination, base, mark, daemons: Vec::new(), said, heard: Vec::new(), transcript: Vec::new() }
    }

    /// What was written down.
    pub fn transcript(&mut self) -> Transcript {
        std::mem::take(&mut self.transcript)
    }

    /// Whether the daemons are linchpin's: for what only concerns them.
    pub fn is_ours(&self) -> bool {
        self.combination.daemons == Make::Linchpin
    }

    /// A path beside the scan directory.
    pub fn base(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// A path in the scan directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.base("scan").join(name)
    }

    /// Writes a line of the transcript. The same label again gets a number.
    pub fn note(&mut self, label: &str, value: impl std::fmt::Display) {
        let again = |label: &String| self.transcript.iter().any(|(known, _)| known == label);
        let mut unique = label.to_owned();
        for number in 2.. {
            if !again(&unique) {
                break;
            }
            unique = format!("{label} #{number}");
        }
        self.transcript.push((unique, value.to_string()));
    }

    /// Makes a service (a link can take it out and in); see `make_service`.
    pub fn service(&self, name: &str, files: &[(&str, &str)]) {
        make_service(&self.path(".new"), files);
        std::fs::rename(self.path(".new"), self.path(name)).unwrap();
    }

    /// Writes an executable file.
    pub fn script(&self, path: &Path, content: &str) {
        let new = path.with_extension("new");
        std::fs::write(&new, content).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&new, path).unwrap();
    }

    /// Takes a service out of the scan directory: it is `.NAME` now.
    pub fn hide(&self, name: &str) {
        std::fs::rename(self.path(name), self.path(&format!(".{name}"))).unwrap();
    }

    /// A command line for the shell, in the scan directory, with the clients of this combination.
    pub fn command(&self, line: &str) -> Command {
        for word in line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| word.starts_with("s6-"))
        {
            assert!(
                COMMANDS.contains(&word) || ["s6-svscan", "s6-supervise"].contains(&word),
                "{word} is no command for a scenario"
            );
        }
        let path = std::env::var("PATH").unwrap();
        let (mark, tag) = self.mark.split_once('=').unwrap();
        // One process less where the shell has nothing left to do.
        let simple = line.starts_with("s6-") && !line.contains([';', '&', '|']);
        let exec = if simple { "exec " } else { "" };
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask 022; {exec}{line}")])
            .current_dir(self.path(""))
            .env("PATH", format!("{}:{path}", self.base("bin").display()))
            .env("BASE", self.base.path())
            .env("SAID", self.base("said"))
            .env(mark, tag)
            .stdin(Stdio::null());
        command
    }

    fn finish(&self, line: &str) -> (ExitStatus, String, String) {
        // Into files: something in the background may hold them open for longer.
        let count = unique();
        let (out, err) = (self.base(&format!("out{count}")), self.base(&format!("err{count}")));
        let mut command = self.command(line);
        let mut child =
            command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).spawn().unwrap();
        let status = wait_for(&mut child, line);
        (status, std::fs::read_to_string(out).unwrap(), std::fs::read_to_string(err).unwrap())
    }

    /// Runs a command and writes down how it ended; answers with its exit code (128 and more: by a signal).
    pub fn run(&mut self, line: &str) -> i32 {
        let (status, ..) = self.finish(line);
        self.note(line, ended(status));
        code(status)
    }

    /// Runs a command that is to time out; `TIME` in it is the limit in milliseconds. s6's clients of 2.11 need time to
    /// begin, and fail with 111 if they do not have it.
    pub fn times_out(&mut self, line: &str) {
        let mut ended_so = String::new();
        for limit in ["50", "500", "5000", "20000"] {
            ended_so = ended(self.finish(&line.replace("TIME", limit)).0);
            if ended_so != "exit 111" {
                break;
            }
        }
        self.note(line, ended_so);
    }

    /// Runs a client that waits for events of which some follow each other closely. s6's clients of 2.11 see only the
    /// last of those that they read together, and wait for ever: theirs may try again.
    pub fn waits(&mut self, line: &str) {
        let mut ended_so = ended(self.finish(line).0);
        for _ in 0..4 {
            if ended_so == "exit 99" && self.combination.clients == Make::S6 {
                ended_so = ended(self.finish(line).0);
            }
        }
        self.note(line, ended_so);
    }

    /// As `run`, and writes down what it printed.
    pub fn out(&mut self, line: &str) -> String {
        let (status, out, _) = self.finish(line);
        let shown = format!("{}: {}", ended(status), self.masked(out.trim_end()));
        self.note(line, shown);
        out.trim_end().to_owned()
    }

    /// As `run`, without writing anything down.
    pub fn try_run(&self, line: &str) -> i32 {
        code(self.finish(line).0)
    }

    /// What a command prints, without writing anything down.
    pub fn text(&self, line: &str) -> String {
        let (status, out, err) = self.finish(line);
        assert!(status.success(), "{line}: {status}: {err}");
        out.trim_end().to_owned()
    }

    /// Runs a command that must succeed, without writing anything down.
    pub fn ok(&self, line: &str) {
        self.text(line);
    }

    /// A command in the background, for `end_of`.
    pub fn begin(&self, line: &str) -> Child {
        let log = || OpenOptions::new().create(true).append(true).open(self.base("background")).unwrap();
        self.command(&format!("exec {line}")).stdout(log()).stderr(log()).spawn().unwrap()
    }

    /// Waits for it and writes down how it ended.
    pub fn end_of(&mut self, what: &str, mut child: Child) {
        let status = wait_for(&mut child, what);
        self.note(what, ended(status));
    }

    /// Text without what differs from run to run.
    fn masked(&self, text: &str) -> String {
        let text = text.replace(self.base.path().to_str().unwrap(), "$BASE");
        let mut masked = String::new();
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if rest.len() >= 25 && first == '@' && rest[1..25].chars().all(is_hex) {
                masked += "@STAMP";
                rest = &rest[25..];
            } else if digits > 0 && (masked.ends_with("pid ") || masked.ends_with("pgid ")) {
                masked += "PID";
                rest = &rest[digits..];
            } else if digits > 0 && rest[digits..].starts_with(" seconds") {
                masked += "SOME";
                rest = &rest[digits..];
            } else {
                masked.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        masked
    }

    /// Starts svscan on the scan directory; returns when it is ready.
    pub fn start(&mut self) {
        self.start_by("exec \"$@\"", "");
    }

    /// The same with options, by a script for the shell that executes `"$@"` in its end.
    pub fn start_by(&mut self, script: &str, options: &str) {
        let ready = self.base(&format!("ready{}", unique()));
        make_fifo(&ready);
        let flags = OFlags::RDWR | OFlags::NONBLOCK;
        let mut reader = file::open(Fd::CWD, &c_path(&ready), flags, 0).unwrap();
        let program = self.program("svscan");
        let line = format!("set -- {program} -d 9 {options} .; exec 9>{}; {script}", ready.display());
        self.daemon("svscan", &line);
        assert!(readable(reader, PATIENCE), "svscan is not ready: {}", self.log());
        reader.close();
    }

    /// Starts services and svscan, and returns when each has its supervisor and, unless it has a `down` file, is up.
    pub fn with(&mut self, services: &[Service<'_>]) {
        let mut listeners = Vec::new();
        for (name, files) in services {
            self.service(name, files);
            listeners.push((self.listen(name), if files.contains(&DOWN) { 's' } else { 'u' }));
        }
        self.start();
        for (listener, event) in &mut listeners {
            listener.until(*event);
        }
    }

    /// Starts a supervisor of its own for a service, which must exist; returns when it says that it has started.
    pub fn supervise(&mut self, name: &str) {
        let mut listener = self.listen(name);
        let program = self.program("supervise");
        self.daemon(name, &format!("set -- {program} {name}; exec \"$@\""));
        listener.until('s');
    }

    /// The program of a daemon, which is `svscan` or `supervise`.
    fn program(&self, daemon: &str) -> String {
        match self.combination.daemons {
            Make::S6 => format!("s6-{daemon}"),
            Make::Linchpin => format!("{} {daemon}", env!("CARGO_BIN_EXE_linchpin")),
        }
    }

    /// Runs a daemon that is to end at once, and writes down how it did.
    pub fn daemon_fails(&mut self, line: &str) {
        let (daemon, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let (status, ..) = self.finish(&format!("set -- {} {arguments}; exec \"$@\"", self.program(daemon)));
        self.note(line, ended(status));
    }

    fn daemon(&mut self, name: &str, line: &str) {
        let open = |name| OpenOptions::new().create(true).append(true).open(self.base(name)).unwrap();
        let mut command = Command::new("sh");
        let model = self.command(":");
        command.args(["-c", &format!("umask 022; {line}")]).current_dir(self.path("")).stdin(Stdio::null());
        for (key, value) in model.get_envs() {
            command.env(key, value.unwrap());
        }
        let child = command.stdout(open("stdout")).stderr(open("stderr")).spawn().unwrap();
        self.daemons.push((name.to_owned(), child));
    }

    /// The pid of a daemon: `svscan`, or the service of a supervisor.
    pub fn daemon_pid(&self, name: &str) -> i32 {
        self.daemons.iter().rev().find(|(known, _)| known == name).unwrap().1.id() as i32
    }

    /// Sends a signal to a daemon.
    pub fn signal(&self, daemon: &str, signal: i32) {
        kill(self.daemon_pid(daemon), signal);
    }

    /// Waits for the end of a daemon and writes it down.
    pub fn end(&mut self, daemon: &str) {
        let at = self.daemons.iter().rposition(|(known, _)| known == daemon).unwrap();
        let (name, mut child) = self.daemons.remove(at);
        let status = wait_for(&mut child, &format!("{name} does not end: {}", self.log()));
        self.note(&format!("{name} ends"), ended(status));
    }

    /// Whether a daemon is still there.
    pub fn runs(&mut self, daemon: &str) -> bool {
        let (_, child) = self.daemons.iter_mut().rev().find(|(known, _)| known == daemon).unwrap();
        child.try_wait().unwrap().is_none()
    }

    /// What daemons and services have written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.base("stderr")).unwrap_or_default()
    }

    /// Listens to the events of a service, whose fifodir is made if there is none.
    pub fn listen(&self, name: &str) -> Listener {
        let event = self.path(name).join("event");
        if std::fs::create_dir(&event).is_ok() {
            std::fs::set_permissions(&event, std::fs::Permissions::from_mode(0o3730)).unwrap();
        }
        Listener::new(&event)
    }

    /// Waits for an event, and writes down all events up to it.
    pub fn until(&mut self, listener: &mut Listener, event: char) {
        let events = listener.until(event);
        self.note("events", events);
    }

    /// Sends bytes to a supervisor, in one write.
    pub fn send(&self, name: &str, bytes: &str) {
        self.push(&format!("{name}/supervise/control"), bytes);
    }

    /// Writes into a FIFO in the scan directory, in one write, as soon as somebody reads it.
    pub fn push(&self, path: &str, text: &str) {
        let nonblocking = OFlags::NONBLOCK.bits() as i32;
        let open = || OpenOptions::new().write(true).custom_flags(nonblocking).open(self.path(path));
        self.eventually(path, || open().is_ok_and(|mut fifo| fifo.write_all(text.as_bytes()).is_ok()));
    }

    /// Waits until a FIFO in the scan directory has been read.
    pub fn drained(&self, path: &str) {
        let mut fifo = file::open(Fd::CWD, &c_path(&self.path(path)), OFlags::RDWR | OFlags::NONBLOCK, 0).unwrap();
        self.eventually(path, || rustix::io::ioctl_fionread(fifo).unwrap() == 0);
        fifo.close();
    }

    /// The next line that a service has written to `$SAID`.
    pub fn hear(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line = self.heard.drain(..=end).collect::<Vec<_>>();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(readable(self.said, left), "nobody says anything; {}", self.log());
            self.take_said();
        }
    }

    fn take_said(&mut self) {
        let mut buf = [0; 4096];
        let n = file::read_fifo(self.said, &mut buf).unwrap().unwrap_or(0);
        self.heard.extend_from_slice(&buf[..n]);
    }

    /// Writes down the next line that a service says.
    pub fn heard(&mut self, label: &str) {
        let line = self.hear();
        let line = self.masked(&line);
        self.note(label, line);
    }

    /// What else services have said by now.
    pub fn unheard(&mut self) -> String {
        self.take_said();
        String::from_utf8(std::mem::take(&mut self.heard)).unwrap()
    }

    /// Waits until something is so that has no event.
    pub fn eventually(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "{what}: did not come true; {}", self.log());
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// The status of a service, if it has one.
    pub fn try_status(&self, name: &str) -> Option<Status> {
        let bytes = std::fs::read(self.path(name).join("supervise/status")).ok()?;
        let stamp = |at: usize| {
            let sec = u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
            let nano = u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap());
            u128::from(sec) * 1_000_000_000 + u128::from(nano)
        };
        assert_eq!(bytes.len(), 35, "a status of {name}");
        Some(Status {
            stamp: stamp(0),
            ready_stamp: stamp(12),
            pid: u64::from_be_bytes(bytes[24..32].try_into().unwrap()).try_into().unwrap(),
            wstat: u16::from_be_bytes(bytes[32..34].try_into().unwrap()),
            flags: bytes[34],
        })
    }

    /// The status of a service that has one.
    pub fn status_of(&self, name: &str) -> Status {
        self.try_status(name).unwrap()
    }

    /// Writes down the status, without what differs from run to run.
    pub fn status(&mut self, name: &str) {
        let status = self.status_of(name);
        let pid = if status.pid > 0 { "pid" } else { "no pid" };
        self.note(
            &format!("status of {name}"),
            format!("{pid}, wstat {:04x}, flags {:02x}", status.wstat, status.flags),
        );
    }

    /// Waits for a status, then writes it down.
    pub fn await_status(&mut self, name: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        self.eventually("status", || self.try_status(name).is_some_and(|status| wanted(&status)));
        self.status(name);
        self.status_of(name)
    }

    /// The pid of a service that is up, or will be in a moment.
    pub fn pid_of(&self, name: &str) -> i32 {
        let is_up = |status: Status| status.pid > 0 && status.flags & FINISHING == 0;
        self.eventually("up", || self.try_status(name).is_some_and(is_up));
        self.status_of(name).pid
    }

    /// Writes down types, modes and (of files that have one) sizes below a directory of the scan directory.
    pub fn layout(&mut self, name: &str) {
        let mut lines = Vec::new();
        describe(&self.path(name), name, &mut lines);
        lines.sort();
        self.note(&format!("layout of {name}"), lines.join(", "));
    }

    /// Writes down the death tally, without stamps.
    pub fn tally(&mut self, name: &str) {
        let bytes = std::fs::read(self.path(name).join("supervise/death_tally")).unwrap();
        let records: Vec<_> = bytes.chunks(14).map(|r| format!("{:02x?}", r.get(12..).unwrap_or(r))).collect();
        self.note(&format!("deaths of {name}"), records.join(" "));
    }

    /// How many listen in a fifodir (those that are about to are hidden yet).
    pub fn listeners(&self, fifodir: &str) -> usize {
        let entries = std::fs::read_dir(self.path(fifodir)).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| !name.starts_with('.'))).count()
    }

    /// Everything that this world has started and that is not over.
    pub fn processes(&self) -> Vec<i32> {
        marked(&self.mark)
    }

    /// Returns once the scanner has done everything that was asked for before.
    pub fn settle(&self) {
        make_service(&self.path(".settle"), &[DOWN]);
        let mut events = self.listen(".settle");
        std::fs::rename(self.path(".settle"), self.path("settle")).unwrap();
        self.send_svscan("a");
        events.until('s');
        self.hide("settle");
        self.send_svscan("a");
        self.send(".settle", "x");
        events.until('x');
        self.eventually("the end of a supervisor", || self.try_run("s6-svok .settle") != 0);
        std::fs::remove_dir_all(self.path(".settle")).unwrap();
    }

    /// Sends bytes to the scanner, in one write.
    pub fn send_svscan(&self, bytes: &str) {
        self.push(".s6-svscan/control", bytes);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}: {:#?}\nlog:\n{}", self.combination, self.transcript, self.log());
        }
        // As long as there is somebody who may start somebody else.
        for _ in 0..100 {
            let left = marked(&self.mark);
            if left.is_empty() {
                break;
            }
            for pid in left {
                let _ = process::kill(pid, 9);
            }
        }
        for (_, child) in &mut self.daemons {
            let _ = child.wait();
        }
        self.said.close();
    }
}

fn describe(path: &Path, name: &str, lines: &mut Vec<String>) {
    // Linchpin's own, in a directory that is its owner's.
    if name.ends_with(".s6-svscan/state") {
        return;
    }
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return };
    let kind = metadata.file_type();
    let letter = match () {
        () if kind.is_dir() => 'd',
        () if kind.is_fifo() => 'p',
        () if kind.is_symlink() => 'l',
        () if kind.is_socket() => 's',
        () => '-',
    };
    let size = if kind.is_file() { format!(" {}", metadata.len()) } else { String::new() };
    lines.push(format!("{name} {letter}{:o}{size}", metadata.mode() & 0o7777));
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            let entry_name = entry.file_name();
            describe(&entry.path(), &format!("{name}/{}", entry_name.to_str().unwrap()), lines);
        }
    }
}
