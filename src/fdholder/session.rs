//! One client of the store: reads its requests, carries them out, sends the answers, and never waits for it.
//!
//! * A request is carried out when its answer can be sent: while an answer waits, nothing is read and nothing else is
//!   done for that client. A descriptor is given in the same instant in which it is looked up, so an answer can never
//!   bring another one than was asked for, and one that is retrieved for good leaves the table when it has gone out.
//! * Messages may come in pieces, many at once, and with the descriptors of later ones in front: the queue of received
//!   descriptors is the connection's, not the message's.
//! * A client that breaks the protocol, or keeps the store waiting for longer than [`FDHOLDER_PATIENCE`], is cut off.
//!
//! What is known of a client is in its record in the arena; `serving` marks one that is being worked on.

use super::info;
use super::server::Now;
use super::table::{self, New, Origin, Table};
use super::wire::{self, Builder, Framed, HEADER, Request, Violation};
use crate::limits::{FDHOLDER_FDS, FDHOLDER_IDLE, FDHOLDER_PATIENCE, FDHOLDER_TURN};
use crate::state::Client;
use crate::sys::epoll::Flags;
use crate::sys::socket::{self, MAX_FDS, Peer};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, file, memory};
use core::sync::atomic::{Ordering, compiler_fence};

/// As much is read ahead as fits here, and given back to the kernel what is used beyond.
const PAGE: usize = 4096;

/// Times that one client is read from before others get their turn.
const READS: usize = 16;

/// Why a connection is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The client left.
    Left,
    /// The client did what it must not.
    Broke(&'static str),
    /// A system call failed.
    Failed(Errno),
}

impl From<Violation> for End {
    fn from(violation: Violation) -> End {
        End::Broke(violation.text())
    }
}

/// What became of a request.
enum Progress {
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
    client.rights = 0;
    client.serving = 0;
    client.stalled = 0;
    client.fd = fd.0;
    client.pid = peer.pid;
    client.uid = peer.uid;
    client.gid = peer.gid;
    client.since = now;
    client.dump_left = 0;
    client.dump_next = 0;
    client.dump_give = 0;
    client.basis = 0;
    client.store_len = u16::MAX;
    client.retrieve_len = u16::MAX;
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
    client.request_len > client.request_done || client.fds_len > 0 || client.reply_len > 0 || client.stalled != 0
}

/// When the client is cut off.
pub fn deadline(client: &Client) -> Nanos {
    client.since.saturating_add(if busy(client) { FDHOLDER_PATIENCE } else { FDHOLDER_IDLE })
}

/// What to wait for: a client that has an answer to take, or requests that were left for the next turn, is not read.
pub fn interest(client: &Client) -> Flags {
    if client.reply_len > 0 || client.stalled != 0 { Flags::OUT } else { Flags::IN }
}

/// Does what can be done for the client without waiting, as far as its turn goes. After an error, [`close`] it.
pub fn serve(client: &mut Client, held: &mut Table<'_>, now: &Now) -> Result<(), End> {
    client.serving = 1;
    compiler_fence(Ordering::SeqCst);
    let done = turn(client, held, now);
    compiler_fence(Ordering::SeqCst);
    client.serving = 0;
    done
}

