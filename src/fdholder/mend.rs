//! What the records of the fd-holder can be: what is held, clients, entries of the board config; and what is made of those
//! that cannot be so. A descriptor whose record does not say any more what it is called is let go of; a client whose record is
//! damaged is cut off, and connects again; a damaged entry allows nothing.

use super::rights::{self, Basis, Use};
use super::session;
use super::table::{self, Origin, REPLACING};
use crate::limits::{FDHOLDER_GLOBS, FDHOLDER_PATTERN, HELD, SERVICES};
use crate::rules;
use crate::state::check::{Bound, Check, Rule};
use crate::state::claims::Of;
use crate::state::ledger::{Ledger, What};
use crate::state::{Allow, Client, Held};
use crate::text::quote::Printable;
use core::fmt;
use zerocopy::{FromBytes, IntoBytes};

const HELD_RULES: &[Rule] = rules!(Held:
    origin Bound::Most(Origin::Service as u32, Origin::Client as u32),
    polled Bound::Most(1, 0),
    stored Bound::Past,
    retrieved Bound::Past,
);

const CLIENT_RULES: &[Rule] = rules!(Client:
    stalled Bound::Most(1, 1),
    answered Bound::Most(1, 1),
    looks Bound::Most(1, 0),
    connected Bound::Past,
    since Bound::Past,
    dump_since Bound::Past,
);

/// The most that a client may do.
const ALL_RIGHTS: u8 = rights::LIST | rights::GETDUMP | rights::SETDUMP;

struct Called<'a>(&'a Held, usize);

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held descriptor {} in slot {}", Printable(table::name(self.0)), self.1)
    }
}

fn called(record: &[u8], slot: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    Held::ref_from_bytes(record).map_or(Ok(()), |held| write!(f, "{}", Called(held, slot)))
}

/// Makes a record whole whose descriptor was being replaced: it has the old one or the new one, and is that.
pub fn tidy(held: &mut Held, ledger: &mut dyn Ledger) {
    if held.used == REPLACING {
        if let Some(look) = ledger.look(held.fd) {
            (held.dev, held.ino) = (look.dev, look.ino);
        }
        table::mend(held);
    }
}

/// Checks a held descriptor.
pub fn held(held: &mut Held, slot: usize, check: &mut Check<'_>) {
    if held.used == 0 {
        return;
    }
    if held.used > REPLACING
        && check.wrong(slot, &Called(held, slot), "its record is neither in use nor free: it is in use")
    {
        held.used = 1;
    }
    if !table::is_named(held)
        && check.wrong(slot, &Called(held, slot), "its identifier or limit is damaged: it is let go of")
    {
        held.used = 0;
        return;
    }
    let identity = (held.dev, held.ino);
    let is_it = check.ledger.look(held.fd).is_some_and(|look| (look.dev, look.ino) == identity);
    if !(is_it && check.claims.take(held.fd)) {
        if !check.mends {
            check.wrong(slot, &Called(held, slot), "its descriptor is not what it was");
            return;
        }
        held.fd = check.find(None, identity, None);
        if held.fd < 0 {
            check.wrong(slot, &Called(held, slot), "its descriptor is not what it was: it is let go of");
            held.used = 0;
            return;
        }
        check.wrong(slot, &Called(held, slot), "its descriptor had another number, and is found again");
    }
    if !check.claims.take_key(Of::Identifier, &[table::name(held)])
        && check.wrong(slot, &Called(held, slot), "another one has its identifier: it is let go of")
    {
        held.used = 0;
        return;
    }
    check.fields(held.as_mut_bytes(), slot, HELD_RULES, called);
    let owner = held.service;
    if !(owner == -1 || usize::try_from(owner).is_ok_and(|slot| slot < SERVICES))
        && check.wrong(slot, &Called(held, slot), "nobody knows which service has stored it")
    {
        held.service = -1;
    }
}

struct Connected<'a>(&'a Client, usize);

impl fmt::Display for Connected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fdholder: client pid {} uid {} in slot {}", self.0.pid, self.0.uid, self.1)
    }
}

fn connected(record: &[u8], slot: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    Client::ref_from_bytes(record).map_or(Ok(()), |client| write!(f, "{}", Connected(client, slot)))
}

/// Whether a record is certainly one of a client.
pub fn is_certain(client: &Client) -> bool {
    client.used == 1 && client.fd >= 0 && client.generation != 0 && session::intact(client)
}

/// Checks a client. `busy`: something is being done for it, so that its descriptors may be somebody else's already.
pub fn client(client: &mut Client, slot: usize, busy: bool, check: &mut Check<'_>) {
    if client.used == 0 {
        return;
    }
    let pattern = |len: u16| usize::from(len) <= FDHOLDER_PATTERN || len == u16::MAX;
    let possible = client.used == 1
        && session::intact(client)
        && client.closing <= 3
        && client.rights <= ALL_RIGHTS
        && client.basis <= Basis::Entries as u8
        && pattern(client.store_len)
        && pattern(client.retrieve_len)
        && [client.dump_left, client.dump_next, client.dump_give].iter().all(|number| *number <= HELD as u32);
    let peer = check.ledger.peer(client.fd);
    let is_it = peer.is_none_or(|peer| peer == (client.pid, client.uid, client.gid));
    if !(possible && is_it && check.claim(client.fd, What::Socket, None)) {
        if check.wrong(slot, &Connected(client, slot), "its record is damaged: it is cut off") {
            client.used = 0;
        }
        return;
    }
    check.fields(client.as_mut_bytes(), slot, CLIENT_RULES, connected);
    for place in client.fds_done as usize..client.fds_len as usize {
        let Some(fd) = client.fds.get(place).copied() else { continue };
        let is_one = fd == -1 || check.ledger.look(fd).is_some() && check.claims.take(fd);
        if !is_one && !busy && check.wrong(slot, &Connected(client, slot), "a descriptor that it has sent is lost") {
            if let Some(room) = client.fds.get_mut(place) {
                *room = -1;
            }
        }
    }
}

/// Checks an entry of the board config.
pub fn allow(allow: &mut Allow, slot: usize, check: &mut Check<'_>) {
    if allow.used == 0 {
        return;
    }
    let globs = allow.globs.get(..allow.globs_len as usize);
    let use_of = |glob: &[u8]| glob.first().is_none_or(|byte| Use::is_one(*byte));
    let is_list =
        |globs: &[u8]| globs.last().is_none_or(|last| *last == 0) && globs.split(|byte| *byte == 0).all(use_of);
    let possible = allow.used == 1
        && allow.whom <= 2
        && allow.rights <= ALL_RIGHTS
        && allow.globs_len as usize <= FDHOLDER_GLOBS
        && globs.is_some_and(is_list);
    let id = allow.id;
    if !possible
        && check.wrong(
            slot,
            &format_args!("entry {slot} of [[fdholder.allow]], for id {id}"),
            "it is damaged: it allows nothing any more",
        )
    {
        allow.used = 0;
    }
}
