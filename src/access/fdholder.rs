//! Access rules of a store: what the variables `S6_FDHOLDER_*` of s6-fdholderd(8) grant.

use super::{Answer, Detail, Ids, Key, Rules, Trouble, look_up};
use crate::fdholder::journal::{Journal, Who};
use crate::fdholder::rights::{self, Grant, Invalid, Place, Use, Verdict};
use crate::has::RULES;
use crate::limits::{FDHOLDER_PATTERN, RULES_FILE};
use crate::state::Client;
use crate::sys::cell::LendCell;
use crate::sys::socket::Peer;
use crate::sys::{Errno, Fd, file, time};
use crate::text::cdb::Cdb;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::text::regex;
use core::ffi::CStr;
use core::fmt;

/// A regular expression that a rule has; `None`: it has none.
type Pattern = Option<heapless::Vec<u8, FDHOLDER_PATTERN>>;

/// What a rule has said so far.
#[derive(Default)]
struct Said {
    rights: [bool; 3],
    patterns: [Pattern; 2],
    /// Which variables have been told: the first time counts.
    seen: [bool; 5],
    too_long: bool,
    exec: bool,
}

const VARIABLES: [&[u8]; 5] = [
    b"S6_FDHOLDER_LIST",
    b"S6_FDHOLDER_GETDUMP",
    b"S6_FDHOLDER_SETDUMP",
    b"S6_FDHOLDER_STORE_REGEX",
    b"S6_FDHOLDER_RETRIEVE_REGEX",
];

impl Said {
    fn note(&mut self, detail: Detail<'_>) {
        let Detail::Variable(name, value) = detail else { return self.exec = true };
        let Some(which) = VARIABLES.iter().position(|variable| *variable == name) else { return };
        let (Some(value), Some(seen)) = (value, self.seen.get_mut(which)) else { return };
        if core::mem::replace(seen, true) {
            return;
        }
        if let Some(right) = self.rights.get_mut(which) {
            *right = true;
        } else if let Some(pattern) = self.patterns.get_mut(which - self.rights.len()) {
            *pattern = heapless::Vec::from_slice(value).ok();
            self.too_long |= pattern.is_none();
        }
    }

    fn grant(&self) -> Grant<'_> {
        let [list, getdump, setdump] = self.rights;
        let [store, retrieve] = &self.patterns;
        Grant { list, getdump, setdump, store: store.as_deref(), retrieve: retrieve.as_deref() }
    }
}

/// Rules of a store of their own, for `Source::Rules`: what they say holds for everybody, and nobody has rights without
/// them.
pub fn check(rules: Place<'_>, peer: Peer, client: &mut Client) -> Verdict {
    let own = Ids::own();
    let keys = Ids { uid: peer.uid, gid: peer.gid }.keys(own);
    decide(rules, peer, client, keys)
}

/// Rules of process 1's store, for `Source::Board`: they give rights to others. Root and the user that we run as have
/// all of them, unless the rules say something of them by name, under `uid/self` or `uid/N`: what is meant for everybody
/// else must not lock out who repairs it.
pub fn check_others(rules: Place<'_>, peer: Peer, client: &mut Client) -> Verdict {
    let own = Ids::own();
    let trusted = peer.uid == 0 || peer.uid == own.uid;
    let keys = Ids { uid: peer.uid, gid: peer.gid }.keys(own);
    decide(rules, peer, client, keys.filter(|key| !trusted || matches!(key, Key::UserSelf | Key::User(_))))
}

/// The file of rules that is in force, and room to read its successor into.
struct File {
    rooms: [[u8; RULES_FILE]; 2],
    current: usize,
    length: usize,
}

static FILE: LendCell<File> = LendCell::new(File { rooms: [[0; RULES_FILE]; 2], current: 0, length: 0 });

