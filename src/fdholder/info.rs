//! What a store tells about what it holds, for `linchpin sockets`: who stored it, since when, who retrieved it. This
//! request is ours; s6-fdholderd ends the connection of whoever makes it. Both directions, no system call.
//!
//! | | payload |
//! |---|---|
//! | request | `i`, slot to begin with (u32) |
//! | answer | status 0, slot to go on with or 0 (u32), number of entries (u16), the entries |
//!
//! An entry, all integers big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | where it came from ([`Origin`]) |
//! | 1 | 0: it is held; 1: it waits to be bound |
//! | 2 | why it waits: an errno, or 0 |
//! | 12 | until when it is held |
//! | 8 | nanoseconds since it was stored (since it waits) |
//! | 4, 4 | uid and pid of who stored it |
//! | 4, 4 | how often it was retrieved (tried), and by which pid last |
//! | 8 | nanoseconds since then (until the next try) |
//! | 1 + n + 1 | the identifier |
//!
//! An answer has as many entries as fit [`ANSWER`]; a client asks again until there is nothing to go on with. Who has asked
//! looks: what a dump gives to it afterwards does not count as retrieved.

use super::table::{self, Origin, Table};
use super::wire::{self, Builder, STATUS};
use crate::limits::HELD_NAME;
use crate::state::{Held, Pending};
use crate::sys::{Errno, time::Nanos};
use crate::text::tai::Stamp;

/// Most bytes of an answer, header included: what a client's record has room for without another page.
pub const ANSWER: usize = 4096;

/// Bytes of an entry, without its identifier.
const FIXED: usize = 4 + Stamp::SIZE + 8 + 4 * 4 + 8;

/// What is known of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Where it came from.
    pub origin: Origin,
    /// It is not there yet, because of this errno (0: nobody has tried yet).
    pub waits: Option<u16>,
    /// Until when it is held.
    pub limit: Stamp,
    /// Nanoseconds since it was stored, or since it waits.
    pub age: Nanos,
    /// Who stored it.
    pub uid: u32,
    /// See above.
    pub pid: u32,
    /// How often it was retrieved; of what waits: how often it was tried.
    pub retrievals: u32,
    /// Who retrieved it last; 0 for nobody, or our own process.
    pub last_pid: u32,
    /// Nanoseconds since then, 0 if it was never retrieved; of what waits: until it is tried again.
    pub last: Nanos,
    /// Its identifier.
    pub id: &'a [u8],
}

