//! Lines that process 1 writes, read as they come: from the FIFO that is its /dev/kmsg, or from the other side of its
//! console.

use linchpin::sys::Fd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long anything may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What has come so far, and where to read more.
pub struct Lines {
    source: File,
    bytes: Vec<u8>,
    /// Whole lines.
    lines: Vec<String>,
    /// Those before this one have been waited for.
    next: usize,
}

impl Lines {
    /// Reads from `source`, which must be non-blocking.
    pub fn of(source: File) -> Lines {
        Lines { source, bytes: Vec::new(), lines: Vec::new(), next: 0 }
    }

    /// Waits for a line that contains `text`, after the last one waited for, and returns it.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.read();
            if let Some(at) = self.lines[self.next..].iter().position(|line| line.contains(text)) {
                self.next += at + 1;
                return self.lines[self.next - 1].clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line {text:?} in:\n{}", self.lines.join("\n"));
            let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let source = Fd(self.source.as_raw_fd());
            let _ = poll(&mut [PollFd::new(&source, PollFlags::IN)], Some(&limit));
        }
    }

    /// All lines so far that contain `text`.
    pub fn with(&mut self, text: &str) -> Vec<String> {
        self.read();
        self.lines.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// All lines so far that say that something is not as it should be.
    pub fn complaints(&mut self) -> Vec<String> {
        self.read();
        let severe = |line: &&String| line.starts_with("<27>") || line.starts_with("<28>");
        self.lines.iter().filter(severe).map(|line| line["<28>linchpin: ".len()..].to_owned()).collect()
    }

    fn read(&mut self) {
        let mut buf = [0; 4096];
        loop {
            match self.source.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => self.bytes.extend_from_slice(&buf[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => break, // nothing there now; on a console, nobody has it open any more
            }
        }
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            self.lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }
}
