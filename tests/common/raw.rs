//! Connections to a fd-holder on which a test writes bytes of its own.

use linchpin::sys::{Errno, Fd, file, poll, socket, time, unix};
use std::ffi::CString;
use std::path::Path;

/// What a store does with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// An answer, without its header, and what came with it (st_dev and st_ino of each).
    Answer(Vec<u8>, Vec<(u64, u64)>),
    /// It ends the connection.
    End,
}

/// An answer of one byte.
pub fn status(errno: u8) -> Said {
    Said::Answer(vec![errno], Vec::new())
}

pub const OK: u8 = 0;
pub const EPERM: u8 = 1;
pub const ENOENT: u8 = 2;
pub const EAGAIN: u8 = 11;
pub const EBUSY: u8 = 16;
pub const ENFILE: u8 = 23;

/// A limit that is never reached, whenever the test runs.
pub const NEVER: [u8; 12] = [0x60, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 9];

/// When anything must have happened.
pub fn deadline() -> Option<u64> {
    Some(time::boot() + 30 * time::SECOND)
}

/// A message.
pub fn message(payload: &[u8], fds: u16) -> Vec<u8> {
    [&(payload.len() as u32).to_be_bytes()[..], &fds.to_be_bytes(), payload].concat()
}

/// An identifier as it is sent.
pub fn id(id: &[u8]) -> Vec<u8> {
    [&[id.len() as u8][..], id, &[0]].concat()
}

/// The payload that stores under an identifier, for ever.
pub fn store(name: &[u8]) -> Vec<u8> {
    [b"S", &NEVER[..], &id(name)].concat()
}

/// The payload that lets go of one.
pub fn delete(name: &[u8]) -> Vec<u8> {
    [b"D", &id(name)[..]].concat()
}

/// The payload that retrieves one.
pub fn retrieve(name: &[u8], delete: u8) -> Vec<u8> {
    [&[b'R', delete][..], &id(name)].concat()
}

/// The payload of a dump's message, with these identifiers.
pub fn dump(names: &[&[u8]]) -> Vec<u8> {
    let entries: Vec<u8> = names.iter().flat_map(|name| [&NEVER[..], &id(name)].concat()).collect();
    [b".", &entries[..]].concat()
}

/// The payload that announces a dump.
pub fn announce(total: u32) -> Vec<u8> {
    [b"!", &total.to_be_bytes()[..]].concat()
}

/// A connection.
pub struct Raw(pub Fd);

impl Raw {
    pub fn connect(path: &Path) -> Raw {
        Raw::try_connect(path).unwrap()
    }

    /// The same with a store that may end meanwhile.
    pub fn try_connect(path: &Path) -> Result<Raw, Errno> {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        unix::connect(&path, deadline()).map(Raw)
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: &[u8], fds: &[Fd]) {
        assert_eq!(socket::send(self.0, bytes, fds), Ok(bytes.len()));
    }

    /// Sends one request.
    pub fn request(&self, payload: &[u8], fds: &[Fd]) {
        self.send(&message(payload, fds.len() as u16), fds);
    }

    /// Sends one request and waits for what comes of it. The store may have left already.
    pub fn ask(&self, payload: &[u8], fds: &[Fd]) -> Said {
        let _ = socket::send(self.0, &message(payload, fds.len() as u16), fds);
        self.said()
    }

    /// The next answer, or the end.
    pub fn said(&self) -> Said {
        let mut got = Vec::new();
        let Some(header) = self.receive(6, &mut got) else { return Said::End };
        let length = u32::from_be_bytes(*header.first_chunk().unwrap());
        let Some(payload) = self.receive(length as usize, &mut got) else { return Said::End };
        assert_eq!(got.len(), usize::from(u16::from_be_bytes([header[4], header[5]])), "descriptors that were told");
        Said::Answer(payload, got)
    }

    fn receive(&self, n: usize, came: &mut Vec<(u64, u64)>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < n {
            poll::readable(self.0, deadline()).expect("an answer");
            let (mut buf, mut received) = (vec![0; n - bytes.len()], [Fd::NONE; socket::MAX_FDS]);
            let got = socket::receive(self.0, &mut buf, &mut received).ok().filter(|got| got.bytes > 0)?;
            for fd in &mut received[..got.fds] {
                came.push(file::identity(*fd).unwrap());
                fd.close();
            }
            bytes.extend(&buf[..got.bytes]);
        }
        Some(bytes)
    }

    /// Whether something to read comes within so many milliseconds.
    pub fn readable_within(&self, millis: u64) -> bool {
        poll::readable(self.0, Some(time::boot() + millis * time::MILLI)).is_ok()
    }

    /// Sends no more.
    pub fn shut(&self) {
        rustix::net::shutdown(self.0, rustix::net::Shutdown::Write).unwrap();
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.0.close();
    }
}
