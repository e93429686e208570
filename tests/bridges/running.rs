//! A bridge at work. Its program is a shell, or this one once more; what a bridge writes on descriptor 5, or reads from it,
//! is the test's.
#![allow(unsafe_code)]

use crate::supervision::{PATIENCE, c_path, eventually, readable};
use crate::tmp::TempDir;
use linchpin::sys::{Fd, process, socket};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// This program, to play a part.
pub fn part(name: &str) -> String {
    let own = std::env::current_exe().unwrap();
    format!("{} --exact --ignored --nocapture running::{name}", own.to_str().unwrap())
}

/// A directory, `$BASE`, where links to our binary are the first in PATH.
pub struct Stage {
    dir: TempDir,
}

impl Stage {
    pub fn new() -> Stage {
        let dir = TempDir::new();
        for name in ["s6-notify-fd-from-socket", "s6-notify-socket-from-fd", "s6-setuidgid"] {
            dir.command(name);
        }
        Stage { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a shell script there. `$FD` is where to notify, a pipe whose other end is the test's; standard input is the null
    /// device, standard output and standard error are files.
    pub fn start(self, script: &str) -> Running {
        self.start_with(script, |_| {})
    }

    pub fn start_with(self, script: &str, more: impl FnOnce(&mut Command)) -> Running {
        let mut command = self.command(&format!("exec 5>&1 >out 2>err\n{script}"));
        command.env("FD", "5").stdout(Stdio::piped());
        more(&mut command);
        let mut child = command.spawn().unwrap();
        Running { pipe: child.stdout.take(), child, stage: self }
    }

    /// A shell in that directory.
    pub fn command(&self, script: &str) -> Command {
        let path = format!("{}:{}", self.dir.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(self.dir.path()).stdin(Stdio::null());
        for variable in ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "FDSTORE"] {
            command.env_remove(variable);
        }
        command.env("PATH", path).env("BASE", self.dir.path());
        command
    }
}

/// The shell, or what it has become.
pub struct Running {
    pub stage: Stage,
    pub child: Child,
    pipe: Option<std::process::ChildStdout>,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// A line that the program has put in a file of this name, in one piece.
    pub fn said(&self, name: &str) -> String {
        let path = self.stage.path(name);
        let complete = || std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
        eventually(|| complete().is_some());
        complete().unwrap().trim_end().to_owned()
    }

    /// The whole of a file.
    pub fn content(&self, name: &str) -> String {
        std::fs::read_to_string(self.stage.path(name)).unwrap_or_default()
    }

    /// Sends to the socket that the program was told of, as root and from outside; waits.
    pub fn send(&self, message: &[u8]) {
        assert_eq!(send_to(&self.said("socket"), message, &[]), 0);
    }

    /// Waits until everything that was sent has been looked at.
    pub fn barrier(&self) {
        assert!(barrier(&self.said("socket")), "the barrier is not heard");
    }

    /// Whether something can be read from the notification pipe, or it has ended.
    pub fn has_notified(&self) -> bool {
        readable(Fd(self.pipe.as_ref().unwrap().as_raw_fd()), std::time::Duration::ZERO)
    }

    /// All that was written on the notification pipe, when everybody has closed it.
    pub fn notified(&mut self) -> String {
        let mut pipe = self.pipe.take().unwrap();
        let mut text = String::new();
        loop {
            assert!(readable(Fd(pipe.as_raw_fd()), PATIENCE), "somebody keeps the notification pipe open");
            let mut buf = [0; 64];
            match pipe.read(&mut buf).unwrap() {
                0 => return text,
                count => text += std::str::from_utf8(&buf[..count]).unwrap(),
            }
        }
    }

    /// Nobody hears the notification any more.
    pub fn close_pipe(&mut self) {
        self.pipe = None;
    }

    /// Pids of the program's children.
    pub fn children(&self) -> Vec<i32> {
        let list = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap();
        list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// The exit code of the shell, or of what it has become.
    pub fn code(&mut self) -> i32 {
        let status = crate::supervision::end_of(&mut self.child).expect("it does not end");
        std::os::unix::process::ExitStatusExt::signal(&status)
            .map_or_else(|| status.code().unwrap(), |signal| 1000 + signal)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What there is of a process: `NUMBER` and what it is, for each descriptor.
pub fn descriptors(pid: i32) -> Vec<(i32, String)> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        Some((number, std::fs::read_link(&path).ok()?.to_str().unwrap().to_owned()))
    };
    let mut all: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(entry).collect();
    all.sort();
    all
}

/// KiB of memory that a process has for itself alone.
pub fn own_memory(pid: i32) -> u32 {
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let own = smaps.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    own.split_whitespace().next().unwrap().parse().unwrap()
}

/// Sends a datagram to what `NOTIFY_SOCKET` says; answers an errno, or 0.
pub fn send_to(place: &str, message: &[u8], fds: &[Fd]) -> i32 {
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap(),
        None => SocketAddrUnix::new(c_path(place.as_ref()).as_c_str()).unwrap(),
    };
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
    let done = rustix::net::connect(&fd, &address)
        .and_then(|()| socket::send_waiting(Fd(rustix::fd::AsRawFd::as_raw_fd(&fd)), message, fds).map(drop));
    done.map_or_else(|e| e.raw_os_error(), |()| 0)
}

/// sd_notify_barrier(3): whether it was heard.
pub fn barrier(place: &str) -> bool {
    let (mut read, mut write) = Fd::pipe().unwrap();
    let sent = send_to(place, b"BARRIER=1", &[write]);
    write.close();
    let heard = sent == 0 && readable(read, PATIENCE);
    read.close();
    heard
}

/// No test: the program of a bridge. Says where its socket is, and waits for its child, the watcher, whose exit code it
/// tells.
#[test]
#[ignore = "tests of bridges execute it as a daemon"]
fn waits_for_its_watcher() {
    let Some(base) = std::env::var_os("BASE") else { return };
    let base = PathBuf::from(base);
    if let Ok(socket) = std::env::var("NOTIFY_SOCKET") {
        std::fs::write(base.join("socket"), format!("{socket}\n")).unwrap();
    }
    if let Ok(text) = std::env::var("WRITES") {
        let number: i32 = std::env::var("FD").unwrap().parse().unwrap();
        linchpin::sys::file::write_all(Fd(number), text.as_bytes()).unwrap();
        Fd(number).close();
    }
    let mut status = 0;
    // SAFETY: waits for any child.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, 0) };
    assert!(pid > 0, "there is no watcher");
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1000 + libc::WTERMSIG(status) };
    std::fs::write(base.join("code"), format!("{code}\n")).unwrap();
}

/// No test: a program that says `$MESSAGE` to its notification socket, and stays as long as there is a file `$STAYS`.
#[test]
#[ignore = "tests of bridges execute it as a daemon"]
fn says_something() {
    let (Ok(place), Ok(message)) = (std::env::var("NOTIFY_SOCKET"), std::env::var("MESSAGE")) else { return };
    assert_eq!(send_to(&place, message.as_bytes(), &[]), 0);
    let stays = std::env::var_os("STAYS").map(PathBuf::from);
    while stays.as_ref().is_some_and(|file| file.exists()) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Whether a process is gone, or a zombie.
pub fn is_gone(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z') || process::kill(pid, 0).is_err()
}
