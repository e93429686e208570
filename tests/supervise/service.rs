//! One service with its supervisor.

pub use crate::supervision::*;
use crate::tmp::TempDir;
use linchpin::service::status::{self, Status};
use linchpin::sys::{Fd, file, process};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Who supervises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Ours,
    S6,
}

/// The same test with either.
pub fn both(test: impl Fn(Whose)) {
    for whose in [Whose::Ours, Whose::S6] {
        eprintln!("supervisor: {whose:?}");
        test(whose);
    }
}

/// A service directory to be, called `service`, in a directory of its own, `$BASE`.
pub struct Place {
    base: TempDir,
    link: PathBuf,
}

impl Place {
    pub fn new(files: &[(&str, &str)]) -> Place {
        let base = TempDir::new();
        make_service(&base.path().join("service"), files);
        Place { link: base.command("s6-supervise"), base }
    }

    /// A path beside the service directory.
    pub fn base(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// A path in the service directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.base("service").join(name)
    }

    /// The command, without its operand; its working directory is `$BASE`.
    pub fn command(&self, whose: Whose) -> Command {
        let mut command = match whose {
            Whose::Ours => Command::new(&self.link),
            Whose::S6 => Command::new("s6-supervise"),
        };
        command.current_dir(self.base.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command.env("BASE", self.base.path());
        command
    }

    /// The supervisor of `service`, called so; its messages are in `$BASE/stderr`.
    pub fn supervise(self, whose: Whose) -> Supervise {
        let mut command = self.command(whose);
        command.arg("service");
        self.start(command)
    }

    /// The supervisor that `command` runs. Returns when it has begun.
    pub fn start(self, mut command: Command) -> Supervise {
        let mut events = Listener::new(&self.path(""));
        let stderr = std::fs::File::create(self.base("stderr")).unwrap();
        let child = command.stderr(stderr).spawn().unwrap();
        events.until(b's');
        Supervise { child, place: self, events }
    }

    pub fn try_status(&self) -> Option<Status> {
        let mut dir = file::open_dir(Fd::CWD, &c_path(&self.path(""))).ok()?;
        let status = status::read(dir).ok();
        dir.close();
        status
    }

    pub fn status(&self) -> Status {
        self.try_status().unwrap()
    }

    /// Runs one of s6's clients in `$BASE`; its exit code.
    pub fn code(&self, command: &str) -> i32 {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).current_dir(self.base.path()).output();
        output.unwrap().status.code().unwrap()
    }

    pub fn ok(&self, command: &str) {
        assert_eq!(self.code(command), 0, "{command}");
    }

    /// What a script has written to a file, as soon as the whole of it is there.
    pub fn said(&self, name: &str) -> String {
        let mut text = String::new();
        eventually(|| {
            text = std::fs::read_to_string(self.base(name)).unwrap_or_default();
            text.ends_with('\n')
        });
        text
    }

    /// What the supervisor has written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.base("stderr")).unwrap_or_default()
    }
}

/// A supervisor at work. Whatever it started is gone when it is dropped.
pub struct Supervise {
    child: Child,
    pub place: Place,
    /// What happened since it began.
    pub events: Listener,
}

impl std::ops::Deref for Supervise {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Supervise {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: i32) {
        process::kill(self.pid(), signal).unwrap();
    }

    /// The pid of `run`, as soon as it has been told that it runs.
    pub fn run(&mut self) -> i32 {
        self.events.until(b'u');
        self.status().pid
    }

    /// The same for one that says when it is ready.
    pub fn ready(&mut self) -> i32 {
        self.events.until(b'U');
        self.status().pid
    }

    /// Waits for the end of the supervisor.
    pub fn wait(&mut self) -> ExitStatus {
        let ended = end_of(&mut self.child);
        ended.unwrap_or_else(|| panic!("it does not end; {}", self.log()))
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// It is killed, as nothing in its right mind would do, and gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Supervise {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the supervisor said:\n{}", self.log());
        }
        if self.is_running() {
            self.kill();
        }
        kill_services(&self.base(""));
    }
}

/// Whether a process is there and not a zombie.
pub fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// Process group and session.
pub fn group_and_session(pid: i32) -> (i32, i32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}
