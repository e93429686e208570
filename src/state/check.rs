//! How a record of an arena is checked that was left by an earlier incarnation, or by a wild write: fields by tables of
//! [`Rule`]s, what they refer to by the kernel's word ([`Ledger`]) and by what others claim already. The rooms have the
//! tables for their records, in their files `mend.rs`; `svscan::mend` goes through all of them.
//!
//! The same code looks and mends. Whoever checks says `if it is wrong && check.wrong(...) { mend it }`; while somebody only
//! looks, [`Check::wrong`] notes the first thing and answers false.

use super::claims::Claims;
use super::ledger::{Ledger, Look, What};
use crate::sys::time::{Nanos, SECOND};
use core::fmt::{self, Arguments, Display};

/// No deadline is further away than this: two years. (What files can ask for is 50 days, what a service can, one year.)
pub const FAR: Nanos = 2 * 366 * 24 * 3600 * SECOND;
/// Numbers that are looked at for a descriptor that is missed.
const NUMBERS: i32 = 16 * 1024;

/// Something that is not as it can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// What of the record.
    pub what: &'static str,
    /// Its slot.
    pub slot: usize,
}

/// What a field may hold.
#[derive(Clone, Copy)]
pub enum Bound {
    /// At most so much; else it becomes the second.
    Most(u32, u32),
    /// A time on the boot-time clock that is past; else it becomes now.
    Past,
    /// One that is not [`FAR`]; else it becomes this.
    Near(u32),
    /// Seconds of a TAI64 label; else those of 1970.
    Label,
}

/// What one field of a record may hold.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Where it is, and its size: 1, 2, 4 or 8.
    pub at: u16,
    /// See above.
    pub size: u8,
    /// What it may hold.
    pub bound: Bound,
}

/// The size of a field.
pub const fn size_of_field<T, F>(_: fn(&T) -> &F) -> u8 {
    size_of::<F>() as u8
}

/// A table of [`Rule`]s: `rules!(Record: FIELD BOUND, ...)`.
#[macro_export]
macro_rules! rules {
    ($record:ty: $($field:ident $bound:expr,)*) => {
        &[$($crate::state::check::Rule {
            name: stringify!($field),
            at: core::mem::offset_of!($record, $field) as u16,
            size: $crate::state::check::size_of_field::<$record, _>(|record| &record.$field),
            bound: $bound,
        }),*]
    };
}

/// How a record is called: from its bytes and its slot.
pub type Name = fn(&[u8], usize, &mut fmt::Formatter<'_>) -> fmt::Result;

struct Called<'a>(Name, &'a [u8], usize);

impl Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(self.1, self.2, f)
    }
}

/// A check of an arena, under way.
pub struct Check<'a> {
    /// What the kernel says.
    pub ledger: &'a mut dyn Ledger,
    /// What records have claimed.
    pub claims: &'a mut Claims,
    /// Boot time.
    pub now: Nanos,
    /// Whether what is wrong is mended: then nothing is believed that the kernel can be asked.
    pub mends: bool,
    /// The first thing that was wrong.
    pub found: Option<Violation>,
    say: &'a mut dyn FnMut(Arguments<'_>),
}

