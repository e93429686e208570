//! A directory with logdirs, and the command that reads them.

use crate::beside::Outcome;
use crate::tmp::TempDir;
use linchpin::text::tai::Stamp;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// 2026-11-22 09:00:00 UTC.
pub const NINE: u64 = 1_795_338_000;

/// The label of so many microseconds after that.
pub fn label(micros: u64) -> String {
    let stamp = Stamp::from_unix(NINE + micros / 1_000_000, (micros % 1_000_000 * 1000) as u32);
    String::from_utf8(stamp.to_text().to_vec()).unwrap()
}

/// A line with a label.
pub fn line(micros: u64, text: &str) -> String {
    format!("{} {text}\n", label(micros))
}

/// `09:00:01.500000`: what a date ends with.
pub fn clock(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", 9 + seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000)
}

/// A line as it is shown.
pub fn shown(micros: u64, name: &str, text: &str) -> String {
    format!("2026-11-22 {} {name} {text}\n", clock(micros))
}

pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: TempDir::new() }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The file of a logdir, which is made if it is not there.
    pub fn file(&self, logdir: &str, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let dir = self.dir.path().join(logdir);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(name), content).unwrap();
        dir.join(name)
    }

    /// An archive of that time, last changed then.
    pub fn archive(&self, logdir: &str, micros: u64, suffix: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(logdir, &format!("{}.{suffix}", label(micros)), content);
        touch(&path, NINE + micros / 1_000_000);
        path
    }

    /// `linchpin log` and words, in UTC, that looks here.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.bare(words);
        command.env("TZ", "UTC0");
        command
    }

    /// The same in the machine's time zone.
    pub fn bare(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.arg("log").arg("-d").arg(self.dir.path()).args(words).stdin(Stdio::null());
        command
    }

    /// Runs it.
    pub fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.command(words))
    }

    /// What it shows, which is all it does.
    pub fn show(&self, words: &[&str]) -> String {
        self.run(words).fine()
    }

    /// Debian's s6-log with a script, in our directory.
    pub fn s6_log(&self, script: &[&str]) -> Command {
        let mut command = Command::new("s6-log");
        command.args(script).current_dir(self.dir.path()).stdin(Stdio::piped());
        command
    }

    /// Runs a logger on these lines, to its end.
    pub fn log(&self, mut command: Command, input: &[u8]) {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        assert!(child.wait().unwrap().success(), "{command:?}");
    }

    /// Our own s6-log with a script, in our directory.
    pub fn our_log(&self, script: &[&str]) -> Command {
        let link = self.dir.path().join("s6-log");
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_linchpin"), &link);
        let mut command = Command::new(link);
        command.args(script).current_dir(self.dir.path()).stdin(Stdio::piped());
        command
    }

    /// All that a logdir has, in the order of its names. Half a line that a killed logger has left at the end of a file is
    /// one.
    pub fn content(&self, logdir: &str) -> String {
        let dir = self.dir.path().join(logdir);
        let mut names: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('@') || name == "current" || name == "previous")
            .collect();
        names.sort_by_key(|name| (name == "current", name == "previous", name.clone()));
        let content = |name: &String| {
            let mut content = std::fs::read_to_string(dir.join(name)).unwrap();
            if !content.is_empty() && !content.ends_with('\n') {
                content.push('\n');
            }
            content
        };
        names.iter().map(content).collect()
    }
}

/// Sets the time of a file's last change.
pub fn touch(path: &Path, unix: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// How a command went.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(command: &mut Command) -> Ran {
        let output = command.output().unwrap();
        Ran::from(&output)
    }

    pub fn from(output: &Output) -> Ran {
        let Outcome { code, out } = crate::beside::outcome_of(output);
        Ran { code, out, err: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    /// What it said on standard output, if it did nothing else.
    pub fn fine(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }
}
