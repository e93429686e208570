//! A scan directory with s6's daemons on it, the services in it, and their events.

pub use crate::supervision::*;
use linchpin::service::status;
use linchpin::sys::{Fd, file, process};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A scan directory of its own with s6-svscan on it. Everything it started is gone when it is dropped.
pub struct Tree {
    pub path: PathBuf,
    pub svscan: Child,
    /// All processes of the tree have it as their standard output: it ends when the last is gone.
    alive: ChildStdout,
}

impl Tree {
    /// Starts s6-svscan and returns when every service has its supervisor.
    pub fn new(services: &[Service<'_>]) -> Tree {
        Tree::under(Command::new("s6-svscan"), services)
    }

    /// The same under s6's daemons and under ours.
    pub fn both(services: &[Service<'_>]) -> [Tree; 2] {
        [Tree::new(services), Tree::own(services)]
    }

    /// The same under our daemons alone.
    pub fn own(services: &[Service<'_>]) -> Tree {
        let mut own = Command::new(env!("CARGO_BIN_EXE_linchpin"));
        own.arg("svscan");
        Tree::under(own, services)
    }

    fn under(mut svscan: Command, services: &[Service<'_>]) -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("linchpin-clients-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let mut listeners = Vec::new();
        for (name, files) in services {
            make_service(&path.join(name), files);
            listeners.push(Listener::new(&path.join(name)));
        }
        let mut svscan = svscan
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("s6-svscan, of the package s6, is needed for this test");
        let alive = svscan.stdout.take().unwrap();
        let tree = Tree { path, svscan, alive };
        for listener in &mut listeners {
            listener.until(b's');
        }
        tree
    }

    pub fn service(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Runs one of our commands in the scan directory.
    pub fn ours(&self, command: &str) -> Output {
        ours(&self.path, command)
    }

    /// Runs one of our commands; answers with its exit code.
    pub fn code(&self, command: &str) -> i32 {
        self.ours(command).status.code().unwrap()
    }

    /// What one of our commands prints.
    pub fn text(&self, command: &str) -> String {
        let output = self.ours(command);
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What one of s6's commands prints.
    pub fn theirs(&self, command: &str) -> String {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).current_dir(&self.path).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit code, standard output and standard error of a shell command in the scan directory, in which `linchpin` is the
    /// binary.
    pub fn shell(&self, command: &str) -> (i32, String, String) {
        let script = format!("linchpin() {{ {} \"$@\"; }}\n{command}", env!("CARGO_BIN_EXE_linchpin"));
        let output =
            Command::new("sh").args(["-c", &script]).current_dir(&self.path).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    pub fn listen(&self, name: &str) -> Listener {
        Listener::new(&self.service(name))
    }

    /// What s6-svstat says in this very moment must be what our svstat says, but for `except`, which ours says too much.
    pub fn assert_same_status(&self, options: &str, name: &str, except: impl Fn(&str) -> String) {
        let theirs = || self.theirs(&format!("s6-svstat {options} {name}"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (before, own, after) = (theirs(), self.text(&format!("svstat {options} {name}")), theirs());
            let own = except(&own);
            if own == before || own == after {
                return;
            }
            // Seconds may have passed twice between the three.
            assert!(before != after && Instant::now() < deadline, "{options}: {own:?} is not s6's {before:?}");
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = Command::new("s6-svscanctl").arg("-q").arg(&self.path).stderr(Stdio::null()).status();
        if !self.is_over(PATIENCE) {
            // It does not end by itself: first those who would start something again, then the rest.
            let _ = process::kill(-(self.svscan.id() as i32), 9);
            for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
                let Ok(mut dir) = file::open_dir(Fd::CWD, &c_path(&entry.path())) else { continue };
                if let Some(status) = status::read(dir).ok().filter(|status| status.pid > 0) {
                    let _ = process::kill(-status.pid, 9);
                }
                dir.close();
            }
        }
        let _ = self.svscan.wait();
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Tree {
    /// Waits until the last process is gone.
    fn is_over(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while readable(Fd(self.alive.as_raw_fd()), deadline.saturating_duration_since(Instant::now())) {
            if matches!(self.alive.read(&mut [0; 256]), Ok(0) | Err(_)) {
                return true;
            }
        }
        false
    }
}

/// Whether somebody listens to a service: what happens from now on is seen. (While it is being made, the FIFO is hidden.)
pub fn is_heard(service: &Path) -> bool {
    let mut names = std::fs::read_dir(service.join("event")).unwrap().flatten();
    names.any(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("ftrig1:@")))
}

pub fn ours(dir: &Path, command: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linchpin")).args(command.split(' ')).current_dir(dir).output().unwrap()
}