/// Reads a file of rules for [`check_loaded`]; after an error the one that was read before stays in force. EINVAL: it is
/// no constant database. EFBIG: it has more than [`RULES_FILE`] bytes.
pub fn load(path: &CStr) -> Result<(), Errno> {
    let loaded = FILE.lend(|file| {
        let next = 1 - file.current;
        let room = file.rooms.get_mut(next).map_or(&mut [][..], |room| room);
        let size = room.len();
        let read = file::read(Fd::CWD, path, room)?;
        if read.len() == size {
            return Err(Errno::FBIG);
        }
        Cdb::new(read).map_err(|_| Errno::INVAL)?;
        (file.length, file.current) = (read.len(), next);
        Ok(())
    });
    loaded.unwrap_or(Err(Errno::BUSY))
}

/// As [`check`], by the file that was [loaded](load) last.
pub fn check_loaded(_: Place<'_>, peer: Peer, client: &mut Client) -> Verdict {
    let verdict = FILE.lend(|file| {
        let bytes = file.rooms.get(file.current).and_then(|room| room.get(..file.length)).unwrap_or_default();
        check(Place::Cdb(bytes), peer, client)
    });
    verdict.unwrap_or(Verdict::Failed)
}

fn decide(rules: Place<'_>, peer: Peer, client: &mut Client, keys: impl Iterator<Item = Key>) -> Verdict {
    if !RULES {
        tell(client, format_args!("is not judged by rules, which this build of linchpin cannot read"));
        return Verdict::Failed;
    }
    let mut said = Said::default();
    let answer = match rules {
        Place::Directory(path) => in_directory(path, keys, &mut said),
        Place::Cdb(bytes) => Cdb::new(bytes)
            .map_err(Trouble::from)
            .and_then(|cdb| look_up(Rules::Database(cdb), keys, &mut |detail| said.note(detail))),
    };
    match answer {
        Ok((Answer::Allow, _)) => {}
        Ok((Answer::Deny, _)) => return Verdict::Denied,
        Ok((Answer::Nothing, _)) => return Verdict::Unknown,
        Err(Trouble { key, errno }) => {
            let reason = Reason(errno);
            match key.map(Key::path) {
                Some(key) => {
                    let key = Printable(key.as_bytes());
                    tell(client, format_args!("meets an error while checking rules: {key}: {reason}"));
                }
                None => tell(client, format_args!("meets an error while checking rules: {reason}")),
            }
            return Verdict::Failed;
        }
    }
    if said.exec {
        tell(client, format_args!("has an unused exec string in rules for uid {} gid {}", peer.uid, peer.gid));
    }
    if said.too_long {
        tell(client, format_args!("has a regular expression in its rules that is too long"));
        return Verdict::Failed;
    }
    let grant = said.grant();
    if let Err(Invalid { what, why }) = grant.apply(client) {
        let (name, pattern) =
            if what == Use::Store { (VARIABLES[3], grant.store) } else { (VARIABLES[4], grant.retrieve) };
        let why = match why {
            regex::Error::Bad => "not an extended regular expression",
            regex::Error::TooLarge => "a regular expression that is too large",
        };
        let (name, pattern) = (Printable(name), Printable(pattern.unwrap_or_default()));
        tell(client, format_args!("has an invalid {name} value: {pattern}: {why}"));
        rights::forbid(client);
        return Verdict::Failed;
    }
    Verdict::Allowed
}

/// Anybody may connect: so this is told now and then only.
fn tell(client: &Client, what: fmt::Arguments<'_>) {
    static JOURNAL: LendCell<Journal> = LendCell::new(Journal::new());
    JOURNAL.lend(|journal| journal.tell(time::boot(), Who::of(client), what));
}

/// The directory is opened anew each time, so that it may be replaced as a whole.
fn in_directory(
    path: &CStr,
    keys: impl Iterator<Item = Key>,
    said: &mut Said,
) -> Result<(Answer, Option<Key>), Trouble> {
    let mut dir = match file::open_dir(Fd::CWD, path) {
        Ok(dir) => dir,
        Err(Errno::NOENT | Errno::ACCESS) => return Ok((Answer::Nothing, None)),
        Err(e) => return Err(e.into()),
    };
    let answer = look_up(Rules::Directory(dir), keys, &mut |detail| said.note(detail));
    dir.close();
    answer
}
