//! What the fd-holder of a scan directory holds, by s6's own clients; and what a service has got.

use crate::scandir::{PATIENCE, Service, Svscan, eventually};
use crate::tmp::TempDir;
use linchpin::sys::Fd;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs as `sleep`, with what it was given.
pub const RUN: &str = "#!/bin/execlineb -P\nsleep 1000\n";
/// Is started again at once.
pub const AT_ONCE: (&str, &str) = ("restart-delay", "1ms\n");

/// The engine on these services, which get no descriptor that whoever runs the tests has left us.
pub fn engine(services: &[Service<'_>]) -> Svscan {
    let ours: Vec<i32> = descriptors(std::process::id() as i32).into_iter().map(|(number, _)| number).collect();
    for number in ours {
        let _ = Fd(number).set_cloexec(true); // it may be gone: tests have other threads
    }
    Svscan::new(services)
}

impl Svscan {
    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(format!("s6-fdholder-{name}"));
        command.args(["-t", "20000"]);
        command
    }

    fn holder(&self) -> std::path::PathBuf {
        self.path("fdholder/s")
    }

    /// Has a descriptor held; answers what it is.
    pub fn store(&self, id: &str, fd: impl Into<OwnedFd>) -> String {
        let fd = fd.into();
        let what = what(std::process::id() as i32, std::os::fd::AsRawFd::as_raw_fd(&fd));
        let done = self.client("store").arg(self.holder()).arg(id).stdin(Stdio::from(fd)).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        what
    }

    /// Has a new listening socket held.
    pub fn store_socket(&self, id: &str) -> String {
        self.store(id, TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Has it held no longer.
    pub fn delete(&self, id: &str) {
        let done = self.client("delete").arg(self.holder()).arg(id).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// The identifiers of all that is held.
    pub fn held(&self) -> Vec<String> {
        identifiers(&self.holder())
    }

    /// How many descriptors the engine has open, when it has done all that was asked for.
    pub fn settled_fds(&self) -> usize {
        self.settle();
        self.fds()
    }

    /// The pid of a service that runs [`RUN`], when that sleeps.
    pub fn sleeping(&self, name: &str) -> i32 {
        let pid = self.pid_of(name);
        eventually(|| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n"));
        pid
    }

    /// Kills it; its next pid, when that sleeps.
    pub fn next(&self, name: &str, pid: i32) -> i32 {
        linchpin::sys::process::kill(pid, 9).unwrap();
        eventually(|| self.try_status(name).is_some_and(|status| status.is_up() && status.pid != pid));
        self.sleeping(name)
    }
}

/// Debian's s6-fdholderd, in which root may do anything.
pub struct S6Holder {
    dir: TempDir,
    process: Child,
}

impl S6Holder {
    pub fn start() -> S6Holder {
        let dir = TempDir::new();
        let rules = dir.path().join("rules/uid/self");
        std::fs::create_dir_all(rules.join("env")).unwrap();
        std::fs::write(rules.join("allow"), "").unwrap();
        for right in ["STORE_REGEX", "RETRIEVE_REGEX", "LIST", "GETDUMP", "SETDUMP"] {
            std::fs::write(rules.join("env").join(format!("S6_FDHOLDER_{right}")), "\n").unwrap();
        }
        let mut daemon = Command::new("s6-fdholder-daemon");
        daemon.args(["-1", "-i", "rules", "s"]).current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = daemon.spawn().unwrap();
        assert_eq!(process.stdout.take().unwrap().read(&mut [0]).unwrap(), 1, "it says that it is ready");
        S6Holder { dir, process }
    }

    pub fn socket(&self) -> String {
        self.dir.path().join("s").to_str().unwrap().to_owned()
    }

    pub fn held(&self) -> Vec<String> {
        identifiers(Path::new(&self.socket()))
    }
}

impl Drop for S6Holder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn identifiers(holder: &Path) -> Vec<String> {
    let done = Command::new("s6-fdholder-list").args(["-t", "20000"]).arg(holder).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What a descriptor of a process is, as /proc tells it: `socket:[INODE]`.
pub fn what(pid: i32, number: i32) -> String {
    std::fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap().to_str().unwrap().to_owned()
}

/// The descriptors of a process, those beyond standard error with what they are.
pub fn descriptors(pid: i32) -> Vec<(i32, String)> {
    let numbers = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let numbers = numbers.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let numbers: Vec<i32> = numbers.filter(|n| *n > 2).collect();
    // What has gone since is the directory itself.
    let link = |n| std::fs::read_link(format!("/proc/{pid}/fd/{n}")).ok();
    let text = |link: std::path::PathBuf| link.to_str().unwrap().to_owned();
    let mut all: Vec<(i32, String)> = numbers.into_iter().filter_map(|n| Some((n, text(link(n)?)))).collect();
    all.sort();
    all
}

/// Waits until a process has these descriptors beyond standard error, in numbers from 3 on, and no others. (At first
/// its C library opens files of its own.)
#[track_caller]
pub fn has_only(pid: i32, all: &[&String]) {
    let expected = from_3(all);
    let deadline = Instant::now() + PATIENCE;
    while descriptors(pid) != expected {
        assert!(Instant::now() < deadline, "{:?}, not {expected:?}", descriptors(pid));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Those that come as 3, 4 and so on.
pub fn from_3(all: &[&String]) -> Vec<(i32, String)> {
    (3..).zip(all).map(|(number, what)| (number, (*what).clone())).collect()
}

/// The environment of a process, which is none for a moment while that begins.
pub fn environ(pid: i32) -> Vec<u8> {
    let mut text = Vec::new();
    eventually(|| {
        text = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        !text.is_empty()
    });
    text
}

/// The variables of a process that tell of its descriptors.
pub fn told(pid: i32) -> BTreeMap<String, String> {
    let text = environ(pid);
    let entries = text.split(|byte| *byte == 0).map(|entry| String::from_utf8(entry.to_vec()).unwrap());
    let pairs = entries.filter_map(|entry| entry.split_once('=').map(|(name, value)| (name.into(), value.into())));
    pairs.filter(|(name, _): &(String, String)| name.starts_with("LISTEN_") || name.starts_with("S6_FD")).collect()
}

/// What `LISTEN_FDS` and its companions say to process `pid`.
pub fn listen(pid: i32, names: &str) -> BTreeMap<String, String> {
    let count = names.split(':').count().to_string();
    let pairs = [("LISTEN_PID", pid.to_string()), ("LISTEN_FDS", count), ("LISTEN_FDNAMES", names.to_owned())];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
