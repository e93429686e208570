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
    Some(time::boot() + 60 * time::SECOND)
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
        let Some((header, payload, fds)) = self.next() else { return Said::End };
        let came: Vec<(u64, u64)> = fds.iter().map(|fd| file::identity(*fd).unwrap()).collect();
        close_all(fds);
        assert_eq!(came.len(), usize::from(u16::from_be_bytes([header[4], header[5]])), "descriptors that were told");
        Said::Answer(payload, came)
    }

    /// One whole answer, with the number of descriptors that came; empty if the connection ended.
    pub fn answer(&self) -> (Vec<u8>, usize) {
        let Some((header, payload, fds)) = self.next() else { return (Vec::new(), 0) };
        let count = fds.len();
        close_all(fds);
        ([header, payload].concat(), count)
    }

    /// The next answer's header, the rest of it, its descriptors.
    fn next(&self) -> Option<(Vec<u8>, Vec<u8>, Vec<Fd>)> {
        let (header, mut fds) = self.receive(6);
        let length = u32::from_be_bytes(*header.first_chunk()?) as usize;
        let (payload, more) = self.receive(length);
        fds.extend(more);
        if payload.len() == length {
            return Some((header, payload, fds));
        }
        close_all(fds);
        None
    }

    /// The next `n` bytes and the descriptors that come with them; fewer if the connection ends.
    pub fn receive(&self, n: usize) -> (Vec<u8>, Vec<Fd>) {
        let (mut bytes, mut fds) = (Vec::new(), Vec::new());
        while bytes.len() < n {
            poll::readable(self.0, deadline()).expect("an answer");
            let (mut buf, mut received) = (vec![0; n - bytes.len()], [Fd::NONE; socket::MAX_FDS]);
            let Ok(got) = socket::receive(self.0, &mut buf, &mut received) else { break };
            fds.extend(&received[..got.fds]);
            bytes.extend(&buf[..got.bytes]);
            if got.bytes == 0 {
                break;
            }
        }
        (bytes, fds)
    }

    pub fn ended(&self) -> bool {
        self.receive(1).0.is_empty()
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

fn close_all(fds: Vec<Fd>) {
    for mut fd in fds {
        fd.close();
    }
}
