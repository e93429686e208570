//! What a client sends: received into its record, looked at, moved to the front when what came before it is served.

use super::super::rights;
use super::super::transfer::{self, BUSY, kind};
use super::super::wire::{self, Framed, HEADER, Violation};
use super::{Context, ENDED, End, PAGE, RESET, busy, queue, unserved};
use crate::fault_point;
use crate::limits::FDHOLDER_FDS;
use crate::state::{Client, Transfer};
use crate::sys::memory::{self, commit};
use crate::sys::message;
use crate::sys::socket::MAX_FDS;
use crate::sys::{Errno, Fd};
use zerocopy::{FromBytes, IntoBytes};

/// The next request: its size as far as that is known, how many descriptors it takes, whether all its bytes are there.
pub(super) fn next(client: &Client) -> Result<(usize, usize, bool), End> {
    let bytes = unserved(client);
    if bytes.get(HEADER).is_some_and(|operation| (*operation == b'.') != (client.dump_left > 0)) {
        return Err(Violation::Operation.into());
    }
    Ok(match wire::frame(bytes)? {
        Framed::Partial(size, fds) => (size, fds, false),
        Framed::Whole(payload, fds) => (HEADER + payload.len(), fds, true),
    })
}

/// Reads what is there, at least a page's worth, or what the request at hand still needs: it will have `size` bytes as
/// far as is known. False: there is nothing. `emptied`: most likely there is no more, it need not be tried.
pub(super) fn read(
    client: &mut Client,
    size: usize,
    context: &mut Context<'_, '_>,
    emptied: &mut bool,
) -> Result<bool, End> {
    make_place(client, context)?;
    transfer::note(context.transfer, context.slot, client, context.now.boot);
    if busy(client) {
        context.transfer.flags |= BUSY;
    }
    let from = client.request_len as usize;
    let place = client.request.get_mut(from..size.max(PAGE)).unwrap_or(&mut []);
    if place.is_empty() {
        return Err(End::Broke("a request without its descriptors"));
    }
    let wanted = place.len();
    transfer::arm(context.transfer, kind::READ);
    fault_point!("holder.reading");
    let (mut room, _) = transfer::room(context.transfer);
    let received = match room.receive(Fd(client.fd), place) {
        Err(Errno::CONNRESET) if client.closing & RESET == 0 => {
            // It was gone before it had read all: that is told before what it sent.
            client.closing |= RESET;
            room.receive(Fd(client.fd), place)
        }
        other => other,
    };
    fault_point!("holder.received");
    let got = match received {
        Ok(got) => got,
        Err(e) => {
            transfer::end(context.transfer);
            return match e {
                Errno::AGAIN | Errno::INTR => Ok(false),
                Errno::CONNRESET => Err(End::Left),
                e => Err(End::Failed(e)),
            };
        }
    };
    *emptied = got.bytes > 0 && got.bytes < wanted;
    take_in(client, context)?;
    fault_point!("holder.read");
    Ok(true)
}

/// Takes what has come, as [`Transfer`] says, into the client's record. It may have been done before, in part or whole.
pub(super) fn take_in(client: &mut Client, context: &mut Context<'_, '_>) -> Result<(), End> {
    let transfer = &mut *context.transfer;
    let Some(got) = message::came(&transfer.header) else {
        transfer::end(transfer);
        return Ok(());
    };
    let fds = message::descriptors_mut(&got, &mut transfer.control);
    let before = transfer.fds_len as usize;
    let free = FDHOLDER_FDS.saturating_sub(before).min(MAX_FDS);
    let welcome = fds.is_empty() || rights::may_send_descriptors(client, context.allows);
    let mut count = 0;
    for (at, fd) in fds.iter_mut().enumerate() {
        let place = client.fds.get_mut(before + at).filter(|_| at < free);
        // A number is forgotten first, and closed then: it may soon mean something else.
        let unwanted = if !welcome || *fd >= context.spare_from || place.is_none() { *fd } else { -1 };
        if unwanted >= 0 {
            *fd = -1;
        }
        if let Some(place) = place {
            *place = *fd;
            count += 1;
        }
        commit(fd);
        fault_point!("holder.taking");
        Fd(unwanted).close();
    }
    let lost = got.fds_lost || count < fds.len();
    client.fds_len = (before + count) as u32;
    client.request_len = (transfer.request_len as usize + got.bytes).min(client.request.len()) as u32;
    if got.bytes == 0 {
        client.closing |= ENDED;
    }
    let lost = lost && (count >= free || !stand_in(client));
    if transfer.flags & BUSY == 0 {
        client.since = context.now.boot;
    }
    commit(client);
    fault_point!("holder.taken");
    transfer::end(transfer);
    if lost { Err(End::Broke("more descriptors than can be taken")) } else { Ok(()) }
}

