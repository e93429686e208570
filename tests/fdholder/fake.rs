//! A store that says what it is told to say, and remembers what it was sent: for clients.

use crate::raw::deadline;
use crate::tmp::TempDir;
use linchpin::sys::{Fd, poll, socket, unix};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// What the store does.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Receives a request.
    Hear,
    /// Receives a request and says this, with so many descriptors: each a file that reads `held`.
    Say(Vec<u8>, usize),
    /// Says this too, without a request.
    Also(Vec<u8>, usize),
    /// Ends the connection.
    Close,
}

pub use Reply::{Also, Close, Hear, Say};

/// A message whose payload this is, which claims to bring so many descriptors.
pub fn message(claims: u16, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_be_bytes()[..], &claims.to_be_bytes(), payload].concat()
}

/// The answer that is a status alone.
pub fn status(errno: u8) -> Reply {
    Say(message(0, &[errno]), 0)
}

/// The answer to `?`.
pub fn dump_head(trips: u32, total: u32) -> Reply {
    Say(message(0, &[&[0][..], &trips.to_be_bytes(), &total.to_be_bytes()].concat()), 0)
}

/// The answer to `!`.
pub fn dump_expected(trips: u32) -> Reply {
    Say(message(0, &[&[0][..], &trips.to_be_bytes()].concat()), 0)
}

/// An entry of a dump; `limit` is its first byte.
pub fn entry(limit: u8, id: &[u8]) -> Vec<u8> {
    let stamp = [limit, 0, 0, 0, 0x7b, 2, 0xaf, 0x5f, 0x30, 0xb9, 0x6b, 0x92];
    [&stamp[..], &[id.len() as u8], id, &[0]].concat()
}

/// What was sent in one piece: bytes, and the number of descriptors that came with it.
pub type Piece = (Vec<u8>, usize);

/// The store; it serves one client.
pub struct Fake {
    dir: TempDir,
    thread: JoinHandle<Vec<Piece>>,
}

impl Fake {
    /// Waits for a client, does what it is told to, and if that does not end the connection waits for the client to.
    pub fn start(script: Vec<Reply>) -> Fake {
        let dir = TempDir::new();
        let held = dir.path().join("held");
        std::fs::write(&held, "held\n").unwrap();
        let mut listener = unix::listen(&path(&dir), 0o777).unwrap();
        let thread = std::thread::spawn(move || {
            poll::readable(listener, deadline()).expect("a client");
            let mut connection = unix::accept(listener).unwrap();
            connection.set_nonblocking(false).unwrap();
            let sent = serve(connection, script, &held);
            connection.close();
            listener.close();
            sent
        });
        Fake { dir, thread }
    }

    /// Its socket.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// What the client sent, now that it is gone; nothing if it never came.
    pub fn transcript(self) -> Vec<Piece> {
        // If no client came, this is one. If one did, nobody is interested.
        if let Ok(mut connection) = unix::connect(&path(&self.dir), deadline()) {
            connection.close();
        }
        self.thread.join().unwrap()
    }
}

fn path(dir: &TempDir) -> CString {
    CString::new(dir.path().join("s").to_str().unwrap()).unwrap()
}

fn serve(connection: Fd, script: Vec<Reply>, held: &Path) -> Vec<Piece> {
    let mut sent = Vec::new();
    for reply in script {
        if let Hear | Say(..) = reply {
            match receive(connection) {
                Some(piece) => sent.push(piece),
                None => return sent,
            }
        }
        match reply {
            Say(bytes, fds) | Also(bytes, fds) => {
                let files: Vec<File> = (0..fds).map(|_| File::open(held).unwrap()).collect();
                let fds: Vec<Fd> = files.iter().map(|file| Fd(file.as_raw_fd())).collect();
                // A client that has seen enough may have left.
                let _ = socket::send_waiting(connection, &bytes, &fds);
            }
            Hear => {}
            Close => return sent,
        }
    }
    sent.extend(std::iter::from_fn(|| receive(connection)));
    sent
}

/// What comes in one piece; nothing at the end, or if the client does nothing for too long.
fn receive(connection: Fd) -> Option<Piece> {
    poll::readable(connection, deadline()).ok()?;
    let (mut bytes, mut fds) = (vec![0; 200_000], [Fd::NONE; socket::MAX_FDS]);
    let got = socket::receive(connection, &mut bytes, &mut fds).unwrap_or_default();
    for fd in fds.iter_mut().take(got.fds) {
        fd.close();
    }
    bytes.truncate(got.bytes);
    (got.bytes > 0).then_some((bytes, got.fds))
}
