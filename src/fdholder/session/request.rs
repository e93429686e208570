//! A request carried out: decided first, with all that is to be afterwards; then settled, and answered.
//!
//! Until it is decided nothing is changed but what can be found again: a descriptor that is stored already has the number
//! that is in the client's queue.

use super::super::dump;
use super::super::info;
use super::super::journal::Who;
use super::super::rights::{self, Use, Viewer};
use super::super::table::{self, New, Origin};
use super::super::transfer::{self, BRIEF, COUNT, DELETE, KEPT, LOOKS, kind};
use super::super::upgrade::{self, Wish};
use super::super::wire::{self, Builder, HEADER, Request, Violation};
use super::answer::{drained, put, reply, send_with, settle};
use super::{Context, DEAF, End, Progress, is_again, queue};
use crate::fault_point;
use crate::state::{Allow, Client};
use crate::sys::socket::MAX_FDS;
use crate::sys::{Errno, Fd, file};
use crate::text::quote::Printable;

/// Carries out the request at hand, which has `size` bytes and takes so many descriptors.
pub(super) fn carry_out(
    client: &mut Client,
    context: &mut Context<'_, '_>,
    size: usize,
    takes: usize,
) -> Result<Progress, End> {
    let start = client.request_done as usize + HEADER;
    let end = start + size - HEADER;
    transfer::note(context.transfer, context.slot, client, context.now.boot);
    context.transfer.request_done += size as u32;
    context.transfer.fds_done += takes as u32;
    let payload = client.request.get(start..end).unwrap_or(&[]);
    let allows = context.allows;
    let request = Request::decode(payload, takes)?;
    let only_asks = matches!(
        request,
        Request::List | Request::Info(_) | Request::GetDump | Request::Retrieve(..) | Request::HandOver
    );
    if only_asks && client.closing & DEAF != 0 {
        transfer::arm(context.transfer, kind::SETTLE);
        settle(client, context.transfer, context.held, false);
        return Ok(Progress::Answered);
    }
    if let Some(denied) = denial(client, allows, &request) {
        let who = Who::of(client);
        match denied {
            (what, Some(id)) => {
                let id = Printable(id);
                context.journal.tell(context.now.boot, who, format_args!("may not {what} {id}: refused"));
            }
            (what, None) => context.journal.tell(context.now.boot, who, format_args!("may not {what}: refused")),
        }
        return refuse(client, context, Errno::PERM);
    }
    match request {
        Request::Store(entry) => match store(client, context, entry) {
            Ok(()) => {
                fault_point!("holder.stored");
                context.transfer.flags |= KEPT;
                reply(client, context, &wire::status(0))
            }
            Err(e) => refuse(client, context, e),
        },
        Request::Delete(id) => match context.held.find(id) {
            Some(slot) => {
                context.transfer.flags |= DELETE;
                is_about(context, slot);
                reply(client, context, &wire::status(0))
            }
            None => refuse(client, context, Errno::NOENT),
        },
        Request::Retrieve(id, delete) => match context.held.find(id) {
            Some(slot) => give(client, context, slot, delete),
            None => refuse(client, context, Errno::NOENT),
        },
        Request::List | Request::GetDump if context.burdened => refuse(client, context, Errno::NOMEM),
        Request::List => list(client, context),
        Request::Info(from) => {
            context.transfer.flags |= LOOKS;
            let viewer = Viewer::of(client);
            let sees = |id: &[u8]| viewer.sees(allows, id);
            let length = info::answer(&mut client.reply, from, (context.held, context.pending), context.now.boot, sees);
            built(client, context, length)
        }
        Request::GetDump => dump::begin(client, context),
        Request::SetDump(total) => dump::announce(client, context, total),
        Request::DumpData(_) if takes > client.dump_left as usize => Err(Violation::Descriptors.into()),
        Request::DumpData(_) => {
            let mut fds = [Fd::NONE; MAX_FDS];
            fds.iter_mut().zip(queue(client)).take(takes).for_each(|(to, from)| *to = Fd(*from));
            dump::take(client, context, fds.get(..takes).unwrap_or(&[]), start + 1, end)
        }
        Request::HandOver | Request::Enter => wish(client, context),
    }
}

/// A request that concerns the process waits until the loop has nothing in progress: then it is carried out, and answered.
fn wish(client: &mut Client, context: &mut Context<'_, '_>) -> Result<Progress, End> {
    match core::mem::replace(&mut context.wish, Wish::Made) {
        Wish::Nobody => {
            context.wish = Wish::Nobody;
            refuse(client, context, Errno::OPNOTSUPP)
        }
        Wish::Open | Wish::Made => Ok(Progress::Deferred),
        Wish::Granted(answer) => {
            context.wish = Wish::Open;
            match answer {
                Ok(fd) if fd.is_some() => give_own(client, context, fd),
                Ok(_) => reply(client, context, &wire::status(0)),
                Err(e) => refuse(client, context, e),
            }
        }
    }
}

/// Sends a descriptor that is not held.
fn give_own(client: &mut Client, context: &mut Context<'_, '_>, fd: Fd) -> Result<Progress, End> {
    put(client, context.transfer, &wire::DESCRIPTOR);
    match send_with(client.fd, context.transfer, kind::GIVE, &wire::DESCRIPTOR, &[fd.0]) {
        Ok(Some(_)) => {
            settle(client, context.transfer, context.held, false);
            drained(client, context)
        }
        Ok(None) => Ok(Progress::Deferred),
        Err(End::Failed(e)) => {
            context.transfer.flags = 0;
            refuse(client, context, e)
        }
        Err(end) => Err(end),
    }
}

