//! The command, ours or Debian's, while it runs.

use crate::beside::{Beside, Whose, content, eventually};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A logger that reads what the test writes. What it says is in a file.
pub struct Logger {
    pub child: Child,
    input: Option<ChildStdin>,
    said: PathBuf,
}

/// The command with these words, and its standard error in the file `said`.
pub fn command(beside: &Beside, whose: Whose, words: &[&str]) -> Command {
    let mut command = beside.command(whose, "log");
    command.args(words).stderr(File::create(beside.path().join("said")).unwrap());
    command
}

impl Logger {
    pub fn start(beside: &Beside, whose: Whose, words: &[&str]) -> Logger {
        Logger::of(beside, command(beside, whose, words))
    }

    /// The same below a shell's line, which executes `"$@"`.
    pub fn below(beside: &Beside, whose: Whose, shell: &str, words: &[&str]) -> Logger {
        let inner = command(beside, whose, words);
        let mut outer = Command::new("sh");
        outer.args(["-c", shell, "sh"]).arg(inner.get_program()).args(inner.get_args());
        outer.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(beside.path());
        outer.stderr(File::create(beside.path().join("said")).unwrap());
        Logger::of(beside, outer)
    }

    fn of(beside: &Beside, mut command: Command) -> Logger {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        Logger { input: child.stdin.take(), child, said: beside.path().join("said") }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn write(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Lets it open nothing more; or again as much as this process may.
    pub fn starve(&self, starve: bool) {
        use rustix::process::*;
        let free = (0..).find(|number| !Path::new(&format!("/proc/{}/fd/{number}", self.pid())).exists());
        let own = getrlimit(Resource::Nofile);
        let current = if starve { free } else { own.current };
        prlimit(Pid::from_raw(self.pid()), Resource::Nofile, Rlimit { current, maximum: own.maximum }).unwrap();
    }

    pub fn kill(&self, signal: i32) {
        linchpin::sys::process::kill(self.pid(), signal).unwrap();
    }

    pub fn said(&self) -> String {
        content(&self.said)
    }

    /// Waits until it has said this so often.
    pub fn says(&self, text: &str, times: usize) {
        eventually(|| self.said().matches(text).count() >= times);
    }

    /// Waits for its end; nothing more comes for it to read. What it has said, and its exit code.
    pub fn end(mut self) -> (i32, String) {
        drop(self.input.take());
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(1000), self.said())
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end with `input` to read, which is in a file. Exit code, and what it has said.
pub fn run(beside: &Beside, whose: Whose, words: &[&str], input: &str) -> (i32, String) {
    beside.file("input", input);
    let mut command = command(beside, whose, words);
    let status = command.stdin(File::open(beside.path().join("input")).unwrap()).status().unwrap();
    (status.code().unwrap_or(1000), content(&beside.path().join("said")))
}

/// So many lines of `length` bytes, the newline included.
pub fn numbered(count: usize, length: usize) -> String {
    (0..count).map(|number| format!("{number:0width$}\n", width = length - 1)).collect()
}

/// Waits until a log has this content.
pub fn until(file: &Path, text: &str) {
    eventually(|| content(file) == text);
}
