//! The held descriptors: records of the arena, in slots. No system call: descriptors are numbers here, and what is
//! removed is handed to the caller to be closed.
//!
//! A record is written whole before it becomes valid (`used`), and becomes invalid before its descriptor is closed: a
//! program that is entered again between any two instructions finds each descriptor named once, or not at all. While a
//! record gets another descriptor it is marked ([`REPLACING`]), and [`mend`] makes it whole.
//!
//! As in s6 the slot that became free last is used first: lists and dumps have its order. A free slot keeps in `stored`
//! when that was, as a number of its own.

use crate::fault_point;
use crate::limits::{HELD, HELD_NAME};
use crate::state::Held;
use crate::state::slot::{Handle, checksum};
use crate::sys::memory::commit;
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Errno, Fd};
use crate::text::tai::Stamp;
use zerocopy::IntoBytes;

/// A descriptor to be held.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Its identifier.
    pub id: &'a [u8],
    /// Until when.
    pub limit: Stamp,
    /// The descriptor; the table takes it over.
    pub fd: Fd,
    /// Where it comes from.
    pub origin: Origin,
    /// Who stores it.
    pub pid: u32,
    /// See above.
    pub uid: u32,
    /// Boot-time clock.
    pub now: Nanos,
    /// st_dev and st_ino of what it is.
    pub identity: (u64, u64),
    /// The service that stores it through its notification socket, and whether it is let go of when its other side is gone.
    pub owner: Option<(Handle, bool)>,
}

/// Where a held descriptor came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Origin {
    /// A client stored it.
    Client = 0,
    /// The board config asked for it.
    Board = 1,
    /// A service stored it through its notification socket.
    Service = 2,
}

impl Origin {
    /// That of a record; a number that is none is a client's.
    pub fn of(held: &Held) -> Origin {
        Origin::from_number(held.origin).unwrap_or(Origin::Client)
    }

    /// The one with this number.
    pub fn from_number(number: u8) -> Option<Origin> {
        [Origin::Client, Origin::Board, Origin::Service].get(usize::from(number)).copied()
    }
}

/// The table: the arena's slots and the number of those that are, or lie below, used ones. Slots from there on are not
/// looked at, so that they cost no memory.
pub struct Table<'a> {
    slots: &'a mut [Held],
    top: &'a mut u32,
    max: usize,
    changed: bool,
}

/// In [`Held::used`]: in use, and its descriptor and limit are being replaced.
pub const REPLACING: u8 = 2;

