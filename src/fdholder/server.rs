//! The store as PID 1's loop sees it: the listener, the clients, what is due when.
//!
//! Whoever may not use the store is refused as soon as it is accepted. While all places are taken, or after accepting
//! has failed, the listener is not watched: newcomers wait in its backlog. No client can make any function here wait.
//!
//! Everything that must outlive a crash is in the arena's records; [`Server::new`] makes the rest from them.

use super::session::{self, End};
use super::table::{New, Origin, Table};
use super::wire::NEVER;
use crate::limits::{FDHOLDER_ACCEPTS, FDHOLDER_PATIENCE, FDHOLDER_PAUSE};
use crate::state::{Client, Tables};
use crate::sys::epoll::{Epoll, Flags, Token};
use crate::sys::time::{self, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, memory, socket, unix};
use crate::text::errno::Reason;
use crate::text::tai::Stamp;
use crate::{info, warning};
use core::ffi::CStr;
use core::fmt;
use zerocopy::IntoBytes;

/// [`Token::kind`] of the listener; slot and generation are 0.
pub const LISTENER_KIND: u8 = 10;

/// [`Token::kind`] of a client; slot and generation are its record's.
pub const CLIENT_KIND: u8 = 11;

/// Expiry is looked at so often at least while something can expire: the wall clock may be set.
const EXPIRY_CHECK: Nanos = 60 * SECOND;

/// So many unused slots of held descriptors keep their memory, for the next ones.
const HELD_KEPT: usize = 64;

/// The time, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Boot-time clock, for deadlines.
    pub boot: Nanos,
    /// Wall clock, for the limits of held descriptors.
    pub wall: Stamp,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Now {
        Now { boot: time::boot(), wall: Stamp::now() }
    }
}

/// The store's part of the arena.
pub struct Records<'a> {
    /// Held descriptors.
    pub held: Table<'a>,
    /// Clients, and the number of those slots that are, or lie below, used ones: the others are not looked at, so that
    /// they cost no memory.
    pub clients: &'a mut [Client],
    /// See above.
    pub top: &'a mut u32,
    /// The generation of the next client.
    pub next_generation: &'a mut u32,
}

impl<'a> Records<'a> {
    /// Of the arena's tables.
    pub fn of(tables: &'a mut Tables) -> Records<'a> {
        let header = &mut tables.header;
        header.clients_top = header.clients_top.min(tables.clients.len() as u32);
        Records {
            held: Table::new(&mut tables.held, &mut header.held_top),
            clients: &mut tables.clients,
            top: &mut header.clients_top,
            next_generation: &mut header.next_generation,
        }
    }

    /// The clients there are.
    fn connected(&self) -> impl Iterator<Item = (usize, &Client)> {
        self.clients.iter().enumerate().take(*self.top as usize).filter(|(_, client)| client.used != 0)
    }

    /// Gives back the memory of a slot that has become free, and of free ones above it: what is above the highest
    /// client is not looked at, and looking would bring it back.
    fn give_back(&mut self, slot: usize) {
        let end = *self.top as usize;
        let unused = self.clients.iter().take(end).rev().take_while(|client| client.used == 0).count();
        *self.top = (end - unused) as u32;
        let freed = if unused > 0 { end - unused..end } else { slot..slot + 1 };
        memory::release(self.clients.get_mut(freed).unwrap_or_default().as_mut_bytes());
    }

    /// If all places are taken: who is to make room, and when, unless something comes from it until then.
    fn longest_waited_for(&self) -> Option<(usize, Nanos)> {
        if self.free().is_some() {
            return None;
        }
        let (slot, client) = self.connected().min_by_key(|(_, client)| client.since)?;
        Some((slot, client.since.saturating_add(FDHOLDER_PATIENCE)))
    }

    fn free(&self) -> Option<usize> {
        let top = *self.top as usize;
        let free = self.clients.iter().take(top).position(|client| client.used == 0).unwrap_or(top);
        (free < self.clients.len()).then_some(free)
    }
}

/// Makes the store's socket: mode 0777, for who may use it is decided by credentials. Errors: see [`unix::listen`].
pub fn listen(path: &CStr) -> Result<Fd> {
    unix::listen(path, 0o777)
}

/// The limit of what is held for ever.
pub fn far_limit(now: &Now) -> Stamp {
    Stamp { sec: now.wall.sec.saturating_add(NEVER), nano: now.wall.nano }
}

/// Holds a descriptor of our own, for ever; the table takes it over unless there is an error, which is as
/// [`Table::store`]'s.
pub fn store_own(held: &mut Table<'_>, id: &[u8], fd: Fd, origin: Origin, now: &Now) -> Result<()> {
    let limit = far_limit(now);
    let identity = file::identity(fd).unwrap_or((0, 0));
    let (pid, uid) = (crate::sys::process::pid() as u32, rustix::process::geteuid().as_raw());
    held.store(&New { id, limit, fd, origin, pid, uid, now: now.boot, identity }).map(drop)
}

/// The server: what is derived from the records, and the listener.
pub struct Server {
    listener: Fd,
    /// Who may connect besides root.
    owner: u32,
    /// Whether the listener is watched.
    watched: bool,
    /// The earliest limit of a held descriptor.
    earliest: Option<Stamp>,
    /// Held slots whose memory has been touched.
    touched: usize,
    /// When accepting is tried again after it failed.
    retry: Option<Nanos>,
    /// A failure to accept has been reported.
    troubled: bool,
    /// When the last line about a client was logged, and how many were left out since.
    logged: Option<Nanos>,
    unlogged: u32,
}

impl Server {
    /// Serves `listener`, and the clients that the records already have. Errors: epoll_ctl(2)'s, for the listener.
    pub fn new(listener: Fd, records: &mut Records<'_>, epoll: &Epoll, now: &Now) -> Result<Server> {
        let owner = rustix::process::geteuid().as_raw();
        let mut server = Server {
            listener,
            owner,
            watched: true,
            earliest: records.held.earliest(),
            touched: records.held.top(),
            retry: None,
            troubled: false,
            logged: None,
            unlogged: 0,
        };
        epoll.add(listener, LISTENER, Flags::IN)?;
        for (slot, client) in records.clients.iter_mut().enumerate().take(*records.top as usize) {
            if client.used == 0 {
                continue;
            }
            if !session::intact(client) {
                client.fds_len = client.fds_len.min(client.fds.len() as u32);
                session::close(client);
            } else if epoll.add(Fd(client.fd), token(slot, client), session::interest(client)).is_err() {
                session::close(client);
            }
        }
        server.watch(records, epoll);
        server.purge(records, now);
        Ok(server)
    }

