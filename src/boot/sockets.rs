//! What the board config says about descriptors: its sockets, which are bound, and held by the fd-holder, before the first
//! process is started; and who else may use the fd-holder. What cannot be bound is reported and tried again later; the
//! others are there.

use crate::board::model::{Allow, Board, Glob, Id, Owner, Whom};
use crate::board::users::{self, Unknown};
use crate::fdholder::records::Now;
use crate::fdholder::table::Table;
use crate::socket::pending;
use crate::state::{Tables, layout};
use crate::svscan::sockets::{bind_due, bind_first};
use crate::text::errno::Reason;
use crate::{fault_point, warning};
use core::fmt::Arguments;
use core::sync::atomic::{Ordering, compiler_fence};

/// Binds and stores all sockets; answers how many are held.
pub fn bind_all(board: &Board<'_>, tables: &mut Tables) -> usize {
    let mut held = 0;
    if tables.header.pending_top > 0 {
        bind_due(tables, &Now::read()); // one may have been interrupted
    }
    for socket in board.sockets() {
        let name = socket.name;
        if is_held(tables, name) {
            held += 1;
            continue;
        }
        if waits(tables, name) {
            continue;
        }
        let ids = users::resolve(&socket.owner).unwrap_or_else(|unknown| {
            tell_unknown(format_args!("socket {name}"), unknown, "it belongs to root");
            (None, None)
        });
        match bind_first(&socket.wanted(ids), tables, &Now::read()) {
            Ok(bound) => held += usize::from(bound),
            Err(e) => warning!("socket {name}: cannot be remembered: {}: it is left out", Reason(e)),
        }
        fault_point!("boot.socket");
    }
    held
}

/// Whether an earlier incarnation has bound it.
fn is_held(tables: &mut Tables, name: &str) -> bool {
    Table::new(&mut tables.held, &mut tables.header.held_top).find(name.as_bytes()).is_some()
}

/// Whether an earlier incarnation could not bind it yet.
fn waits(tables: &Tables, name: &str) -> bool {
    let known = tables.pending.iter().take(tables.header.pending_top as usize);
    known.filter(|record| record.used != 0).any(|record| pending::name(record) == name.as_bytes())
}

fn tell_unknown(what: Arguments<'_>, unknown: Unknown, now: &str) {
    let (account, why) = match unknown {
        Unknown::User(why) => ("user", why),
        Unknown::Group(why) => ("group", why),
    };
    match why {
        None => warning!("{what}: there is no such {account}: {now}"),
        Some(e) => warning!("{what}: its {account} cannot be looked up: {}: {now}", Reason(e)),
    }
}

/// Takes over who may use the fd-holder.
pub fn take_rights(board: &Board<'_>, tables: &mut Tables) {
    let header = &mut tables.header;
    header.fdholder_rules_len = 0;
    compiler_fence(Ordering::SeqCst);
    let rules = board.rules().unwrap_or_default().as_bytes();
    if let Some((room, rest)) = header.fdholder_rules.split_at_mut_checked(rules.len()) {
        room.copy_from_slice(rules);
        rest.fill(0);
        compiler_fence(Ordering::SeqCst);
        // The reader has seen to it that a NUL follows.
        header.fdholder_rules_len = rules.len() as u32;
    }
    let mut slots = tables.allows.iter_mut();
    for allow in board.allows() {
        let (whom, id) = match numbers(&allow.whom) {
            Ok(numbers) => numbers,
            Err(unknown) => {
                let line = allow.line;
                tell_unknown(format_args!("[[fdholder.allow]] in line {line}"), unknown, "the entry is left out");
                continue;
            }
        };
        let Some(slot) = slots.next() else { break }; // there are as many as the reader lets through
        fill(slot, allow, board.globs(allow), whom, id);
    }
}

fn fill(slot: &mut layout::Allow, allow: &Allow<'_>, globs: &[Glob<'_>], whom: u8, id: u32) {
    slot.used = 0;
    compiler_fence(Ordering::SeqCst);
    (slot.whom, slot.id) = (whom, id);
    slot.rights = allow.rights;
    slot.held_max = allow.held_max;
    slot.lifetime_max = allow.lifetime_max;
    let bytes = globs.iter().flat_map(|glob| [glob.what as u8].into_iter().chain(glob.pattern.bytes()).chain([0]));
    slot.globs_len = 0;
    for (to, byte) in slot.globs.iter_mut().zip(bytes) {
        *to = byte;
        slot.globs_len += 1;
    }
    compiler_fence(Ordering::SeqCst);
    slot.used = 1;
}

/// As [`layout::Allow`] has it: user, group or everybody, and the id.
fn numbers(whom: &Whom<'_>) -> Result<(u8, u32), Unknown> {
    let resolve = |user: Option<Id<'_>>, group: Option<Id<'_>>| users::resolve(&Owner { user, group });
    match *whom {
        Whom::User(id) => resolve(Some(id), None).map(|(uid, _)| (0, uid.unwrap_or(u32::MAX))),
        Whom::Group(id) => resolve(None, Some(id)).map(|(_, gid)| (1, gid.unwrap_or(u32::MAX))),
        Whom::Everybody => Ok((2, 0)),
    }
}
