//! A command of ours and Debian's of the same name, run with the same words.

use crate::tmp::TempDir;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Exit code; 1000 and the signal's number if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
}

/// Whose command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Theirs,
    Ours,
}

pub use Whose::{Ours, Theirs};

/// Both, in a directory of their own.
pub struct Beside {
    dir: TempDir,
}

impl Beside {
    pub fn new() -> Beside {
        let beside = Beside { dir: TempDir::new() };
        std::fs::create_dir(beside.dir.path().join("bin")).unwrap();
        std::fs::create_dir(beside.dir.path().join("here")).unwrap();
        beside
    }

    /// Where commands run.
    pub fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("here")
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    /// The command `s6-NAME`, to be given more words, the environment's PATH only, nothing to read.
    pub fn command(&self, whose: Whose, name: &str) -> Command {
        let name = format!("s6-{name}");
        let mut command = match whose {
            Theirs => Command::new(&name),
            Ours => {
                let link = self.dir.path().join("bin").join(&name);
                let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_linchpin"), &link);
                Command::new(link)
            }
        };
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Puts a copy of our binary where [`Beside::command`] has a link to it, for users who may not go where it was built.
    /// (cp makes it: no other thread's child can have it open for writing, which would keep it from being executed.)
    pub fn copy(&self, name: &str) {
        let to = self.dir.path().join("bin").join(format!("s6-{name}"));
        assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_linchpin")).arg(to).status().unwrap().success());
    }

    /// Runs one of the two.
    pub fn run(&self, whose: Whose, name: &str, words: &[&str]) -> Outcome {
        outcome(self.command(whose, name).args(words))
    }

    /// Runs our command.
    pub fn ours(&self, name: &str, words: &[&str]) -> Outcome {
        self.run(Ours, name, words)
    }

    /// Runs both, which must end alike.
    pub fn same(&self, name: &str, words: &[&str]) -> Outcome {
        let [theirs, ours] = [Theirs, Ours].map(|whose| self.run(whose, name, words));
        assert_eq!(ours, theirs, "ours and Debian's s6-{name} {words:?}");
        ours
    }
}

/// Runs a command to its end.
pub fn outcome(command: &mut Command) -> Outcome {
    outcome_of(&command.output().unwrap_or_else(|e| panic!("{command:?}: {e}")))
}

pub fn outcome_of(output: &Output) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let code = output.status.code().unwrap_or_else(|| 1000 + output.status.signal().unwrap());
    Outcome { code, out: String::from_utf8_lossy(&output.stdout).into_owned() }
}

impl Outcome {
    /// The exit code alone.
    pub fn code(code: i32) -> Outcome {
        Outcome { code, out: String::new() }
    }

    /// Success, with this output.
    pub fn says(out: &str) -> Outcome {
        Outcome { code: 0, out: out.to_owned() }
    }
}

/// Waits for something that has no event.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "it did not come true");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Content of a file, nothing if it is missing.
pub fn content(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