    /// The listener is readable: lets in those who wait, a few at a time.
    pub fn accept(&mut self, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        for _ in 0..FDHOLDER_ACCEPTS {
            let Some(slot) = records.free() else { break };
            match unix::accept(self.listener) {
                Ok(fd) => self.admit(fd, slot, records, epoll, now),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(e) => {
                    if !self.troubled {
                        warning!("fdholder: unable to accept clients, they have to wait: {}", Reason(e));
                    }
                    self.troubled = true;
                    self.retry = Some(now.boot.saturating_add(FDHOLDER_PAUSE));
                    break;
                }
            }
            self.troubled = false;
        }
        self.watch(records, epoll);
    }

    fn admit(&mut self, mut fd: Fd, slot: usize, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        let peer = match socket::peer(fd) {
            Ok(peer) => peer,
            Err(_) => return fd.close(),
        };
        if peer.uid != 0 && peer.uid != self.owner {
            fd.close();
            return self.tell(now, peer.pid, peer.uid, format_args!("is refused: only root may connect"));
        }
        *records.top = (*records.top).max(slot as u32 + 1);
        let Some(client) = records.clients.get_mut(slot) else { return fd.close() };
        session::open(client, *records.next_generation, fd, peer, now.boot);
        *records.next_generation = records.next_generation.wrapping_add(1).max(1);
        if let Err(e) = epoll.add(fd, token(slot, client), Flags::IN) {
            session::close(client);
            self.tell(now, peer.pid, peer.uid, format_args!("cannot be watched: {}", Reason(e)));
        }
    }

    /// Something happened on the connection of the client that `slot` and `generation` name. False: that client is
    /// gone, the event is late.
    pub fn client_ready(
        &mut self,
        slot: u32,
        generation: u32,
        records: &mut Records<'_>,
        epoll: &Epoll,
        now: &Now,
    ) -> bool {
        let slot = slot as usize;
        if slot >= *records.top as usize {
            return false;
        }
        self.purge(records, now);
        let Some(client) = records.clients.get_mut(slot) else { return false };
        if client.used == 0 || client.generation != generation {
            return false;
        }
        let before = session::interest(client);
        let mut done = session::serve(client, &mut records.held, now);
        self.note_changes(&mut records.held);
        let after = session::interest(client);
        if done.is_ok() && before != after {
            done = epoll.modify(Fd(client.fd), token(slot, client), after).map_err(End::Failed);
        }
        let (pid, uid) = (client.pid, client.uid);
        if let Err(end) = done {
            self.end(slot, records, epoll);
            match end {
                End::Left => {}
                End::Broke(what) => self.tell(now, pid, uid, format_args!("is cut off: it sent {what}")),
                End::Failed(e) => self.tell(now, pid, uid, format_args!("is cut off: {}", Reason(e))),
            }
        }
        true
    }

