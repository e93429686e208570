//! A scan directory with our engine on it. Services find the directory around it in `$BASE`, and can talk to their test
//! through the FIFO `$SAID`, line by line.

pub use crate::supervision::*;
use crate::tmp::TempDir;
use linchpin::service::status::{self, Status};
use linchpin::service::tally;
use linchpin::sys::{Fd, file, process};
use rustix::fs::OFlags;
use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// A scan directory to be.
pub struct ScanDir {
    base: TempDir,
}

impl ScanDir {
    pub fn new(services: &[Service<'_>]) -> ScanDir {
        ScanDir::at(TempDir::new(), services)
    }

    /// In memory, for many services.
    pub fn in_memory(services: &[Service<'_>]) -> ScanDir {
        ScanDir::at(TempDir::in_memory(), services)
    }

    fn at(base: TempDir, services: &[Service<'_>]) -> ScanDir {
        std::fs::create_dir(base.path().join("scan")).unwrap();
        let dir = ScanDir { base };
        for (name, files) in services {
            make_service(&dir.path().join(name), files);
        }
        dir
    }

    pub fn path(&self) -> PathBuf {
        self.base.path().join("scan")
    }

    /// Writes an executable into `.s6-svscan`.
    pub fn script(self, name: &str, content: &str) -> ScanDir {
        let control = self.path().join(".s6-svscan");
        if !control.exists() {
            make_service(&control, &[]);
        }
        make_service(&control.join("new"), &[(name, content)]);
        std::fs::rename(control.join("new").join(name), control.join(name)).unwrap();
        std::fs::remove_dir(control.join("new")).unwrap();
        self
    }

    /// Starts the engine: `options` are those of svscan. Returns when it says that it is ready.
    pub fn start(self, options: &str) -> Svscan {
        self.start_by("exec \"$@\"", options)
    }

    /// Starts the engine through a shell, of which `script` ends by executing `"$@"`.
    pub fn start_by(self, script: &str, options: &str) -> Svscan {
        let base = self.base.path();
        let (said, ready, log) = (base.join("said"), base.join("ready"), base.join("stderr"));
        make_fifo(&said);
        make_fifo(&ready);
        let said = file::open(Fd::CWD, &c_path(&said), OFlags::RDWR | OFlags::NONBLOCK, 0).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec 3>$BASE/ready; {script}"), "sh"])
            .arg(env!("CARGO_BIN_EXE_linchpin"))
            .args(["svscan", "-d", "3"])
            .args(options.split_whitespace())
            .arg(self.path())
            .env("BASE", base)
            .env("SAID", base.join("said"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        let alive = child.stdout.take().unwrap();
        let ready = std::fs::read(ready).unwrap();
        let svscan = Svscan { base: self.base, child, alive, said, heard: RefCell::default() };
        assert_eq!(ready, b"\n", "{}", svscan.log());
        svscan
    }
}

/// The engine at work. Whatever it started is gone when it is dropped.
pub struct Svscan {
    base: TempDir,
    child: Child,
    /// All processes of the tree have it as their standard output, unless they have a logger.
    alive: ChildStdout,
    said: Fd,
    heard: RefCell<Vec<u8>>,
}

impl Svscan {
    /// The engine, on services that have their supervisors.
    pub fn new(services: &[Service<'_>]) -> Svscan {
        Svscan::with_options("", services)
    }

    pub fn with_options(options: &str, services: &[Service<'_>]) -> Svscan {
        let dir = ScanDir::new(services);
        let mut listeners: Vec<_> = services.iter().map(|(name, _)| Listener::new(&dir.path().join(name))).collect();
        let svscan = dir.start(options);
        listeners.iter_mut().for_each(|listener| listener.until(b's'));
        svscan
    }

    /// A path beside the scan directory, `$BASE` for services.
    pub fn base(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// A path in the scan directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.base("scan").join(name)
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: i32) {
        process::kill(self.pid(), signal).unwrap();
    }

    /// Runs a command, usually one of s6's, in the scan directory.
    pub fn run(&self, command: &str) -> Output {
        let mut words = command.split(' ');
        Command::new(words.next().unwrap()).args(words).current_dir(self.path("")).output().unwrap()
    }

    /// Its exit code.
    pub fn code(&self, command: &str) -> i32 {
        self.run(command).status.code().unwrap()
    }

    /// It must succeed.
    pub fn ok(&self, command: &str) {
        let output = self.run(command);
        assert!(output.status.success(), "{command}: {output:?}; {}", self.log());
    }

    /// What it prints.
    pub fn text(&self, command: &str) -> String {
        let output = self.run(command);
        assert!(output.status.success(), "{command}: {output:?}; {}", self.log());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn listen(&self, name: &str) -> Listener {
        Listener::new(&self.path(name))
    }

    /// Makes a service that the next scan will find.
    pub fn add(&self, name: &str, files: &[(&str, &str)]) {
        make_service(&self.path(".new"), files);
        std::fs::rename(self.path(".new"), self.path(name)).unwrap();
    }

    /// Takes a service out of the scan directory: it is `.NAME` now.
    pub fn hide(&self, name: &str) {
        std::fs::rename(self.path(name), self.path(&format!(".{name}"))).unwrap();
    }

    pub fn unhide(&self, name: &str) {
        std::fs::rename(self.path(&format!(".{name}")), self.path(name)).unwrap();
    }

    pub fn try_status(&self, name: &str) -> Option<Status> {
        let mut dir = file::open_dir(Fd::CWD, &c_path(&self.path(name))).ok()?;
        let status = status::read(dir).ok();
        dir.close();
        status
    }

    pub fn status(&self, name: &str) -> Status {
        self.try_status(name).unwrap()
    }

    /// The pid of a service that is up, or will be in a moment.
    pub fn pid_of(&self, name: &str) -> i32 {
        eventually(|| self.try_status(name).is_some_and(|status| status.is_up()));
        self.status(name).pid
    }

    /// Stamps of the deaths on record, in nanoseconds.
    pub fn deaths(&self, name: &str) -> Vec<u128> {
        let mut dir = file::open_dir(Fd::CWD, &c_path(&self.path(name))).unwrap();
        let mut stamps = Vec::new();
        tally::visit(dir, 4096, &mut |record| stamps.push(nanos(record.stamp))).unwrap();
        dir.close();
        stamps
    }

    /// Writes into a FIFO of a service, in one write, if somebody reads it.
    pub fn write(&self, path: &str, bytes: &[u8]) -> bool {
        let nonblocking = OFlags::NONBLOCK.bits() as i32;
        let fifo = OpenOptions::new().write(true).custom_flags(nonblocking).open(self.path(path));
        fifo.is_ok_and(|mut fifo| fifo.write_all(bytes).is_ok())
    }

    /// Sends bytes to a supervisor; answers whether there is one.
    pub fn send(&self, service: &str, bytes: &[u8]) -> bool {
        self.write(&format!("{service}/supervise/control"), bytes)
    }

    /// Writes into a FIFO of a service, as soon as somebody reads it.
    pub fn push(&self, path: &str, text: &str) {
        eventually(|| self.write(path, text.as_bytes()));
    }

    /// The next line that a service has written to `$SAID`.
    pub fn hear(&self) -> String {
        let mut heard = self.heard.borrow_mut();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
                let line = heard.drain(..=end).collect::<Vec<_>>();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(readable(self.said, left), "nobody says anything; {}", self.log());
            let mut buf = [0; 4096];
            let n = file::read_fifo(self.said, &mut buf).unwrap().unwrap_or(0);
            heard.extend_from_slice(&buf[..n]);
        }
    }

    /// What the engine has written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.base("stderr")).unwrap()
    }

    pub fn until_log(&self, text: &str) {
        eventually(|| self.log().contains(text));
    }

    /// Open descriptors of the engine.
    pub fn fds(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Children of the engine, the dead ones included.
    pub fn children(&self) -> Vec<i32> {
        let list = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap();
        list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Returns once the engine has done all that was asked for before: it finds a new service after that.
    pub fn settle(&self) {
        make_service(&self.path(".settle"), &[DOWN]);
        let mut events = self.listen(".settle");
        self.unhide("settle");
        self.ok("s6-svscanctl -a .");
        events.until(b's');
        self.hide("settle");
        self.ok("s6-svscanctl -a .");
        self.ok("s6-svc -x .settle");
        eventually(|| self.code("s6-svok .settle") != 0);
        std::fs::remove_dir_all(self.path(".settle")).unwrap();
    }

    /// CPU time used so far.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Waits for the end of the engine.
    pub fn wait(&mut self) -> ExitStatus {
        let ended = end_of(&mut self.child);
        ended.unwrap_or_else(|| panic!("it does not end; {}", self.log()))
    }

    /// Waits until nobody is left who has our standard output.
    pub fn until_all_are_gone(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while readable(Fd(self.alive.as_raw_fd()), deadline.saturating_duration_since(Instant::now())) {
            if matches!(self.alive.read(&mut [0; 4096]), Ok(0) | Err(_)) {
                return true;
            }
        }
        false
    }
}

impl Drop for Svscan {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the engine said:\n{}", self.log());
        }
        if self.child.try_wait().unwrap().is_none() {
            let _ = process::kill(self.pid(), 9);
            let _ = self.child.wait();
        }
        kill_services(&self.path(""));
        self.said.close();
    }
}

/// A stamp in nanoseconds.
pub fn nanos(stamp: linchpin::text::tai::Stamp) -> u128 {
    u128::from(stamp.sec) * 1_000_000_000 + u128::from(stamp.nano)
}

/// The words of a text.
pub fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}
