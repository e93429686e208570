//! A socklog that runs, and who sends to it.

use crate::beside::*;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A socklog.
pub struct Server {
    pub child: Child,
    stderr: ChildStderr,
}

/// `exec` of a command that says on standard error when it is ready: an empty line.
pub fn telling(command: &Command) -> Command {
    let mut sh = Command::new("/bin/sh");
    sh.args(["-c", r#"exec "$0" -d 3 "$@" 3>&2"#]).arg(command.get_program());
    sh.current_dir(command.get_current_dir().unwrap()).env_clear();
    sh.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    sh
}

impl Server {
    /// Starts one and waits until it is ready.
    pub fn start(both: &Beside, whose: Whose, words: &[&str], input: Stdio, output: Stdio) -> Server {
        let mut command = telling(&both.command(whose, "socklog"));
        Server::of(command.args(words).stdin(input).stdout(output))
    }

    /// The same, of a command that says when it is ready, as [`telling`] does.
    pub fn of(command: &mut Command) -> Server {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let mut first = [0];
        stderr.read_exact(&mut first).unwrap();
        if first != *b"\n" {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            panic!("{command:?} says {}{text}", char::from(first[0]));
        }
        Server { child, stderr }
    }

    /// One at the path `log`, whose lines come through a pipe.
    pub fn at_log(both: &Beside, whose: Whose, words: &[&str]) -> Server {
        let words: Vec<&str> = ["-x", "log"].iter().chain(words).copied().collect();
        Server::start(both, whose, &words, Stdio::null(), Stdio::piped())
    }

    pub fn signal(&self, signal: i32) {
        linchpin::sys::process::kill(self.child.id() as i32, signal).unwrap();
    }

    /// Waits for its end: exit code (1000 and the number of a signal), what it had to say.
    pub fn end(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (status.code().unwrap_or_else(|| 1000 + status.signal().unwrap()), said)
    }

    /// Reads lines until one is `last`; that one is not among them.
    pub fn lines_until(&mut self, last: &str) -> Vec<u8> {
        let output = self.child.stdout.as_mut().unwrap();
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        let end = format!("{last}\n").into_bytes();
        loop {
            let n = output.read(&mut piece).unwrap();
            assert!(n > 0, "it ended after {}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&piece[..n]);
            if all.ends_with(&end) && (all.len() == end.len() || all[all.len() - end.len() - 1] == b'\n') {
                all.truncate(all.len() - end.len());
                return all;
            }
        }
    }
}

/// Sends a message, waiting while the queue is full.
pub fn send(client: &UnixDatagram, message: &[u8]) {
    assert_eq!(client.send(message).unwrap(), message.len());
}

/// Somebody who sends to `log`.
pub fn client(both: &Beside) -> UnixDatagram {
    let socket = UnixDatagram::unbound().unwrap();
    // The path may be too long for an address as a whole, but here nobody changes the directory.
    socket.connect(log(both)).unwrap();
    socket
}

pub fn log(both: &Beside) -> PathBuf {
    both.path().join("log")
}

/// What `words` and these messages make one print.
pub fn printed(both: &Beside, whose: Whose, words: &[&str], messages: &[Vec<u8>]) -> Vec<u8> {
    let mut server = Server::at_log(both, whose, words);
    let client = client(both);
    let all: Vec<&[u8]> = messages.iter().map(Vec::as_slice).chain([&b"that is all"[..]]).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| all.iter().for_each(|message| send(&client, message)));
        let lines = server.lines_until("that is all");
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), (0, String::new()), "{whose:?}");
        lines
    })
}

/// Both print the same; it.
pub fn same(both: &Beside, words: &[&str], messages: &[Vec<u8>]) -> String {
    let [theirs, ours] = [Theirs, Ours].map(|whose| printed(both, whose, words, messages));
    if ours != theirs {
        let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>();
        let (ours, theirs) = (lines(&ours), lines(&theirs));
        let at = ours.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs);
        panic!("line {at:?}: {:?}\nnot {:?}", at.map(|at| &ours[at]), at.map(|at| &theirs[at]));
    }
    String::from_utf8_lossy(&ours).into_owned()
}

/// A pipe: the end to read from, the end to write to.
pub fn pipe() -> (File, File) {
    let (read, write) = linchpin::sys::fd::pipe().unwrap();
    // SAFETY: they are ours alone.
    #[allow(unsafe_code)]
    unsafe {
        (File::from_raw_fd(read.0), File::from_raw_fd(write.0))
    }
}

/// One that holds a page.
pub fn small_pipe() -> (File, File) {
    let (read, write) = pipe();
    rustix::pipe::fcntl_setpipe_size(number(&write), 4096).unwrap();
    (read, write)
}

pub fn number(file: &File) -> linchpin::sys::Fd {
    linchpin::sys::Fd(file.as_raw_fd())
}

/// Fills a pipe to the last byte; answers how much that took.
pub fn fill(pipe: &File) -> usize {
    use std::io::Write;
    number(pipe).set_nonblocking(true).unwrap();
    let mut count = 0;
    while let Ok(n) = (&*pipe).write(b"\n") {
        count += n;
    }
    number(pipe).set_nonblocking(false).unwrap();
    count
}
