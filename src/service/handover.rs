//! `sockets`, a file of a service directory that s6 does not know: the held descriptors that `run` is given at every
//! start, by whoever supervises it and with no client in between. The fd-holder keeps them.
//!
//! | line | what `run` gets |
//! | --- | --- |
//! | `IDENTIFIER` | the descriptor held under it, as the next number from 3 on |
//! | `IDENTIFIER name=NAME` | the same, called NAME in `LISTEN_FDNAMES` |
//! | `0 IDENTIFIER` | the descriptor held under it, as its standard input, in the way of s6's clients |
//! | `s6` | the environment of s6-fdholder-getdump besides: `S6_FD#`, `S6_FD_0`, `S6_FDID_0`, `S6_FDLIMIT_0` and so on |
//!
//! Lines are in the order of the numbers. IDENTIFIER is a [`glob`]: all that match are given, in the order in which
//! s6-fdholder-list shows them, but none twice; to descriptor 0, the first. A `\` takes away the meaning of what follows,
//! of a blank too. Blanks around words, empty lines and lines that begin with `#` mean nothing.
//!
//! While nothing matches a line the service waits, unless the line begins with `-`: then it does without. After those of
//! the file come the descriptors that the service has stored itself.
//!
//! `run` finds in its environment, as sd_listen_fds(3) expects it, `LISTEN_FDS`, `LISTEN_FDNAMES` (without `name=`, what
//! [`fdname`] makes of the identifier) and `LISTEN_PID`, its own; if there are none from 3 on, no such variables.
//! `finish` gets nothing of it.

use super::waiting::{self, Cause};
use super::{extra, fdstore, kind, label, news};
use crate::fdholder::table::{self, Origin, Table};
use crate::fdholder::wire::NEVER;
use crate::limits::{HANDED, SOCKETS_FILE};
use crate::state::slot::checksum;
use crate::state::{Held, Service};
use crate::sys::args::Env;
use crate::sys::cell::TakeCell;
use crate::sys::environment::Environment;
use crate::sys::process::EXTRA_FDS;
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{self, Errno, Fd, file, memory};
use crate::text::errno::Reason;
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use crate::text::{CPath, fdname, glob};
use crate::warning;
use core::fmt;

/// The variables that tell of descriptors from 3 on. No service gets those of whoever supervises it.
pub const VARIABLES: [&[u8]; 4] = [b"LISTEN_PID", b"LISTEN_FDS", b"LISTEN_FDNAMES", b"LISTEN_PIDFDID"];

/// The number of the first one: SD_LISTEN_FDS_START.
pub const FIRST: i32 = 3;

/// What a line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry<'a> {
    /// Held descriptors.
    Held(Wanted<'a>),
    /// The environment that s6's programs read.
    S6,
}

/// Held descriptors that a line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted<'a> {
    /// Which.
    pub pattern: &'a [u8],
    /// Their name, if it is not to come from the identifier.
    pub name: Option<&'a [u8]>,
    /// As descriptor 0.
    pub stdin: bool,
    /// The service can do without.
    pub optional: bool,
}

/// What the lines of the file say, in order, with their numbers; or what is wrong with them.
pub fn parse(text: &[u8]) -> impl Iterator<Item = (usize, Result<Entry<'_>, &'static str>)> {
    let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
    lines.filter_map(|(number, text)| match trim(text) {
        [] | [b'#', ..] => None,
        text => Some((number, parse_line(text))),
    })
}

fn parse_line(text: &[u8]) -> Result<Entry<'_>, &'static str> {
    if text.contains(&0) {
        return Err("there is a NUL in it");
    }
    let (optional, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, trim(rest)),
        None => (false, text),
    };
    let (first, rest) = word(text);
    let (stdin, pattern, rest) = match (first, rest) {
        (b"s6", []) if !optional => return Ok(Entry::S6),
        (b"0", [_, ..]) => {
            let (pattern, rest) = word(rest);
            (true, pattern, rest)
        }
        _ => (false, first, rest),
    };
    if pattern.is_empty() {
        return Err("there is no identifier in it");
    }
    // As its own text it may name a descriptor still, but only one of `unix:[x` and the like.
    if !glob::is_sound(pattern) && !pattern.contains(&b'[') {
        return Err("the \\ at the end of the identifier has nothing to stand before");
    }
    let name = match rest {
        [] => None,
        _ if stdin => return Err("descriptor 0 has no name, and nothing follows the identifier"),
        rest => match rest.strip_prefix(b"name=") {
            Some(name) if fdname::is_valid(name) && !name.contains(&b' ') => Some(name),
            Some(_) => return Err("a name is 1 to 255 printable ASCII characters, no colon or blank"),
            None => {
                return Err(
                    "all that may follow the identifier is name=NAME; write a blank in an identifier as \"\\ \"",
                );
            }
        },
    };
    Ok(Entry::Held(Wanted { pattern, name, stdin, optional }))
}

