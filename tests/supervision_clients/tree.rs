//! A scan directory with s6's daemons on it, the services in it, and their events.

use linchpin::service::event::{self, Access, Subscription};
use linchpin::service::status;
use linchpin::sys::{Fd, file, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::CString;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Runs until a signal ends it.
pub const SLEEPER: &str = "#!/bin/sh\nexec sleep 1000\n";
/// The same, and says at once that it is ready (on descriptor 3).
pub const READY: &str = "#!/bin/sh\necho >&3\nexec 3>&-\nexec sleep 1000\n";

pub const DOWN: (&str, &str) = ("down", "");
pub const NOTIFIES: (&str, &str) = ("notification-fd", "3\n");

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A scan directory of its own with s6-svscan on it. Everything it started is gone when it is dropped.
pub struct Tree {
    pub path: PathBuf,
    pub svscan: Child,
    /// All processes of the tree have it as their standard output: it ends when the last is gone.
    alive: ChildStdout,
}

/// A service to be: its name, its files.
pub type Service<'a> = (&'a str, &'a [(&'a str, &'a str)]);

impl Tree {
    /// Starts s6-svscan and returns when every service has its supervisor.
    pub fn new(services: &[Service<'_>]) -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("linchpin-clients-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let mut listeners = Vec::new();
        for (name, files) in services {
            make_service(&path.join(name), files);
            listeners.push(Listener::new(&path.join(name)));
        }
        let mut svscan = Command::new("s6-svscan")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("s6-svscan, of the package s6, is needed for this test");
        let alive = svscan.stdout.take().unwrap();
        let tree = Tree { path, svscan, alive };
        for listener in &mut listeners {
            listener.until(b's');
        }
        tree
    }

    pub fn service(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Runs one of our commands in the scan directory.
    pub fn ours(&self, command: &str) -> Output {
        ours(&self.path, command)
    }

    /// Runs one of our commands; answers with its exit code.
    pub fn code(&self, command: &str) -> i32 {
        self.ours(command).status.code().unwrap()
    }

    /// What one of our commands prints.
    pub fn text(&self, command: &str) -> String {
        let output = self.ours(command);
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What one of s6's commands prints.
    pub fn theirs(&self, command: &str) -> String {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).current_dir(&self.path).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn listen(&self, name: &str) -> Listener {
        Listener::new(&self.service(name))
    }

    /// What s6-svstat says in this very moment must be what our svstat says, but for `except`, which ours says too much.
    pub fn assert_same_status(&self, options: &str, name: &str, except: impl Fn(&str) -> String) {
        let theirs = || self.theirs(&format!("s6-svstat {options} {name}"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (before, own, after) = (theirs(), self.text(&format!("svstat {options} {name}")), theirs());
            let own = except(&own);
            if own == before || own == after {
                return;
            }
            // Seconds may have passed twice between the three.
            assert!(before != after && Instant::now() < deadline, "{options}: {own:?} is not s6's {before:?}");
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = Command::new("s6-svscanctl").arg("-q").arg(&self.path).stderr(Stdio::null()).status();
        if !self.is_over(PATIENCE) {
            // It does not end by itself: first those who would start something again, then the rest.
            let _ = process::kill(-(self.svscan.id() as i32), 9);
            for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
                let Ok(mut dir) = file::open_dir(Fd::CWD, &c_path(&entry.path())) else { continue };
                if let Some(status) = status::read(dir).ok().filter(|status| status.pid > 0) {
                    let _ = process::kill(-status.pid, 9);
                }
                dir.close();
            }
        }
        let _ = self.svscan.wait();
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Tree {
    /// Waits until the last process is gone.
    fn is_over(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while readable(Fd(self.alive.as_raw_fd()), deadline.saturating_duration_since(Instant::now())) {
            if matches!(self.alive.read(&mut [0; 256]), Ok(0) | Err(_)) {
                return true;
            }
        }
        false
    }
}

/// Listens to the events of one service.
pub struct Listener {
    subscription: Subscription,
    seen: Vec<u8>,
}

impl Listener {
    pub fn new(service: &Path) -> Listener {
        let mut dir = file::open_dir(Fd::CWD, &c_path(service)).unwrap();
        event::make(dir, c"event", Access::own_group()).unwrap();
        let subscription = Subscription::open(dir, c"event").unwrap();
        dir.close();
        Listener { subscription, seen: Vec::new() }
    }

    /// Waits for this event and forgets those up to it.
    pub fn until(&mut self, wanted: u8) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.iter().position(|byte| *byte == wanted) {
                self.seen.drain(..=at);
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(readable(self.subscription.fd(), left), "no event {:?}", char::from(wanted));
            let mut buf = [0; 64];
            let n = self.subscription.read(&mut buf).unwrap().unwrap_or(0);
            self.seen.extend_from_slice(&buf[..n]);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.subscription.close();
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// Waits until there is something to read, or the end.
fn readable(fd: Fd, limit: Duration) -> bool {
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)), Ok(n) if n > 0)
}

pub fn make_service(path: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir(path).unwrap();
    for (name, content) in files {
        std::fs::write(path.join(name), content).unwrap();
        std::fs::set_permissions(path.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub fn ours(dir: &Path, command: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linchpin")).args(command.split(' ')).current_dir(dir).output().unwrap()
}

/// For what has no event: asks until the answer is yes.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Names in a service's fifodir.
pub fn fifos(service: &Path) -> usize {
    std::fs::read_dir(service.join("event")).unwrap().count()
}