impl<'a> Table<'a> {
    /// A view of the arena's records.
    pub fn new(slots: &'a mut [Held], top: &'a mut u32) -> Table<'a> {
        *top = (*top).min(slots.len() as u32);
        Table { max: slots.len(), slots, top, changed: false }
    }

    /// From now on no more than `max` are held (those that are stay).
    pub fn set_max(&mut self, max: usize) {
        self.max = max.min(self.slots.len());
    }

    /// Makes those whole that were being replaced when the process failed.
    pub fn mend(&mut self) {
        self.slots.iter_mut().take(*self.top as usize).for_each(mend);
    }

    /// How many are held.
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// How many more can be held.
    pub fn room(&self) -> usize {
        self.max.saturating_sub(self.count())
    }

    /// How many descriptors user `uid` has stored that are held.
    pub fn count_of(&self, uid: u32) -> usize {
        self.iter().filter(|(_, held)| held.uid == uid && Origin::of(held) == Origin::Client).count()
    }

    /// Whether something was stored or removed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// Slots that are, or lie below, used ones.
    pub fn top(&self) -> usize {
        *self.top as usize
    }

    /// The memory of the slots from [`Table::top`] to `end`, in which nothing is of use.
    pub fn unused(&mut self, end: usize) -> &mut [u8] {
        self.slots.get_mut(*self.top as usize..end).unwrap_or_default().as_mut_bytes()
    }

    fn touched(&self) -> &[Held] {
        self.slots.get(..*self.top as usize).unwrap_or(&[])
    }

    /// All records with their slots, in the order in which a list shows them.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Held)> {
        self.touched().iter().enumerate().filter(|(_, held)| held.used != 0)
    }

    /// The record in `slot`.
    pub fn get(&self, slot: usize) -> Option<&Held> {
        self.touched().get(slot).filter(|held| held.used != 0)
    }

    /// The slot of identifier `id`.
    pub fn find(&self, id: &[u8]) -> Option<usize> {
        self.iter().find(|(_, held)| name(held) == id).map(|(slot, _)| slot)
    }

    /// Holds a descriptor; answers its slot. ENFILE: the table is full. EBUSY: the identifier is taken. EINVAL: it is
    /// empty, longer than [`HELD_NAME`] or holds a NUL, or the limit's nanoseconds are too many. After an error the
    /// descriptor is still the caller's.
    pub fn store(&mut self, new: &New<'_>) -> Result<usize, Errno> {
        let length = check(new)?;
        let (mut count, mut taken, mut free) = (0, false, None);
        for (slot, held) in self.touched().iter().enumerate() {
            if held.used == 0 {
                free = free.max(Some((held.stored, slot)));
            } else {
                count += 1;
                taken |= name(held) == new.id;
            }
        }
        let slot = free.map_or(*self.top as usize, |(_, slot)| slot);
        if count >= self.max || slot >= self.slots.len() {
            return Err(Errno::NFILE);
        }
        if taken {
            return Err(Errno::BUSY);
        }
        *self.top = (*self.top).max(slot as u32 + 1);
        self.changed = true;
        let Some(held) = self.slots.get_mut(slot) else { return Err(Errno::NFILE) };
        held.used = 0;
        commit(held);
        held.name_len = length;
        for (to, from) in held.name.iter_mut().zip(new.id.iter().chain(&[0])) {
            *to = *from;
        }
        describe(held, new);
        commit(held);
        fault_point!("holder.storing");
        held.used = 1;
        commit(held);
        Ok(slot)
    }

    /// Holds a descriptor, in the place of what is held under its identifier, if anything is: that is the answer, to be
    /// closed by the caller, or [`Fd::NONE`]. The same descriptor may be put there again. Errors: as [`Table::store`]'s, but not EBUSY.
    pub fn put(&mut self, new: &New<'_>) -> Result<Fd, Errno> {
        check(new)?;
        let Some(slot) = self.find(new.id) else { return self.store(new).map(|_| Fd::NONE) };
        self.changed = true;
        let Some(held) = self.slots.get_mut(slot) else { return Err(Errno::NFILE) };
        let old = if held.fd == new.fd.0 { Fd::NONE } else { Fd(held.fd) };
        held.used = REPLACING;
        commit(held);
        describe(held, new);
        commit(held);
        held.used = 1;
        commit(held);
        Ok(old)
    }

    /// A limit that no other record has: `wanted`, or as many nanoseconds later as it takes. s6 does so for what is
    /// stored singly.
    pub fn unused_limit(&self, wanted: Stamp) -> Stamp {
        let mut taken = [0u64; HELD / 64 + 1];
        for (_, held) in self.iter() {
            let later = match held.limit_sec.checked_sub(wanted.sec) {
                Some(seconds @ 0..=1) => seconds * SECOND + u64::from(held.limit_nano),
                _ => continue,
            };
            let Some(later) = later.checked_sub(wanted.nano.into()) else { continue };
            if let Some(word) = taken.get_mut((later / 64) as usize) {
                *word |= 1 << (later % 64);
            }
        }
        let full = taken.iter().take_while(|word| **word == u64::MAX).count();
        let bit = taken.get(full).map_or(0, |word| word.trailing_ones());
        wanted.plus(full as u64 * 64 + u64::from(bit))
    }

    /// Notes that process `pid` was given the descriptor in `slot`, at `now` on the boot-time clock.
    pub fn retrieved(&mut self, slot: usize, pid: u32, now: Nanos) {
        if let Some(held) = self.slots.get_mut(slot) {
            held.last_pid = pid;
            held.retrieved = now;
            held.retrievals = held.retrievals.saturating_add(1);
        }
    }

    /// The same, with the number of times that this makes.
    pub fn set_retrieved(&mut self, slot: usize, pid: u32, now: Nanos, count: u32) {
        if let Some(held) = self.slots.get_mut(slot) {
            (held.last_pid, held.retrieved, held.retrievals) = (pid, now, count);
        }
    }

    /// Lets go of `slot`: its descriptor, which is the caller's to close.
    pub fn remove(&mut self, slot: usize) -> Option<Fd> {
        let fd = Fd(self.get(slot)?.fd);
        let latest = self.touched().iter().filter(|held| held.used == 0).map(|held| held.stored).max().unwrap_or(0);
        self.changed = true;
        let held = self.slots.get_mut(slot)?;
        held.used = 0;
        commit(held);
        held.stored = latest.saturating_add(1);
        Some(fd)
    }

    /// Forgets the free slots above the highest that is used, if there are at least `many`: from then on nobody looks at
    /// them, nor at which of them became free last.
    pub fn shrink(&mut self, many: usize) {
        let unused = self.touched().iter().rev().take_while(|held| held.used == 0).count();
        if unused >= many {
            *self.top -= unused as u32;
        }
    }

    /// Lets go of one descriptor whose limit has come by `wall`, if there is one. Call it until there is none.
    pub fn remove_expired(&mut self, wall: Stamp) -> Option<Fd> {
        let slot = self.iter().find(|(_, held)| limit(held) <= wall)?.0;
        self.remove(slot)
    }

    /// The earliest limit.
    pub fn earliest(&self) -> Option<Stamp> {
        self.iter().map(|(_, held)| limit(held)).min()
    }
}

