//! The other side of the store: a client that waits, for the applets. Works with s6-fdholderd too.
//!
//! A request goes out in one sendmsg(2), because s6-fdholderd wants it whole. An answer is read piece by piece, and not
//! believed: its length, its number of descriptors and its entries are checked, and descriptors that came with an
//! answer that is wrong are closed.

use super::wire::{self, Builder, CHUNK, Entries, Entry, HEADER, NEVER, Request, STATUS};
use crate::limits::HELD_NAME;
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, Result, poll, socket, unix};
use crate::text::tai::Stamp;
use core::ffi::CStr;

#[cfg(test)]
mod tests;
mod told;
mod upgrade;

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

/// Whether a limit that a store tells is never reached.
pub fn is_never(limit: Stamp, now: Stamp) -> bool {
    limit.sec >= now.sec.saturating_add(NEVER / 2)
}

/// All that a store holds: descriptors, and what each is held as.
pub struct Dump<'b> {
    fds: &'b [Fd],
    entries: Entries<'b>,
}

impl<'b> Dump<'b> {
    /// The descriptors, in the order of [`Dump::entries`].
    pub fn fds(&self) -> &'b [Fd] {
        self.fds
    }

    /// What they are held as.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'b>> + use<'b> {
        self.entries.iter()
    }
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

    /// Takes a number from `lowest` on for itself, and leaves those below to the descriptors that will be received.
    pub fn keep_above(&mut self, lowest: i32) -> Result<()> {
        if self.fd.0 < lowest {
            let moved = self.fd.duplicate(lowest)?;
            self.fd.close();
            self.fd = moved;
        }
        Ok(())
    }

    /// Has `fd` held as `id` until `limit`. EBUSY: the identifier is taken. ENFILE: the store is full. EPERM: not
    /// allowed.
    ///
    /// Errors of all operations: ENAMETOOLONG: an identifier is longer than [`HELD_NAME`]. EPIPE, ECONNRESET: the
    /// store refused the client or the request. EPROTO: what answered is no store. EMFILE: this process can have no
    /// more descriptors. ETIMEDOUT.
    pub fn store(&mut self, fd: Fd, id: &[u8], limit: Stamp) -> Result<()> {
        self.request(&Request::Store(Entry { limit, id }), &[fd])?;
        self.status()
    }

    /// Has the store let go of `id`. ENOENT: it does not hold it.
    pub fn delete(&mut self, id: &[u8]) -> Result<()> {
        self.request(&Request::Delete(id), &[])?;
        self.status()
    }

    /// Gets the descriptor held as `id`, close-on-exec; with `delete`, the store lets go of it. ENOENT: it does not
    /// hold it.
    pub fn retrieve(&mut self, id: &[u8], delete: bool) -> Result<Fd> {
        self.request(&Request::Retrieve(id, delete), &[])?;
        self.descriptor()
    }

    /// An answer that brings one descriptor.
    fn descriptor(&mut self) -> Result<Fd> {
        let mut room = [Fd::NONE];
        let mut queue = Queue::new(&mut room);
        let done = self.short(&mut [0; STATUS], &mut queue).map(drop);
        match (done, queue.taken) {
            (Ok(()), 1) => Ok(room[0]),
            (done, _) => {
                queue.close();
                Err(done.err().unwrap_or(Errno::PROTO))
            }
        }
    }

    /// The identifiers of all that is held, in the store's order. EMSGSIZE: `buf` is too small for the answer.
    pub fn list<'b>(&mut self, buf: &'b mut [u8]) -> Result<impl Iterator<Item = &'b [u8]> + use<'b>> {
        self.request(&Request::List, &[])?;
        let (payload, _) = self.message(buf, &mut Queue::new(&mut []))?;
        wire::identifiers(wire::answer(payload)?)
    }

    /// Gets all that is held: descriptors into `fds`, close-on-exec, and entries into `text`. EPERM: not allowed.
    /// EMSGSIZE: the store holds more than there is room for. After an error no descriptor is left open.
    pub fn get_dump<'b>(&mut self, fds: &'b mut [Fd], text: &'b mut [u8]) -> Result<Dump<'b>> {
        self.request(&Request::GetDump, &[])?;
        let mut queue = Queue::new(fds);
        let done = self.dump_messages(&mut queue, text);
        let total = queue.taken;
        match done.and_then(|len| entries(text.get(..len).unwrap_or(&[]), total)) {
            Ok(entries) => Ok(Dump { fds: fds.get(..total).unwrap_or(&[]), entries }),
            Err(e) => {
                queue.close();
                Err(e)
            }
        }
    }

    /// Reads the first answer to `?`: how many messages follow, with how many descriptors in all.
    fn dump_head(&mut self, queue: &mut Queue<'_>) -> Result<(u32, u32)> {
        let mut head = [0; STATUS + 8];
        let (trips, total) = match self.short(&mut head, queue)? {
            [a, b, c, d, e, f, g, h] => (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h])),
            _ => return Err(Errno::PROTO),
        };
        if plausible(trips, total) && queue.taken == 0 { Ok((trips, total)) } else { Err(Errno::PROTO) }
    }

    /// Reads what `?` is answered with; returns how many bytes of `text` are entries.
    fn dump_messages(&mut self, queue: &mut Queue<'_>, text: &mut [u8]) -> Result<usize> {
        let (trips, total) = self.dump_head(queue)?;
        let total = total as usize;
        if total > queue.room.len() {
            return Err(Errno::MSGSIZE);
        }
        let mut used = 0;
        for _ in 0..trips {
            let before = queue.taken;
            let (payload, count) = self.message(text.get_mut(used..).unwrap_or_default(), queue)?;
            entries(payload, count)?;
            let len = payload.len();
            if queue.taken == before || queue.taken > total {
                return Err(Errno::PROTO);
            }
            text.copy_within(used + HEADER..used + HEADER + len, used);
            used += len;
        }
        if queue.taken == total && queue.came == total { Ok(used) } else { Err(Errno::PROTO) }
    }

    /// Has all `fds` held, each as the entry at its place; what was held under one of these identifiers before is
    /// replaced. Messages are made in `buf`. ENFILE: there are more than the store has room for. EPERM: not allowed.
    /// After another error the store may hold some of them.
    pub fn set_dump<'e>(
        &mut self,
        fds: &[Fd],
        mut entries: impl Iterator<Item = Entry<'e>>,
        buf: &mut [u8],
    ) -> Result<()> {
        if fds.is_empty() {
            return Ok(());
        }
        let total = u32::try_from(fds.len()).map_err(|_| Errno::NFILE)?;
        self.request(&Request::SetDump(total), &[])?;
        let mut nothing = Queue::new(&mut []);
        let trips = match self.short(&mut [0; STATUS + 4], &mut nothing)? {
            [a, b, c, d] => u32::from_be_bytes([*a, *b, *c, *d]),
            _ => return Err(Errno::PROTO),
        };
        if !plausible(trips, total) {
            return Err(Errno::PROTO);
        }
        let mut left = fds.len();
        for chunk in fds.chunks(CHUNK) {
            let mut message = Builder::new(buf);
            message.bytes(b".");
            for entry in entries.by_ref().take(chunk.len()) {
                message.entry(entry.limit, entry.id);
            }
            let message = message.finish(chunk.len()).ok_or(Errno::NAMETOOLONG)?;
            self.send(message, chunk)?;
            left -= chunk.len();
            match (self.status(), left) {
                (Err(Errno::AGAIN), 1..) | (Ok(()), 0) => {} // more is expected; that was all
                (Ok(()) | Err(Errno::AGAIN), _) => return Err(Errno::PROTO),
                (Err(e), _) => return Err(e),
            }
        }
        Ok(())
    }

    fn request(&mut self, request: &Request<'_>, fds: &[Fd]) -> Result<()> {
        let mut buf = [0; HEADER + 1 + Stamp::SIZE + 1 + HELD_NAME + 1];
        let message = request.encode(&mut buf).ok_or(Errno::NAMETOOLONG)?;
        self.send(message, fds)
    }

    /// Sends a message, whole if the kernel takes it so.
    fn send(&mut self, mut rest: &[u8], mut fds: &[Fd]) -> Result<()> {
        while !rest.is_empty() {
            // Without a deadline it is the kernel who waits: that is one call instead of three.
            let sent = match self.deadline {
                None => socket::send_waiting(self.fd, rest, fds),
                Some(_) => socket::send(self.fd, rest, fds),
            };
            match sent {
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
        match self.short(&mut [0; STATUS], &mut Queue::new(&mut []))? {
            [] => Ok(()),
            _ => Err(Errno::PROTO),
        }
    }

    /// An answer that is not longer than `buf`: what follows its status 0.
    fn short<'b>(&mut self, buf: &'b mut [u8], queue: &mut Queue<'_>) -> Result<&'b [u8]> {
        match self.message(buf, queue) {
            Ok((payload, _)) => wire::answer(payload),
            Err(Errno::MSGSIZE) => Err(Errno::PROTO),
            Err(e) => Err(e),
        }
    }

    /// One whole message: its payload, and how many descriptors of the queue are its. EMSGSIZE: it is longer than
    /// `buf`.
    fn message<'b>(&mut self, buf: &'b mut [u8], queue: &mut Queue<'_>) -> Result<(&'b [u8], usize)> {
        // No message is shorter than a status, so that this much can be asked for at once.
        let (mut len, mut total, mut fds) = (0, STATUS, 0);
        while len < total {
            let room = buf.get_mut(len..total).ok_or(Errno::MSGSIZE)?;
            let free = queue.room.get_mut(queue.came..).unwrap_or_default();
            let places = free.len();
            let received = match self.deadline {
                None => socket::receive_waiting(self.fd, room, free),
                Some(_) => socket::receive(self.fd, room, free),
            };
            let got = match received {
                Ok(got) => got,
                Err(Errno::AGAIN) => {
                    poll::readable(self.fd, self.deadline)?;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e),
            };
            queue.came += got.fds;
            if got.fds_lost {
                return Err(if got.fds < places { Errno::MFILE } else { Errno::PROTO });
            }
            if got.bytes == 0 {
                return Err(Errno::PIPE);
            }
            len += got.bytes;
            if let Some((length, count)) = wire::header(buf.get(..len).unwrap_or(&[])) {
                if length == 0 {
                    return Err(Errno::PROTO);
                }
                total = HEADER.saturating_add(length);
                fds = count;
            }
        }
        queue.take(fds)?;
        Ok((buf.get(HEADER..len).unwrap_or(&[]), fds))
    }
}

