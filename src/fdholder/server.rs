//! The store as PID 1's loop sees it: the listener, the clients, what is due when.
//!
//! Whoever may not use the store is refused as soon as it is accepted. While all places are taken, or after accepting
//! has failed, the listener is not watched: newcomers wait in its backlog. No client can make any function here wait.
//!
//! Everything that must outlive a crash is in the arena's records; [`Server::new`] makes the rest from them.

use super::journal::{Journal, Who};
use super::records::{Now, Records};
use super::rights::{Known, Source};
use super::session::{self, Context, End};
use super::table::{New, Origin, Table};
use super::transfer;
use super::upgrade::{Askers, Wish};
use super::wire::NEVER;
use crate::fault_point;
use crate::limits::{
    FDHOLDER_BACKLOG, FDHOLDER_CLIENTS, FDHOLDER_CROWD, FDHOLDER_CROWDED, FDHOLDER_PATIENCE, FDHOLDER_PAUSE,
    FDHOLDER_SPARE, FDHOLDER_TURN, HELD,
};
use crate::state::Client;
use crate::sys::epoll::{Epoll, Flags, Token};
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, memory, poll, socket, unix};
use crate::text::errno::Reason;
use crate::text::tai::Stamp;
use crate::{info, warning};
use core::ffi::CStr;
use rustix::process::{Resource, getrlimit};

/// [`Token::kind`] of the listener; slot and generation are 0.
pub const LISTENER_KIND: u8 = 10;

/// [`Token::kind`] of a client; slot and generation are its record's.
pub const CLIENT_KIND: u8 = 11;

/// Expiry is looked at so often at least while something can expire: the wall clock may be set.
const EXPIRY_CHECK: Nanos = 60 * SECOND;

/// When accepting has failed again after less than this it is the same trouble, and is not told again.
const TROUBLE: Nanos = 60 * SECOND;

/// So many unused slots of held descriptors keep their memory, for the next ones.
const HELD_KEPT: usize = 64;

/// The slot of a client that has left keeps its memory so long, for the next one: to give it back and to get it again
/// costs more than all else that a client does.
const CLIENT_KEPT: Nanos = SECOND;

/// Makes the store's socket: mode 0777, for who may use it is decided by credentials. Errors: see [`unix::listen`].
pub fn listen(path: &CStr) -> Result<Fd> {
    unix::listen_for(path, 0o777, FDHOLDER_BACKLOG)
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
    held.store(&New { id, limit, fd, origin, pid, uid, now: now.boot, identity, owner: None }).map(drop)
}

/// How a store is to behave. [`Settings::default`] is how it does in process 1.
#[derive(Clone, Copy)]
pub struct Settings {
    /// Who may do what.
    pub source: Source,
    /// Most clients at a time; more wait until one leaves. No more than there are records.
    pub clients_max: usize,
    /// Most descriptors that clients can have it hold. No more than there are records.
    pub held_max: usize,
    /// A client is cut off that has not been answered so long after it connected, in nanoseconds; 0: when it is idle
    /// for very long, or when others wait for its place.
    pub timeout: Nanos,
    /// Whether clients may ask for what concerns the process ([`upgrade`](super::upgrade)).
    pub upgrades: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            source: Source::Board(None),
            clients_max: FDHOLDER_CLIENTS,
            held_max: HELD,
            timeout: 0,
            upgrades: false,
        }
    }
}

/// The server: what is derived from the records, and the listener.
pub struct Server {
    listener: Fd,
    settings: Settings,
    /// The user that we run as.
    owner: u32,
    /// Whether the listener is watched.
    watched: bool,
    /// The earliest limit of a held descriptor.
    earliest: Option<Stamp>,
    /// Held slots whose memory has been touched.
    touched: usize,
    /// When accepting is tried again after it failed.
    retry: Option<Nanos>,
    /// When accepting failed last.
    troubled: Option<Nanos>,
    /// Slots of clients whose memory has been touched, and when that of free ones is given back.
    clients_touched: usize,
    release: Option<Nanos>,
    /// While all places are taken, a client that is silent for so long and owed nothing makes room.
    silence: Nanos,
    /// See [`Server::end_soon`].
    ending: bool,
    /// Received descriptors with this number or a higher one are not kept.
    spare_from: i32,
    journal: Journal,
    /// What becomes of a request that concerns the process, and the clients that have made one.
    pub(super) wish: Wish,
    /// See above.
    pub(super) askers: Askers,
}

