//! One client of the store: reads its requests, carries them out, sends the answers, and never waits for it.
//!
//! * A request is carried out when its answer can be sent: while an answer waits, nothing is read and nothing else is
//!   done for that client. A descriptor is given in the same instant in which it is looked up, so an answer can never
//!   bring another one than was asked for, and one that is retrieved for good leaves the table when it has gone out.
//! * Messages may come in pieces, many at once, and with the descriptors of later ones in front: the queue of received
//!   descriptors is the connection's, not the message's.
//! * A client that breaks the protocol, or keeps the store waiting for longer than [`FDHOLDER_PATIENCE`], is cut off.
//! * Descriptors of a client that may not store any are closed as they come, and those whose numbers we cannot spare:
//!   the request that they belong to finds none in their place, and is refused.
//!
//! What is known of a client is in its record in the arena, what is being done in [`Transfer`]: a process that is
//! interrupted by a fault anywhere in here finds out with [`resume`] how far it had come, and goes on with [`serve`].
//! `serving` counts how often that was begun.

mod answer;
mod read;
mod request;

pub use answer::{drained, reply, send_with, settle};
pub(in crate::fdholder) use request::refuse;

use super::dump;
use super::journal::Journal;
use super::records::Now;
use super::rights::{self, Quota};
use super::table::Table;
use super::transfer::{self, kind};
use super::upgrade::Wish;
use super::wire::{HEADER, Violation};
use crate::fault_point;
use crate::limits::{FDHOLDER_IDLE, FDHOLDER_PATIENCE};
use crate::state::{Allow, Client, Pending, Transfer};
use crate::sys::epoll::Flags;
use crate::sys::memory::commit;
use crate::sys::message;
use crate::sys::socket::{self, Peer};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd};

/// As much is read ahead as fits here, and given back to the kernel what is used beyond.
const PAGE: usize = 4096;

/// Times that one client is read from before others get their turn.
const READS: usize = 16;

/// So often one and the same thing is begun for a client; if the process fails each time, the client is cut off: it is
/// what it asks.
pub const ATTEMPTS: u8 = 3;

/// What a client's requests have to do with.
pub struct Context<'c, 'r> {
    /// The slot of its record.
    pub slot: u32,
    /// What is being done.
    pub transfer: &'c mut Transfer,
    /// What is held.
    pub held: &'c mut Table<'r>,
    /// The board config's entries.
    pub allows: &'c [Allow],
    /// Its sockets that could not be bound yet.
    pub pending: &'c [Pending],
    /// The time.
    pub now: &'c Now,
    /// Where refusals are told.
    pub journal: &'c mut Journal,
    /// The store's own socket.
    pub listener: Fd,
    /// Received descriptors with this number or a higher one are not kept: the last numbers are for ourselves.
    pub spare_from: i32,
    /// Requests that are served before others get their turn.
    pub turn: usize,
    /// So many clients have large answers waiting for them that no more can have one.
    pub burdened: bool,
    /// The store is about to end: what has been begun is finished, nothing else is read.
    pub ending: bool,
    /// What becomes of a request that concerns the process.
    pub wish: Wish,
}

impl Context<'_, '_> {
    /// Whether a user may have `more` descriptors stored.
    pub fn within(&self, quota: Quota, uid: u32, more: usize) -> bool {
        quota.held_max.is_none_or(|max| self.held.count_of(uid) + more <= max as usize)
    }

    /// Whether a descriptor is the other end of a connection to this very store: held, it would keep it from ending.
    pub fn leads_here(&self, fd: Fd) -> bool {
        socket::is_connection_to(fd, self.listener)
    }
}

/// Why a connection is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The client left.
    Left,
    /// The client did what it must not.
    Broke(&'static str),
    /// What its dump had announced was let go of before it was sent.
    Vanished,
    /// A system call failed.
    Failed(Errno),
    /// The process has failed too often while it was served.
    Fatal,
}

impl From<Violation> for End {
    fn from(violation: Violation) -> End {
        End::Broke(violation.text())
    }
}

/// What became of a request.
pub enum Progress {
    /// It is answered.
    Answered,
    /// The answer, or a part of it, waits until the client reads.
    Queued,
    /// Not carried out: the answer cannot be sent now.
    Deferred,
}