/// Descriptors that came, in order. A message takes its number of them from the front; they come with its first byte or
/// earlier, so that one that does not find them there has lied.
struct Queue<'f> {
    room: &'f mut [Fd],
    came: usize,
    taken: usize,
}

impl<'f> Queue<'f> {
    fn new(room: &'f mut [Fd]) -> Queue<'f> {
        Queue { room, came: 0, taken: 0 }
    }

    fn take(&mut self, count: usize) -> Result<()> {
        self.taken += count;
        if self.taken <= self.came { Ok(()) } else { Err(Errno::PROTO) }
    }

    /// Closes those that messages have taken.
    fn close_taken(&mut self) {
        for fd in self.room.iter_mut().take(self.taken) {
            fd.close();
        }
        self.room.copy_within(self.taken..self.came, 0);
        self.came -= self.taken;
        self.taken = 0;
    }

    fn close(self) {
        for fd in self.room.iter_mut().take(self.came) {
            fd.close();
        }
    }
}

fn entries(bytes: &[u8], count: usize) -> Result<Entries<'_>> {
    Entries::decode(bytes, count).map_err(|_| Errno::PROTO)
}

/// Whether so many messages can carry so many descriptors: 253 in each, or 255, as s6 before skalibs 2.14.3.0 counts
/// them.
fn plausible(trips: u32, total: u32) -> bool {
    [CHUNK as u32, 255].iter().any(|chunk| trips == total.div_ceil(*chunk))
}
