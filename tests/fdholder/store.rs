//! A store in a process of its own, of either kind; clients of either kind; connections of the test's own.

use linchpin::sys::{Fd, poll, socket, time, unix};
use std::ffi::CString;
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

    /// s6's takes options, and gives only these rights.
    pub fn start_with(kind: Kind, options: &[&str], rights: &[&str]) -> Store {
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
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err).spawn().expect("s6 is installed");
        let mut ready = String::new();
        process.stdout.take().unwrap().read_to_string(&mut ready).unwrap();
        assert_eq!(ready, "\n", "{}", fs::read_to_string(dir.join("err")).unwrap());
        Store { dir, path, process }
    }

    pub fn connect(&self) -> Raw {
        let path = CString::new(self.path.to_str().unwrap()).unwrap();
        Raw(unix::connect(&path, deadline()).unwrap())
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

pub fn deadline() -> Option<u64> {
    Some(time::boot() + 10 * time::SECOND)
}

/// A connection on which a test writes bytes of its own.
pub struct Raw(Fd);

impl Raw {
    pub fn send(&self, bytes: &[u8], fds: &[Fd]) {
        assert_eq!(socket::send(self.0, bytes, fds), Ok(bytes.len()));
    }

    /// The next `n` bytes and the descriptors that come with them; fewer if the connection ends.
    pub fn receive(&self, n: usize) -> (Vec<u8>, Vec<Fd>) {
        let (mut bytes, mut fds) = (Vec::new(), Vec::new());
        while bytes.len() < n {
            poll::readable(self.0, deadline()).expect("an answer");
            let (mut buf, mut received) = (vec![0; n - bytes.len()], [Fd::NONE; socket::MAX_FDS]);
            let Ok(got) = socket::receive(self.0, &mut buf, &mut received) else { break };
            fds.extend(&received[..got.fds]);
            bytes.extend(&buf[..got.bytes]);
            if got.bytes == 0 {
                break;
            }
        }
        (bytes, fds)
    }

    /// One whole answer, with the number of descriptors that came; empty if the connection ended.
    pub fn answer(&self) -> (Vec<u8>, usize) {
        let (mut bytes, fds) = self.receive(6);
        if bytes.len() == 6 {
            let length = u32::from_be_bytes(*bytes.first_chunk().unwrap());
            bytes.extend(self.receive(length as usize).0);
        }
        let count = fds.len();
        for mut fd in fds {
            fd.close();
        }
        (bytes, count)
    }

    pub fn ended(&self) -> bool {
        self.receive(1).0.is_empty()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.0.close();
    }
}