/// Identifier of a record.
pub fn name(held: &Held) -> &[u8] {
    held.name.get(..held.name_len.into()).unwrap_or(&[])
}

/// Until when it is held.
pub fn limit(held: &Held) -> Stamp {
    Stamp { sec: held.limit_sec, nano: held.limit_nano }
}

/// What is wrong with it; the length of its identifier.
fn check(new: &New<'_>) -> Result<u8, Errno> {
    match u8::try_from(new.id.len()) {
        Ok(length @ 1..) if !new.id.contains(&0) && new.limit.nano < 1_000_000_000 => Ok(length),
        _ => Err(Errno::INVAL),
    }
}

/// Fills in all but the identifier. The descriptor comes first: of what is being replaced it is one or the other.
fn describe(held: &mut Held, new: &New<'_>) {
    held.fd = new.fd.0;
    commit(held);
    fault_point!("holder.replacing");
    held.origin = new.origin as u8;
    held.limit_sec = new.limit.sec;
    held.limit_nano = new.limit.nano;
    held.stored = new.now;
    held.uid = new.uid;
    held.pid = new.pid;
    held.last_pid = 0;
    held.retrievals = 0;
    held.retrieved = 0;
    (held.service, held.service_generation, held.polled) = match new.owner {
        Some((service, polled)) => (service.slot as i32, service.generation, polled.into()),
        None => (-1, 0, 0),
    };
    (held.dev, held.ino) = new.identity;
    held.checksum = identity_sum(held);
}

/// Makes a record whole whose owner was interrupted while it was replaced: its identifier is what it was, its descriptor
/// the old or the new one, and its limit may be a mixture of both.
pub fn mend(held: &mut Held) {
    if held.used == REPLACING {
        held.limit_nano = held.limit_nano.min(999_999_999);
        held.checksum = identity_sum(held);
        commit(held);
        held.used = 1;
    }
}

fn identity_sum(held: &Held) -> u32 {
    checksum(&[&[held.name_len], name(held), &limit(held).to_bytes()])
}

/// Whether a used record is what [`Table::store`] wrote: for an arena that was handed over.
pub fn intact(held: &Held) -> bool {
    held.fd >= 0 && is_named(held)
}

/// Whether it says what it is called, and until when it is held.
pub fn is_named(held: &Held) -> bool {
    let name = name(held);
    let possible = !name.is_empty() && !name.contains(&0) && held.limit_nano < 1_000_000_000;
    possible && held.checksum == identity_sum(held)
}

