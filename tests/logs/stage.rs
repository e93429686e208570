//! One scenario with one maker's s6-log: a directory, a logger that runs in it, its input, and the transcript of what
//! happened.

use crate::look;
use crate::tmp::TempDir;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Whose logger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Maker {
    Debian,
    Linchpin,
}

/// A line of a transcript: what was done or looked at, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub label: String,
    pub value: String,
}

/// How long something may take that happens at once unless the machine is very busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Sets the umask and becomes the logger.
const WITH_UMASK: &str = "umask $UMASK && unset UMASK && exec \"$0\" \"$@\"";

/// Closes what the tests' runner may have had open.
const CLOSED: &str = "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-;";

/// The place of one scenario with one maker's logger.
pub struct Stage {
    pub maker: Maker,
    dir: TempDir,
    umask: &'static str,
    variables: Vec<(String, String)>,
    running: Option<Running>,
    transcript: Vec<Line>,
    inputs: u32,
    began: look::Moment,
}

/// A logger that runs.
struct Running {
    child: Child,
    /// The end of the pipe that is its input into which we write.
    input: Option<File>,
    /// Another descriptor of the end that it reads.
    other: File,
}

impl Stage {
    pub fn new(maker: Maker) -> Stage {
        let dir = TempDir::new();
        std::fs::create_dir(dir.path().join("here")).unwrap();
        if maker == Maker::Linchpin {
            for name in ["s6-log", "s6-tai64nlocal"] {
                dir.command(name);
            }
        }
        Stage {
            maker,
            dir,
            umask: "022",
            variables: Vec::new(),
            running: None,
            transcript: Vec::new(),
            inputs: 0,
            began: look::Moment::now(),
        }
    }

    // What is written down.