impl<'a> Check<'a> {
    /// A check that has not seen anything yet.
    pub fn new(
        ledger: &'a mut dyn Ledger,
        claims: &'a mut Claims,
        mends: bool,
        say: &'a mut dyn FnMut(Arguments<'_>),
    ) -> Check<'a> {
        claims.clear();
        let now = ledger.now();
        Check { ledger, claims, now, mends, found: None, say }
    }

    /// Something is wrong, and will be as `what` says; answers whether to mend it.
    pub fn wrong(&mut self, slot: usize, who: &dyn Display, what: &'static str) -> bool {
        self.found.get_or_insert(Violation { what, slot });
        if self.mends {
            (self.say)(format_args!("{who}: {what}"));
        }
        self.mends
    }

    /// Checks the fields of a record.
    pub fn fields(&mut self, record: &mut [u8], slot: usize, rules: &'static [Rule], name: Name) {
        for rule in rules {
            let range = usize::from(rule.at)..usize::from(rule.at) + usize::from(rule.size);
            let Some(field) = record.get(range.clone()) else { continue };
            let value = number(field);
            let then = match rule.bound {
                Bound::Most(most, _) if value <= most.into() => continue,
                Bound::Past if value <= self.now => continue,
                Bound::Near(_) if value <= self.now.saturating_add(FAR) => continue,
                Bound::Label if value >> 63 == 0 => continue,
                Bound::Most(_, then) | Bound::Near(then) => then.into(),
                Bound::Label => 1 << 62,
                Bound::Past => self.now,
            };
            self.found.get_or_insert(Violation { what: rule.name, slot });
            if self.mends {
                let (who, field) = (Called(name, record, slot), rule.name);
                (self.say)(format_args!("{who}: its {field} cannot be {value}: it is {then} now"));
                if let Some(room) = record.get_mut(range) {
                    put(room, then);
                }
            }
        }
    }

    /// Whether a number is of an open descriptor of this kind, with this st_dev and st_ino if they are known, and of
    /// nobody else; it is claimed then.
    pub fn claim(&mut self, fd: i32, what: What, identity: Option<(u64, u64)>) -> bool {
        let fits = |look: Look| look.what == what && identity.is_none_or(|id| id == (look.dev, look.ino));
        fd >= 0 && self.ledger.look(fd).is_some_and(fits) && self.claims.take(fd)
    }

    /// A number of a record, -1 or what [`Check::claim`] says. One that is not is said to be `why`; if there is an open
    /// descriptor of its identity that nobody claims, that is meant, else the number is -1.
    pub fn descriptor(
        &mut self,
        fd: i32,
        what: What,
        identity: Option<(u64, u64)>,
        why: &'static str,
        slot: usize,
        who: &dyn Display,
    ) -> i32 {
        if fd == -1 || self.claim(fd, what, identity) || !self.wrong(slot, who, why) {
            return fd;
        }
        identity.map_or(-1, |identity| self.find(Some(what), identity, None))
    }

    /// The number of an open descriptor with this identity that nobody claims; it is claimed then. `reads`: whether it is
    /// to be read from, or written to. -1: there is none.
    pub fn find(&mut self, what: Option<What>, identity: (u64, u64), reads: Option<bool>) -> i32 {
        for fd in 3..NUMBERS {
            let fits = |look: Look| (look.dev, look.ino) == identity && what.is_none_or(|what| what == look.what);
            if !self.claims.has(fd)
                && self.ledger.look(fd).is_some_and(fits)
                && (reads.is_none() || self.ledger.reads(fd) == reads)
            {
                self.claims.take(fd);
                return fd;
            }
        }
        -1
    }

    /// The number of the only open descriptor of a kind that nobody claims; it is claimed then. -1: there is none, or
    /// there are several.
    pub fn find_only(&mut self, what: What) -> i32 {
        let mut found = -1;
        for fd in 3..NUMBERS {
            if !self.claims.has(fd) && self.ledger.look(fd).is_some_and(|look| look.what == what) {
                if found >= 0 {
                    return -1;
                }
                found = fd;
            }
        }
        self.claims.take(found);
        found
    }
}

fn number(field: &[u8]) -> u64 {
    match *field {
        [a] => a.into(),
        [a, b] => u16::from_ne_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

fn put(field: &mut [u8], value: u64) {
    match field.len() {
        1 => field.copy_from_slice(&(value as u8).to_ne_bytes()),
        2 => field.copy_from_slice(&(value as u16).to_ne_bytes()),
        4 => field.copy_from_slice(&(value as u32).to_ne_bytes()),
        8 => field.copy_from_slice(&value.to_ne_bytes()),
        _ => {}
    }
}
