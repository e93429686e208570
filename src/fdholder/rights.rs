//! What a client of the store may do. That is decided when it connects, by its credentials, and kept in its record; what
//! depends on an identifier is decided with each request.
//!
//! Three things can decide ([`Basis`]): nothing further, for root and for the user that the store runs as; the regular
//! expressions of s6's access rules; the patterns of the board config's `[[fdholder.allow]]`. Where a store takes its
//! rules from is its [`Source`].

use crate::has::RULES;
use crate::limits::FDHOLDER_PATTERN;
use crate::state::{Allow, Client};
use crate::sys::cell::LendCell;
use crate::sys::socket::Peer;
use crate::sys::time::Nanos;
use crate::text::tai::Stamp;
use crate::text::{glob, regex};
use core::ffi::CStr;

/// In [`Client::rights`] and [`Allow::rights`]: may list all that is held.
pub const LIST: u8 = 1;

/// See [`LIST`]: may get all that is held.
pub const GETDUMP: u8 = 2;

/// See [`LIST`]: may store any number at a time, and replace what is held.
pub const SETDUMP: u8 = 4;

/// What decides about identifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Basis {
    /// Nothing: everything is allowed.
    Everything = 0,
    /// The client's two regular expressions.
    Patterns = 1,
    /// Those `[[fdholder.allow]]` that are for its user or group, taken together.
    Entries = 2,
}

impl Basis {
    /// That of a client; a number that is none allows nothing that an entry does not.
    pub fn of(client: &Client) -> Basis {
        match client.basis {
            0 => Basis::Everything,
            1 => Basis::Patterns,
            _ => Basis::Entries,
        }
    }
}

/// What is done with an identifier; the first byte of each pattern in [`Allow::globs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Use {
    /// A descriptor is stored under it.
    Store = b's',
    /// The descriptor is given.
    Retrieve = b'r',
    /// It is let go of.
    Delete = b'd',
    /// It is named in a list.
    List = b'l',
}

impl Use {
    /// Whether a byte is one of them.
    pub fn is_one(byte: u8) -> bool {
        [Use::Store, Use::Retrieve, Use::Delete, Use::List].iter().any(|what| *what as u8 == byte)
    }
}

/// What access rules say of a client: the variables `S6_FDHOLDER_*` of s6-fdholderd(8). `Some` is an extended regular
/// expression that has a match in the identifiers that are allowed; the empty one allows all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Grant<'a> {
    /// `S6_FDHOLDER_LIST`.
    pub list: bool,
    /// `S6_FDHOLDER_GETDUMP`.
    pub getdump: bool,
    /// `S6_FDHOLDER_SETDUMP`.
    pub setdump: bool,
    /// `S6_FDHOLDER_STORE_REGEX`, for deleting too.
    pub store: Option<&'a [u8]>,
    /// `S6_FDHOLDER_RETRIEVE_REGEX`.
    pub retrieve: Option<&'a [u8]>,
}

/// Why a [`Grant`] cannot be used: this expression is invalid, or too large.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid {
    /// [`Use::Store`] or [`Use::Retrieve`].
    pub what: Use,
    /// What is wrong with it.
    pub why: regex::Error,
}

impl Grant<'_> {
    /// Gives the client these rights and no other. After an error it has none.
    pub fn apply(&self, client: &mut Client) -> Result<(), Invalid> {
        forbid(client);
        for (what, pattern) in [(Use::Store, self.store), (Use::Retrieve, self.retrieve)] {
            let Some(pattern) = pattern else { continue };
            let why = if pattern.len() > FDHOLDER_PATTERN {
                Some(regex::Error::TooLarge)
            } else {
                regex::Regex::new(pattern).err()
            };
            if let Some(why) = why {
                return Err(Invalid { what, why });
            }
        }
        set_pattern(&mut client.store_regex, &mut client.store_len, self.store);
        set_pattern(&mut client.retrieve_regex, &mut client.retrieve_len, self.retrieve);
        for (given, right) in [(self.list, LIST), (self.getdump, GETDUMP), (self.setdump, SETDUMP)] {
            if given {
                client.rights |= right;
            }
        }
        Ok(())
    }
}

fn set_pattern(room: &mut [u8], len: &mut u16, pattern: Option<&[u8]>) {
    let Some(pattern) = pattern else { return };
    for (to, from) in room.iter_mut().zip(pattern) {
        *to = *from;
    }
    *len = pattern.len() as u16;
}

/// Takes all rights from a client.
pub fn forbid(client: &mut Client) {
    client.rights = 0;
    client.basis = Basis::Patterns as u8;
    client.store_len = u16::MAX;
    client.retrieve_len = u16::MAX;
}

