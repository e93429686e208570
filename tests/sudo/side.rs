//! One side of the conversation in the hands of the test.

use crate::beside::*;
use linchpin::sys::{Fd, socket};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const SERVER: &[u8] = b"s6-sudo b v1.0\n";
pub const CLIENT: &[u8] = b"s6-sudo a v1.0\n";
pub const LIMIT: Duration = Duration::from_secs(30);
pub const BOTH: [Whose; 2] = [Theirs, Ours];

/// A message for sudod, put together as the protocol says.
pub fn request(args: &[&str], env: &[&str]) -> Vec<u8> {
    let join = |words: &[&str]| words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect::<Vec<u8>>();
    let (arg_bytes, env_bytes) = (join(args), join(env));
    let mut payload = CLIENT.to_vec();
    for number in [args.len(), env.len(), arg_bytes.len(), env_bytes.len()] {
        payload.extend((number as u32).to_be_bytes());
    }
    payload.extend([arg_bytes, env_bytes].concat());
    [&(payload.len() as u32).to_be_bytes()[..], &[0, 3], &payload].concat()
}

/// Reads so many bytes; fewer if the other side has hung up.
pub fn hear(mut from: &UnixStream, wanted: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < wanted {
        let mut more = vec![0; wanted - bytes.len()];
        match from.read(&mut more) {
            Ok(0) => break,
            Ok(n) => bytes.extend(&more[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
            Err(e) => panic!("after {bytes:?}: {e}"),
        }
    }
    bytes
}

/// Sends bytes, with descriptors. False: the other side has hung up.
pub fn send(to: &UnixStream, bytes: &[u8], fds: &[Fd]) -> bool {
    match socket::send_waiting(Fd(to.as_raw_fd()), bytes, fds) {
        Ok(n) => {
            assert_eq!(n, bytes.len());
            true
        }
        Err(_) => false,
    }
}

/// A pipe that takes what a program writes.
pub struct Output {
    read: Fd,
    write: Fd,
}

impl Output {
    pub fn new() -> Output {
        let (read, write) = Fd::pipe().unwrap();
        Output { read, write }
    }

    /// Where to write.
    pub fn end(&self) -> Fd {
        self.write
    }

    /// The same for a command.
    pub fn file(&self) -> std::fs::File {
        std::fs::File::options().write(true).open(format!("/proc/self/fd/{}", self.write.0)).unwrap()
    }

    /// All of it, when nobody has the pipe open any more.
    pub fn all(mut self) -> String {
        self.write.close();
        let mut bytes = Vec::new();
        loop {
            let mut more = [0; 4096];
            // Nobody who keeps it open keeps the test from ending.
            let limit = linchpin::sys::time::boot() + LIMIT.as_nanos() as u64;
            linchpin::sys::poll::readable(self.read, Some(limit)).expect("somebody has it open still");
            match linchpin::sys::file::read_some(self.read, &mut more).unwrap() {
                0 => return String::from_utf8_lossy(&bytes).into_owned(),
                n => bytes.extend(&more[..n]),
            }
        }
    }

    /// The next line.
    pub fn line(&mut self) -> String {
        let mut bytes = Vec::new();
        while bytes.last() != Some(&b'\n') {
            let mut byte = [0];
            assert_eq!(linchpin::sys::file::read_some(self.read, &mut byte), Ok(1));
            bytes.extend(byte);
        }
        String::from_utf8(bytes).unwrap()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.read.close();
        self.write.close();
    }
}

/// A sudod whose client is the test.
pub struct Sudod {
    process: Option<Child>,
    pub socket: UnixStream,
    log: PathBuf,
}

impl Sudod {
    /// With these words and variables; it has said who it is.
    pub fn start(both: &Beside, whose: Whose, words: &[&str], env: &[(&str, &str)]) -> Sudod {
        let mut command = both.command(whose, "sudod");
        command.args(words).envs(env.iter().copied());
        Sudod::of(both, command)
    }

    pub fn of(both: &Beside, mut command: Command) -> Sudod {
        let (socket, theirs) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let log = both.path().join("log");
        let theirs = OwnedFd::from(theirs);
        command.stdin(theirs.try_clone().unwrap()).stdout(theirs).stderr(std::fs::File::create(&log).unwrap());
        let process = command.spawn().unwrap();
        drop(command); // and with it its end of the socket
        let sudod = Sudod { process: Some(process), socket, log };
        assert_eq!(hear(&sudod.socket, SERVER.len()), SERVER);
        sudod
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Sends a request whose program has these descriptors.
    pub fn ask(&self, args: &[&str], env: &[&str], stdio: [Fd; 3]) {
        assert!(send(&self.socket, &request(args, env), &stdio));
    }

    /// Waits for its end: its exit code, and what it said.
    pub fn end(mut self) -> (i32, String) {
        let code = code(&mut self.process.take().unwrap());
        (code, content(&self.log))
    }
}

impl Drop for Sudod {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Waits for the end of a process, not for ever.
pub fn code(process: &mut Child) -> i32 {
    eventually(|| process.try_wait().unwrap().is_some());
    let status = process.wait().unwrap();
    let output = std::process::Output { status, stdout: Vec::new(), stderr: Vec::new() };
    outcome_of(&output).code
}

/// Runs a program by a sudod, with /dev/null to read: what the server answered (a byte, four bytes), what the program
/// wrote, the server's exit code.
pub fn run(both: &Beside, whose: Whose, words: &[&str], request: Request<'_>) -> (Vec<u8>, String, i32) {
    let sudod = Sudod::start(both, whose, words, request.server);
    let (null, output) = (std::fs::File::open("/dev/null").unwrap(), Output::new());
    sudod.ask(request.args, request.client, [Fd(null.as_raw_fd()), output.end(), output.end()]);
    let written = output.all();
    let answers = hear(&sudod.socket, 5);
    (answers, written, sudod.end().0)
}

/// What [`run`] asks for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub args: &'a [&'a str],
    /// The client's variables.
    pub client: &'a [&'a str],
    /// The server's.
    pub server: &'a [(&'a str, &'a str)],
}

/// Of a program with these words and nothing else.
pub fn program<'a>(args: &'a [&'a str]) -> Request<'a> {
    Request { args, client: &[], server: &[] }
}

/// The path of a command.
pub fn path_of(both: &Beside, whose: Whose, name: &str) -> String {
    both.command(whose, name).get_program().to_str().unwrap().to_owned()
}

/// Debian's s6-ipcserver that runs a sudod, at `sock`.
pub struct Service(Child);

impl Service {
    pub fn start(both: &Beside, whose: Whose, words: &[&str], env: &[(&str, &str)]) -> Service {
        let sudod = path_of(both, whose, "sudod");
        let mut command = both.command(Theirs, "ipcserver");
        command.args(["-1", "--", "sock", &sudod]).args(words).envs(env.iter().copied());
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(both.path().join("log")).unwrap());
        let mut process = command.spawn().unwrap();
        let mut ready = [0];
        process.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"\n");
        Service(process)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's s6-ipcclient that becomes a sudoc, with `sock`.
pub fn sudoc(both: &Beside, whose: Whose, words: &[&str]) -> Command {
    let sudoc = path_of(both, whose, "sudoc");
    let mut command = both.command(Theirs, "ipcclient");
    command.args(["sock", &sudoc]).args(words);
    command
}

/// A sudoc with a connection that is its standard input until it begins; it reads from /dev/null.
pub fn sudoc_at(both: &Beside, whose: Whose, connection: UnixStream, words: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "exec 6<&0 7>&0 </dev/null; exec \"$@\"", "sh", &path_of(both, whose, "sudoc")]).args(words);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.current_dir(both.path()).stdin(OwnedFd::from(connection));
    command
}
