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
//! What is known of a client is in its record in the arena; `serving` marks one that is being worked on.

use super::dump;
use super::info;
use super::journal::{Journal, Who};
use super::rights::{self, Quota, Use, Viewer};
use super::server::Now;
use super::table::{self, New, Origin, Table};
use super::upgrade;
use super::wire::{self, Builder, Framed, HEADER, Request, Violation};
use crate::limits::{FDHOLDER_FDS, FDHOLDER_IDLE, FDHOLDER_PATIENCE};
use crate::state::{Allow, Client, Pending};
use crate::sys::epoll::Flags;
use crate::sys::socket::{self, MAX_FDS, Peer};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, file, memory};
use crate::text::quote::Printable;
use core::sync::atomic::{Ordering, compiler_fence};

/// As much is read ahead as fits here, and given back to the kernel what is used beyond.
const PAGE: usize = 4096;

/// Times that one client is read from before others get their turn.
const READS: usize = 16;

/// What a client's requests have to do with.
pub struct Context<'c, 'r> {
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
    /// Where it is noted that the client has asked for something that concerns the process; `None`: nobody does that here.
    pub asked: Option<&'c mut bool>,
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

/// Makes `client` the record of a new connection. `generation` is one that no earlier connection had.
pub fn open(client: &mut Client, generation: u32, fd: Fd, peer: Peer, now: Nanos) {
    client.used = 0;
    compiler_fence(Ordering::SeqCst);
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
    client.fds_len = 0;
    compiler_fence(Ordering::SeqCst);
    client.used = 1;
}

/// Ends a connection: closes what it sent and nobody took, and itself.
pub fn close(client: &mut Client) {
    client.used = 0;
    compiler_fence(Ordering::SeqCst);
    for fd in client.fds.iter().take(client.fds_len as usize) {
        Fd(*fd).close();
    }
    Fd(client.fd).close();
}

/// Whether a record that was handed over can be gone on with: its numbers are possible, and nothing was being done
/// for it when its owner was interrupted.
pub fn intact(client: &Client) -> bool {
    client.serving == 0
        && client.request_done <= client.request_len
        && client.request_len as usize <= client.request.len()
        && client.reply_sent <= client.reply_len
        && client.reply_len as usize <= client.reply.len()
        && client.fds_len as usize <= client.fds.len()
}

/// Whether the store waits for the client to finish something.
pub fn busy(client: &Client) -> bool {
    begun(client) || client.dump_left > 0
}

/// Whether there is something that only has to be finished.
pub fn begun(client: &Client) -> bool {
    client.request_len > client.request_done
        || client.fds_len > 0
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
    client.serving = 1;
    compiler_fence(Ordering::SeqCst);
    let done = turn(client, context);
    compiler_fence(Ordering::SeqCst);
    client.serving = 0;
    done
}

fn turn(client: &mut Client, context: &mut Context<'_, '_>) -> Result<(), End> {
    if !drain(client)? {
        return Ok(());
    }
    client.stalled = 0;
    let (mut requests, mut reads, mut emptied) = (context.turn, READS, false);
    loop {
        // What comes behind the request for a dump is not looked at before the dump is sent.
        let (size, takes, whole) = if client.dump_give > 0 { (0, 0, true) } else { next(client)? };
        let ready = whole && takes <= client.fds_len as usize;
        if ready && requests == 0 {
            client.stalled = 1;
            return Ok(());
        }
        if ready {
            if client.closing & DEAF == 0 {
                requests -= 1;
            }
            let progress = if client.dump_give > 0 {
                dump::go_on(client, context)?
            } else {
                let progress = carry_out(client, context, size, takes)?;
                if !matches!(progress, Progress::Deferred) {
                    client.request_done += size as u32;
                }
                progress
            };
            match progress {
                Progress::Answered => client.answered = 1,
                Progress::Queued => {}
                Progress::Deferred => {
                    client.stalled = 1;
                    return Ok(());
                }
            }
            client.since = context.now.boot;
            if client.reply_len > 0 {
                return Ok(());
            }
        } else if client.closing & DEAF != 0 {
            return Err(End::Left);
        } else if client.closing & ENDED != 0 {
            return Err(match (client.request_len > client.request_done, client.fds_len > 0) {
                (true, _) => End::Broke("the end of the connection inside a request"),
                (false, true) => End::Broke("descriptors without a request"),
                (false, false) => End::Left,
            });
        } else if reads == 0 || (emptied || context.ending) && !begun(client) {
            return Ok(());
        } else {
            reads -= 1;
            emptied = false;
            if !read(client, size, context, &mut emptied)? {
                // All that was sent is here: descriptors that the unfinished request does not take belong to none.
                let unfinished = client.request_len as usize;
                if client.fds_len as usize > takes && (unfinished == 0 || unfinished >= HEADER) {
                    return Err(End::Broke("descriptors without a request"));
                }
                return Ok(());
            }
        }
    }
}

/// The next request: its size as far as that is known, how many descriptors it takes, whether all its bytes are there.
fn next(client: &Client) -> Result<(usize, usize, bool), End> {
    let bytes = client.request.get(client.request_done as usize..client.request_len as usize).unwrap_or(&[]);
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
fn read(client: &mut Client, size: usize, context: &Context<'_, '_>, emptied: &mut bool) -> Result<bool, End> {
    let (done, len) = (client.request_done as usize, client.request_len as usize);
    if done > 0 {
        client.request.copy_within(done..len, 0);
        client.request_done = 0;
        client.request_len = (len - done) as u32;
        if len > PAGE && len == done {
            memory::release(&mut client.request);
        }
    }
    let was_busy = busy(client);
    let from = client.request_len as usize;
    let room = client.request.get_mut(from..size.max(PAGE)).unwrap_or(&mut []);
    if room.is_empty() {
        return Err(End::Broke("a request without its descriptors"));
    }
    let wanted = room.len();
    let mut fds = heapless::Vec::<Fd, MAX_FDS>::new();
    let free = FDHOLDER_FDS.saturating_sub(client.fds_len as usize).min(MAX_FDS);
    let got = match socket::receive_with(Fd(client.fd), room, &mut |fd| fds.len() < free && fds.push(fd).is_ok()) {
        Ok(got) => got,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
        Err(Errno::CONNRESET) => return Err(End::Left),
        Err(e) => return Err(End::Failed(e)),
    };
    let welcome = got.fds == 0 || rights::may_send_descriptors(client, context.allows);
    for fd in &mut fds {
        if !welcome || fd.0 >= context.spare_from {
            fd.close();
        }
        push(client, *fd);
    }
    client.request_len += got.bytes as u32;
    if got.bytes == 0 {
        client.closing |= ENDED;
    }
    *emptied = got.bytes > 0 && got.bytes < wanted;
    if got.fds_lost && (got.fds >= free || !stand_in(client)) {
        return Err(End::Broke("more descriptors than can be taken"));
    }
    if !was_busy {
        client.since = context.now.boot;
    }
    Ok(true)
}

/// Puts a received descriptor in the queue.
fn push(client: &mut Client, mut fd: Fd) -> bool {
    match client.fds.get_mut(client.fds_len as usize) {
        Some(place) => {
            *place = fd.0;
            client.fds_len += 1;
            true
        }
        None => {
            fd.close();
            false
        }
    }
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
    while (client.fds_len as usize) < needed {
        if !push(client, Fd::NONE) {
            return false;
        }
    }
    true
}

/// Takes descriptors from the front of the queue.
fn pop(queue: &mut [i32], len: &mut u32, fds: &mut [Fd]) {
    for (to, from) in fds.iter_mut().zip(&*queue) {
        *to = Fd(*from);
    }
    let there = (*len as usize).min(queue.len());
    let taken = fds.len().min(there);
    queue.copy_within(taken..there, 0);
    *len = (there - taken) as u32;
    compiler_fence(Ordering::SeqCst);
}

/// Closes descriptors at the front of the queue.
fn drop_fds(client: &mut Client, count: usize) {
    let mut fds = [Fd::NONE; MAX_FDS];
    let fds = fds.get_mut(..count).unwrap_or(&mut []);
    pop(&mut client.fds, &mut client.fds_len, fds);
    fds.iter_mut().for_each(Fd::close);
}

/// The descriptors that wait for their requests.
pub(super) fn queued(client: &Client) -> &[i32] {
    client.fds.get(..client.fds_len as usize).unwrap_or(&[])
}

/// A request that was deferred has been answered: it is no more, with the descriptor that it brought.
pub(super) fn drop_request(client: &mut Client, size: usize, brings: bool) {
    if brings {
        drop_fds(client, 1);
    }
    client.request_done += size as u32;
    client.answered = 1;
}

/// What a request comes to.
enum Answer {
    Status(Errno),
    Done,
    Give(usize, bool),
}

fn carry_out(client: &mut Client, context: &mut Context<'_, '_>, size: usize, takes: usize) -> Result<Progress, End> {
    let start = client.request_done as usize + HEADER;
    let end = start + size - HEADER;
    let payload = client.request.get(start..end).unwrap_or(&[]);
    let allows = context.allows;
    let request = Request::decode(payload, takes)?;
    let only_asks = matches!(
        request,
        Request::List | Request::Info(_) | Request::GetDump | Request::Retrieve(..) | Request::HandOver
    );
    if only_asks && client.closing & DEAF != 0 {
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
        drop_fds(client, takes);
        return refuse(client, Errno::PERM);
    }
    let answer = match request {
        Request::HandOver | Request::Enter => match &mut context.asked {
            // It waits for the end of the loop's turn.
            Some(asked) => {
                **asked = true;
                return Ok(Progress::Deferred);
            }
            None => {
                drop_fds(client, takes);
                Answer::Status(Errno::OPNOTSUPP)
            }
        },
        Request::Store(entry) => {
            let (quota, id) = (rights::quota(client, allows, Some(entry.id)), entry.id);
            let mut fd = Fd::NONE;
            pop(&mut client.fds, &mut client.fds_len, core::slice::from_mut(&mut fd));
            let (pid, uid) = (client.pid, client.uid);
            let about = file::about(fd).unwrap_or_default();
            let limit = context.held.unused_limit(quota.shorten(entry.limit, context.now.wall));
            let (now, identity) = (context.now.boot, about.identity);
            let new = New { id, limit, fd, origin: Origin::Client, pid, uid, now, identity };
            let done = if !fd.is_some() {
                Err(Errno::MFILE)
            } else if about.is_socket && context.leads_here(fd) {
                Err(Errno::INVAL)
            } else if !context.within(quota, uid, 1) {
                Err(Errno::NFILE)
            } else {
                context.held.store(&new)
            };
            match done {
                Ok(_) => Answer::Done,
                Err(e) => {
                    fd.close();
                    Answer::Status(e)
                }
            }
        }
        Request::Delete(id) => match context.held.find(id).and_then(|slot| context.held.remove(slot)) {
            Some(mut fd) => {
                fd.close();
                Answer::Done
            }
            None => Answer::Status(Errno::NOENT),
        },
        Request::Retrieve(id, delete) => match context.held.find(id) {
            Some(slot) => Answer::Give(slot, delete),
            None => Answer::Status(Errno::NOENT),
        },
        Request::List | Request::GetDump if context.burdened => Answer::Status(Errno::NOMEM),
        Request::List => return list(client, context),
        Request::Info(from) => {
            client.looks = 1;
            let viewer = Viewer::of(client);
            let sees = |id: &[u8]| viewer.sees(allows, id);
            let length = info::answer(&mut client.reply, from, (context.held, context.pending), context.now.boot, sees);
            return built(client, length);
        }
        Request::GetDump => return dump::begin(client, context),
        Request::SetDump(total) => return dump::announce(client, context, total),
        Request::DumpData(_) if takes > client.dump_left as usize => return Err(Violation::Descriptors.into()),
        Request::DumpData(_) => {
            let mut fds = [Fd::NONE; MAX_FDS];
            let fds = fds.get_mut(..takes).unwrap_or(&mut []);
            pop(&mut client.fds, &mut client.fds_len, fds);
            return dump::take(client, context, fds, start + 1, end);
        }
    };
    match answer {
        Answer::Done => reply(client, &wire::status(0)),
        Answer::Status(errno) => refuse(client, errno),
        Answer::Give(slot, delete) => give(client, context, slot, delete),
    }
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
pub fn refuse(client: &mut Client, errno: Errno) -> Result<Progress, End> {
    reply(client, &wire::status(errno.raw_os_error() as u8))
}

/// In [`Client::closing`]: the client sends nothing any more.
const ENDED: u8 = 1;

/// In [`Client::closing`]: the client does not read any more. What has been read of it is done, and not answered; then
/// that is its end.
pub const DEAF: u8 = 2;

/// Sends a short answer; what the client does not take now is queued.
pub fn reply(client: &mut Client, bytes: &[u8]) -> Result<Progress, End> {
    let sent = deliver(client.fd, &mut client.closing, bytes)?.unwrap_or(0);
    Ok(queue(client, bytes.get(sent..).unwrap_or(&[])))
}

fn queue(client: &mut Client, rest: &[u8]) -> Progress {
    if rest.is_empty() {
        return Progress::Answered;
    }
    for (to, from) in client.reply.iter_mut().zip(rest) {
        *to = *from;
    }
    client.reply_sent = 0;
    client.reply_len = rest.len() as u32;
    Progress::Queued
}

/// Sends a held descriptor, or leaves the request for later.
fn give(client: &mut Client, context: &mut Context<'_, '_>, slot: usize, delete: bool) -> Result<Progress, End> {
    let held = &mut *context.held;
    let fd = Fd(held.get(slot).map_or(-1, |held| held.fd));
    match send(client.fd, &wire::DESCRIPTOR, &[fd]) {
        Ok(Some(sent)) => {
            held.retrieved(slot, client.pid, context.now.boot);
            if delete {
                if let Some(mut fd) = held.remove(slot) {
                    fd.close();
                }
            }
            Ok(queue(client, wire::DESCRIPTOR.get(sent..).unwrap_or(&[])))
        }
        Ok(None) => Ok(Progress::Deferred),
        Err(End::Left) => {
            client.closing |= DEAF;
            Ok(Progress::Answered)
        }
        // Not the connection's failure but the descriptor's: too many are in flight, or this one cannot be sent.
        Err(End::Failed(e)) => refuse(client, e),
        Err(end) => Err(end),
    }
}

fn list(client: &mut Client, context: &Context<'_, '_>) -> Result<Progress, End> {
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
    built(client, length)
}

/// Sends an answer that was written into the client's buffer, as far as it goes.
fn built(client: &mut Client, length: Option<usize>) -> Result<Progress, End> {
    let Some(length) = length else { return refuse(client, Errno::NOMEM) };
    client.reply_sent = 0;
    client.reply_len = length as u32;
    drained(client)
}

/// Sends the answer that is in the client's record as far as it takes it now.
pub fn drained(client: &mut Client) -> Result<Progress, End> {
    Ok(if drain(client)? { Progress::Answered } else { Progress::Queued })
}

/// Sends what waits. False: some of it still does.
fn drain(client: &mut Client) -> Result<bool, End> {
    while client.reply_sent < client.reply_len {
        let waiting = client.reply.get(client.reply_sent as usize..client.reply_len as usize).unwrap_or(&[]);
        match deliver(client.fd, &mut client.closing, waiting)? {
            Some(sent) => client.reply_sent += sent as u32,
            None => return Ok(false),
        }
    }
    if client.reply_len > 0 {
        client.answered = 1;
    }
    if client.reply_len as usize > PAGE {
        memory::release(&mut client.reply);
    }
    client.reply_len = 0;
    client.reply_sent = 0;
    Ok(true)
}

/// Sends bytes of an answer; how many, or `None`: the client must read first. One that does not read any more takes all.
fn deliver(fd: i32, closing: &mut u8, bytes: &[u8]) -> Result<Option<usize>, End> {
    let sent = if *closing & DEAF == 0 { send(fd, bytes, &[]) } else { Err(End::Left) };
    if sent == Err(End::Left) {
        *closing |= DEAF;
        return Ok(Some(bytes.len()));
    }
    sent
}

/// How much was sent; `None`: the client must read first.
pub fn send(fd: i32, bytes: &[u8], fds: &[Fd]) -> Result<Option<usize>, End> {
    match socket::send(Fd(fd), bytes, fds) {
        Ok(sent) => Ok(Some(sent)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(Errno::PIPE | Errno::CONNRESET) => Err(End::Left),
        Err(e) => Err(End::Failed(e)),
    }
}
