//! Requests that concern the process as a whole, for `linchpin reexec`: a hand-over (`h`, answered with a descriptor), and
//! another binary to go on as (`e`, with its descriptor). Root and the store's owner may make them.
//!
//! They are carried out when the loop has nothing in progress: until then they wait in the client's record as any request
//! that cannot be answered yet, and so does the one that waits through the change to another binary.

use super::server::{Records, Server};
use super::session::{self, End};
use super::wire::{self, Framed, HEADER, Request};
use crate::state::Client;
use crate::sys::epoll::Epoll;
use crate::sys::{Errno, Fd, process};

/// Such requests that are noted at a time. Others come again.
const ASKED: usize = 4;

/// Slots of clients that have made such a request.
pub type Askers = heapless::Vec<u32, ASKED>;

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
    let bytes = client.request.get(client.request_done as usize..client.request_len as usize)?;
    let Ok(Framed::Whole(payload, fds)) = wire::frame(bytes) else { return None };
    if client.used == 0 || !may_ask(client) || fds > session::queued(client).len() {
        return None;
    }
    match Request::decode(payload, fds).ok()? {
        Request::HandOver => Some(Asked::HandOver),
        Request::Enter => session::queued(client).first().map(|fd| Asked::Enter(Fd(*fd))),
        _ => None,
    }
}

impl Server {
    /// A client that has asked for something that concerns the process.
    pub fn take_asker(&mut self) -> Option<usize> {
        self.askers.pop().map(|slot| slot as usize)
    }

    /// Answers the client in this slot, whose next request is still the one that [`next`] showed: with a descriptor, with
    /// success, or with an errno. Its connection ends if it does not take the answer.
    pub fn answer_asker(
        &mut self,
        slot: usize,
        answer: Result<Option<Fd>, Errno>,
        records: &mut Records<'_>,
        epoll: &Epoll,
    ) {
        let Some(client) = records.clients.get_mut(slot) else { return };
        let sent = match answer {
            Ok(Some(fd)) => session::send(client.fd, &wire::DESCRIPTOR, &[fd]),
            Ok(None) => session::send(client.fd, &wire::status(0), &[]),
            Err(errno) => session::send(client.fd, &wire::status(errno.raw_os_error() as u8), &[]),
        };
        let takes = matches!(next(client), Some(Asked::Enter(_)));
        session::drop_request(client, HEADER + 1, takes);
        let lost = !matches!(sent, Ok(Some(wire::STATUS)));
        self.go_on(slot, lost.then_some(End::Left), records, epoll);
    }
}