/// Makes `client` the record of a new connection, which is not in use yet: see [`establish`]. `generation` is one that no
/// earlier connection had.
pub fn open(client: &mut Client, generation: u32, fd: Fd, peer: Peer, now: Nanos) {
    client.used = 0;
    commit(client);
    client.generation = generation;
    client.closing = 0;
    client.serving = 0;
    client.stalled = 0;
    client.looks = 0;
    client.fd = fd.0;
    client.pid = peer.pid;
    client.uid = peer.uid;
    client.gid = peer.gid;
    client.since = now;
    client.connected = now;
    client.answered = 0;
    client.dump_since = 0;
    client.dump_left = 0;
    client.dump_next = 0;
    client.dump_give = 0;
    rights::forbid(client);
    client.request_len = 0;
    client.request_done = 0;
    client.reply_len = 0;
    client.reply_sent = 0;
    client.is_brief = 0;
    client.fds_len = 0;
    client.fds_done = 0;
}

/// The record is in use, and the connection its: it has all that it is to have.
pub fn establish(client: &mut Client) {
    commit(client);
    client.used = 1;
    commit(client);
}

/// Ends a connection: closes what it sent and nobody took, and itself. Of a request that was interrupted by a fault some may
/// be held already, and stays so.
pub fn close(client: &mut Client, held: &Table<'_>) {
    client.used = 0;
    commit(client);
    fault_point!("holder.closing");
    for fd in queue(client) {
        if client.serving == 0 || !held.iter().any(|(_, held)| held.fd == *fd) {
            Fd(*fd).close();
        }
    }
    Fd(client.fd).close();
}

/// Whether a record that was handed over can be gone on with: its numbers are possible. (A count that is behind another
/// means that both are 0: that was written in between.)
pub fn intact(client: &Client) -> bool {
    let within = |count: u32, room: usize| count as usize <= room;
    let reply = if client.is_brief != 0 { client.brief.len() } else { client.reply.len() };
    within(client.request_done, client.request.len())
        && within(client.request_len, client.request.len())
        && within(client.reply_sent, reply)
        && within(client.reply_len, reply)
        && within(client.fds_done, client.fds.len())
        && within(client.fds_len, client.fds.len())
        && client.used <= 1
        && client.is_brief <= 1
        && client.fd >= 0
        && queue(client).iter().all(|fd| *fd >= -1)
}

/// The descriptors that have come and belong to no request that is served: they are the record's. -1 is none.
pub fn queue(client: &Client) -> &[i32] {
    client.fds.get(client.fds_done as usize..client.fds_len as usize).unwrap_or_default()
}

/// What has come and is not served.
pub(super) fn unserved(client: &Client) -> &[u8] {
    client.request.get(client.request_done as usize..client.request_len as usize).unwrap_or_default()
}

/// What a process has to do for a client first that was interrupted by a fault: if something was being done for this
/// one, it is brought to an end. After an error, [`close`] it.
pub fn resume(client: &mut Client, context: &mut Context<'_, '_>) -> Result<(), End> {
    if client.serving >= ATTEMPTS {
        return Err(End::Fatal);
    }
    if is_for(context.transfer, context.slot, client) {
        finish(client, context)?;
    }
    for (len, done) in [
        (&mut client.request_len, &mut client.request_done),
        (&mut client.reply_len, &mut client.reply_sent),
        (&mut client.fds_len, &mut client.fds_done),
    ] {
        if len < done {
            read::forget(len, done);
        }
    }
    // What is in the record already, no event will tell of.
    if begun(client) {
        client.stalled = 1;
    }
    Ok(())
}

/// The fault that interrupted this was none of an instruction of ours, but somebody's wish: it does not count.
pub fn forgive(client: &mut Client) {
    client.serving = client.serving.min(1);
}

/// Whether this is being done for the client in `slot`.
pub fn is_for(transfer: &Transfer, slot: u32, client: &Client) -> bool {
    !matches!(transfer.kind, kind::NOTHING | kind::NOTIFY)
        && (transfer.slot, transfer.generation) == (slot, client.generation)
}

/// Brings what is being done for a client to an end.
fn finish(client: &mut Client, context: &mut Context<'_, '_>) -> Result<(), End> {
    let transfer = &mut *context.transfer;
    transfer.attempts = transfer.attempts.saturating_add(1);
    commit(transfer);
    if transfer.attempts > ATTEMPTS.into() {
        return Err(End::Fatal);
    }
    let (received, sent) = (message::came(&transfer.header).is_some(), message::sent(&transfer.header));
    match transfer.kind {
        kind::READ if received => return read::take_in(client, context),
        kind::MOVE => read::take_place(client, transfer),
        kind::SEND => {
            client.reply_sent = transfer.reply_sent.saturating_add(sent as u32).min(client.reply_len);
            transfer::end(transfer);
        }
        kind::SETTLE => settle(client, transfer, context.held, true),
        kind::GIVE | kind::DUMP if sent > 0 => settle(client, transfer, context.held, true),
        _ => transfer::end(transfer), // nothing has happened: it is done again
    }
    Ok(())
}

