//! Dumps: all that is held given to a client (`?`), and many descriptors taken from one (`!`, then `.`).
//!
//! * A client gets what was held when it asked, all of it. The messages are made one by one when they can be sent, so
//!   nothing piles up for one that reads slowly; what is stored meanwhile is left out. If something is let go of
//!   meanwhile that was announced and has not been sent, the dump cannot be what it said it would be: the connection
//!   ends, and the client knows that it has to ask again. Nothing is ever left out silently.
//! * A message that brings descriptors is looked at whole, and room is found for all of it, before any of it is held.
//!   One of an identifier that is held already takes its place; the old one is closed when the new one is in.

use super::rights;
use super::session::{self, Context, DEAF, End, Progress, is_again, refuse};
use super::table::{self, New, Origin, Table};
use super::transfer::{self, LOOK, kind};
use super::wire::{self, Builder, CHUNK, Entries};
use crate::fault_point;
use crate::state::{Client, Held, Transfer};
use crate::sys::memory::commit;
use crate::sys::socket::MAX_FDS;
use crate::sys::{Errno, Fd, file};

/// Answers `?`: announces a dump. [`go_on`] sends it.
pub fn begin(client: &mut Client, context: &mut Context<'_, '_>) -> Result<Progress, End> {
    let total = context.held.count() as u32;
    let transfer = &mut *context.transfer;
    (transfer.dump_next, transfer.dump_since, transfer.dump_give) = (0, context.now.boot, total);
    session::reply(client, context, &wire::dump_head(total))
}

/// What is to be sent from slot `from` on of a dump that was announced at `since`. What is stored in the very instant of the
/// announcement may take the place of what is let go of in that instant: whatever is held at its end is sent.
fn announced<'h>(held: &'h Table<'_>, from: u32, since: u64) -> impl Iterator<Item = (usize, &'h Held)> {
    held.iter().filter(move |(slot, held)| *slot >= from as usize && held.stored <= since)
}

/// Sends the next message of a dump that has been announced.
pub fn go_on(client: &mut Client, context: &mut Context<'_, '_>) -> Result<Progress, End> {
    let (from, since) = (client.dump_next, client.dump_since);
    if announced(context.held, from, since).count() != client.dump_give as usize {
        return Err(End::Vanished);
    }
    let transfer = &mut *context.transfer;
    transfer::note(transfer, context.slot, client, context.now.boot);
    let mut fds = [-1; MAX_FDS];
    let mut count = 0;
    let mut message = Builder::new(&mut client.reply);
    for ((slot, held), fd) in announced(context.held, from, since).take(CHUNK).zip(&mut fds) {
        *fd = held.fd;
        count += 1;
        transfer.dump_next = slot as u32 + 1;
        message.entry(table::limit(held), table::name(held));
    }
    let Some(message) = message.finish(count) else { return Err(End::Failed(Errno::MSGSIZE)) };
    transfer.dump_give = client.dump_give.saturating_sub(count as u32);
    (transfer.reply_len, transfer.reply_sent) = (message.len() as u32, 0);
    match session::send_with(client.fd, transfer, kind::DUMP, message, fds.get(..count).unwrap_or(&[])) {
        Ok(Some(_)) => {
            session::settle(client, transfer, context.held, false);
            session::drained(client, context)
        }
        Ok(None) => Ok(Progress::Deferred),
        Err(End::Left) => {
            client.closing |= DEAF;
            client.dump_give = 0;
            Ok(Progress::Answered)
        }
        Err(end) => Err(end),
    }
}

/// Counts what was given with a message of a dump as retrieved, as [`Transfer`] says; `again`: some of it may be counted
/// already.
pub fn count(client: &Client, transfer: &Transfer, held: &mut Table<'_>, again: bool) {
    let since = client.dump_since;
    if client.looks != 0 || client.dump_next == transfer.dump_next {
        return;
    }
    for slot in client.dump_next as usize..transfer.dump_next as usize {
        let Some(given) = held.get(slot).filter(|held| held.stored <= since) else { continue };
        if !again || (given.last_pid, given.retrieved) != (client.pid, transfer.now) {
            held.retrieved(slot, client.pid, transfer.now);
        }
    }
}

/// Answers `!`: whether so many descriptors may come. Then only they may.
pub fn announce(client: &mut Client, context: &mut Context<'_, '_>, total: u32) -> Result<Progress, End> {
    let quota = rights::quota(client, context.allows, None);
    if total as usize > context.held.room() || total > 0 && !context.within(quota, client.uid, total as usize) {
        return refuse(client, context, Errno::NFILE);
    }
    context.transfer.dump_left = total;
    session::reply(client, context, &wire::dump_accepted(total))
}

/// Answers `.`: holds the descriptors of one message, or none of them.
pub fn take(
    client: &mut Client,
    context: &mut Context<'_, '_>,
    fds: &[Fd],
    start: usize,
    end: usize,
) -> Result<Progress, End> {
    let payload = client.request.get(start..end).unwrap_or(&[]);
    let entries = Entries::decode(payload, fds.len());
    let quota = rights::quota(client, context.allows, None);
    // Before a fault some may have been stored already; they have their room.
    let stored =
        if is_again(client) { entries.map_or(0, |entries| count_stored(context.held, &entries, fds)) } else { 0 };
    let more = fds.len() - stored.min(fds.len());
    let unfit = if entries.is_err() {
        Some(Errno::INVAL)
    } else if fds.iter().any(|fd| !fd.is_some()) {
        Some(Errno::MFILE)
    } else if context.held.room() < more || !context.within(quota, client.uid, more) {
        Some(Errno::NFILE)
    } else if fds.iter().any(|fd| context.leads_here(*fd)) {
        Some(Errno::INVAL)
    } else {
        None
    };
    if let Some(errno) = unfit {
        return refuse(client, context, errno);
    }
    let (pid, uid, now) = (client.pid, client.uid, context.now.boot);
    for (entry, fd) in entries.iter().flat_map(Entries::iter).zip(fds) {
        let limit = quota.shorten(entry.limit, context.now.wall);
        let identity = file::identity(*fd).unwrap_or((0, 0));
        let origin = Origin::Client;
        let new = New { id: entry.id, limit, fd: *fd, origin, pid, uid, now, identity, owner: None };
        // There is room, and the entry is valid. What came in this message itself is closed when all of it is settled: it
        // may be needed again until then.
        if let Ok(mut replaced) = context.held.put(&new) {
            fault_point!("holder.replaced");
            if !fds.contains(&replaced) {
                replaced.close();
            }
        }
    }
    commit(client);
    let transfer = &mut *context.transfer;
    transfer.flags |= LOOK;
    transfer.dump_left = client.dump_left.saturating_sub(fds.len() as u32);
    let status = if transfer.dump_left > 0 { Errno::AGAIN.raw_os_error() as u8 } else { 0 };
    session::reply(client, context, &wire::status(status))
}

/// How many of these are held as what these entries say.
fn count_stored(held: &Table<'_>, entries: &Entries<'_>, fds: &[Fd]) -> usize {
    let is_stored =
        |id: &[u8], fd: Fd| held.find(id).and_then(|slot| held.get(slot)).is_some_and(|held| held.fd == fd.0);
    entries.iter().zip(fds).filter(|(entry, fd)| is_stored(entry.id, **fd)).count()
}
