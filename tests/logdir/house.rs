//! A logdir that the test drives itself, and what is found in one.

use crate::tmp::TempDir;
use linchpin::applets::{cli::Cli, find};
use linchpin::logd::dir::{Logdir, Report, Settings};
use linchpin::sys::args::Args;
use linchpin::sys::process::reap_any;
use linchpin::sys::time::Nanos;
use std::ffi::{CStr, CString};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub const SECOND: Nanos = 1_000_000_000;

/// A C string for ever.
pub fn leak(text: &str) -> &'static CStr {
    Box::leak(CString::new(text).unwrap().into_boxed_c_str())
}

/// The settings of a logdir `d` in a directory.
pub fn settings(dir: &TempDir) -> Settings {
    Settings { path: leak(dir.path().join("d").to_str().unwrap()), ..Settings::DEFAULT }
}

/// Says what goes wrong on the test's standard error.
pub fn with_report<T>(body: impl FnOnce(&Report<'_>) -> T) -> T {
    let cli = Cli::new(find(b"s6-log").unwrap(), b"s6-log", Args::EMPTY);
    body(&Report { cli: &cli, verbosity: 1 })
}

/// An open logdir.
pub struct House {
    pub log: Logdir,
}

impl House {
    pub fn open(settings: Settings) -> House {
        House { log: with_report(|report| Logdir::open(settings, report)).unwrap() }
    }

    pub fn push(&mut self, line: &str, now: Nanos) {
        self.log.push(&[line.as_bytes(), b"\n"], now);
    }

    pub fn flush(&mut self, now: Nanos) {
        with_report(|report| self.log.flush(now, report));
    }

    /// A line that comes alone.
    pub fn say(&mut self, line: &str, now: Nanos) {
        self.push(line, now);
        self.flush(now);
    }

    pub fn alarm(&mut self, now: Nanos) {
        with_report(|report| self.log.rotate(now, report));
    }

    /// Waits until one of our children has ended, and tells the logdir.
    pub fn child_ends(&mut self, now: Nanos) {
        let death = loop {
            match reap_any().expect("a child") {
                Some(death) => break death,
                None => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        };
        with_report(|report| {
            assert!(self.log.child_ended(death.pid, death.wstat, now, report));
            self.log.flush(now, report);
        });
    }

    /// Goes on until all is done, with whatever time it asks for.
    pub fn settle(&mut self, mut now: Nanos) {
        self.flush(now);
        while !self.log.is_idle() {
            match self.log.deadline() {
                Some(at) => {
                    assert!(at > now, "it wants to be called at once, just after it was");
                    now = at;
                    self.flush(now);
                }
                None => self.child_ends(now),
            }
        }
    }

    pub fn finish(&mut self) {
        assert!(with_report(|report| self.log.finish(report)));
    }
}

/// A file of a logdir, with its permissions and its content; the stamp of an archive's name is left out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Found {
    pub name: String,
    pub mode: u32,
    pub content: String,
}

pub fn found(name: &str, mode: u32, content: &str) -> Found {
    Found { name: name.to_owned(), mode, content: content.to_owned() }
}

/// What is in a logdir, in the order of the names.
pub fn look(dir: &Path) -> Vec<Found> {
    names(dir).into_iter().map(|name| look_at(dir, &name)).collect()
}

fn look_at(dir: &Path, name: &str) -> Found {
    let path = dir.join(name);
    let masked = if name.starts_with('@') { format!("@{}", &name[25..]) } else { name.to_owned() };
    Found {
        name: masked,
        mode: std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        content: String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned(),
    }
}

pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn archives(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|name| name.starts_with('@')).collect()
}

/// The sizes of the archives, in their order.
pub fn sizes(dir: &Path) -> Vec<u64> {
    archives(dir).iter().map(|name| std::fs::metadata(dir.join(name)).unwrap().len()).collect()
}

/// All lines, in the order of the archives, then those of the current log.
pub fn lines(dir: &Path) -> Vec<String> {
    let files = archives(dir).into_iter().chain(["current".to_owned()]);
    let text: String = files.map(|file| crate::beside::content(&dir.join(file))).collect();
    text.lines().map(str::to_owned).collect()
}

pub fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
