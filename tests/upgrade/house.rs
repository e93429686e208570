//! A scan directory at work, and the binaries that it goes on as.

use crate::scandir::{PATIENCE, Service, Svscan, eventually};
use linchpin::fdholder::client::Connection;
use linchpin::sys::time;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// This version.
pub const THIS: &str = env!("CARGO_BIN_EXE_linchpin");

/// The later version.
pub fn next() -> &'static Path {
    static NEXT: OnceLock<PathBuf> = OnceLock::new();
    NEXT.get_or_init(|| match std::env::var_os("LINCHPIN_NEXT") {
        Some(path) => path.into(),
        None => build_next(),
    })
}

fn build_next() -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/next");
    let features = if cfg!(feature = "faults") { "next,faults" } else { "next" };
    let mut cargo = Command::new(env!("CARGO"));
    // What it is built from is there already; cargo before 1.91 does not know that it may be in another directory.
    cargo.env("CARGO_BUILD_BUILD_DIR", Path::new(THIS).ancestors().nth(2).unwrap());
    cargo.args(["build", "--quiet", "--offline", "--bin", "linchpin", "--features", features, "--target-dir"]);
    cargo.arg(&target).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    let built = cargo.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug/linchpin")
}

/// What is the same before an upgrade and after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sight {
    pub pids: Vec<i32>,
    pub held: Vec<String>,
    pub fds: usize,
}

impl Svscan {
    pub fn holder(&self) -> PathBuf {
        self.path("fdholder/s")
    }

    /// `linchpin reexec`, with these words and this binary.
    pub fn reexec(&self, words: &[&str], binary: &Path) -> Output {
        let mut command = Command::new(THIS);
        command.arg("reexec").args(words).arg("-s").arg(self.path("")).arg(binary).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// The same, which must succeed.
    #[track_caller]
    pub fn upgrade(&self, binary: &Path) {
        let done = self.reexec(&[], binary);
        assert!(done.status.success(), "{done:?}; {}", self.log());
    }

    /// The binary that runs.
    pub fn binary(&self) -> PathBuf {
        std::fs::read_link(format!("/proc/{}/exe", self.pid())).unwrap()
    }

    pub fn connect(&self) -> Connection {
        let path = CString::new(self.holder().to_str().unwrap()).unwrap();
        Connection::open(&path, Some(time::boot() + PATIENCE.as_nanos() as u64)).unwrap()
    }

    /// Has a descriptor held, by s6's own client.
    pub fn store(&self, id: &str, fd: impl Into<OwnedFd>) {
        let mut client = Command::new("s6-fdholder-store");
        client.args(["-t", "20000"]).arg(self.holder()).arg(id).stdin(Stdio::from(fd.into()));
        let done = client.output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    pub fn held(&self) -> Vec<String> {
        let mut client = Command::new("s6-fdholder-list");
        let done = client.args(["-t", "20000"]).arg(self.holder()).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let text = String::from_utf8(done.stdout).unwrap();
        let mut held: Vec<String> = text.lines().map(str::to_owned).collect();
        held.sort();
        held
    }

    /// What is to stay as it is. The services must be up, and no client connected.
    pub fn sight(&self, names: &[String]) -> Sight {
        let pids = names.iter().map(|name| self.pid_of(name)).collect();
        Sight { pids, held: self.held(), fds: self.settled() }
    }

    /// Open descriptors, when those are gone that are there for a moment: clients that have left, news that is told.
    pub fn settled(&self) -> usize {
        let mut last = (self.fds(), 0);
        eventually(|| {
            let now = self.fds();
            last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
            last.1 >= 10
        });
        last.0
    }

    /// That nothing has changed.
    #[track_caller]
    pub fn is_as(&self, names: &[String], before: &Sight) {
        eventually(|| self.fds() == before.fds || std::thread::panicking());
        assert_eq!(self.sight(names), *before);
    }
}

/// A scan directory with one service, and its name.
pub fn small() -> (Svscan, Vec<String>) {
    let services: &[Service<'_>] = &[("sleeper", &[("run", crate::scandir::SLEEPER)])];
    (Svscan::new(services), vec!["sleeper".to_owned()])
}