/// The first word, up to a blank that no `\` stands before, and what follows it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let end = text.iter().position(|byte| {
        let ends = is_blank(byte) && !quoted;
        quoted = *byte == b'\\' && !quoted;
        ends
    });
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (word, trim(rest))
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Without the blanks at both ends; one that a `\` stands before is none.
fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1);
    let quoted = text.iter().take(end).rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
    text.get(..end + usize::from(quoted && end < text.len())).unwrap_or_default()
}

/// Why a service cannot be given what it is to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem<'a> {
    /// Nothing that is held matches this: it may come.
    Lacks(&'a [u8]),
    /// There is no fd-holder.
    NoHolder,
    /// The file cannot be read.
    Unreadable(Errno),
    /// It has more than [`SOCKETS_FILE`] bytes.
    TooLong,
    /// What is wrong with the line of this number.
    Mistake(usize, &'static str),
    /// There are more than [`HANDED`].
    TooMany,
    /// Another file asks for a number that a held descriptor gets.
    Taken {
        /// That file.
        file: &'static str,
        /// The number.
        number: i32,
        /// The least that would do.
        free: i32,
    },
    /// The environment does not hold what is to be told.
    Environment(Errno),
}

impl Problem<'_> {
    /// A number for what it says, so that it is said once; no errno is one of them.
    fn complaint(&self) -> u32 {
        let (kind, number, text) = match *self {
            Problem::Lacks(id) => (1, 0, id),
            Problem::NoHolder => (2, 0, &b""[..]),
            Problem::Unreadable(e) => (3, e.raw_os_error(), &b""[..]),
            Problem::TooLong => (4, 0, &b""[..]),
            Problem::Mistake(line, what) => (5, line as i32, what.as_bytes()),
            Problem::TooMany => (6, 0, &b""[..]),
            Problem::Taken { file, number, .. } => (7, number, file.as_bytes()),
            Problem::Environment(e) => (8, e.raw_os_error(), &b""[..]),
        };
        checksum(&[&[kind], &number.to_ne_bytes(), text]) | 1 << 31
    }
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Problem::Lacks(id) => write!(f, "nothing is held as {}", Printable(id)),
            Problem::NoHolder => f.write_str(
                "there is no fd-holder here, only process 1 and svscan have one: its run can ask another with \
                 s6-fdholder-retrieve",
            ),
            Problem::Unreadable(e) => write!(f, "it cannot be read: {}", Reason(e)),
            Problem::TooLong => write!(f, "it is longer than {SOCKETS_FILE} bytes"),
            Problem::Mistake(line, what) => write!(f, "line {line}: {what}"),
            Problem::TooMany => write!(f, "more than {HANDED} descriptors"),
            Problem::Taken { file, number, free } => {
                write!(f, "a held descriptor becomes {number}, and its file {file} says {number} too: make that {free}")
            }
            Problem::Environment(e) => write!(f, "the environment cannot tell of the descriptors: {}", Reason(e)),
        }
    }
}

/// What a child is given besides the usual. One is enough: children begin one after the other. The large parts begin at
/// pages, as in [`Environment`].
#[repr(C, align(4096))]
pub struct Room {
    /// Its environment.
    pub env: Environment,
    /// The file, and a byte more…
    text: [u8; (SOCKETS_FILE + 1).next_multiple_of(4096)],
    /// What `LISTEN_FDNAMES` says.
    names: [u8; NAMES],
    /// How many bytes of the two were needed.
    text_len: usize,
    names_len: usize,
    /// Its descriptors and their numbers.
    fds: heapless::Vec<(Fd, i32), EXTRA_FDS>,
    /// The held slots of those from [`FIRST`] on, in order…
    slots: heapless::Vec<u16, HANDED>,
    /// …and of the one that becomes descriptor 0.
    stdin: Option<u16>,
}

/// Room for as many of the longest names, and what is between them.
const NAMES: usize = (HANDED * (fdname::MAX + 1)).next_multiple_of(4096);

static ROOM: TakeCell<Room> = TakeCell::new(Room::new());

impl Room {
    /// An empty one.
    pub const fn new() -> Room {
        Room {
            env: Environment::new(),
            text: [0; (SOCKETS_FILE + 1).next_multiple_of(4096)],
            names: [0; NAMES],
            text_len: 0,
            names_len: 0,
            fds: heapless::Vec::new(),
            slots: heapless::Vec::new(),
            stdin: None,
        }
    }

    /// That of the process, at the first call.
    pub fn take() -> Option<&'static mut Room> {
        ROOM.take()
    }

    /// What the child is to get: descriptors, those of [`gather`]'s `own` included, and environment.
    pub fn gifts(&mut self) -> (&[(Fd, i32)], &mut Environment) {
        (&self.fds, &mut self.env)
    }

    /// Notes that process `pid` has got what was gathered. It may be noted already, of some or of all: no two starts have
    /// the same number within so short a time.
    pub fn given(&self, held: &mut Table<'_>, pid: i32, now: Nanos) {
        for slot in self.slots.iter().chain(&self.stdin) {
            let slot = usize::from(*slot);
            if held.get(slot).is_some_and(|held| held.last_pid != pid as u32) {
                held.retrieved(slot, pid as u32, now);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.env.clear();
        self.fds.clear();
        self.slots.clear();
        self.stdin = None;
        memory::discard_pages(&mut self.names, self.names_len);
        self.names_len = 0;
        memory::discard_pages(&mut self.text, self.text_len);
        self.text_len = 0;
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// Who is given something, and when.
pub struct Start<'a> {
    /// The slot of its record.
    pub slot: u32,
    /// What is held; `None`: there is no fd-holder.
    pub held: Option<&'a Table<'a>>,
    /// What has expired by then is not held any more.
    pub wall: Stamp,
    /// The environment of all.
    pub env: Env,
    /// Descriptors that the child gets anyhow: for its `lock-fd`, then for its `notification-fd`.
    pub own: &'a [(Fd, i32)],
}

/// What has become of a start that needs more than there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It waits for something to be held.
    Waits,
    /// Somebody must do something about it.
    Failed,
}

/// As [`gather`]; tells what is missing, or wrong, unless that was the last that was told of the service. It is to be
/// tried again after `again`.
pub fn prepare(start: &Start<'_>, service: &mut Service, again: Nanos, room: &mut Room) -> Result<(), Refused> {
    let Err(problem) = gather(start, service, room) else { return Ok(()) };
    news::settle(service); // what came before is told before
    let complaint = problem.complaint();
    let new = core::mem::replace(&mut service.trouble, complaint) != complaint;
    let Problem::Lacks(pattern) = problem else {
        if new {
            let every = again / SECOND;
            warning!("{} cannot be started: its file sockets: {problem}; tried again every {every} s", label(service));
        }
        return Err(Refused::Failed);
    };
    if new {
        warning!("{} waits: its file sockets: {problem}", label(service));
    }
    let shown = pattern.get(..waiting::NAME).unwrap_or(pattern);
    if waiting::write(Fd(service.dir_fd), [Cause::Descriptor(shown)]).is_ok() {
        service.waiting_file = 1;
    }
    Err(Refused::Waits)
}

/// Collects in `room` what a service is to be given: what its file asks for, then what it has stored itself; and tells it
/// in the environment there. After an error what is in `room` is of no use.
pub fn gather<'a>(start: &Start<'_>, service: &Service, room: &'a mut Room) -> Result<(), Problem<'a>> {
    room.clear();
    room.env.begin(start.env).map_err(Problem::Environment)?;
    let _ = room.fds.extend_from_slice(start.own); // two at most, and there is room for them
    let Room { env, text, names, text_len, names_len, fds, slots, stdin } = room;
    let asks = service.extras & extra::SOCKETS != 0;
    let text = if asks { read(Fd(service.dir_fd), text, text_len)? } else { &[] };
    let Some(held) = start.held else { return if asks { Err(Problem::NoHolder) } else { Ok(()) } };
    let mut gifts = Gifts { held, wall: start.wall, fds, slots, stdin, names, names_len };
    let mut s6 = false;
    for (line, entry) in parse(text) {
        let mistake = |what| Problem::Mistake(line, what);
        match entry.map_err(mistake)? {
            Entry::S6 => s6 = true,
            Entry::Held(wanted) if wanted.stdin && gifts.stdin.is_some() => {
                return Err(mistake("descriptor 0 is given already"));
            }
            Entry::Held(wanted) if wanted.stdin && service.kind == kind::LOGGER => {
                return Err(mistake("a logger reads its descriptor 0"));
            }
            Entry::Held(wanted) => gifts.add(&wanted)?,
        }
    }
    gifts.add_stored(service, start.slot)?;
    for (at, (_, number)) in start.own.iter().enumerate() {
        if gifts.fds.iter().skip(start.own.len()).any(|(_, given)| given == number) {
            let is_last = at + 1 == start.own.len();
            let file = if is_last && service.notify_fd >= 0 { "notification-fd" } else { "lock-fd" };
            let free = if *number == 0 { FIRST } else { FIRST + gifts.slots.len() as i32 };
            return Err(Problem::Taken { file, number: *number, free });
        }
    }
    gifts.tell(env, s6).map_err(Problem::Environment)
}

fn read<'t>(dir: Fd, text: &'t mut [u8], len: &mut usize) -> Result<&'t [u8], Problem<'static>> {
    match file::read(dir, c"sockets", text) {
        Ok(text) => {
            *len = text.len();
            if *len > SOCKETS_FILE { Err(Problem::TooLong) } else { Ok(text) }
        }
        Err(Errno::NOENT) => Ok(&[]), // it is gone since it was seen
        Err(e) => Err(Problem::Unreadable(e)),
    }
}

/// What has been collected so far.
struct Gifts<'a> {
    held: &'a Table<'a>,
    wall: Stamp,
    fds: &'a mut heapless::Vec<(Fd, i32), EXTRA_FDS>,
    slots: &'a mut heapless::Vec<u16, HANDED>,
    stdin: &'a mut Option<u16>,
    names: &'a mut [u8; NAMES],
    names_len: &'a mut usize,
}

impl Gifts<'_> {
    /// Adds what a line asks for.
    fn add<'t>(&mut self, wanted: &Wanted<'t>) -> Result<(), Problem<'t>> {
        let mut found = false;
        let (held, wall) = (self.held, self.wall);
        for (slot, held) in held.iter().filter(|(_, held)| table::limit(held) > wall) {
            let id = table::name(held);
            if !glob::matches(wanted.pattern, id) {
                continue;
            }
            found = true;
            if wanted.stdin {
                *self.stdin = Some(slot as u16);
                self.fds.push((Fd(held.fd), 0)).map_err(|_| Problem::TooMany)?;
                return Ok(());
            }
            match wanted.name {
                Some(name) => self.push(slot, held, &mut name.iter().copied())?,
                None => self.push(slot, held, &mut fdname::of(id))?,
            }
        }
        if found || wanted.optional { Ok(()) } else { Err(Problem::Lacks(wanted.pattern)) }
    }

    /// Adds what the service in `slot` has stored itself; as much as there is room for, for it must be able to start.
    fn add_stored(&mut self, service: &Service, slot: u32) -> Result<(), Problem<'static>> {
        let (held, wall) = (self.held, self.wall);
        for (at, held) in held.iter().filter(|(_, held)| table::limit(held) > wall) {
            let its_own = held.service == slot as i32 && held.service_generation == service.generation;
            if Origin::of(held) == Origin::Service && its_own && !self.slots.is_full() && !self.fds.is_full() {
                self.push(at, held, &mut fdstore::name(held, service.name_bytes()).iter().copied())?;
            }
        }
        Ok(())
    }

    /// Adds one, unless it is there already.
    fn push(&mut self, slot: usize, held: &Held, name: &mut dyn Iterator<Item = u8>) -> Result<(), Problem<'static>> {
        if self.slots.iter().any(|given| usize::from(*given) == slot) {
            return Ok(());
        }
        let number = FIRST + self.slots.len() as i32;
        self.slots.push(slot as u16).map_err(|_| Problem::TooMany)?;
        self.fds.push((Fd(held.fd), number)).map_err(|_| Problem::TooMany)?;
        let colon = (number > FIRST).then_some(b':');
        // There is room for the longest names: there are no longer ones.
        let room = self.names.iter_mut().skip(*self.names_len);
        *self.names_len += room.zip(colon.into_iter().chain(name)).map(|(to, byte)| *to = byte).count();
        Ok(())
    }

    /// Tells of them in the environment.
    fn tell(&self, env: &mut Environment, s6: bool) -> sys::Result<()> {
        if !self.slots.is_empty() {
            env.set(b"LISTEN_FDS", Decimal::new(self.slots.len() as u64).as_bytes())?;
            env.set(b"LISTEN_FDNAMES", self.names.get(..*self.names_len).unwrap_or_default())?;
            env.set_own_pid(b"LISTEN_PID")?;
        }
        if s6 { self.tell_s6(env) } else { Ok(()) }
    }

    fn tell_s6(&self, env: &mut Environment) -> sys::Result<()> {
        env.retain(|name| !name.starts_with(b"S6_FD"));
        env.set(b"S6_FD#", Decimal::new(self.slots.len() as u64).as_bytes())?;
        for (slot, number) in self.slots.iter().zip(0..) {
            let Some(held) = self.held.get((*slot).into()) else { continue };
            let at = Decimal::new(number);
            let mut set = |prefix: &[u8], value: &[u8]| {
                let name = CPath::<32>::of(&[prefix, at.as_bytes()]);
                env.set(name.as_bytes(), value)
            };
            set(b"S6_FD_", Decimal::new(FIRST as u64 + number).as_bytes())?;
            set(b"S6_FDID_", table::name(held))?;
            let limit = table::limit(held);
            if limit.sec.saturating_sub(self.wall.sec) < NEVER / 2 {
                set(b"S6_FDLIMIT_", &limit.to_text())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "handover_tests.rs"]
mod tests;