    /// Does what is due: lets go of expired descriptors, cuts off clients that kept the store waiting, tries to accept
    /// again. Call it when [`Server::next_deadline`] has passed, or every turn.
    pub fn expire(&mut self, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        self.purge(records, now);
        for slot in 0..*records.top as usize {
            let Some(client) = records.clients.get(slot).filter(|client| client.used != 0) else { continue };
            if session::deadline(client) > now.boot {
                continue;
            }
            let (pid, uid, busy) = (client.pid, client.uid, session::busy(client));
            self.end(slot, records, epoll);
            if busy {
                self.tell(now, pid, uid, format_args!("is cut off: it neither sends nor reads on"));
            } else {
                info!("fdholder: client pid {pid} uid {uid} is cut off: idle");
            }
        }
        if let Some((slot, _)) = records.longest_waited_for().filter(|(_, until)| *until <= now.boot) {
            let who = records.clients.get(slot).map_or((0, 0), |client| (client.pid, client.uid));
            self.end(slot, records, epoll);
            self.tell(now, who.0, who.1, format_args!("is cut off: idle, and all places are taken"));
        }
        if self.retry.is_some_and(|retry| retry <= now.boot) {
            self.retry = None;
            self.watch(records, epoll);
        }
    }

    /// When [`Server::expire`] is to be called next, on the boot-time clock.
    pub fn next_deadline(&self, records: &Records<'_>, now: &Now) -> Option<Nanos> {
        let clients = records.connected().map(|(_, client)| session::deadline(client)).min();
        let crowded = records.longest_waited_for().map(|(_, until)| until);
        let expiry = self.earliest.and_then(|limit| time_until(limit, now));
        [clients, crowded, expiry, self.retry].into_iter().flatten().min()
    }

    /// Closes what has expired: before anything is served, so that nobody is ever served it.
    fn purge(&mut self, records: &mut Records<'_>, now: &Now) {
        if self.earliest.is_none_or(|limit| limit > now.wall) {
            return;
        }
        while let Some(mut fd) = records.held.remove_expired(now.wall) {
            fd.close();
        }
        self.note_changes(&mut records.held);
    }

    /// Takes note of what has been stored and removed. Memory is given back a few pages at a time.
    pub fn note_changes(&mut self, held: &mut Table<'_>) {
        if !held.take_changed() {
            return;
        }
        self.earliest = held.earliest();
        self.touched = self.touched.max(held.top());
        if self.touched - held.top() >= HELD_KEPT {
            memory::release(held.unused(self.touched));
            self.touched = held.top();
        }
    }

    /// Ends a connection, and lets the next one in.
    fn end(&mut self, slot: usize, records: &mut Records<'_>, epoll: &Epoll) {
        if let Some(client) = records.clients.get_mut(slot) {
            epoll.remove(Fd(client.fd));
            session::close(client);
            records.give_back(slot);
        }
        self.watch(records, epoll);
    }

    /// Watches the listener if a newcomer could be let in.
    fn watch(&mut self, records: &Records<'_>, epoll: &Epoll) {
        let want = self.retry.is_none() && records.free().is_some();
        if want != self.watched {
            let flags = if want { Flags::IN } else { Flags::empty() };
            if epoll.modify(self.listener, LISTENER, flags).is_ok() {
                self.watched = want;
            }
        }
    }

    /// Logs a line about a client, unless there was one a moment ago.
    fn tell(&mut self, now: &Now, pid: u32, uid: u32, what: fmt::Arguments<'_>) {
        if self.logged.is_some_and(|last| now.boot < last.saturating_add(FDHOLDER_PAUSE)) {
            self.unlogged = self.unlogged.saturating_add(1);
            return;
        }
        if self.unlogged > 0 {
            warning!("fdholder: {} more lines like the last were left out", self.unlogged);
        }
        self.logged = Some(now.boot);
        self.unlogged = 0;
        warning!("fdholder: client pid {pid} uid {uid} {what}");
    }
}

const LISTENER: Token = Token { kind: LISTENER_KIND, slot: 0, generation: 0 };

fn token(slot: usize, client: &Client) -> Token {
    Token { kind: CLIENT_KIND, slot: slot as u32, generation: client.generation }
}

/// When to look at `limit` again; `None`: it is never reached.
fn time_until(limit: Stamp, now: &Now) -> Option<Nanos> {
    if limit <= now.wall {
        return Some(now.boot);
    }
    let seconds = limit.sec - now.wall.sec;
    if seconds >= NEVER / 2 {
        return None;
    }
    let nanos = (seconds.min(1 << 30) * SECOND + u64::from(limit.nano)).saturating_sub(now.wall.nano.into());
    Some(now.boot.saturating_add(nanos.min(EXPIRY_CHECK)))
}