impl Server {
    /// Serves `listener`, and the clients that the records already have. Errors: epoll_ctl(2)'s, for the listener.
    pub fn new(
        listener: Fd,
        settings: Settings,
        records: &mut Records<'_>,
        epoll: &Epoll,
        now: &Now,
    ) -> Result<Server> {
        let mut server = Server {
            listener,
            settings,
            owner: rustix::process::geteuid().as_raw(),
            watched: true,
            earliest: records.held.earliest(),
            touched: records.held.top(),
            retry: None,
            troubled: None,
            clients_touched: *records.top as usize,
            release: None,
            // Apart from process 1 somebody has chosen the number of places.
            silence: if matches!(settings.source, Source::Board(_)) { FDHOLDER_CROWDED } else { FDHOLDER_PATIENCE },
            ending: false,
            spare_from: spare_from(getrlimit(Resource::Nofile).current),
            journal: Journal::default(),
            wish: if settings.upgrades { Wish::Open } else { Wish::Nobody },
            askers: Askers::new(),
        };
        epoll.add(listener, LISTENER, Flags::IN)?;
        server.resume(records, epoll, now);
        server.watch(records, epoll);
        server.purge(records, now);
        Ok(server)
    }

    /// Goes on with what the records have: first with what was being done for one client, for it may concern the table.
    fn resume(&mut self, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        records.held.mend();
        for slot in 0..*records.top as usize {
            let Some(client) = records.clients.get_mut(slot).filter(|client| client.used != 0) else { continue };
            let mut context = Context {
                slot: slot as u32,
                transfer: &mut *records.transfer,
                held: &mut records.held,
                allows: records.allows,
                pending: records.pending,
                now,
                journal: &mut self.journal,
                listener: self.listener,
                spare_from: self.spare_from,
                turn: 1,
                burdened: false,
                ending: false,
                wish: Wish::Open,
            };
            let done = if session::intact(client) {
                session::resume(client, &mut context)
            } else {
                client.fds_len = client.fds_len.min(client.fds.len() as u32);
                Err(End::Failed(Errno::BADF))
            };
            let done = done.and_then(|()| {
                let flags = session::interest(client, false);
                epoll.add(Fd(client.fd), token(slot, client), flags).map_err(End::Failed)
            });
            if let Err(end) = done {
                if session::is_for(records.transfer, slot as u32, client) {
                    transfer::abandon(records.transfer, session::queue(client));
                }
                self.tell_end(Who::of(client), end, now);
                client.serving = client.serving.max(1); // it may be held already
                session::close(client, &records.held);
            }
        }
        if records.transfer.kind != transfer::kind::NOTIFY {
            transfer::abandon(records.transfer, &[]); // its client is gone
        }
        records.lower_top();
        self.earliest = records.held.earliest();
    }

    /// A connection that was accepted, and of which no record was made before the process failed. False: `fd` is none.
    pub fn adopt(&mut self, mut fd: Fd, records: &mut Records<'_>, epoll: &Epoll, now: &Now) -> bool {
        if !socket::is_accepted_from(fd, self.listener) {
            return false;
        }
        match self.free(records) {
            Some(slot) => self.let_in(fd, slot, records, epoll, now),
            None => fd.close(),
        }
        self.watch(records, epoll);
        true
    }