impl<'a> Entry<'a> {
    /// That of a record; `now` is boot time.
    pub fn of(held: &'a Held, now: Nanos) -> Entry<'a> {
        let last = if held.retrievals == 0 { 0 } else { now.saturating_sub(held.retrieved) };
        Entry {
            origin: Origin::of(held),
            waits: None,
            limit: table::limit(held),
            age: now.saturating_sub(held.stored),
            uid: held.uid,
            pid: held.pid,
            retrievals: held.retrievals,
            last_pid: held.last_pid,
            last,
            id: table::name(held),
        }
    }

    /// That of a socket of the board config that could not be bound yet.
    pub fn of_pending(pending: &'a Pending, now: Nanos) -> Entry<'a> {
        Entry {
            origin: Origin::Board,
            waits: Some(pending.errno),
            limit: Stamp { sec: u64::MAX, nano: 0 },
            age: now.saturating_sub(pending.since),
            uid: pending.uid,
            pid: 0,
            retrievals: pending.attempts,
            last_pid: 0,
            last: pending.deadline.saturating_sub(now),
            id: pending.name.get(..pending.name_len.into()).unwrap_or_default(),
        }
    }

    fn encode(&self, message: &mut Builder<'_>) {
        message.bytes(&[self.origin as u8, self.waits.is_some().into()]);
        message.bytes(&self.waits.unwrap_or(0).to_be_bytes());
        message.bytes(&self.limit.to_bytes()).bytes(&self.age.to_be_bytes());
        for number in [self.uid, self.pid, self.retrievals, self.last_pid] {
            message.bytes(&number.to_be_bytes());
        }
        message.bytes(&self.last.to_be_bytes()).id(self.id);
    }

    /// The entry in front of `bytes`, and what is behind it.
    fn decode(bytes: &'a [u8]) -> Option<(Entry<'a>, &'a [u8])> {
        let mut rest = bytes;
        let [origin, state] = take(&mut rest)?;
        let why = u16::from_be_bytes(take(&mut rest)?);
        let limit = Stamp::from_bytes(&take(&mut rest)?);
        let age = u64::from_be_bytes(take(&mut rest)?);
        let [uid, pid, retrievals, last_pid] =
            [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?, take(&mut rest)?].map(u32::from_be_bytes);
        let last = u64::from_be_bytes(take(&mut rest)?);
        let (id, rest) = wire::id(rest).ok()?;
        let waits = match (state, why) {
            (0, 0) => None,
            (1, why) => Some(why),
            _ => return None,
        };
        let origin = Origin::from_number(origin)?;
        if limit.nano >= 1_000_000_000 {
            return None;
        }
        Some((Entry { origin, waits, limit, age, uid, pid, retrievals, last_pid, last, id }, rest))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

/// Sockets that are not bound yet have slots from here on, behind those of what is held.
const PENDING: u32 = 1 << 31;

/// Writes the answer that begins with slot `from`, or the first after it, of what is held and what waits to be bound, but
/// for those of which `visible` says no to their identifiers; `now` is boot time. Returns how many bytes it has, header
/// included; `None`: `out` is too small for one.
pub fn answer(
    out: &mut [u8],
    from: u32,
    (held, pending): (&Table<'_>, &[Pending]),
    now: Nanos,
    visible: impl Fn(&[u8]) -> bool,
) -> Option<usize> {
    let room = out.get_mut(..ANSWER)?;
    let shown = || {
        let held = held.iter().map(|(slot, held)| (slot as u32, Entry::of(held, now)));
        let waiting = pending.iter().zip(PENDING..).filter(|(pending, _)| pending.used != 0);
        let waiting = waiting.map(|(pending, slot)| (slot, Entry::of_pending(pending, now)));
        held.chain(waiting).filter(|(slot, entry)| *slot >= from && visible(entry.id))
    };
    let mut size = STATUS + 4 + 2;
    let (mut next, mut count) = (0u32, 0u16);
    for (slot, entry) in shown() {
        size += FIXED + 1 + entry.id.len() + 1;
        if size > ANSWER {
            next = slot;
            break;
        }
        count += 1;
    }
    let mut message = Builder::new(room);
    message.bytes(&[0]).bytes(&next.to_be_bytes()).bytes(&count.to_be_bytes());
    for (_, entry) in shown().take(count.into()) {
        entry.encode(&mut message);
    }
    message.finish(0).map(<[u8]>::len)
}

/// A part of what a store tells, found to be valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page<'a> {
    /// The slot to go on with; `None`: this is the last part.
    pub next: Option<u32>,
    entries: &'a [u8],
}

impl<'a> Page<'a> {
    /// Reads what follows the status of an answer to the request that began with slot `from`. EPROTO: it is none, or
    /// would have its client ask for ever.
    pub fn decode(rest: &'a [u8], from: u32) -> Result<Page<'a>, Errno> {
        Page::read(rest, from).ok_or(Errno::PROTO)
    }

    fn read(mut rest: &'a [u8], from: u32) -> Option<Page<'a>> {
        let next = u32::from_be_bytes(take(&mut rest)?);
        let count = u16::from_be_bytes(take(&mut rest)?);
        let entries = rest;
        for _ in 0..count {
            rest = Entry::decode(rest)?.1;
        }
        let next = (next != 0).then_some(next);
        (rest.is_empty() && next.is_none_or(|next| next > from)).then_some(Page { next, entries })
    }

    /// Its entries, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let mut rest = self.entries;
        core::iter::from_fn(move || {
            let (entry, behind) = Entry::decode(rest)?;
            rest = behind;
            Some(entry)
        })
    }
}

const _: () = assert!(STATUS + 4 + 2 + FIXED + HELD_NAME + 2 <= ANSWER, "an answer has room for one entry");