const _: () = assert!(HELD_NAME == u8::MAX as usize, "a record keeps the length in one byte");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::FromZeros;

    fn slots(n: usize) -> Vec<Held> {
        (0..n).map(|_| Held::new_zeroed()).collect()
    }

    fn new(id: &[u8], fd: i32, limit: u64) -> New<'_> {
        let limit = Stamp { sec: limit, nano: 0 };
        New { id, limit, fd: Fd(fd), origin: Origin::Client, pid: 7, uid: 8, now: 9, identity: (1, 2), owner: None }
    }

    #[test]
    fn a_record_remembers_who_stored_it_and_who_retrieved_it_last() {
        let (mut slots, mut top) = (slots(2), 0);
        let mut table = Table::new(&mut slots, &mut top);
        let slot = table.store(&new(b"a", 5, 100)).unwrap();
        table.retrieved(slot, 42, 10);
        table.retrieved(slot, 43, 11);
        let held = table.get(slot).unwrap();
        assert_eq!((held.uid, held.pid, held.stored), (8, 7, 9));
        assert_eq!((held.last_pid, held.retrievals, held.retrieved), (43, 2, 11));
        assert_eq!((held.dev, held.ino), (1, 2));
    }

    #[test]
    fn a_full_table_says_so_before_it_looks_at_the_name() {
        let (mut slots, mut top) = (slots(1), 0);
        let mut table = Table::new(&mut slots, &mut top);
        table.store(&new(b"a", 5, 100)).unwrap();
        assert_eq!(table.store(&new(b"a", 6, 100)), Err(Errno::NFILE));
    }

    #[test]
    fn names_have_1_to_255_bytes_and_no_nul() {
        let (mut slots, mut top) = (slots(4), 0);
        let mut table = Table::new(&mut slots, &mut top);
        for bad in [&b""[..], b"a\0b", &[b'x'; 256]] {
            assert_eq!(table.store(&new(bad, 5, 100)), Err(Errno::INVAL));
        }
        let longest = [b'x'; 255];
        let slot = table.store(&new(&longest, 5, 100)).unwrap();
        assert_eq!(table.find(&longest), Some(slot));
    }

    #[test]
    fn a_freed_slot_is_used_again_so_a_list_is_in_slot_order() {
        let (mut slots, mut top) = (slots(4), 0);
        let mut table = Table::new(&mut slots, &mut top);
        for (fd, id) in [b"a", b"b"].iter().enumerate() {
            table.store(&new(*id, fd as i32, 100)).unwrap();
        }
        table.remove(0);
        table.store(&new(b"c", 9, 100)).unwrap();
        let names: Vec<_> = table.iter().map(|(_, held)| name(held).to_vec()).collect();
        assert_eq!(names, [b"c", b"b"]);
    }

    #[test]
    fn a_damaged_name_or_limit_is_noticed() {
        let (mut slots, mut top) = (slots(1), 0);
        Table::new(&mut slots, &mut top).store(&new(b"a", 5, 100)).unwrap();
        assert!(intact(&slots[0]));
        slots[0].name[0] ^= 1;
        assert!(!intact(&slots[0]));
        slots[0].name[0] ^= 1;
        slots[0].limit_sec ^= 1;
        assert!(!intact(&slots[0]));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Store(u8, u64),
        Remove(u8),
        Purge(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u8..12, 0u64..50).prop_map(|(id, limit)| Step::Store(id, limit)),
            (0u8..12).prop_map(Step::Remove),
            (0u64..50).prop_map(Step::Purge),
        ]
    }

    proptest! {
        /// Against a list of (name, descriptor, limit): whatever is done, the table holds the same, each descriptor
        /// comes out exactly once, and nothing above `top` is used.
        #[test]
        fn the_table_is_a_map_of_bounded_size(steps in prop::collection::vec(step(), 0..60)) {
            let (mut slots, mut top) = (slots(8), 0);
            let mut model: Vec<(Vec<u8>, i32, u64)> = Vec::new();
            for (fd, step) in steps.into_iter().enumerate() {
                let mut table = Table::new(&mut slots, &mut top);
                match step {
                    Step::Store(id, limit) => {
                        let name = vec![b'n', id];
                        let name = if id == 0 { b"n".to_vec() } else { name };
                        let expected = if model.len() == 8 {
                            Err(Errno::NFILE)
                        } else if model.iter().any(|(n, ..)| *n == name) {
                            Err(Errno::BUSY)
                        } else {
                            Ok(())
                        };
                        prop_assert_eq!(table.store(&new(&name, fd as i32, limit)).map(drop), expected);
                        if expected.is_ok() {
                            model.push((name, fd as i32, limit));
                        }
                    }
                    Step::Remove(id) => {
                        let name = if id == 0 { b"n".to_vec() } else { vec![b'n', id] };
                        let at = model.iter().position(|(n, ..)| *n == name);
                        let expected = at.map(|at| Fd(model.remove(at).1));
                        let slot = table.find(&name);
                        prop_assert_eq!(slot.and_then(|slot| table.remove(slot)), expected);
                    }
                    Step::Purge(now) => {
                        let wall = Stamp { sec: now, nano: 0 };
                        while let Some(fd) = table.remove_expired(wall) {
                            let at = model.iter().position(|(_, f, limit)| *f == fd.0 && *limit <= now);
                            prop_assert!(at.is_some());
                            model.remove(at.unwrap());
                        }
                        prop_assert!(model.iter().all(|(.., limit)| *limit > now));
                    }
                }
                prop_assert_eq!(table.iter().count(), model.len());
                for (name, fd, limit) in &model {
                    let held = table.get(table.find(name).unwrap()).unwrap();
                    prop_assert_eq!((held.fd, held.limit_sec), (*fd, *limit));
                    prop_assert!(intact(held));
                }
                prop_assert_eq!(table.earliest().map(|s| s.sec), model.iter().map(|m| m.2).min());
                prop_assert!(slots.iter().skip(top as usize).all(|held| held.used == 0));
            }
        }
    }
}