/// Whether the store waits for the client to finish something.
pub fn busy(client: &Client) -> bool {
    begun(client) || client.dump_left > 0
}

/// Whether there is something that only has to be finished.
pub fn begun(client: &Client) -> bool {
    client.request_len > client.request_done
        || client.fds_len > client.fds_done
        || client.reply_len > 0
        || client.dump_give > 0
        || client.stalled != 0
}

/// Whether an answer waits for it that takes more than a page.
pub fn waits_for_much(client: &Client) -> bool {
    client.reply_len as usize > PAGE
}

/// When the client is cut off. `timeout` is how long it has from its connection to its first answer, and to take any
/// later one; 0: as long as the store's patience lasts.
pub fn deadline(client: &Client, timeout: Nanos) -> Nanos {
    let patience = client.since.saturating_add(if busy(client) { FDHOLDER_PATIENCE } else { FDHOLDER_IDLE });
    match (timeout, client.answered) {
        (0, _) => patience,
        (_, 0) => patience.min(client.connected.saturating_add(timeout)),
        _ if client.reply_len > 0 => patience.min(client.since.saturating_add(timeout)),
        _ => patience,
    }
}

/// What to wait for: a client that has an answer to take, or requests that were left for the next turn, is not read;
/// neither is one that has begun nothing, if the store is about to end.
pub fn interest(client: &Client, ending: bool) -> Flags {
    if client.reply_len > 0 || client.stalled != 0 {
        Flags::OUT
    } else if ending && !begun(client) {
        Flags::empty()
    } else {
        Flags::IN
    }
}

/// Does what can be done for the client without waiting, as far as its turn goes. After an error, [`close`] it.
pub fn serve(client: &mut Client, context: &mut Context<'_, '_>) -> Result<(), End> {
    client.serving = client.serving.saturating_add(1);
    commit(client);
    let done = turn(client, context);
    commit(client);
    client.serving = 0;
    commit(client);
    done
}

/// Whether what is being done was begun before already, and interrupted.
pub fn is_again(client: &Client) -> bool {
    client.serving > 1
}

fn turn(client: &mut Client, context: &mut Context<'_, '_>) -> Result<(), End> {
    if !answer::drain(client, context)? {
        return Ok(());
    }
    client.stalled = 0;
    let (mut requests, mut reads, mut emptied) = (context.turn, READS, false);
    loop {
        // What comes behind the request for a dump is not looked at before the dump is sent.
        let (size, takes, whole) = if client.dump_give > 0 { (0, 0, true) } else { read::next(client)? };
        let ready = whole && takes <= queue(client).len();
        if ready && requests == 0 {
            client.stalled = 1;
            return Ok(());
        }
        if ready {
            if client.closing & DEAF == 0 {
                requests -= 1;
            }
            fault_point!("holder.begun");
            let progress = if client.dump_give > 0 {
                dump::go_on(client, context)?
            } else {
                request::carry_out(client, context, size, takes)?
            };
            if matches!(progress, Progress::Deferred) {
                client.stalled = 1;
                return Ok(());
            }
            client.serving = 1; // what follows is begun for the first time
            client.since = context.now.boot;
            if client.reply_len > 0 {
                return Ok(());
            }
        } else if client.closing & DEAF != 0 {
            return Err(End::Left);
        } else if client.closing & ENDED != 0 {
            return Err(match (unserved(client).is_empty(), queue(client).is_empty()) {
                _ if client.closing & RESET != 0 => End::Left,
                (false, _) => End::Broke("the end of the connection inside a request"),
                (true, false) => End::Broke("descriptors without a request"),
                (true, true) => End::Left,
            });
        } else if reads == 0 || (emptied || context.ending) && !begun(client) {
            return Ok(());
        } else {
            reads -= 1;
            emptied = false;
            if !read::read(client, size, context, &mut emptied)? {
                // All that was sent is here: descriptors that the unfinished request does not take belong to none.
                let unfinished = unserved(client).len();
                if queue(client).len() > takes && (unfinished == 0 || unfinished >= HEADER) {
                    return Err(End::Broke("descriptors without a request"));
                }
                return Ok(());
            }
        }
    }
}

/// In [`Client::closing`]: the client sends nothing any more.
const ENDED: u8 = 1;

/// In [`Client::closing`]: the client does not read any more. What has been read of it is done, and not answered; then
/// that is its end.
pub const DEAF: u8 = 2;

/// In [`Client::closing`]: the client was gone before it had read all. What it sent before may still be read.
const RESET: u8 = 4;