/// Gives a client all rights.
pub fn allow_everything(client: &mut Client) {
    client.rights = LIST | GETDUMP | SETDUMP;
    client.basis = Basis::Everything as u8;
    client.store_len = u16::MAX;
    client.retrieve_len = u16::MAX;
}

/// Where access rules are.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A directory, accessrules format of s6-accessrules-cdb-from-fs(8).
    Directory(&'a CStr),
    /// What is in a file made of such a directory, cdb(5).
    Cdb(&'a [u8]),
}

/// What access rules say of somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// May connect; the [`Grant`] is applied.
    Allowed,
    /// May not.
    Denied,
    /// They say nothing.
    Unknown,
    /// They cannot be read, or used; that has been reported.
    Failed,
}

/// Looks somebody up in access rules, and applies their grant to the client's record. Called when a client connects: it
/// must not wait for anything but the file system.
pub type Check = fn(rules: Place<'_>, peer: Peer, client: &mut Client) -> Verdict;

/// Where a store takes its access rules from.
#[derive(Clone, Copy)]
pub enum Source {
    /// None: root and the user that it runs as may do everything, others nothing.
    Owner,
    /// The board config. Root and the user that it runs as may do everything; for others its `[[fdholder.allow]]` are
    /// looked at, and, where there are none for them, its rules directory. Of root that directory may take rights away,
    /// if it names it and can be read.
    Board(Option<Check>),
    /// These rules alone, for root too.
    Rules(Place<'static>, Check),
}

/// What is known when somebody connects.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The board config's entries.
    pub allows: &'a [Allow],
    /// The path of its rules directory, a NUL behind it.
    pub rules: Option<&'a CStr>,
    /// The user that the store runs as.
    pub owner: u32,
}

impl Source {
    /// Gives the client in the record, which has all rights or none yet, what it may have. False: it may not connect.
    pub fn admit(&self, client: &mut Client, known: &Known<'_>) -> bool {
        let peer = Peer { pid: client.pid, uid: client.uid, gid: client.gid };
        let trusted = peer.uid == 0 || peer.uid == known.owner;
        forbid(client);
        let verdict = match *self {
            Source::Owner => Verdict::Unknown,
            Source::Rules(place, check) => match check(place, peer, client) {
                Verdict::Allowed => Verdict::Allowed,
                _ => Verdict::Denied,
            },
            Source::Board(check) => match (check, known.rules) {
                _ if !trusted && entries(client, known.allows).next().is_some() => {
                    let rights = entries(client, known.allows).fold(0, |rights, allow| rights | allow.rights);
                    client.rights = rights;
                    client.basis = Basis::Entries as u8;
                    Verdict::Allowed
                }
                (Some(check), Some(path)) => check(Place::Directory(path), peer, client),
                _ => Verdict::Unknown,
            },
        };
        match verdict {
            Verdict::Allowed => true,
            Verdict::Unknown | Verdict::Failed if trusted => {
                allow_everything(client);
                true
            }
            _ => false,
        }
    }
}

/// The entries that are for a client's user or group.
fn entries<'a>(client: &Client, allows: &'a [Allow]) -> impl Iterator<Item = &'a Allow> + use<'a> {
    entries_for(client.uid, client.gid, allows)
}

fn entries_for(uid: u32, gid: u32, allows: &[Allow]) -> impl Iterator<Item = &Allow> {
    allows.iter().filter(move |allow| {
        allow.used != 0
            && match allow.whom {
                0 => allow.id == uid,
                1 => allow.id == gid,
                2 => true,
                _ => false,
            }
    })
}

fn has_glob(allow: &Allow, what: Use, fits: impl Fn(&[u8]) -> bool) -> bool {
    let globs = allow.globs.get(..allow.globs_len as usize).unwrap_or(&[]);
    let mut each = globs.split(|byte| *byte == 0).filter_map(|glob| glob.split_first());
    each.any(|(kind, pattern)| *kind == what as u8 && fits(pattern))
}

/// Whether a client may do this with identifier `id`. Deleting goes with storing where regular expressions decide.
pub fn may(client: &Client, allows: &[Allow], what: Use, id: &[u8]) -> bool {
    match (what, Basis::of(client)) {
        (Use::List, _) => Viewer::of(client).sees(allows, id),
        (_, Basis::Everything) => true,
        (_, Basis::Entries) => {
            entries(client, allows).any(|allow| has_glob(allow, what, |pattern| glob::matches(pattern, id)))
        }
        (Use::Store | Use::Delete, Basis::Patterns) => matches(0, &client.store_regex, client.store_len, id),
        (Use::Retrieve, Basis::Patterns) => matches(1, &client.retrieve_regex, client.retrieve_len, id),
    }
}

