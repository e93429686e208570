//! What tests of supervision share, whoever supervises: services to be, their events, waiting.

use linchpin::service::event::{self, Access, Subscription};
use linchpin::service::status;
use linchpin::sys::{Fd, file, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::CString;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// Runs until a signal ends it.
pub const SLEEPER: &str = "#!/bin/sh\nexec sleep 1000\n";
/// The same, and says at once that it is ready (on descriptor 3).
pub const READY: &str = "#!/bin/sh\necho >&3\nexec 3>&-\nexec sleep 1000\n";

pub const DOWN: (&str, &str) = ("down", "");
pub const NOTIFIES: (&str, &str) = ("notification-fd", "3\n");

/// Content of a file that is to be a FIFO.
pub const FIFO: &str = "\0FIFO";

/// How long anything may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A service to be: its name, its files.
pub type Service<'a> = (&'a str, &'a [(&'a str, &'a str)]);

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
            self.take();
        }
    }

    /// Whether this event has come already.
    pub fn has(&mut self, event: u8) -> bool {
        while readable(self.subscription.fd(), Duration::ZERO) {
            self.take();
        }
        self.seen.contains(&event)
    }

    /// What comes next, in one piece.
    pub fn read_once(&mut self) -> Vec<u8> {
        assert!(readable(self.subscription.fd(), PATIENCE), "no event");
        self.take();
        std::mem::take(&mut self.seen)
    }

    fn take(&mut self) {
        let mut buf = [0; 64];
        let n = self.subscription.read(&mut buf).unwrap().unwrap_or(0);
        self.seen.extend_from_slice(&buf[..n]);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.subscription.close();
    }
}

pub fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// Waits until there is something to read, or the end.
pub fn readable(fd: Fd, limit: Duration) -> bool {
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)), Ok(n) if n > 0)
}

/// Makes a service directory; a file may be in a directory of its own, such as `log/run`.
pub fn make_service(path: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir(path).unwrap();
    for (name, content) in files {
        let file = path.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        if *content == FIFO {
            make_fifo(&file);
            continue;
        }
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub fn make_fifo(path: &Path) {
    linchpin::sys::entry::make_fifo(Fd::CWD, &c_path(path), 0o600).unwrap();
}

/// For what has no event: asks until the answer is yes.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How a child ended; `None`: it did not within our patience.
pub fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Names in a service's fifodir.
pub fn fifos(service: &Path) -> usize {
    std::fs::read_dir(service.join("event")).unwrap().count()
}

/// Kills every run and finish that a status file below a directory knows of.
pub fn kill_services(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if !kind.is_dir() || kind.is_fifo() {
            continue;
        }
        let Ok(mut fd) = file::open_dir(Fd::CWD, &c_path(&entry.path())) else { continue };
        if let Some(status) = status::read(fd).ok().filter(|status| status.pid > 1) {
            let _ = process::kill(-status.pid, 9);
        }
        fd.close();
        kill_services(&entry.path());
    }
}
