//! All that a store holds, at once: got for a program, given back from a program's environment, moved to another store.

use super::hand::{self, COUNT, Handed, KINDS, Words};
use super::{REFUSED, Target, no_other, refused, target};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::fdholder::client::never;
use crate::fdholder::wire::Entry;
use crate::limits::{FDHOLDER_DUMP, FDHOLDER_REQUEST, HELD_NAME};
use crate::sys::cell::TakeCell;
use crate::sys::{Errno, Fd};
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::ffi::CStr;

/// What a dump is received into, or sent from.
struct Room {
    fds: [Fd; FDHOLDER_DUMP],
    entries: [u8; ENTRIES],
    message: [u8; FDHOLDER_REQUEST],
}

/// Entries with the longest identifiers, and the header of a message.
const ENTRIES: usize = FDHOLDER_DUMP * (Stamp::SIZE + 1 + HELD_NAME + 1) + 6;

static ROOM: TakeCell<Room> =
    TakeCell::new(Room { fds: [Fd(0); FDHOLDER_DUMP], entries: [0; ENTRIES], message: [0; FDHOLDER_REQUEST] });

/// `fdholder-getdump [-t ms] socket prog...`
pub fn get(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (target, words) = target(cli.options(), 2, no_other)?;
        Ok(target.ask(cli, "get dump", |store| {
            let room = ROOM.take().ok_or(Errno::NOMEM)?;
            let dump = store.get_dump(&mut room.fds, &mut room.entries)?;
            store.close();
            let now = Stamp::now();
            let handed = dump.fds().iter().zip(dump.entries());
            let handed =
                handed.map(|(fd, entry)| Handed { fd: *fd, id: entry.id, limit: hand::told(entry.limit, now) });
            Ok(hand::as_s6(cli, dump.fds().len(), handed, words.skip(1)))
        }))
    })
}

/// `fdholder-setdump [-t ms] socket`
pub fn set(cli: &Cli) -> i32 {
    static WORDS: TakeCell<Words> = TakeCell::new([[None; KINDS.len()]; FDHOLDER_DUMP]);
    cli.with_usage(|| {
        let (target, _) = target(cli.options(), 1, no_other)?;
        let (Some(room), Some(words)) = (ROOM.take(), WORDS.take()) else { return Ok(REFUSED) };
        let name = Printable(COUNT);
        let Some(count) = cli.env().get(COUNT) else { return Ok(cli.refuse(format_args!("{name} not set"))) };
        let Some(count) = parse_u32(count.to_bytes()) else { return Ok(cli.refuse(format_args!("invalid ${name}"))) };
        hand::read(cli.env(), words);
        let words = words.get(..count as usize).unwrap_or(words);
        for (i, (word, fd)) in words.iter().zip(&mut room.fds).enumerate() {
            match descriptor(cli, i, word) {
                Ok(number) => *fd = number,
                Err(code) => return Ok(code),
            }
        }
        if count as usize > words.len() {
            return Ok(cli.refuse(format_args!("${name} is more than {FDHOLDER_DUMP}")));
        }
        let never = never();
        let entries = words.iter().map(|[_, id, limit]| Entry {
            limit: limit.and_then(|limit| Stamp::from_text(limit.to_bytes())).unwrap_or(never),
            id: id.map_or(b"", CStr::to_bytes),
        });
        let fds = room.fds.get(..words.len()).unwrap_or(&[]);
        Ok(target.ask(cli, "set dump", |store| store.set_dump(fds, entries, &mut room.message).map(|()| 0)))
    })
}

/// The number of the `i`-th descriptor, if all that the environment says about it is in order; else an exit code.
fn descriptor(cli: &Cli, i: usize, [fd, id, limit]: &[Option<&'static CStr>; KINDS.len()]) -> Result<Fd, i32> {
    let unset = |kind| cli.refuse(format_args!("{}{i} not set", Printable(kind)));
    let invalid = |kind| cli.refuse(format_args!("invalid ${}{i}", Printable(kind)));
    let [fd_name, id_name, limit_name] = KINDS;
    let number = parse_u32(fd.ok_or_else(|| unset(fd_name))?.to_bytes());
    let number = number.and_then(|number| i32::try_from(number).ok()).ok_or_else(|| invalid(fd_name))?;
    if !(1..=HELD_NAME).contains(&id.ok_or_else(|| unset(id_name))?.count_bytes()) {
        return Err(invalid(id_name));
    }
    if limit.is_some_and(|limit| Stamp::from_text(limit.to_bytes()).is_none()) {
        return Err(invalid(limit_name));
    }
    Ok(Fd(number))
}

/// `fdholder-transferdump [-t msfrom:msto] socketfrom socketto`
pub fn transfer(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let mut timeouts = (0, 0);
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b't') => timeouts = two(options.value()?).ok_or(WrongUsage)?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        let (Some(from), Some(to)) = (words.get(0), words.get(1)) else { return Err(WrongUsage) };
        Ok(move_all(cli, (from, timeouts.0), (to, timeouts.1)).unwrap_or_else(|code| code))
    })
}

/// The milliseconds for the one store and for the other: `5`, `5:`, `:6`, `5:6` or `:`; 0 what is not said.
fn two(text: &[u8]) -> Option<(u32, u32)> {
    let number = |digits: &[u8]| if digits.is_empty() { Some(0) } else { parse_u32(digits) };
    match text.iter().position(|byte| *byte == b':').and_then(|at| text.split_at_checked(at)) {
        Some((from, to)) => Some((number(from)?, number(to.get(1..)?)?)),
        None => Some((parse_u32(text)?, 0)),
    }
}

fn move_all(cli: &Cli, from: (&'static CStr, u32), to: (&'static CStr, u32)) -> Result<i32, i32> {
    let Some(room) = ROOM.take() else { return Err(REFUSED) };
    let mut store = Target::new(from.0, from.1, "source fd-holder daemon").connect(cli)?;
    let dump = store.get_dump(&mut room.fds, &mut room.entries).map_err(|e| refused(cli, "get dump", e))?;
    store.close();
    // The time for the second begins when it is its turn.
    let mut store = Target::new(to.0, to.1, "destination fd-holder daemon").connect(cli)?;
    store.set_dump(dump.fds(), dump.entries(), &mut room.message).map_err(|e| refused(cli, "set dump", e))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_times_are_read_as_s6_reads_them() {
        for (text, times) in [("5", (5, 0)), ("5:", (5, 0)), (":6", (0, 6)), ("5:6", (5, 6)), (":", (0, 0))] {
            assert_eq!(two(text.as_bytes()), Some(times), "{text}");
        }
        for bad in ["", "x", "5:x", "x:5", "5:6:7", "5: ", "-1", "4294967296", "5 :6"] {
            assert_eq!(two(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