/// What decides what a client sees in a list.
#[derive(Clone, Copy)]
pub struct Viewer {
    all: bool,
    entries: bool,
    uid: u32,
    gid: u32,
}

impl Viewer {
    /// The client as such.
    pub fn of(client: &Client) -> Viewer {
        let basis = Basis::of(client);
        Viewer {
            all: client.rights & LIST != 0 || basis == Basis::Everything,
            entries: basis == Basis::Entries,
            uid: client.uid,
            gid: client.gid,
        }
    }

    /// Whether it may ask for a list at all.
    pub fn may_list(&self, allows: &[Allow]) -> bool {
        self.all || self.entries && self.entries(allows).any(|allow| has_glob(allow, Use::List, |_| true))
    }

    /// Whether this identifier is in it.
    pub fn sees(&self, allows: &[Allow], id: &[u8]) -> bool {
        let fits = |allow| has_glob(allow, Use::List, |pattern| glob::matches(pattern, id));
        self.all || self.entries && self.entries(allows).any(fits)
    }

    fn entries<'a>(&self, allows: &'a [Allow]) -> impl Iterator<Item = &'a Allow> + use<'a> {
        entries_for(self.uid, self.gid, allows)
    }
}

/// Whether a client has a reason to send descriptors.
pub fn may_send_descriptors(client: &Client, allows: &[Allow]) -> bool {
    client.rights & SETDUMP != 0
        || match Basis::of(client) {
            Basis::Everything => true,
            Basis::Entries => entries(client, allows).any(|allow| has_glob(allow, Use::Store, |_| true)),
            Basis::Patterns => client.store_len != u16::MAX,
        }
}

/// How much a client may have stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Most descriptors at a time of its user; `None`: as many as the table holds.
    pub held_max: Option<u32>,
    /// The longest that one is held, in nanoseconds; `None`: for ever.
    pub lifetime_max: Option<Nanos>,
}

impl Quota {
    /// A limit that is no later than the quota allows.
    pub fn shorten(&self, limit: Stamp, now: Stamp) -> Stamp {
        self.lifetime_max.map_or(limit, |longest| limit.min(now.plus(longest)))
    }
}

/// The quota for storing under `id`: of the entries that allow it, what the most generous says. `None` as `id`: for what
/// a dump brings.
pub fn quota(client: &Client, allows: &[Allow], id: Option<&[u8]>) -> Quota {
    if Basis::of(client) != Basis::Entries {
        return Quota { held_max: None, lifetime_max: None };
    }
    let (mut held, mut lifetime) = (0, 0);
    for allow in entries(client, allows) {
        let allows_it = match id {
            Some(id) => has_glob(allow, Use::Store, |pattern| glob::matches(pattern, id)),
            None => allow.rights & SETDUMP != 0,
        };
        if allows_it {
            held = held.max(if allow.held_max == 0 { u32::MAX } else { allow.held_max });
            lifetime = lifetime.max(if allow.lifetime_max == 0 { Nanos::MAX } else { allow.lifetime_max });
        }
    }
    Quota { held_max: (held != u32::MAX).then_some(held), lifetime_max: (lifetime != Nanos::MAX).then_some(lifetime) }
}

/// A pattern and what it compiles to.
struct Compiled {
    pattern: [u8; FDHOLDER_PATTERN],
    len: usize,
    regex: regex::Regex,
}

/// The last ones, of what is stored and of what is retrieved: a stream of requests costs one compilation.
static COMPILED: [LendCell<Option<Compiled>>; 2] = [const { LendCell::new(None) }; 2];

fn matches(which: usize, room: &[u8], len: u16, id: &[u8]) -> bool {
    let Some(pattern) = room.get(..len.into()) else { return false };
    if pattern.is_empty() || !RULES {
        return pattern.is_empty();
    }
    let known = COMPILED.get(which).and_then(|cell| {
        cell.lend(|known| {
            if known.as_ref().is_none_or(|known| known.pattern.get(..known.len) != Some(pattern)) {
                let regex = regex::Regex::new(pattern).ok()?;
                let mut copy = [0; FDHOLDER_PATTERN];
                copy.get_mut(..pattern.len())?.copy_from_slice(pattern);
                *known = Some(Compiled { pattern: copy, len: pattern.len(), regex });
            }
            known.as_ref().map(|known| known.regex.is_match(id))
        })
    });
    match known {
        Some(found) => found == Some(true),
        None => regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(id)),
    }
}