    /// The listener is readable: lets in one of those who wait (it stays readable for the others), and does what that one
    /// has asked for already.
    pub fn accept(&mut self, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        let Some(slot) = self.free(records) else { return self.watch(records, epoll) };
        match unix::accept(self.listener) {
            Ok(fd) => {
                fault_point!("holder.accepted");
                self.let_in(fd, slot, records, epoll, now);
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
            Err(e) => {
                let again = self.troubled.replace(now.boot);
                if again.is_none_or(|last| last.saturating_add(TROUBLE) <= now.boot) {
                    warning!("fdholder: unable to accept clients, they have to wait: {}", Reason(e));
                }
                self.retry = Some(now.boot.saturating_add(FDHOLDER_PAUSE));
            }
        }
        self.watch(records, epoll);
    }

    fn let_in(&mut self, fd: Fd, slot: usize, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        if self.admit(fd, slot, records, now) {
            self.purge(records, now);
            self.serve(slot, false, records, epoll, now);
        }
    }

    /// Makes a record for the client, unless it is refused. Until that is whole the connection is nobody's.
    fn admit(&mut self, mut fd: Fd, slot: usize, records: &mut Records<'_>, now: &Now) -> bool {
        let (Ok(peer), true) = (socket::peer(fd), slot < records.clients.len()) else {
            fd.close();
            return false;
        };
        let trusted = peer.uid == 0 || peer.uid == self.owner;
        let same = records.connected().filter(|(_, client)| client.uid == peer.uid).count();
        let refused = if !trusted && same >= self.places().div_ceil(2) {
            Some("is refused: its user has half of all places")
        } else {
            None
        };
        *records.top = (*records.top).max(slot as u32 + 1);
        self.clients_touched = self.clients_touched.max(slot + 1);
        let Some(client) = records.clients.get_mut(slot) else { return false };
        let generation = *records.next_generation;
        *records.next_generation = generation.wrapping_add(1).max(1);
        session::open(client, generation, fd, peer, now.boot);
        let who = Who::of(client);
        let known = Known { allows: records.allows, rules: records.rules, owner: self.owner };
        let refused = match refused {
            None if !self.settings.source.admit(client, &known) => Some("is refused: it may not connect"),
            other => other,
        };
        if let Some(why) = refused {
            self.journal.tell(now.boot, who, format_args!("{why}"));
            fd.close();
            self.freed(records, now);
        } else {
            session::establish(client);
            fault_point!("holder.admitted");
        }
        refused.is_none()
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
        match records.clients.get(slot) {
            Some(client) if client.used != 0 && client.generation == generation => {}
            _ => return false,
        }
        self.serve(slot, true, records, epoll, now);
        true
    }

    /// Serves a client that is `watched`, or that is to be watched from now on.
    pub(super) fn serve(&mut self, slot: usize, watched: bool, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        let turn = (FDHOLDER_TURN * FDHOLDER_CROWD / (*records.top as usize).max(1)).clamp(1, FDHOLDER_TURN);
        let burdened = records.burdened();
        let Some(client) = records.clients.get_mut(slot) else { return };
        records.held.set_max(self.settings.held_max);
        let before = watched.then(|| session::interest(client, self.ending));
        let mut context = Context {
            slot: slot as u32,
            transfer: &mut *records.transfer,
            held: &mut records.held,
            allows: records.allows,
            pending: records.pending,
            now,
            journal: &mut self.journal,
            listener: self.listener,
            spare_from: self.spare_from,
            turn,
            burdened,
            ending: self.ending,
            wish: self.wish,
        };
        let mut done = session::serve(client, &mut context);
        if context.wish == Wish::Made {
            let _ = self.askers.push(slot as u32); // who finds no room there asks again
        }
        self.note_changes(&mut records.held);
        let after = session::interest(client, self.ending);
        if done.is_ok() && before != Some(after) {
            let (fd, token) = (Fd(client.fd), token(slot, client));
            let told = if watched { epoll.modify(fd, token, after) } else { epoll.add(fd, token, after) };
            done = told.map_err(End::Failed);
        }
        if let Err(end) = done {
            self.tell_end(Who::of(client), end, now);
            self.end(slot, watched, records, epoll, now);
        }
    }

    fn tell_end(&mut self, who: Who, end: End, now: &Now) {
        match end {
            End::Left => {}
            End::Broke(what) => self.journal.tell(now.boot, who, format_args!("is cut off: it sent {what}")),
            End::Vanished => {
                let why = "what was announced to it was let go of before it took it";
                self.journal.tell(now.boot, who, format_args!("is cut off: {why}"));
            }
            End::Failed(e) => self.journal.tell(now.boot, who, format_args!("is cut off: {}", Reason(e))),
            End::Fatal => {
                let why = "this process has failed again and again while it served it";
                self.journal.tell(now.boot, who, format_args!("is cut off: {why}"));
            }
        }
    }

    /// Does what is due: lets go of expired descriptors, cuts off clients that kept the store waiting, tries to accept
    /// again. Call it when [`Server::next_deadline`] has passed, or every turn.
    pub fn expire(&mut self, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        self.purge(records, now);
        for slot in 0..*records.top as usize {
            let Some(client) = records.clients.get(slot).filter(|client| client.used != 0) else { continue };
            if session::deadline(client, self.settings.timeout) > now.boot {
                continue;
            }
            let (who, busy) = (Who::of(client), session::busy(client));
            self.end(slot, true, records, epoll, now);
            if busy {
                self.journal.tell(now.boot, who, format_args!("is cut off: it neither sends nor reads on"));
            } else {
                info!("fdholder: {who} is cut off: idle");
            }
        }
        if let Some((slot, _)) = self.to_make_room(records).filter(|(_, until)| *until <= now.boot) {
            self.make_room(slot, records, epoll, now);
        }
        if self.release.is_some_and(|at| at <= now.boot) {
            self.release = None;
            records.give_back(self.clients_touched);
            self.clients_touched = *records.top as usize;
        }
        if self.retry.is_some_and(|retry| retry <= now.boot) {
            self.retry = None;
            self.watch(records, epoll);
        }
    }

    /// Has this client make room, unless it has just asked for something.
    fn make_room(&mut self, slot: usize, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        let Some(client) = records.clients.get_mut(slot) else { return };
        if !session::busy(client) && poll::readable(Fd(client.fd), Some(0)).is_ok() {
            client.since = now.boot;
            return;
        }
        let who = Who::of(client);
        self.end(slot, true, records, epoll, now);
        self.retry = None;
        self.watch(records, epoll);
        self.journal.tell(now.boot, who, format_args!("is cut off: idle, and others wait for its place"));
    }

    /// When [`Server::expire`] is to be called next, on the boot-time clock.
    pub fn next_deadline(&self, records: &Records<'_>, now: &Now) -> Option<Nanos> {
        let timeout = self.settings.timeout;
        let clients = records.connected().map(|(_, client)| session::deadline(client, timeout)).min();
        let crowded = self.to_make_room(records).map(|(_, until)| until);
        let expiry = self.earliest.and_then(|limit| time_until(limit, now));
        [clients, crowded, expiry, self.retry, self.release].into_iter().flatten().min()
    }

    /// The access rules are elsewhere from now on; clients that are connected keep their rights.
    pub fn set_source(&mut self, source: Source) {
        self.settings.source = source;
    }

    /// The store is to end soon (s6-fdholderd's lame duck time): nobody is accepted any more, and of clients nothing is
    /// read but the rest of what they have begun to ask. When [`Server::is_done`], nobody is owed an answer.
    pub fn end_soon(&mut self, records: &mut Records<'_>, epoll: &Epoll) {
        self.ending = true;
        self.watch(records, epoll);
        for slot in 0..*records.top as usize {
            let Some(client) = records.clients.get(slot).filter(|client| client.used != 0) else { continue };
            if epoll.modify(Fd(client.fd), token(slot, client), session::interest(client, true)).is_err() {
                self.end(slot, true, records, epoll, &Now::read());
            }
        }
    }

    /// Whether every client has been answered what it asked, after [`Server::end_soon`].
    pub fn is_done(&self, records: &Records<'_>) -> bool {
        self.ending && !records.connected().any(|(_, client)| session::begun(client))
    }

    /// As if the process had no numbers to spare from this one on.
    #[cfg(test)]
    pub(super) fn keep_numbers_from(&mut self, first: i32) {
        self.spare_from = first;
    }

    fn to_make_room(&self, records: &Records<'_>) -> Option<(usize, Nanos)> {
        let crowded = self.retry.is_some() || self.free(records).is_none();
        if crowded { records.longest_waited_for(self.silence) } else { None }
    }

    /// Places for clients.
    fn places(&self) -> usize {
        self.settings.clients_max.max(1)
    }

    fn free(&self, records: &Records<'_>) -> Option<usize> {
        records.free(self.places())
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
        held.shrink(HELD_KEPT);
        if self.touched - held.top() >= HELD_KEPT {
            memory::release(held.unused(self.touched));
            self.touched = held.top();
        }
    }

    /// Ends a connection, and lets the next one in.
    fn end(&mut self, slot: usize, watched: bool, records: &mut Records<'_>, epoll: &Epoll, now: &Now) {
        if let Some(client) = records.clients.get_mut(slot) {
            if watched {
                epoll.remove(Fd(client.fd));
            }
            session::close(client, &records.held);
            self.freed(records, now);
        }
        self.watch(records, epoll);
    }

    /// A slot has become free.
    fn freed(&mut self, records: &mut Records<'_>, now: &Now) {
        records.lower_top();
        self.release.get_or_insert(now.boot.saturating_add(CLIENT_KEPT));
    }

    /// Watches the listener if a newcomer could be let in.
    fn watch(&mut self, records: &Records<'_>, epoll: &Epoll) {
        let want = !self.ending && self.retry.is_none() && self.free(records).is_some();
        if want != self.watched {
            let flags = if want { Flags::IN } else { Flags::empty() };
            if epoll.modify(self.listener, LISTENER, flags).is_ok() {
                self.watched = want;
            }
        }
    }
}

/// The last numbers that the limit of descriptors allows are kept for connections, and for what else this process
/// has to do: an eighth of all, but no more than it needs.
fn spare_from(limit: Option<u64>) -> i32 {
    let limit = limit.map_or(i32::MAX, |limit| i32::try_from(limit).unwrap_or(i32::MAX));
    limit - (limit / 8).min(FDHOLDER_SPARE)
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