/// Holds the first descriptor of the client's queue.
fn store(client: &Client, context: &mut Context<'_, '_>, entry: wire::Entry<'_>) -> Result<(), Errno> {
    let fd = Fd(queue(client).first().copied().unwrap_or(-1));
    if is_again(client) && fd.is_some() {
        let slot = context.held.find(entry.id);
        if slot.and_then(|slot| context.held.get(slot)).is_some_and(|held| held.fd == fd.0) {
            return Ok(()); // it was stored before the fault
        }
    }
    let quota = rights::quota(client, context.allows, Some(entry.id));
    let about = file::about(fd).unwrap_or_default();
    if !fd.is_some() {
        return Err(Errno::MFILE);
    }
    if about.is_socket && context.leads_here(fd) {
        return Err(Errno::INVAL);
    }
    if !context.within(quota, client.uid, 1) {
        return Err(Errno::NFILE);
    }
    let new = New {
        id: entry.id,
        limit: context.held.unused_limit(quota.shorten(entry.limit, context.now.wall)),
        fd,
        origin: Origin::Client,
        pid: client.pid,
        uid: client.uid,
        now: context.now.boot,
        identity: about.identity,
        owner: None,
    };
    context.held.store(&new).map(drop)
}

/// Notes which held descriptor a request is about.
fn is_about(context: &mut Context<'_, '_>, slot: usize) -> i32 {
    let (fd, retrievals) = context.held.get(slot).map_or((-1, 0), |held| (held.fd, held.retrievals));
    let transfer = &mut *context.transfer;
    (transfer.held, transfer.held_fd) = (slot as u32, fd);
    transfer.count = retrievals.saturating_add(1);
    fd
}

/// What of a request the client has no right to.
fn denial<'p>(client: &Client, allows: &[Allow], request: &Request<'p>) -> Option<(&'static str, Option<&'p [u8]>)> {
    let may = |what, id| rights::may(client, allows, what, id);
    match *request {
        Request::Store(entry) if !may(Use::Store, entry.id) => Some(("store", Some(entry.id))),
        Request::Delete(id) if !may(Use::Delete, id) => Some(("delete", Some(id))),
        Request::Retrieve(id, _) if !may(Use::Retrieve, id) => Some(("retrieve", Some(id))),
        Request::Retrieve(id, true) if !may(Use::Delete, id) => Some(("delete", Some(id))),
        Request::List | Request::Info(_) if !Viewer::of(client).may_list(allows) => Some(("list", None)),
        Request::GetDump if client.rights & rights::GETDUMP == 0 => Some(("get a dump", None)),
        Request::SetDump(_) if client.rights & rights::SETDUMP == 0 => Some(("set a dump", None)),
        Request::HandOver | Request::Enter if !upgrade::may_ask(client) => Some(("have the process upgraded", None)),
        _ => None,
    }
}

/// Answers with an errno.
pub(in crate::fdholder) fn refuse(
    client: &mut Client,
    context: &mut Context<'_, '_>,
    errno: Errno,
) -> Result<Progress, End> {
    reply(client, context, &wire::status(errno.raw_os_error() as u8))
}

/// Sends a held descriptor, or leaves the request for later.
fn give(client: &mut Client, context: &mut Context<'_, '_>, slot: usize, delete: bool) -> Result<Progress, End> {
    let fd = is_about(context, slot);
    put(client, context.transfer, &wire::DESCRIPTOR);
    context.transfer.flags |= BRIEF | COUNT | if delete { DELETE } else { 0 };
    match send_with(client.fd, context.transfer, kind::GIVE, &wire::DESCRIPTOR, &[fd]) {
        Ok(Some(_)) => {
            settle(client, context.transfer, context.held, false);
            drained(client, context)
        }
        Ok(None) => Ok(Progress::Deferred),
        Err(End::Left) => {
            client.closing |= DEAF;
            context.transfer.flags = 0;
            context.transfer.reply_len = 0;
            transfer::arm(context.transfer, kind::SETTLE);
            settle(client, context.transfer, context.held, false);
            Ok(Progress::Answered)
        }
        // Not the connection's failure but the descriptor's: too many are in flight, or this one cannot be sent.
        Err(End::Failed(e)) => {
            context.transfer.flags = 0;
            refuse(client, context, e)
        }
        Err(end) => Err(end),
    }
}

fn list(client: &mut Client, context: &mut Context<'_, '_>) -> Result<Progress, End> {
    // What it may not see is left out.
    let viewer = Viewer::of(client);
    let seen = || context.held.iter().map(|(_, held)| table::name(held)).filter(|id| viewer.sees(context.allows, id));
    let count = seen().count() as u32;
    let mut message = Builder::new(&mut client.reply);
    message.bytes(&[0]).bytes(&count.to_be_bytes());
    seen().for_each(|id| {
        message.bytes(id).bytes(&[0]);
    });
    let length = message.finish(0).map(<[u8]>::len);
    built(client, context, length)
}

/// Sends an answer that was written into the client's buffer, as far as it goes.
fn built(client: &mut Client, context: &mut Context<'_, '_>, length: Option<usize>) -> Result<Progress, End> {
    let Some(length) = length else { return refuse(client, context, Errno::NOMEM) };
    context.transfer.reply_len = length as u32;
    transfer::arm(context.transfer, kind::SETTLE);
    fault_point!("holder.decided");
    settle(client, context.transfer, context.held, false);
    drained(client, context)
}
