//! Looking at what a store holds: what it tells about it, and each descriptor for a moment.

use super::{Connection, Queue, entries};
use crate::fdholder::info::Page;
use crate::fdholder::wire::{self, CHUNK, Entry, Request};
use crate::sys::{Errno, Fd, Result};

impl Connection {
    /// What the store tells about what it holds, from slot `from` on (0 at first, then as each part says). `buf` has room
    /// for [`ANSWER`](crate::fdholder::info::ANSWER) bytes. EPERM: not allowed. EPIPE, ECONNRESET: it may be a store of
    /// s6, which does not know this request and ends the connection.
    pub fn info<'b>(&mut self, from: u32, buf: &'b mut [u8]) -> Result<Page<'b>> {
        self.request(&Request::Info(from), &[])?;
        let (payload, _) = self.message(buf, &mut Queue::new(&mut []))?;
        Page::decode(wire::answer(payload)?, from)
    }

    /// Shows `each` all that is held, one after the other; it is closed after that, so that few more are open at a time
    /// than one message brings. `buf` has room for the entries of one message. EPERM: not allowed.
    pub fn visit_dump(&mut self, buf: &mut [u8], each: &mut dyn FnMut(Entry<'_>, Fd)) -> Result<()> {
        self.request(&Request::GetDump, &[])?;
        let mut fds = [Fd::NONE; 2 * CHUNK];
        let mut queue = Queue::new(&mut fds);
        let done = self.visit_messages(&mut queue, buf, each);
        queue.close();
        done
    }

    fn visit_messages(
        &mut self,
        queue: &mut Queue<'_>,
        buf: &mut [u8],
        each: &mut dyn FnMut(Entry<'_>, Fd),
    ) -> Result<()> {
        let (trips, mut left) = self.dump_head(queue)?;
        for _ in 0..trips {
            let (payload, count) = self.message(buf, queue)?;
            let entries = entries(payload, count)?;
            left = left.checked_sub(count as u32).ok_or(Errno::PROTO)?;
            if count == 0 {
                return Err(Errno::PROTO);
            }
            entries.iter().zip(queue.room.iter()).for_each(|(entry, fd)| each(entry, *fd));
            queue.close_taken();
        }
        if left == 0 && queue.came == 0 { Ok(()) } else { Err(Errno::PROTO) }
    }
}
