//! A listener to the events of a service that is neither s6's nor linchpin's: it makes its FIFO by hand.

use crate::supervision::{PATIENCE, make_fifo, readable};
use linchpin::sys::Fd;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Its FIFO, and what came through it.
pub struct Listener {
    /// The path of the FIFO.
    pub path: PathBuf,
    read: File,
    /// So that there is no end between events.
    _write: File,
    seen: String,
}

impl Listener {
    /// Listens in a fifodir, which must exist, under a name of the proper form.
    pub fn new(fifodir: &Path) -> Listener {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = COUNT.fetch_add(1, Ordering::Relaxed);
        Listener::named(fifodir, &format!("ftrig1:@4000000068{unique:06x}00000000:diffLi"))
    }

    /// Listens under this name.
    pub fn named(fifodir: &Path, name: &str) -> Listener {
        let (hidden, path) = (fifodir.join(format!(".{name}")), fifodir.join(name));
        make_fifo(&hidden);
        std::fs::set_permissions(&hidden, Permissions::from_mode(0o622)).unwrap();
        let nonblocking = OFlags::NONBLOCK.bits() as i32;
        let read = OpenOptions::new().read(true).custom_flags(nonblocking).open(&hidden).unwrap();
        let write = OpenOptions::new().write(true).custom_flags(nonblocking).open(&hidden).unwrap();
        std::fs::rename(&hidden, &path).unwrap();
        Listener { path, read, _write: write, seen: String::new() }
    }

    /// Waits for this event; answers with all events up to it.
    pub fn until(&mut self, event: char) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.take();
            if let Some(at) = self.seen.find(event) {
                return self.seen.drain(..=at).collect();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let comes = readable(Fd(self.read.as_raw_fd()), left);
            assert!(comes, "no event {event:?} in {:?} after {:?}", self.path, self.seen);
        }
    }

    /// Everything that has come by now.
    pub fn rest(&mut self) -> String {
        self.take();
        std::mem::take(&mut self.seen)
    }

    /// What the next read gives, when there is something.
    pub fn read_once(&mut self) -> String {
        if self.seen.is_empty() {
            assert!(readable(Fd(self.read.as_raw_fd()), PATIENCE), "no event in {:?}", self.path);
            self.take();
        }
        std::mem::take(&mut self.seen)
    }

    /// Fills the FIFO until nothing more goes in.
    pub fn fill(&self) {
        use std::io::Write;
        let mut write = &self._write;
        for size in [4096, 1] {
            while write.write(&vec![b'.'; size]).is_ok() {}
        }
    }

    /// Whether anything comes within this time.
    pub fn hears_within(&self, limit: Duration) -> bool {
        !self.seen.is_empty() || readable(Fd(self.read.as_raw_fd()), limit)
    }

    fn take(&mut self) {
        let mut buf = [0; 4096];
        loop {
            match self.read.read(&mut buf) {
                Ok(0) => return,
                Ok(n) => self.seen.push_str(&String::from_utf8_lossy(&buf[..n])),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) => panic!("{:?}: {e}", self.path),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
