//! A store in a process of its own, of either kind; clients of either kind; connections of the test's own.

use crate::raw::Raw;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub fn binary() -> PathBuf {
    std::env::var_os("LINCHPIN").map_or_else(|| env!("CARGO_BIN_EXE_linchpin").into(), PathBuf::from)
}

/// Which implementation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Ours,
    S6,
}

/// A store in a process and a directory of its own; its standard error is in the file `err` there.
pub struct Store {
    pub dir: PathBuf,
    pub path: PathBuf,
    pub process: Child,
}

/// Rights that s6's access rules can give.
pub const RIGHTS: [&str; 5] = ["STORE_REGEX", "RETRIEVE_REGEX", "LIST", "GETDUMP", "SETDUMP"];

impl Store {
    pub fn start(kind: Kind) -> Store {
        Store::start_with(kind, &[], &RIGHTS)
    }

    /// Ours, which is to fail as the plan says (`sys/inject.rs`).
    #[allow(dead_code)] // other tests use it
    pub fn start_to_fail(plan: &str) -> Store {
        Store::start_by(Kind::Ours, &[], &RIGHTS, plan)
    }

    /// s6's takes options, and gives only these rights.
    pub fn start_with(kind: Kind, options: &[&str], rights: &[&str]) -> Store {
        Store::start_by(kind, options, rights, "")
    }

    fn start_by(kind: Kind, options: &[&str], rights: &[&str], plan: &str) -> Store {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("linchpin-store-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let err = fs::File::create(dir.join("err")).unwrap();
        let (mut command, path) = match kind {
            Kind::Ours => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "exec \"$1\" svscan -d 3 \"$2\" 3>&1 >/dev/null", "sh"]).arg(binary()).arg(&dir);
                (shell, dir.join("fdholder/s"))
            }
            Kind::S6 => {
                let rules = dir.join("rules/uid/self");
                fs::create_dir_all(rules.join("env")).unwrap();
                fs::write(rules.join("allow"), "").unwrap();
                for right in rights {
                    fs::write(rules.join("env").join(format!("S6_FDHOLDER_{right}")), "\n").unwrap();
                }
                let mut daemon = Command::new("s6-fdholder-daemon");
                daemon.arg("-1").args(options).arg("-i").arg(dir.join("rules")).arg(dir.join("s"));
                (daemon, dir.join("s"))
            }
        };
        if !plan.is_empty() {
            command.env("LINCHPIN_FAULTS", plan);
        }
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err).spawn().expect("s6 is installed");
        let mut ready = String::new();
        process.stdout.take().unwrap().read_to_string(&mut ready).unwrap();
        assert_eq!(ready, "\n", "{}", fs::read_to_string(dir.join("err")).unwrap());
        Store { dir, path, process }
    }

    pub fn connect(&self) -> Raw {
        Raw::connect(&self.path)
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("err")).unwrap()
    }

    /// Runs a client of `kind`; answers its exit code, output and errors.
    pub fn run(&self, kind: Kind, command: &[&str], operands: &[&str]) -> (Option<i32>, String, String) {
        let run = client(kind, command, &self.path).args(operands).stdin(Stdio::null()).output();
        let output = run.expect("s6 is installed");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub fn client(kind: Kind, command: &[&str], path: &Path) -> Command {
    let mut words = command.iter();
    let name = words.next().unwrap();
    let mut run = match kind {
        Kind::S6 => Command::new(format!("s6-fdholder-{name}")),
        Kind::Ours => {
            let mut run = Command::new(binary());
            run.arg(format!("s6-fdholder-{name}"));
            run
        }
    };
    run.args(words).arg(path);
    run
}
