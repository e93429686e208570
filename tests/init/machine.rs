//! A running machine: its process 1, seen from outside.

use crate::lines::{Lines, PATIENCE};
use crate::tmp::TempDir;
use crate::world::is_root;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Timespec = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };

/// How a machine ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Powered off or halted: the kernel tells the two apart only in a machine of its own.
    Down,
    /// Rebooted.
    Reboot,
    /// Process 1 ended in another way.
    Other(Option<i32>),
}

/// A machine; it is gone when this is dropped.
pub struct Machine {
    dir: TempDir,
    process: Child,
    keeper: Option<Child>,
    /// What it writes to its /dev/kmsg.
    pub log: Lines,
    /// The other side of its console.
    pub console: Option<File>,
    pid: u32,
}

impl Machine {
    pub(crate) fn new(
        dir: TempDir,
        process: Child,
        log: Lines,
        console: Option<File>,
        keeper: Option<Child>,
    ) -> Machine {
        Machine { dir, process, keeper, log, console, pid: 0 }
    }

    /// Waits until process 1 supervises.
    pub fn up(mut self) -> Machine {
        self.log.until("booted in");
        self
    }

    /// The pid of its process 1 on the host.
    pub fn pid(&mut self) -> u32 {
        if self.pid == 0 {
            let unshare = self.process.id();
            eventually(|| {
                let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap();
                self.pid = children.trim().parse().unwrap_or(0);
                self.pid != 0
            });
        }
        self.pid
    }

    /// The host's path of a file in the machine.
    pub fn path(&mut self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/{path}", self.pid()))
    }

    /// The host's path of a file of the root file system, which is there even after the machine's end.
    pub fn root(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    /// Content of a file in the machine.
    pub fn read(&mut self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Waits until a file in the machine is there and has a whole line.
    pub fn await_line(&mut self, path: &str) -> String {
        let path = self.path(path);
        let mut text = String::new();
        eventually(|| {
            text = fs::read_to_string(&path).unwrap_or_default();
            text.ends_with('\n')
        });
        text
    }

    /// A command that runs in the machine, as its root; its parent is none of the machine's processes.
    pub fn command(&mut self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        if !is_root() {
            command.arg("--preserve-credentials"); // they are root's there already
        }
        command.args(["-U", "-m", "-u", "-i", "-n", "-p", "-r", "-w", "-t", &self.pid().to_string()]).args(words);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a shell command in the machine.
    pub fn sh(&mut self, line: &str) -> Output {
        self.command(&["sh", "-c", line]).output().unwrap()
    }

    /// What a shell command in the machine prints; it must succeed.
    #[track_caller]
    pub fn text(&mut self, line: &str) -> String {
        let output = self.sh(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that asks for the machine's end; it may be ended together with everybody else.
    pub fn ask(&mut self, command: &str) {
        let output = self.command(&["sh", "-c", command]).output().unwrap();
        let ended_by = output.status.signal();
        assert!(
            output.status.success() || ended_by == Some(libc::SIGTERM) || ended_by == Some(libc::SIGKILL),
            "{output:?}"
        );
    }

    /// Waits until a service has its supervisor.
    pub fn supervised(&mut self, name: &str) {
        eventually(|| self.sh(&format!("s6-svok /service/{name}")).status.success());
    }

    /// Connects to a unix socket in the machine.
    pub fn connect(&mut self, path: &str) -> UnixStream {
        let client = UnixStream::connect(self.path(path)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// Numbers of the descriptors that process 1 has open, and what they are.
    pub fn descriptors(&mut self) -> Vec<String> {
        let dir = format!("/proc/{}/fd", self.pid());
        let link = |entry: fs::DirEntry| {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            format!("{}={}", entry.file_name().to_string_lossy(), target.display())
        };
        let mut all: Vec<String> = fs::read_dir(dir).unwrap().map(|entry| link(entry.unwrap())).collect();
        all.sort();
        all
    }

    /// Whether process 1 is there and not a zombie.
    pub fn is_alive(&mut self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        status.contains("State:") && !status.contains("State:\tZ")
    }

    /// Waits for the end of the machine.
    #[track_caller]
    pub fn end(&mut self) -> End {
        let pidfd = pidfd_open(Pid::from_raw(self.process.id() as i32).unwrap(), PidfdFlags::empty()).unwrap();
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&LIMIT)).unwrap() == 1;
        assert!(ended, "the machine does not end:\n{}", self.log.with("").join("\n"));
        let status = self.process.wait().unwrap();
        match status.signal() {
            Some(libc::SIGINT) => End::Down,
            Some(libc::SIGHUP) => End::Reboot,
            _ => End::Other(status.code()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // unshare(1) kills process 1 when it dies, and with process 1 dies everybody in its namespace.
        let unshare = self.process.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap_or_default();
        let init = children.trim().parse().ok().and_then(Pid::from_raw).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(Ok(init)) = init {
            let _ = poll(&mut [PollFd::new(&init, PollFlags::IN)], Some(&LIMIT));
        }
        if let Some(keeper) = &mut self.keeper {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
    }
}

/// For what has no event: asks until the answer is yes.
#[track_caller]
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        std::thread::sleep(Duration::from_millis(2));
    }
}
