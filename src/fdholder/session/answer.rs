//! What a client is to be told: noted, then sent, as it takes it.

use super::super::table::Table;
use super::super::transfer::{self, BRIEF, COUNT, DELETE, KEPT, LOOK, LOOKS, kind};
use super::{Context, DEAF, End, PAGE, Progress, read};
use crate::fault_point;
use crate::fdholder::dump;
use crate::state::{Client, Transfer};
use crate::sys::memory::{self, commit};
use crate::sys::message;
use crate::sys::{Errno, Fd};

/// Puts a short answer where it is to be sent from. Nothing else waits to be sent.
pub(super) fn put(client: &mut Client, transfer: &mut Transfer, bytes: &[u8]) {
    for (to, from) in client.brief.iter_mut().zip(bytes) {
        *to = *from;
    }
    commit(client);
    transfer.flags |= BRIEF;
    transfer.reply_len = bytes.len() as u32;
    transfer.reply_sent = 0;
}

/// The request at hand is decided: this is the short answer to it, and all else is noted. Settles it, and sends the answer
/// as far as it goes.
pub fn reply(client: &mut Client, context: &mut Context<'_, '_>, bytes: &[u8]) -> Result<Progress, End> {
    put(client, context.transfer, bytes);
    transfer::arm(context.transfer, kind::SETTLE);
    fault_point!("holder.decided");
    settle(client, context.transfer, context.held, false);
    drained(client, context)
}

/// Makes the client's record and the table what they are to be after a request, as [`Transfer`] says; descriptors that came
/// with it are closed, if they are not held now. It may have been done before, in part or whole: `again`.
pub fn settle(client: &mut Client, transfer: &mut Transfer, held: &mut Table<'_>, again: bool) {
    let (slot, flags) = (transfer.held as usize, transfer.flags);
    let is_it = held.get(slot).is_some_and(|held| held.fd == transfer.held_fd);
    if flags & COUNT != 0 && is_it {
        held.set_retrieved(slot, client.pid, transfer.now, transfer.count);
    }
    if transfer.kind == kind::DUMP {
        dump::count(client, transfer, held, again);
    }
    let mut gone = if flags & DELETE != 0 && is_it { held.remove(slot).unwrap_or(Fd::NONE) } else { Fd::NONE };
    fault_point!("holder.removed");
    if flags & LOOKS != 0 {
        client.looks = 1;
    }
    client.dump_left = transfer.dump_left;
    client.dump_next = transfer.dump_next;
    client.dump_give = transfer.dump_give;
    client.dump_since = transfer.dump_since;
    client.is_brief = u32::from(flags & BRIEF != 0);
    // What was sent with descriptors, the kernel has noted.
    client.reply_sent = if transfer.kind == kind::SETTLE { 0 } else { message::sent(&transfer.header) as u32 };
    client.reply_len = transfer.reply_len;
    client.request_done = transfer.request_done;
    commit(client);
    fault_point!("holder.settling");
    let from = client.fds_done as usize;
    client.fds_done = transfer.fds_done;
    commit(client);
    transfer::end(transfer);
    fault_point!("holder.settled");
    gone.close();
    if flags & KEPT == 0 {
        for fd in client.fds.get(from..client.fds_done as usize).unwrap_or_default() {
            if flags & LOOK == 0 || !held.iter().any(|(_, held)| held.fd == *fd) {
                Fd(*fd).close();
            }
        }
    }
}

/// Sends the answer that is in the client's record as far as it takes it now.
pub fn drained(client: &mut Client, context: &mut Context<'_, '_>) -> Result<Progress, End> {
    Ok(if drain(client, context)? { Progress::Answered } else { Progress::Queued })
}

/// Sends what waits. False: some of it still does.
pub(super) fn drain(client: &mut Client, context: &mut Context<'_, '_>) -> Result<bool, End> {
    while client.reply_sent < client.reply_len {
        // One that does not read any more takes all.
        let deaf = client.closing & DEAF != 0;
        let sent = if deaf { Err(End::Left) } else { deliver(client, context) };
        match sent {
            Ok(Some(sent)) => client.reply_sent += sent as u32,
            Ok(None) => return Ok(false),
            Err(End::Left) => {
                client.closing |= DEAF;
                client.reply_sent = client.reply_len;
            }
            Err(end) => return Err(end),
        }
        commit(client);
        transfer::end(context.transfer);
        fault_point!("holder.answered");
    }
    if client.reply_len > 0 {
        client.answered = 1;
    }
    let much = client.reply_len as usize > PAGE;
    read::forget(&mut client.reply_len, &mut client.reply_sent);
    if much {
        memory::release(&mut client.reply);
    }
    Ok(true)
}

/// Sends a piece of what waits; [`Transfer`] remembers how much until the record does.
fn deliver(client: &Client, context: &mut Context<'_, '_>) -> Result<Option<usize>, End> {
    transfer::note(context.transfer, context.slot, client, context.now.boot);
    let answer: &[u8] = if client.is_brief != 0 { &client.brief } else { &client.reply };
    let waiting = answer.get(client.reply_sent as usize..client.reply_len as usize).unwrap_or(&[]);
    send_with(client.fd, context.transfer, kind::SEND, waiting, &[])
}

/// Sends a message; what it is for is noted in `transfer`, but for its kind. How much was sent: that is in progress until it
/// is settled. `None`: the client must read first. Nothing is in progress then, nor after an error.
pub fn send_with(fd: i32, transfer: &mut Transfer, kind: u32, bytes: &[u8], fds: &[i32]) -> Result<Option<usize>, End> {
    transfer::arm(transfer, kind);
    fault_point!("holder.sending");
    let (mut room, _) = transfer::room(transfer);
    let sent = room.send(Fd(fd), bytes, fds);
    fault_point!("holder.sent");
    if let Ok(sent) = sent {
        return Ok(Some(sent));
    }
    transfer::end(transfer);
    match sent {
        Ok(sent) => Ok(Some(sent)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(Errno::PIPE | Errno::CONNRESET) => Err(End::Left),
        Err(e) => Err(End::Failed(e)),
    }
}
