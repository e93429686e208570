//! What the record of a socket can be that is still to be bound. One that cannot be so is given up: what is wrong must not be
//! bound.

use super::Address;
use super::options::KNOWN;
use super::pending;
use crate::rules;
use crate::state::Pending;
use crate::state::check::{Bound, Check, Rule};
use crate::sys::listener::Kind;
use crate::text::quote::Printable;
use core::fmt;
use zerocopy::{FromBytes, IntoBytes};

const RULES: &[Rule] = rules!(Pending:
    nonblocking Bound::Most(1, 1),
    mode Bound::Most(0o7777, 0o600),
    directory_mode Bound::Most(0o7777, 0o755),
    errno Bound::Most(4095, 0),
    since Bound::Past,
    deadline Bound::Near(1),
);

struct Called<'a>(&'a Pending, usize);

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {} in slot {}, which could not be bound yet", Printable(pending::name(self.0)), self.1)
    }
}

fn called(record: &[u8], slot: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    Pending::ref_from_bytes(record).map_or(Ok(()), |pending| write!(f, "{}", Called(pending, slot)))
}

/// Checks a record.
pub fn pending(record: &mut Pending, slot: usize, check: &mut Check<'_>) {
    if record.used == 0 {
        return;
    }
    let (name, device) = (pending::name(record), record.device.get(..record.device_len.into()));
    let possible = record.used == 1
        && record.kind <= Kind::SeqPacket as u8
        && !name.is_empty()
        && !name.contains(&0)
        && device.is_some_and(|device| !device.contains(&0))
        && record.asked >> KNOWN.len() == 0
        && usize::from(record.address_len) <= record.address.len()
        && Address::parse(pending::address(record)).is_ok();
    if !possible {
        if check.wrong(slot, &Called(record, slot), "its record is damaged: it is given up") {
            record.used = 0;
        }
        return;
    }
    check.fields(record.as_mut_bytes(), slot, RULES, called);
}