fn turn(client: &mut Client, held: &mut Table<'_>, now: &Now) -> Result<(), End> {
    if !drain(client)? {
        return Ok(());
    }
    client.stalled = 0;
    let (mut requests, mut reads) = (FDHOLDER_TURN, READS);
    loop {
        let (size, takes, whole) = next(client)?;
        if whole && takes <= client.fds_len as usize {
            if requests == 0 {
                client.stalled = 1;
                return Ok(());
            }
            requests -= 1;
            let progress = carry_out(client, held, now, size, takes)?;
            if matches!(progress, Progress::Deferred) {
                client.stalled = 1;
                return Ok(());
            }
            client.request_done += size as u32;
            client.since = now.boot;
            if matches!(progress, Progress::Queued) {
                return Ok(());
            }
        } else if client.closing != 0 {
            return Err(match (client.request_len > client.request_done, client.fds_len > 0) {
                (true, _) => End::Broke("the end of the connection inside a request"),
                (false, true) => End::Broke("descriptors without a request"),
                (false, false) => End::Left,
            });
        } else if reads == 0 {
            return Ok(());
        } else {
            reads -= 1;
            if !read(client, size, now)? {
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
    if bytes.get(HEADER) == Some(&b'.') && client.dump_left == 0 {
        return Err(Violation::Operation.into());
    }
    Ok(match wire::frame(bytes)? {
        Framed::Partial(size, fds) => (size, fds, false),
        Framed::Whole(payload, fds) => (HEADER + payload.len(), fds, true),
    })
}

/// Reads what is there, at least a page's worth, or what the request at hand still needs. False: there is nothing.
fn read(client: &mut Client, size: usize, now: &Now) -> Result<bool, End> {
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
    let mut fds = [Fd::NONE; MAX_FDS];
    let free = FDHOLDER_FDS.saturating_sub(client.fds_len as usize).min(MAX_FDS);
    let got = match socket::receive(Fd(client.fd), room, fds.get_mut(..free).unwrap_or(&mut [])) {
        Ok(got) => got,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
        Err(Errno::CONNRESET) => return Err(End::Left),
        Err(e) => return Err(End::Failed(e)),
    };
    for fd in fds.iter().take(got.fds) {
        match client.fds.get_mut(client.fds_len as usize) {
            Some(place) => {
                *place = fd.0;
                client.fds_len += 1;
            }
            None => Fd(fd.0).close(),
        }
    }
    if got.fds_lost {
        return Err(End::Broke("more descriptors than can be taken"));
    }
    client.request_len += got.bytes as u32;
    client.closing = (got.bytes == 0).into();
    if !was_busy {
        client.since = now.boot;
    }
    Ok(true)
}

/// What a request comes to.
enum Answer {
    Status(Errno),
    Done,
    Give(usize, bool),
    List,
    Info(u32),
}

fn carry_out(client: &mut Client, held: &mut Table<'_>, now: &Now, size: usize, takes: usize) -> Result<Progress, End> {
    let start = client.request_done as usize;
    let payload = client.request.get(start + HEADER..start + size).unwrap_or(&[]);
    let answer = match Request::decode(payload, takes)? {
        Request::Store(entry) => {
            let mut fd = Fd(client.fds.first().copied().unwrap_or(-1));
            client.fds.copy_within(1..client.fds_len as usize, 0);
            client.fds_len -= 1;
            compiler_fence(Ordering::SeqCst);
            let (pid, uid) = (client.pid, client.uid);
            let identity = file::identity(fd).unwrap_or((0, 0));
            let new =
                New { id: entry.id, limit: entry.limit, fd, origin: Origin::Client, pid, uid, now: now.boot, identity };
            match held.store(&new) {
                Ok(_) => Answer::Done,
                Err(e) => {
                    fd.close();
                    Answer::Status(e)
                }
            }
        }
        Request::Delete(id) => match held.find(id).and_then(|slot| held.remove(slot)) {
            Some(mut fd) => {
                fd.close();
                Answer::Done
            }
            None => Answer::Status(Errno::NOENT),
        },
        Request::Retrieve(id, delete) => match held.find(id) {
            Some(slot) => Answer::Give(slot, delete),
            None => Answer::Status(Errno::NOENT),
        },
        Request::List => Answer::List,
        Request::Info(from) => Answer::Info(from),
        // Rights that nobody has yet.
        Request::GetDump | Request::SetDump(_) => Answer::Status(Errno::PERM),
        Request::DumpData(_) => return Err(Violation::Operation.into()),
    };
    match answer {
        Answer::Done => reply(client, &wire::status(0)),
        Answer::Status(errno) => refuse(client, errno),
        Answer::Give(slot, delete) => give(client, held, slot, delete, now),
        Answer::List => list(client, held),
        Answer::Info(from) => {
            let length = info::answer(&mut client.reply, from, held, now.boot, |_| true);
            built(client, length)
        }
    }
}

fn refuse(client: &mut Client, errno: Errno) -> Result<Progress, End> {
    reply(client, &wire::status(errno.raw_os_error() as u8))
}

/// Sends a short answer; what the client does not take now is queued.
fn reply(client: &mut Client, bytes: &[u8]) -> Result<Progress, End> {
    let sent = send(client.fd, bytes, &[])?.unwrap_or(0);
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
fn give(client: &mut Client, held: &mut Table<'_>, slot: usize, delete: bool, now: &Now) -> Result<Progress, End> {
    let fd = Fd(held.get(slot).map_or(-1, |held| held.fd));
    match send(client.fd, &wire::DESCRIPTOR, &[fd]) {
        Ok(Some(sent)) => {
            held.retrieved(slot, client.pid, now.boot);
            if delete {
                if let Some(mut fd) = held.remove(slot) {
                    fd.close();
                }
            }
            Ok(queue(client, wire::DESCRIPTOR.get(sent..).unwrap_or(&[])))
        }
        Ok(None) => Ok(Progress::Deferred),
        // Not the connection's failure but the descriptor's: too many are in flight, or this one cannot be sent.
        Err(End::Failed(e)) => refuse(client, e),
        Err(end) => Err(end),
    }
}

fn list(client: &mut Client, held: &Table<'_>) -> Result<Progress, End> {
    let count = held.iter().count() as u32;
    let mut message = Builder::new(&mut client.reply);
    message.bytes(&[0]).bytes(&count.to_be_bytes());
    for (_, held) in held.iter() {
        message.bytes(table::name(held)).bytes(&[0]);
    }
    let length = message.finish(0).map(<[u8]>::len);
    built(client, length)
}

/// Sends an answer that was written into the client's buffer, as far as it goes.
fn built(client: &mut Client, length: Option<usize>) -> Result<Progress, End> {
    let Some(length) = length else { return refuse(client, Errno::NOMEM) };
    client.reply_sent = 0;
    client.reply_len = length as u32;
    Ok(if drain(client)? { Progress::Answered } else { Progress::Queued })
}

/// Sends what waits. False: some of it still does.
fn drain(client: &mut Client) -> Result<bool, End> {
    while client.reply_sent < client.reply_len {
        let waiting = client.reply.get(client.reply_sent as usize..client.reply_len as usize).unwrap_or(&[]);
        match send(client.fd, waiting, &[])? {
            Some(sent) => client.reply_sent += sent as u32,
            None => return Ok(false),
        }
    }
    if client.reply_len as usize > PAGE {
        memory::release(&mut client.reply);
    }
    client.reply_len = 0;
    client.reply_sent = 0;
    Ok(true)
}

/// How much was sent; `None`: the client must read first.
fn send(fd: i32, bytes: &[u8], fds: &[Fd]) -> Result<Option<usize>, End> {
    match socket::send(Fd(fd), bytes, fds) {
        Ok(sent) => Ok(Some(sent)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(Errno::PIPE | Errno::CONNRESET) => Err(End::Left),
        Err(e) => Err(End::Failed(e)),
    }
}
