//! Dumps: all that is held given to a client (`?`), and many descriptors taken from one (`!`, then `.`).
//!
//! * A client gets what was held when it asked, all of it. The messages are made one by one when they can be sent, so
//!   nothing piles up for one that reads slowly; what is stored meanwhile is left out. If something is let go of
//!   meanwhile that was announced and has not been sent, the dump cannot be what it said it would be: the connection
//!   ends, and the client knows that it has to ask again. Nothing is ever left out silently.
//! * A message that brings descriptors is looked at whole, and room is found for all of it, before any of it is held.
//!   One of an identifier that is held already takes its place; the old one is closed when the new one is in.

use super::rights;
use super::session::{self, Context, DEAF, End, Progress, refuse, send};
use super::table::{self, New, Origin};
use super::wire::{self, Builder, CHUNK, Entries};
use crate::state::{Client, Held};
use crate::sys::socket::MAX_FDS;
use crate::sys::{Errno, Fd, file};
use core::sync::atomic::{Ordering, compiler_fence};

/// Answers `?`: announces a dump. [`go_on`] sends it.
pub fn begin(client: &mut Client, context: &Context<'_, '_>) -> Result<Progress, End> {
    let total = context.held.count() as u32;
    client.dump_next = 0;
    client.dump_since = context.now.boot;
    client.dump_give = total;
    session::reply(client, &wire::dump_head(total))
}

/// Sends the next message of a dump that has been announced.
pub fn go_on(client: &mut Client, context: &mut Context<'_, '_>) -> Result<Progress, End> {
    let (from, since) = (client.dump_next as usize, client.dump_since);
    // What is stored in the very instant of the announcement may take the place of what is let go of in that instant:
    // whatever is held at its end is sent.
    let announced = |(slot, held): &(usize, &Held)| *slot >= from && held.stored <= since;
    if context.held.iter().filter(announced).count() != client.dump_give as usize {
        return Err(End::Vanished);
    }
    let mut fds = [Fd::NONE; MAX_FDS];
    let mut slots = [0; CHUNK];
    let mut count = 0;
    let mut message = Builder::new(&mut client.reply);
    for (slot, held) in context.held.iter().filter(announced).take(CHUNK) {
        if let (Some(fd), Some(place)) = (fds.get_mut(count), slots.get_mut(count)) {
            (*fd, *place) = (Fd(held.fd), slot);
            count += 1;
            message.entry(table::limit(held), table::name(held));
        }
    }
    let Some(message) = message.finish(count) else { return Err(End::Failed(Errno::MSGSIZE)) };
    let length = message.len();
    let sent = match send(client.fd, message, fds.get(..count).unwrap_or(&[])) {
        Ok(Some(sent)) => sent,
        Ok(None) => return Ok(Progress::Deferred),
        Err(End::Left) => {
            client.closing |= DEAF;
            client.dump_give = 0;
            return Ok(Progress::Answered);
        }
        Err(end) => return Err(end),
    };
    for slot in slots.iter().take(if client.looks == 0 { count } else { 0 }) {
        context.held.retrieved(*slot, client.pid, context.now.boot);
    }
    client.dump_next = slots.get(count.wrapping_sub(1)).map_or(0, |slot| *slot as u32 + 1);
    client.dump_give -= count as u32;
    client.reply_sent = sent as u32;
    client.reply_len = length as u32;
    session::drained(client)
}

/// Answers `!`: whether so many descriptors may come. Then only they may.
pub fn announce(client: &mut Client, context: &Context<'_, '_>, total: u32) -> Result<Progress, End> {
    let quota = rights::quota(client, context.allows, None);
    if total as usize > context.held.room() || total > 0 && !context.within(quota, client.uid, total as usize) {
        return refuse(client, Errno::NFILE);
    }
    client.dump_left = total;
    session::reply(client, &wire::dump_accepted(total))
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
    let total = fds.len() as u32;
    let quota = rights::quota(client, context.allows, None);
    let unfit = if entries.is_err() {
        Some(Errno::INVAL)
    } else if fds.iter().any(|fd| !fd.is_some()) {
        Some(Errno::MFILE)
    } else if context.held.room() < fds.len() || !context.within(quota, client.uid, fds.len()) {
        Some(Errno::NFILE)
    } else if fds.iter().any(|fd| context.leads_here(*fd)) {
        Some(Errno::INVAL)
    } else {
        None
    };
    if let Some(errno) = unfit {
        fds.iter().for_each(|fd| Fd(fd.0).close());
        return refuse(client, errno);
    }
    let (pid, uid, now) = (client.pid, client.uid, context.now.boot);
    for (entry, fd) in entries.iter().flat_map(Entries::iter).zip(fds) {
        let limit = quota.shorten(entry.limit, context.now.wall);
        let identity = file::identity(*fd).unwrap_or((0, 0));
        let new = New { id: entry.id, limit, fd: *fd, origin: Origin::Client, pid, uid, now, identity };
        match context.held.put(&new) {
            Ok(mut replaced) => replaced.close(),
            Err(_) => Fd(fd.0).close(), // there was room, and the entry is valid
        }
    }
    compiler_fence(Ordering::SeqCst);
    client.dump_left -= total;
    let status = if client.dump_left > 0 { Errno::AGAIN.raw_os_error() as u8 } else { 0 };
    session::reply(client, &wire::status(status))
}
