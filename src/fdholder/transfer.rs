//! What is being done for a client, or for a service that has sent a message, as the arena remembers it
//! ([`Transfer`]): a process that is interrupted by a fault goes on there.
//!
//! One thing at a time is in progress, and has one of these forms ([`kind`]):
//! * A message comes or goes. What it is for is noted first; the kernel notes in the same record what has come of it.
//!   Whoever enters again looks there and draws the consequences, or does it again if nothing had happened.
//! * A request is decided, and what the client's record and the table are to be afterwards is noted. That is made so by
//!   assignments, which can be done any number of times.
//!
//! All that comes before the note changes nothing that doing it again would change; and what is noted is done before
//! anything else is.

use crate::state::{Client, Transfer};
use crate::sys::Fd;
use crate::sys::memory::commit;
use crate::sys::message::{self, Room};
use crate::sys::time::Nanos;

/// What [`Transfer::kind`] says.
pub mod kind {
    /// There is nothing.
    pub const NOTHING: u32 = 0;
    /// A client's bytes and descriptors are received, behind those that it has sent before.
    pub const READ: u32 = 1;
    /// What a client has sent, and what is not served yet, is moved to the front of its buffers.
    pub const MOVE: u32 = 2;
    /// A request is decided.
    pub const SETTLE: u32 = 3;
    /// An answer is sent, or what is left of it.
    pub const SEND: u32 = 4;
    /// A held descriptor is given: if it is sent, the request is settled so.
    pub const GIVE: u32 = 5;
    /// A part of a dump is given: the same.
    pub const DUMP: u32 = 6;
    /// A service's message is received, and acted on.
    pub const NOTIFY: u32 = 7;
}

/// In [`Transfer::flags`]: the answer is in [`Client::brief`].
pub const BRIEF: u32 = 1;
/// The descriptors that came with the request are held now: they are not to be closed.
pub const KEPT: u32 = 2;
/// Some of them may be.
pub const LOOK: u32 = 4;
/// [`Transfer::held`] is let go of.
pub const DELETE: u32 = 8;
/// It was retrieved.
pub const COUNT: u32 = 16;
/// The client has asked about what is held.
pub const LOOKS: u32 = 32;
/// The client was owed something already.
pub const BUSY: u32 = 64;

/// Begins to note what is done for the client in `slot`: the record says what the client's says.
pub fn note(transfer: &mut Transfer, slot: u32, client: &Client, now: Nanos) {
    begin(transfer, slot, client.generation, now);
    transfer.request_len = client.request_len;
    transfer.request_done = client.request_done;
    transfer.fds_len = client.fds_len;
    transfer.fds_done = client.fds_done;
    transfer.reply_len = client.reply_len;
    transfer.reply_sent = client.reply_sent;
    transfer.dump_left = client.dump_left;
    transfer.dump_next = client.dump_next;
    transfer.dump_give = client.dump_give;
    transfer.dump_since = client.dump_since;
}

/// Begins to note what is done for the client or service in `slot`.
pub fn begin(transfer: &mut Transfer, slot: u32, generation: u32, now: Nanos) {
    end(transfer);
    transfer.slot = slot;
    transfer.generation = generation;
    transfer.flags = 0;
    transfer.held = u32::MAX;
    transfer.held_fd = -1;
    (transfer.count, transfer.attempts) = (0, 0);
    transfer.now = now;
    message::forget(&mut transfer.header);
}

/// From here on it is in progress.
pub fn arm(transfer: &mut Transfer, kind: u32) {
    commit(transfer);
    transfer.kind = kind;
    commit(transfer);
}

/// It is done.
pub fn end(transfer: &mut Transfer) {
    commit(transfer);
    transfer.kind = kind::NOTHING;
    commit(transfer);
}

/// The parts that sending and receiving need, and the bytes.
pub fn room(transfer: &mut Transfer) -> (Room<'_>, &mut [u8]) {
    let Transfer { header, part, control, bytes, .. } = transfer;
    (Room { header, part, control }, bytes)
}

/// The descriptors that came with a message whose consequences are not drawn yet: they are open, and nothing else need
/// name them. Those of a client may be in its record already, those of a service in the table of what is held.
pub fn descriptors(transfer: &Transfer) -> &[i32] {
    match (transfer.kind, message::came(&transfer.header)) {
        (kind::READ | kind::NOTIFY, Some(came)) => message::descriptors(&came, &transfer.control),
        _ => &[],
    }
}

/// Gives up what is in progress: descriptors that have come with it are closed, unless they are in `queue`.
pub fn abandon(transfer: &mut Transfer, queue: &[i32]) {
    let came = match transfer.kind {
        kind::READ | kind::NOTIFY => message::came(&transfer.header),
        _ => None,
    };
    end(transfer);
    let fds = came.as_ref().map_or(&[][..], |came| message::descriptors(came, &transfer.control));
    for fd in fds.iter().filter(|fd| !queue.contains(fd)) {
        Fd(*fd).close();
    }
}

/// Whether it can be what [`note`] and the kernel wrote: for an arena that was handed over.
pub fn intact(transfer: &Transfer) -> bool {
    transfer.kind <= kind::NOTIFY
}
