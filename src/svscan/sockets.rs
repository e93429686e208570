//! Binding the board's sockets: at boot, and later those that could not be bound then. Each is a record of the arena for as
//! long as it is not bound, then a held descriptor.

use super::engine::Engine;
use crate::fault_point;
use crate::fdholder::records::Now;
use crate::fdholder::server;
use crate::fdholder::table::{Origin, Table};
use crate::socket::address::Address;
use crate::socket::pending::{self, Wanted};
use crate::state::{Header, Pending, Tables};
use crate::sys::Errno;
use crate::sys::memory::{self, commit};
use crate::sys::time::{Nanos, SECOND};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{info, warning};
use core::fmt;
use zerocopy::IntoBytes;

/// Binds a socket and has it held: true. If that does not work it is tried again later. Errors: it fits no record.
pub fn bind_first(wanted: &Wanted<'_>, tables: &mut Tables, now: &Now) -> Result<bool, Errno> {
    let Tables { header, held, pending, .. } = tables;
    let top = header.pending_top as usize;
    let record = pending.get_mut(top).ok_or(Errno::NFILE)?;
    record.used = 0;
    commit(record);
    header.pending_top += 1; // from here on the record is looked at
    commit(header);
    let filled = pending::fill(record, wanted, now.boot);
    let done = filled.map(|()| attempt(record, &mut Table::new(held, &mut header.held_top), now));
    forget_done(header, pending);
    done
}

/// Tries all that are due.
pub fn bind_due(tables: &mut Tables, now: &Now) {
    let Tables { header, held, pending, .. } = tables;
    for record in used(header, pending).filter(|record| record.deadline <= now.boot) {
        let mut held = Table::new(held, &mut header.held_top);
        match held.find(pending::name(record)).and_then(|slot| held.get(slot)).map(Origin::of) {
            None => {
                attempt(record, &mut held, now);
            }
            Some(origin) => {
                // If it is the board's, it was bound, but the record could not be freed any more.
                if origin != Origin::Board {
                    let name = Label(record);
                    warning!("socket {name}: somebody has stored another one under this name: it is given up");
                }
                record.used = 0;
            }
        }
    }
    forget_done(header, pending);
}

fn used<'a>(header: &Header, pending: &'a mut [Pending]) -> impl Iterator<Item = &'a mut Pending> + use<'a> {
    pending.iter_mut().take(header.pending_top as usize).filter(|record| record.used != 0)
}

/// Binds the socket of a record, which is not needed any more then: true.
fn attempt(record: &mut Pending, held: &mut Table<'_>, now: &Now) -> bool {
    let mut without = heapless::Vec::<(&str, Errno), 4>::new();
    let bound = pending::bind(record, &mut |option, e| {
        let _ = without.push((option.key, e));
    });
    let stored = match bound {
        Ok(mut fd) => {
            // Until it is held it is nobody's: after a fault it is closed, and bound again.
            fault_point!("sockets.bound");
            match server::store_own(held, pending::name(record), fd, Origin::Board, now) {
                Ok(()) => Ok(()),
                Err(e) => {
                    fd.close();
                    Err(("hold", e))
                }
            }
        }
        Err(failure) => Err((failure.step.text(), failure.errno)),
    };
    fault_point!("sockets.held");
    let first = record.attempts == 0;
    record.errno = stored.as_ref().map_or_else(|(_, e)| e.raw_os_error() as u16, |()| 0);
    let say = stored.is_ok() || pending::failed(record, now.boot);
    if say {
        for (option, e) in &without {
            warning!("socket {}: {option} cannot be set: {}", Label(record), Reason(*e));
        }
    }
    match stored {
        Ok(()) => {
            let waited = now.boot.saturating_sub(record.since).div_ceil(SECOND);
            info!("socket {} is bound and held{}", Label(record), Extra { record, waited });
            record.used = 0;
        }
        Err((what, e)) if first => {
            warning!("socket: unable to {what} {}: {}: it is tried again", Label(record), Reason(e));
        }
        Err((what, e)) if say => {
            let attempts = record.attempts;
            warning!("socket: still unable to {what} {}: {}: {attempts} attempts", Label(record), Reason(e));
        }
        Err(_) => {}
    }
    stored.is_ok()
}

/// Frees the slots above the last record in use, with their memory, and finds out when there is something to do.
fn forget_done(header: &mut Header, pending: &mut [Pending]) {
    let top = header.pending_top as usize;
    let left = pending.iter().take(top).rposition(|record| record.used != 0).map_or(0, |last| last + 1);
    header.pending_top = left as u32;
    header.pending_deadline = used(header, pending).map(|record| record.deadline.max(1)).min().unwrap_or(0);
    if left == 0 {
        memory::release(pending.get_mut(..top).unwrap_or_default().as_mut_bytes());
    }
}

impl Engine {
    /// Somebody asks for a look at what has changed: what could not be bound is tried again at once.
    pub(super) fn ask_for_sockets(&mut self, now: Nanos) {
        let Tables { header, pending, .. } = &mut *self.tables;
        for record in used(header, pending) {
            pending::ask(record, now);
            header.pending_deadline = 1;
        }
    }

    /// Tries what is due of what could not be bound yet.
    #[inline(never)] // it is seldom needed
    pub(super) fn bind_sockets(&mut self) {
        bind_due(self.tables, &Now::read());
        memory::forget_seldom();
    }
}

/// The name of a socket, with its address if that is another.
struct Label<'a>(&'a Pending);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, address) = (pending::name(self.0), pending::address(self.0));
        write!(f, "{}", Printable(name))?;
        if name == address { Ok(()) } else { write!(f, " ({})", Printable(address)) }
    }
}

/// What there is to say of a socket that is bound.
struct Extra<'a> {
    record: &'a Pending,
    /// Seconds; 0: it was bound at the first attempt.
    waited: u64,
}

impl fmt::Display for Extra<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.waited > 0 {
            write!(f, " after {} s", self.waited)?;
        }
        if let Ok(Address::Path(_)) = Address::parse(pending::address(self.record)) {
            let own = |id| if id == u32::MAX { 0 } else { id };
            let Pending { mode, uid, gid, .. } = *self.record;
            write!(f, ": mode {mode:04o}, owner {}:{}", own(uid), own(gid))?;
        }
        Ok(())
    }
}