    /// What was written down.
    pub fn transcript(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.transcript)
    }

    /// Writes a line. The same label again gets a number.
    pub fn note(&mut self, label: &str, value: impl std::fmt::Display) {
        let again = |label: &String| self.transcript.iter().any(|line| line.label == *label);
        let mut unique = label.to_owned();
        for number in 2.. {
            if !again(&unique) {
                break;
            }
            unique = format!("{label} #{number}");
        }
        let value = value.to_string().replace(self.dir.path().to_str().unwrap(), "PLACE");
        self.transcript.push(Line { label: unique, value });
    }

    /// Notes all that there is in the directory: kinds, modes, links and sizes of files, then their contents. A logger that
    /// runs has nothing to do.
    pub fn look(&mut self, label: &str) {
        if self.running.is_some() {
            self.at_rest();
        }
        let (files, contents) = look::tree(&self.here(), self.began);
        self.note(&format!("{label}: files"), files);
        self.note(&format!("{label}: contents"), contents);
    }

    /// Notes what was written to standard error since the last time; of a usage, that it was told.
    pub fn complaints(&mut self, label: &str) {
        let text = look::masked(self.told().as_bytes(), self.began);
        let line = |line: &str| line.find(": usage:").map_or(line.len(), |at| at + ": usage:".len());
        let lines: Vec<&str> = text.lines().map(|whole| &whole[..line(whole)]).collect();
        self.note(label, lines.join("\n"));
        std::fs::write(self.dir.path().join("err"), "").unwrap();
    }

    /// The same, where a line that comes again and again counts once.
    pub fn complaints_once(&mut self, label: &str) {
        let text = self.told();
        let mut lines: Vec<&str> = Vec::new();
        for line in text.lines() {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        self.note(label, lines.join("\n"));
        std::fs::write(self.dir.path().join("err"), "").unwrap();
    }

    /// Notes what was written to standard output since the last time.
    pub fn output(&mut self, label: &str) {
        let text = std::fs::read(self.dir.path().join("out")).unwrap_or_default();
        self.note(label, look::masked(&text, self.began));
        std::fs::write(self.dir.path().join("out"), "").unwrap();
    }

    /// When the scenario began.
    pub fn began(&self) -> look::Moment {
        self.began
    }

    // Files.

    /// The directory in which everything runs.
    pub fn here(&self) -> PathBuf {
        self.dir.path().join("here")
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.here().join(name)
    }

    /// Makes a directory in it.
    pub fn directory(&self, name: &str) {
        std::fs::create_dir_all(self.path(name)).unwrap();
        std::fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes a file in it, of mode 644.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        self.file_of_mode(name, 0o644, content);
    }

    /// Writes a file in it, with the directory in which that is.
    pub fn file_of_mode(&self, name: &str, mode: u32, content: impl AsRef<[u8]>) {
        if let Some((directory, _)) = name.rsplit_once('/') {
            self.directory(directory);
        }
        std::fs::write(self.path(name), content).unwrap();
        std::fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// A file's content; nothing if it is not there.
    pub fn content(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_default()
    }

    /// The names of archives of a logdir, as they sort.
    pub fn archives(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(directory)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| look::is_archive(name)).collect();
        names.sort_unstable();
        names
    }

    // Loggers.

    /// A variable of the logger's environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.into(), value.into()));
    }

    /// The logger's umask; 022 if nothing else is said.
    pub fn umask(&mut self, umask: &'static str) {
        self.umask = umask;
    }

    /// The maker's logger.
    pub fn program(&self) -> String {
        self.tool("s6-log")
    }

    /// The maker's program of this name.
    pub fn tool(&self, name: &str) -> String {
        match self.maker {
            Maker::Debian => format!("/usr/bin/{name}"),
            Maker::Linchpin => self.dir.path().join(name).to_str().unwrap().to_owned(),
        }
    }

    /// The logger's command with these words. It complains to a file, and writes to one; it reads nothing.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.shell(WITH_UMASK);
        command.arg(self.program()).args(words);
        command
    }

    /// The same for a shell's script, which finds more words as its own. The umask is in UMASK.
    pub fn shell(&self, script: &str) -> Command {
        let append = |name| File::options().append(true).create(true).open(self.dir.path().join(name)).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{CLOSED} {script}")]).current_dir(self.here());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("UMASK", self.umask);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(append("out")).stderr(append("err"));
        command
    }

    /// A regular file with this input.
    pub fn input(&mut self, input: &[u8]) -> File {
        self.inputs += 1;
        let path = self.dir.path().join(format!("input{}", self.inputs));
        std::fs::write(&path, input).unwrap();
        File::open(path).unwrap()
    }

    /// Lets a logger with these words read this input from a regular file to its end, and notes how it ended, its standard
    /// output and its standard error.
    pub fn feed(&mut self, words: &[&str], input: impl AsRef<[u8]>) {
        let input = self.input(input.as_ref());
        let mut command = self.command(words);
        command.stdin(input);
        self.run(command);
    }

    /// Runs a command to its end, and notes how it ended, its standard output and its standard error.
    pub fn run(&mut self, mut command: Command) {
        let mut child = command.spawn().unwrap();
        let end = ended(&mut child);
        self.note("end", end);
        self.output("stdout");
        self.complaints("stderr");
    }

    /// Starts a logger with these words, whose input is a pipe.
    pub fn start(&mut self, words: &[&str]) {
        let command = self.command(words);
        self.start_command(command);
    }

    /// Starts a logger's command, whose input is a pipe.
    pub fn start_command(&mut self, mut command: Command) {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let (read, write) = (File::from(owned(read)), File::from(owned(write)));
        command.stdin(read.try_clone().unwrap());
        let child = command.spawn().unwrap();
        self.running = Some(Running { child, input: Some(write), other: read });
    }

    /// Starts a logger's command, whose input is what the command says.
    pub fn start_reading(&mut self, mut command: Command) {
        let child = command.spawn().unwrap();
        self.running = Some(Running { child, input: None, other: File::open("/dev/null").unwrap() });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// The logger's process.
    pub fn pid(&self) -> u32 {
        self.running().child.id()
    }

    /// Gives the logger this to read.
    pub fn say(&self, text: impl AsRef<[u8]>) {
        self.running().input.as_ref().unwrap().write_all(text.as_ref()).unwrap();
    }

    /// The logger's input ends here.
    pub fn eof(&mut self) {
        drop(self.running.as_mut().unwrap().input.take());
    }

    /// Sends the logger a signal, once it takes signals.
    pub fn signal(&self, signal: Signal) {
        self.until_ready();
        self.kill(signal);
    }

    /// Sends the logger a signal.
    pub fn kill(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits until the logger takes signals: its logdirs are open then.
    pub fn until_ready(&self) {
        let set = |name| u64::from_str_radix(&status_field(self.pid(), name), 16).unwrap_or_default();
        let bit = 1_u64 << (Signal::TERM.as_raw() - 1);
        self.eventually("the logger takes signals", || (set("SigBlk") | set("SigCgt") | set("SigIgn")) & bit != 0);
    }

    /// Waits until the logger has taken what there is to read, and waits itself for something to happen.
    pub fn at_rest(&self) {
        let pid = self.pid();
        let waits = || {
            let place = std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
            // Kernels that do not tell it say 0.
            status_field(pid, "State").starts_with('S') && (place.contains("poll") || place == "0" || place.is_empty())
        };
        // In this order.
        self.eventually("it is at rest", || self.unread() == 0 && waits());
    }

    /// Stops the logger, which is at rest, and waits until it is stopped.
    pub fn stop(&self) {
        self.at_rest();
        self.kill(Signal::STOP);
        self.eventually("it is stopped", || status_field(self.pid(), "State").starts_with('T'));
    }

    /// Waits for the logger's end, and notes it. What it has left in its pipe can be read.
    pub fn end(&mut self) -> Vec<u8> {
        let mut running = self.running.take().unwrap();
        let end = ended(&mut running.child);
        self.note("end", end);
        drop(running.input);
        let mut left = Vec::new();
        // Nobody else has the end for writing any more.
        let flags = rustix::fs::fcntl_getfl(rustix_fd(&running.other)).unwrap();
        rustix::fs::fcntl_setfl(rustix_fd(&running.other), flags - rustix::fs::OFlags::NONBLOCK).unwrap();
        running.other.read_to_end(&mut left).unwrap();
        left
    }

    /// Whether the logger is still there after a while.
    pub fn is_there_after(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let child = &mut self.running.as_mut().unwrap().child;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Ends the logger with SIGTERM, and notes how it ended.
    pub fn finish(&mut self) {
        self.signal(Signal::TERM);
        self.end();
    }

    /// Kills the logger, and waits until it is gone.
    pub fn destroy(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// Bytes that the logger has not taken from its pipe yet.
    pub fn unread(&self) -> u64 {
        rustix::io::ioctl_fionread(rustix_fd(&self.running().other)).unwrap()
    }

    // Waiting.

    /// Waits for what has no event.
    pub fn eventually(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            if Instant::now() > deadline {
                let (files, _) = look::tree(&self.here(), self.began);
                panic!("{:?}: it did not come true: {what}\n{files}\n{}", self.maker, self.told());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until a file has this text.
    pub fn until(&self, name: &str, text: &str) {
        self.eventually(&format!("{text:?} in {name}"), || contains(&self.content(name), text.as_bytes()));
    }

    /// Waits until a logdir has so many archives, and no rotation is unfinished.
    pub fn until_archives(&self, directory: &str, number: usize) {
        let done = || self.archives(directory).len() >= number && !self.path(directory).join("previous").exists();
        self.eventually(&format!("{number} archives in {directory}"), done);
    }

    /// Waits until so many lines with this text have been written to standard error.
    pub fn until_told(&self, text: &str, times: usize) {
        let count = || self.told().lines().filter(|line| line.contains(text)).count();
        self.eventually(&format!("{times} of {text:?} on standard error"), || count() >= times);
    }

    /// What was written to standard error. A path in the scenario's directory begins with HERE.
    pub fn told(&self) -> String {
        let text = std::fs::read(self.dir.path().join("err")).unwrap_or_default();
        String::from_utf8_lossy(&text).replace(self.here().to_str().unwrap(), "HERE")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

/// How a process ends that is about to. One that does not is killed.
fn ended(child: &mut Child) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(end) = child.try_wait().unwrap() {
            return how(end);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How a process ended.
pub fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit {code}"),
        None => format!("signal {}", status.signal().unwrap()),
    }
}

pub fn contains(content: &[u8], text: &[u8]) -> bool {
    content.windows(text.len()).any(|window| window == text)
}

/// A descriptor of rustix's as one of std's.
fn owned(fd: rustix::fd::OwnedFd) -> OwnedFd {
    // SAFETY: it was owned, and its owner has let go of it.
    #[allow(unsafe_code)]
    unsafe {
        OwnedFd::from_raw_fd(rustix::fd::IntoRawFd::into_raw_fd(fd))
    }
}

/// A file's descriptor as one of rustix's.
fn rustix_fd(file: &File) -> linchpin::sys::Fd {
    linchpin::sys::Fd(file.as_raw_fd())
}

/// The text after `name:` in a process's status file.
pub fn status_field(pid: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines to log, as many as are wanted, always the same: numbered, of different lengths.
pub fn lines(number: usize) -> Vec<u8> {
    const WORDS: &[&str] =
        &["foo", "bar", "baz", "error", "warning", "a.b", "x+y", "[1]", "99", "quux-corge", "$", "^"];
    let mut text = Vec::new();
    let mut state = 12345_u32;
    for at in 0..number {
        write!(text, "{at:05}").unwrap();
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        for step in 0..(state >> 16) % 9 {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            let word = WORDS[(state >> 16) as usize % WORDS.len()];
            write!(text, "{}{word}", if step == 0 { ": " } else { " " }).unwrap();
        }
        text.push(b'\n');
    }
    text
}

/// Lines of `length` bytes, newline included, numbered.
pub fn even_lines(number: usize, length: usize) -> Vec<u8> {
    let line = |at: usize| {
        let digits = at.to_string();
        let zeros = "0".repeat((length - 1).saturating_sub(digits.len()));
        format!("{zeros}{}\n", &digits[digits.len().saturating_sub(length - 1)..]).into_bytes()
    };
    (0..number).flat_map(line).collect()
}
