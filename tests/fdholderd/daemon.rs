//! An fd-holder that is a process of its own, Debian's or ours, and scenarios that both must answer alike.

use crate::raw::{Raw, Said, store};
use crate::tmp::TempDir;
use linchpin::sys::{Fd, file, process};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Theirs,
    Ours,
}

pub use Whose::{Ours, Theirs};

/// Files of a directory of rules, and what is in them.
pub type Rules<'a> = &'a [(&'a str, &'a str)];

/// Rules that let us do everything.
pub const EVERYTHING: Rules = &[
    ("uid/self/allow", ""),
    ("uid/self/env/S6_FDHOLDER_STORE_REGEX", "\n"),
    ("uid/self/env/S6_FDHOLDER_RETRIEVE_REGEX", "\n"),
    ("uid/self/env/S6_FDHOLDER_LIST", "\n"),
    ("uid/self/env/S6_FDHOLDER_GETDUMP", "\n"),
    ("uid/self/env/S6_FDHOLDER_SETDUMP", "\n"),
];

/// The command `s6-NAME` of one of the two.
pub fn command(whose: Whose, name: &str) -> Command {
    let name = format!("s6-{name}");
    match whose {
        Theirs => Command::new(name),
        Ours => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
            command.arg(name);
            command
        }
    }
}

/// A directory with rules in it.
pub fn write_rules(at: &Path, rules: Rules) {
    fs::create_dir_all(at).unwrap();
    for (name, content) in rules {
        let path = at.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// A running daemon. Its rules are in `rules`, its standard error is in `err`, its socket is `s`.
pub struct Daemon {
    pub whose: Whose,
    dir: TempDir,
    pub process: Child,
}

impl Daemon {
    /// Starts it with these rules and options, and waits until it is ready.
    pub fn start(whose: Whose, rules: Rules, options: &[&str]) -> Daemon {
        Daemon::start_with(whose, command(whose, "fdholderd"), rules, options)
    }

    /// The same with so many descriptors.
    pub fn start_limited(whose: Whose, descriptors: u32, options: &[&str]) -> Daemon {
        let mut limited = Command::new("prlimit");
        let program = command(whose, "fdholderd");
        limited.arg(format!("--nofile={descriptors}:{descriptors}"));
        limited.arg(program.get_program()).args(program.get_args());
        Daemon::start_with(whose, limited, EVERYTHING, options)
    }

    fn start_with(whose: Whose, mut command: Command, rules: Rules, options: &[&str]) -> Daemon {
        let dir = TempDir::new();
        write_rules(&dir.path().join("rules"), rules);
        let err = fs::File::create(dir.path().join("err")).unwrap();
        command.arg("-1").args(options).current_dir(dir.path()).stderr(err);
        if !options.contains(&"-x") {
            command.args(["-i", "rules"]);
        } else {
            compile_rules(dir.path());
        }
        let process = command.stdin(listener(&dir.path().join("s"))).stdout(Stdio::piped()).spawn();
        let mut daemon = Daemon { whose, dir, process: process.expect("s6 is installed") };
        let mut ready = String::new();
        daemon.process.stdout.take().unwrap().read_to_string(&mut ready).unwrap();
        assert_eq!(ready, "\n", "{}", daemon.log());
        daemon
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn connect(&self) -> Raw {
        Raw::connect(&self.dir.path().join("s"))
    }

    /// A connection of somebody else: the thread that makes it becomes that user and group, and ends.
    pub fn connect_as(&self, uid: u32, gid: u32) -> Raw {
        let path: PathBuf = self.dir.path().join("s");
        let connect = move || {
            // These change the thread only, and the C library does not know of it.
            let (root, group) = (Uid::from_raw(0), Gid::from_raw(gid));
            let done = set_thread_res_gid(group, group, group)
                .and_then(|()| set_thread_res_uid(root, Uid::from_raw(uid), root));
            assert_eq!(done, Ok(()), "only root can become somebody else");
            Raw::connect(&path)
        };
        std::thread::spawn(connect).join().unwrap()
    }

    pub fn signal(&self, signal: i32) {
        process::kill(self.process.id() as i32, signal).unwrap();
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it; answers its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(libc::SIGTERM);
        self.end().code()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("err")).unwrap()
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A listening socket, as standard input.
pub fn listener(path: &Path) -> Stdio {
    let listener = UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    Stdio::from(OwnedFd::from(listener))
}

/// Makes `rules.cdb` of `rules`.
pub fn compile_rules(dir: &Path) {
    let made = Command::new("s6-accessrules-cdb-from-fs").args(["rules.cdb", "rules"]).current_dir(dir).status();
    assert!(made.expect("s6 is installed").success());
}

/// The null device, to be stored.
pub fn null() -> Fd {
    file::open(Fd::CWD, c"/dev/null", rustix::fs::OFlags::RDONLY, 0).unwrap()
}

/// Runs a scenario with both, which must come to the same, and answers what that is.
pub fn both<T: PartialEq + std::fmt::Debug>(rules: Rules, options: &[&str], scenario: impl Fn(&mut Daemon) -> T) -> T {
    let [theirs, ours] = [Theirs, Ours].map(|whose| scenario(&mut Daemon::start(whose, rules, options)));
    assert_eq!(ours, theirs, "ours and Debian's");
    ours
}

/// Runs a scenario with both, which do not come to the same: Debian's result, ours.
pub fn apart<T>(rules: Rules, options: &[&str], scenario: impl Fn(&mut Daemon) -> T) -> (T, T) {
    let [theirs, ours] = [Theirs, Ours].map(|whose| scenario(&mut Daemon::start(whose, rules, options)));
    (theirs, ours)
}

/// Stores the null device under these identifiers.
pub fn fill(peer: &Raw, names: &[&str]) {
    let mut fd = null();
    for name in names {
        assert_eq!(peer.ask(&store(name.as_bytes()), &[fd]), crate::raw::status(0), "{name}");
    }
    fd.close();
}

/// What is held, in the order of the list.
pub fn list(peer: &Raw) -> Vec<String> {
    let Said::Answer(answer, _) = peer.ask(b"L", &[]) else { panic!("no list") };
    assert_eq!(answer[0], 0);
    let names: Vec<String> = answer[5..]
        .split_inclusive(|byte| *byte == 0)
        .map(|id| String::from_utf8(id[..id.len() - 1].to_vec()).unwrap())
        .collect();
    assert_eq!(u32::from_be_bytes(*answer[1..].first_chunk().unwrap()) as usize, names.len());
    names
}
