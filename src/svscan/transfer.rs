//! A message that was being received or sent when the process was interrupted: what the kernel did of it is noted in the
//! arena. See [`crate::state::layout::progress::Transfer`].

use super::engine::Engine;
use crate::fdholder::records::{Now, Records};
use crate::fdholder::transfer::kind;
use crate::sys::Fd;
use crate::sys::time::Nanos;
use crate::text::errno::Reason;
use crate::{notice, warning};

impl Engine {
    /// Draws the consequences of a message that was received or sent without our noticing. Those that concern clients of the
    /// fd-holder are drawn when its server is made.
    pub(super) fn finish_transfer(&mut self, now: Nanos) {
        // What the message had set going comes to its end before the rest of it is acted on.
        self.redo(now);
        if self.tables.transfer.kind == kind::NOTIFY {
            self.finish_message(now);
        }
    }

    /// The fd-holder's socket, which the header does not know any more.
    pub(super) fn take_back_holder(&mut self, listener: Fd) {
        self.tables.header.fdholder_fd = listener.0;
        match self.start_holder() {
            Ok(()) => notice!("the fd-holder's socket, which the arena's header had lost, is served again"),
            Err(e) => warning!("cannot serve the fd-holder's socket: {}", Reason(e)),
        }
    }

    /// A descriptor that nothing names may be a connection to the fd-holder that was accepted, and of which there is no
    /// record yet. False: it is none.
    pub(super) fn adopt_connection(&mut self, fd: Fd, now: Nanos) -> bool {
        let Some(holder) = &mut self.holder else { return false };
        holder.adopt(fd, &mut Records::of(self.tables), &self.epoll, &Now::at(now))
    }
}
