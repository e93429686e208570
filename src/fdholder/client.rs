//! The other side of the store: a client that waits, for the applets. Works with s6-fdholderd too.

use super::info;
use super::wire::{self, Entry, HEADER, NEVER, Request, STATUS};
use crate::limits::HELD_NAME;
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, Result, poll, socket, unix};
use crate::text::tai::Stamp;
use core::ffi::CStr;

/// A connection to a store, at most until a deadline on the boot-time clock.
pub struct Connection {
    fd: Fd,
    deadline: Option<Nanos>,
}

/// A limit that is never reached.
pub fn never() -> Stamp {
    let now = Stamp::now();
    Stamp { sec: now.sec.saturating_add(NEVER), nano: now.nano }
}

impl Connection {
    /// Connects to the store's socket; while its backlog is full, waits. ETIMEDOUT: `deadline` has passed. Other
    /// errors: connect(2)'s.
    pub fn open(path: &CStr, deadline: Option<Nanos>) -> Result<Connection> {
        unix::connect(path, deadline).map(|fd| Connection { fd, deadline })
    }

    /// Ends it.
    pub fn close(&mut self) {
        self.fd.close();
    }

    /// Has `fd` held as `id` until `limit`. EBUSY: the identifier is taken. ENFILE: the store is full. EPERM: not
    /// allowed.
    ///
    /// Errors of all operations: ENAMETOOLONG: the identifier is longer than [`HELD_NAME`]. EPIPE, ECONNRESET: the
    /// store refused the client or the request. EPROTO: what answered is no store. ETIMEDOUT.
    pub fn store(&mut self, fd: Fd, id: &[u8], limit: Stamp) -> Result<()> {
        self.send(&Request::Store(Entry { limit, id }), &[fd])?;
        self.status()
    }

    /// Has the store let go of `id`. ENOENT: it does not hold it.
    pub fn delete(&mut self, id: &[u8]) -> Result<()> {
        self.send(&Request::Delete(id), &[])?;
        self.status()
    }

    /// Gets the descriptor held as `id`, close-on-exec; with `delete`, the store lets go of it. ENOENT: it does not
    /// hold it.
    pub fn retrieve(&mut self, id: &[u8], delete: bool) -> Result<Fd> {
        self.send(&Request::Retrieve(id, delete), &[])?;
        let mut fd = Fd::NONE;
        let mut buf = [0; STATUS];
        let done = self.receive(&mut buf, Some(&mut fd)).and_then(end);
        if done.is_ok() && fd.is_some() {
            return Ok(fd);
        }
        fd.close();
        Err(done.err().unwrap_or(Errno::PROTO))
    }

    /// The identifiers of all that is held, in the store's order. EMSGSIZE: `buf` is too small for the answer.
    pub fn list<'b>(&mut self, buf: &'b mut [u8]) -> Result<impl Iterator<Item = &'b [u8]> + use<'b>> {
        self.send(&Request::List, &[])?;
        wire::identifiers(self.receive(buf, None)?)
    }

    /// What the store tells about what it holds, from slot `from` on (0 at first, then as each part says). `buf` has room
    /// for [`ANSWER`](info::ANSWER) bytes. EPIPE, ECONNRESET: it may be a store of s6, which does not know this request.
    pub fn info<'b>(&mut self, from: u32, buf: &'b mut [u8]) -> Result<info::Page<'b>> {
        self.send(&Request::Info(from), &[])?;
        info::Page::decode(self.receive(buf, None)?, from)
    }

    /// Sends a request, whole if the kernel takes it so: s6-fdholderd insists on that.
    fn send(&mut self, request: &Request<'_>, mut fds: &[Fd]) -> Result<()> {
        let mut buf = [0; HEADER + 1 + Stamp::SIZE + 1 + HELD_NAME + 1];
        let mut rest = request.encode(&mut buf).ok_or(Errno::NAMETOOLONG)?;
        while !rest.is_empty() {
            match socket::send(self.fd, rest, fds) {
                Ok(sent) => {
                    rest = rest.get(sent..).unwrap_or(&[]);
                    fds = &[];
                }
                Err(Errno::AGAIN) => poll::writable(self.fd, self.deadline)?,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn status(&mut self) -> Result<()> {
        self.receive(&mut [0; STATUS], None).and_then(end)
    }

    /// One whole answer, which may bring a descriptor: what follows its status 0.
    fn receive<'b>(&mut self, buf: &'b mut [u8], mut fd: Option<&mut Fd>) -> Result<&'b [u8]> {
        let (mut len, mut total) = (0, HEADER);
        while len < total {
            let room = buf.get_mut(len..total).ok_or(Errno::MSGSIZE)?;
            let mut fds = [Fd::NONE];
            let free = if fd.is_some() { &mut fds[..] } else { &mut [] };
            let got = match socket::receive(self.fd, room, free) {
                Ok(got) => got,
                Err(Errno::AGAIN) => {
                    poll::readable(self.fd, self.deadline)?;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e),
            };
            if got.fds > 0 {
                if let Some(place) = fd.take() {
                    *place = fds[0];
                }
            }
            if got.fds_lost {
                return Err(Errno::PROTO);
            }
            if got.bytes == 0 {
                return Err(Errno::PIPE);
            }
            len += got.bytes;
            if let Some((length, _)) = wire::header(buf.get(..len).unwrap_or(&[])) {
                total = HEADER.saturating_add(length);
            }
        }
        wire::answer(buf.get(HEADER..len).unwrap_or(&[]))
    }
}

/// An answer that says no more than that it is done.
fn end(rest: &[u8]) -> Result<()> {
    if rest.is_empty() { Ok(()) } else { Err(Errno::PROTO) }
}
