//! A logger at work.

use crate::beside::{Beside, Ours, Theirs, Whose, eventually};
use linchpin::sys::process;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub const BOTH: [Whose; 2] = [Theirs, Ours];

/// A pipe: the end to read from, the end to write to.
pub fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    #[allow(unsafe_code)]
    // SAFETY: both are ours alone.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}

/// Makes this thread, and no other, one of another user, who may do nothing special.
pub fn become_user(user: u32) {
    #[allow(unsafe_code)]
    // SAFETY: no memory is involved.
    let done = unsafe { libc::syscall(libc::SYS_setresuid, user, user, user) };
    assert_eq!(done, 0);
}

/// Bytes that are in a pipe, or wait in a socket.
pub fn unread(end: &impl AsRawFd) -> usize {
    let mut count = 0i32;
    #[allow(unsafe_code)]
    // SAFETY: it stores an int.
    let done = unsafe { libc::ioctl(end.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    assert_eq!(done, 0);
    count as usize
}

/// Flags of an open file.
pub fn is_nonblocking(end: &impl AsRawFd) -> bool {
    #[allow(unsafe_code)]
    // SAFETY: no memory is involved.
    let flags = unsafe { libc::fcntl(end.as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

/// Sets or clears O_NONBLOCK.
pub fn set_nonblocking(end: &impl AsRawFd, on: bool) {
    linchpin::sys::Fd(end.as_raw_fd()).set_nonblocking(on).unwrap();
}

/// Writes as much as there is room for, in pieces of so many bytes; answers how much that was.
pub fn fill(end: &mut File, piece: &[u8], most: usize) -> usize {
    set_nonblocking(end, true);
    let mut done = 0;
    while done < most {
        match end.write(piece) {
            Ok(count) => done += count,
            Err(e) => {
                assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    set_nonblocking(end, false);
    done
}

/// What comes out of a pipe, all the time.
pub struct Gathered {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Gathered {
    pub fn from(mut end: impl Read + Send + 'static) -> Gathered {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let all = bytes.clone();
        let reader = std::thread::spawn(move || {
            let mut buf = vec![0; 65536];
            while let Ok(count @ 1..) = end.read(&mut buf) {
                all.lock().unwrap().extend_from_slice(&buf[..count]);
            }
        });
        Gathered { bytes, reader }
    }

    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    pub fn all(self) -> String {
        self.reader.join().unwrap();
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }
}

/// How a logger ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Exit code; 1000 and the signal's number if a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl End {
    pub fn of(output: &Output) -> End {
        End {
            code: output.status.code().unwrap_or_else(|| 1000 + output.status.signal().unwrap()),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Success, with this output and nothing else.
    pub fn says(out: &str) -> End {
        End { code: 0, out: out.to_owned(), err: String::new() }
    }
}

/// Runs a logger with this input to its end.
pub fn run(both: &Beside, whose: Whose, words: &[&str], input: impl Into<Vec<u8>>) -> End {
    let mut command = both.command(whose, "log");
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut end, input) = (child.stdin.take().unwrap(), input.into());
    let writer = std::thread::spawn(move || {
        let _ = end.write_all(&input); // it may have ended
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    End::of(&output)
}

/// The same with both, which must end alike.
pub fn same(both: &Beside, words: &[&str], input: impl Into<Vec<u8>>) -> End {
    let input = input.into();
    let [theirs, ours] = BOTH.map(|whose| run(both, whose, words, input.clone()));
    assert_eq!(ours, theirs, "ours and Debian's s6-log {words:?}");
    ours
}

/// A logger that runs. It is killed when it is dropped.
pub struct Logger {
    pub both: Beside,
    pub child: Child,
    /// What it reads; the end to write to, until it is closed.
    pub rest: File,
    pub input: Option<File>,
    out: Option<Gathered>,
    err: Option<Gathered>,
}

impl Logger {
    /// Starts it; returns when it has trapped signals and opened everything.
    pub fn start(whose: Whose, words: &[&str]) -> Logger {
        Logger::start_with(whose, words, |_| {})
    }

    pub fn start_with(whose: Whose, words: &[&str], set_up: impl FnOnce(&mut Command)) -> Logger {
        Logger::start_in(Beside::new(), whose, words, set_up)
    }

    pub fn start_in(both: Beside, whose: Whose, words: &[&str], set_up: impl FnOnce(&mut Command)) -> Logger {
        let (rest, input) = pipe();
        let stdin: OwnedFd = rest.try_clone().unwrap().into();
        let ready = both.path().join("ready");
        let _ = std::fs::remove_file(&ready);
        let mut command = Command::new("sh");
        let logger = both.command(whose, "log");
        command.args(["-c", "exec \"$@\" 5>ready", "sh"]).arg(logger.get_program()).args(["-d", "5"]).args(words);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(both.path());
        command.stdin(Stdio::from(stdin)).stdout(Stdio::piped()).stderr(Stdio::piped());
        set_up(&mut command);
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().map(Gathered::from);
        let err = child.stderr.take().map(Gathered::from);
        eventually(|| {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", err.as_ref().map_or(String::new(), Gathered::so_far));
            std::fs::read(&ready).is_ok_and(|bytes| bytes == b"\n")
        });
        Logger { both, child, rest, input: Some(input), out, err }
    }

    /// Writes to its input.
    pub fn write(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Writes, and waits until it has taken that.
    pub fn feed(&mut self, text: &str) {
        self.write(text);
        eventually(|| unread(&self.rest) == 0);
    }

    /// Writes no more.
    pub fn close(&mut self) {
        self.input = None;
    }

    pub fn out(&self) -> String {
        self.out.as_ref().unwrap().so_far()
    }

    pub fn err(&self) -> String {
        self.err.as_ref().unwrap().so_far()
    }

    /// Waits until it has said this.
    pub fn says(&self, text: &str) {
        eventually(|| self.out() == text);
    }

    pub fn signal(&self, signal: i32) {
        process::kill(self.child.id() as i32, signal).unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> End {
        let mut status = None;
        eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        let text = |gathered: Option<Gathered>| gathered.map_or(String::new(), Gathered::all);
        let (out, err) = (text(self.out.take()), text(self.err.take()));
        End { code: status.code().unwrap_or_else(|| 1000 + status.signal().unwrap()), out, err }
    }

    /// What it has left in its input.
    pub fn left(&mut self) -> String {
        let mut bytes = vec![0; unread(&self.rest)];
        self.rest.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Files of a logdir, sorted, with their permissions and contents.
    pub fn files(&self, dir: &str) -> Vec<(String, u32, String)> {
        files(&self.both, dir)
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files of a logdir, sorted, with their permissions and contents; archives by their last letter only.
pub fn files(both: &Beside, dir: &str) -> Vec<(String, u32, String)> {
    use std::os::unix::fs::PermissionsExt;
    let mut files: Vec<_> = std::fs::read_dir(both.path().join(dir))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let content = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            (entry.file_name().into_string().unwrap(), mode, content)
        })
        .collect();
    files.sort();
    for (name, ..) in &mut files {
        if name.starts_with('@') {
            *name = format!("@{}", &name[25..]);
        }
    }
    files
}