/// Puts a number, or none, in the queue.
fn push(client: &mut Client, fd: i32) -> bool {
    let Some(place) = client.fds.get_mut(client.fds_len as usize) else { return false };
    *place = fd;
    client.fds_len += 1;
    true
}

/// The process had no numbers left for descriptors that came with what was just read: puts nothing in their places, in
/// the queue, so that the requests that they belong to can be refused. False: it is not known how many they were.
fn stand_in(client: &mut Client) -> bool {
    let (mut at, mut needed) = (client.request_done as usize, 0);
    let end = client.request_len as usize;
    while at < end {
        let Some((length, fds)) = client.request.get(at..end).and_then(wire::header) else { return false };
        needed += fds;
        at = at.saturating_add(HEADER).saturating_add(length);
    }
    while queue(client).len() < needed {
        if !push(client, -1) {
            return false;
        }
    }
    true
}

/// Both counts are 0 from now on; in between the first is behind the second, which means the same.
pub(super) fn forget(len: &mut u32, done: &mut u32) {
    *len = 0;
    commit(len);
    *done = 0;
    commit(done);
}

/// Bytes of [`Transfer::bytes`] that are for bytes; descriptors follow.
const BYTES: usize = 4096;

/// Moves what is not served to the front.
fn make_place(client: &mut Client, context: &mut Context<'_, '_>) -> Result<(), End> {
    let len = client.request_len as usize;
    if client.request_done == client.request_len && client.fds_done == client.fds_len {
        if client.request_done > 0 {
            forget(&mut client.request_len, &mut client.request_done);
        }
        if client.fds_done > 0 {
            forget(&mut client.fds_len, &mut client.fds_done);
        }
    } else if client.request_done > 0 || client.fds_done > 0 {
        let transfer = &mut *context.transfer;
        transfer::note(transfer, context.slot, client, context.now.boot);
        let (bytes, fds) = (unserved(client), queue(client).as_bytes());
        let (for_bytes, for_fds) = transfer.bytes.split_at_mut(BYTES);
        // Beyond a page nothing is read but the rest of one request.
        let (Some(to), Some(fds_to)) = (for_bytes.get_mut(..bytes.len()), for_fds.get_mut(..fds.len())) else {
            return Err(End::Failed(Errno::MSGSIZE));
        };
        to.copy_from_slice(bytes);
        fds_to.copy_from_slice(fds);
        (transfer.request_len, transfer.fds_len) = (bytes.len() as u32, queue(client).len() as u32);
        transfer::arm(transfer, kind::MOVE);
        fault_point!("holder.moving");
        take_place(client, transfer);
    }
    if len > PAGE && client.request_len == 0 {
        memory::release(&mut client.request);
    }
    Ok(())
}

/// Puts what is being moved, as [`Transfer`] says, to the front.
pub(super) fn take_place(client: &mut Client, transfer: &mut Transfer) {
    let (for_bytes, for_fds) = transfer.bytes.split_at(BYTES);
    let bytes = for_bytes.get(..transfer.request_len as usize).unwrap_or_default();
    for (to, from) in client.request.iter_mut().zip(bytes) {
        *to = *from;
    }
    let fds = for_fds.get(..transfer.fds_len as usize * size_of::<i32>()).unwrap_or_default();
    let count = <[i32]>::ref_from_bytes(fds).map_or(0, |fds| {
        for (to, from) in client.fds.iter_mut().zip(fds) {
            *to = *from;
        }
        fds.len()
    });
    commit(client);
    fault_point!("holder.moved");
    (client.request_len, client.request_done) = (bytes.len() as u32, 0);
    (client.fds_len, client.fds_done) = (count as u32, 0);
    commit(client);
    transfer::end(transfer);
}
