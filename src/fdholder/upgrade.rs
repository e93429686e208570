//! Requests that concern the process as a whole, for `linchpin reexec`: a hand-over (`h`, answered with a descriptor), and
//! another binary to go on as (`e`, with its descriptor). Root and the store's owner may make them.
//!
//! They are carried out when the loop has nothing in progress: until then they wait in the client's record as any request
//! that cannot be answered yet, and so does the one that waits through the change to another binary.

use super::records::{Now, Records};
use super::server::Server;
use super::session;
use super::wire::{self, Framed, Request};
use crate::has::UPGRADE;
use crate::state::Client;
use crate::sys::epoll::Epoll;
use crate::sys::{Errno, Fd, process};

/// Such requests that are noted at a time. Others come again.
const ASKED: usize = 4;

/// Slots of clients that have made such a request.
pub type Askers = heapless::Vec<u32, ASKED>;

/// What becomes of such a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// It is refused: the process has a store and nothing else.
    Nobody,
    /// It waits, and is noted.
    Open,
    /// One waits.
    Made,
    /// It is answered: with a descriptor, with success (`NONE`), or with an errno.
    Granted(Result<Fd, Errno>),
}

/// What a client asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A hand-over.
    HandOver,
    /// To go on as this binary; `NONE`: it could not be received.
    Enter(Fd),
}

/// Whether a client may ask such things.
pub fn may_ask(client: &Client) -> bool {
    client.uid == 0 || client.uid == process::effective_user()
}

/// What the next request of a client is, if it is such a one, and all of it is there.
pub fn next(client: &Client) -> Option<Asked> {
    let Ok(Framed::Whole(payload, fds)) = wire::frame(session::unserved(client)) else { return None };
    if !UPGRADE || client.used == 0 || client.reply_len > 0 || !may_ask(client) {
        return None;
    }
    match Request::decode(payload, fds).ok()? {
        Request::HandOver => Some(Asked::HandOver),
        Request::Enter => session::queue(client).first().map(|fd| Asked::Enter(Fd(*fd))),
        _ => None,
    }
}

impl Server {
    /// A client that has asked for something that concerns the process, and what.
    pub fn take_asker(&mut self, records: &Records<'_>) -> Option<(usize, Asked)> {
        while let Some(slot) = self.askers.pop() {
            let slot = slot as usize;
            if let Some(asked) = records.clients.get(slot).and_then(next) {
                return Some((slot, asked));
            }
        }
        None
    }

    /// Answers the client in this slot, which still waits: with a descriptor, with success (`NONE`), or with an errno.
    pub fn answer_asker(
        &mut self,
        slot: usize,
        answer: Result<Fd, Errno>,
        records: &mut Records<'_>,
        epoll: &Epoll,
        now: &Now,
    ) {
        if records.clients.get(slot).and_then(next).is_none() {
            return;
        }
        let usual = core::mem::replace(&mut self.wish, Wish::Granted(answer));
        self.serve(slot, true, records, epoll, now);
        self.wish = usual;
    }
}
