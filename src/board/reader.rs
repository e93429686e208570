//! From the file's lines to the board's values: what each key may hold, and what a mistake costs. Pure. A mistake in a
//! value costs that value, a socket, mount or entry of the fd-holder that lacks what it must have costs that entry; the
//! rest counts.

use super::diagnostic::{Diagnostic, Mistake, position};
use super::entries::{self, Place};
use super::keys::{KEYS, Key, Seen, TABLES, Table, table};
use super::model::{Allow, Board, FAULTS_KEPT, Glob, Mount, Owner, Signals, Socket, Then, Whom};
use super::root::module;
use super::syntax::{Item, List, Parser, Path, Value};
use super::values::{
    Read, account, choice, device, duration, flag, identifier, kept_path, number, option_value, path, permissions,
    text, word,
};
use crate::fdholder::rights::Use;
use crate::limits::{BOARD_MISTAKES, FDHOLDER_GLOBS, HELD_NAME};
use crate::socket::address::is_interface;
use crate::socket::options::KNOWN;
use crate::sys::listener::{Kind, UNIX_NAME};
use crate::text::glob;

const DEFAULT_KEPT: &str = "the default is kept";
const IGNORED: &str = "it is ignored";
const LEFT_OUT: &str = "it is left out";

/// Longest host name, gethostname(2).
const HOST_NAME: usize = 64;

/// Reads a board config into `board` (which is cleared first). Strings with escapes are decoded into `scratch`
/// ([`BOARD_SCRATCH`](crate::limits::BOARD_SCRATCH) bytes do for a sensible file). Every mistake is given to `report`,
/// at most [`BOARD_MISTAKES`] of them and a last one that says so. Returns how many there were.
pub fn load<'a>(
    board: &mut Board<'a>,
    text: &'a [u8],
    scratch: &'a mut [u8],
    report: &mut dyn FnMut(&Diagnostic<'_>),
) -> usize {
    board.clear();
    let mut reader = Reader {
        text,
        board,
        report,
        mistakes: 0,
        table: Table::Root,
        entry_at: 0,
        seen: 0,
        spoilt: false,
        mount: entries::MOUNT,
        socket: entries::SOCKET,
        allow: entries::ALLOW,
        nobody: true,
        overlay_said: [None; 2],
        glob_bytes: 0,
        places: [None; PLACES],
    };
    let mut parser = Parser::new(text, scratch);
    while let Some(item) = parser.next() {
        match item {
            Item::Header { at, array, path, read } => reader.header(at, array, &path, read),
            Item::Pair { at, path, read, value_at, value, value_read } => {
                let (key, value_place) = (Place { at, read }, Place { at: value_at, read: value_read });
                reader.pair(key, &path, value, value_place, parser.list());
            }
            Item::Broken { at, header, mistake } => {
                reader.say(at, mistake);
                if header {
                    reader.end_entry();
                    reader.table = Table::Lost;
                }
            }
        }
    }
    reader.end_entry();
    reader.end_root();
    reader.mistakes
}

/// Keys of an entry: rows of [`KEYS`], then those of [`KNOWN`].
const PLACES: usize = KEYS.len() + KNOWN.len();

struct Reader<'a, 'r> {
    text: &'a [u8],
    board: &'r mut Board<'a>,
    report: &'r mut dyn FnMut(&Diagnostic<'_>),
    mistakes: usize,
    table: Table,
    /// Where the header of the current entry is.
    entry_at: usize,
    /// Keys that have been read; those of entries are cleared with each entry.
    seen: Seen,
    /// What makes the current entry unusable has been said.
    spoilt: bool,
    mount: Mount<'a>,
    socket: Socket<'a>,
    allow: Allow<'a>,
    /// The current entry of the fd-holder does not say whom it is for.
    nobody: bool,
    /// Where the file says what, of an overlay's file system.
    overlay_said: [Option<(&'static str, Place<'a>)>; 2],
    /// Bytes that its patterns will need.
    glob_bytes: usize,
    /// Where the current entry says what.
    places: [Option<Place<'a>>; PLACES],
}

impl<'a> Reader<'a, '_> {
    fn say(&mut self, at: usize, mistake: Mistake<'_>) {
        self.mistakes += 1;
        if self.mistakes > BOARD_MISTAKES + 1 {
            return;
        }
        let (line, column) = position(self.text, at);
        let mistake = if self.mistakes <= BOARD_MISTAKES {
            mistake
        } else {
            Mistake { subject: "the file", read: "", wrong: "has too many mistakes", now: "no more are shown" }
        };
        (self.report)(&Diagnostic { line, column, mistake });
    }

    fn wrong(&mut self, subject: &'static str, place: Place<'_>, wrong: &'static str, now: &'static str) {
        self.say(place.at, Mistake { subject, read: place.read, wrong, now });
    }

    fn header(&mut self, at: usize, array: bool, path: &Path<'a>, read: &'a str) {
        self.end_entry();
        let place = Place { at, read };
        let Some((_, table, entries)) = table(path) else {
            self.table = Table::Lost;
            return self.wrong("the table", place, "is not known", "its keys are ignored");
        };
        if array != *entries {
            let wrong = if array { "should have single brackets" } else { "should have double brackets" };
            self.wrong("the table", place, wrong, "it is read as if it had");
        }
        self.table = *table;
        self.board.root.wanted |= *table == Table::RootFs;
        if *entries {
            self.begin_entry(at);
        }
    }

    fn begin_entry(&mut self, at: usize) {
        let (line, _) = position(self.text, at);
        self.entry_at = at;
        self.spoilt = false;
        self.mount = Mount { line, ..entries::MOUNT };
        self.socket = Socket { line, ..entries::SOCKET };
        self.allow = Allow { line, globs: (0, self.board.globs.len()), ..entries::ALLOW };
        (self.nobody, self.glob_bytes) = (true, 0);
        self.places = [None; PLACES];
        for (bit, (table, ..)) in KEYS.iter().enumerate() {
            if *table == self.table {
                self.seen &= !(1 << bit);
            }
        }
        if self.table == Table::Socket {
            self.seen &= (1 << KEYS.len()) - 1;
        }
    }

    /// The current mount, socket or entry of the fd-holder is complete.
    fn end_entry(&mut self) {
        match self.table {
            Table::Mount => self.end_mount(),
            Table::Socket => self.end_socket(),
            Table::Allow => self.end_allow(),
            _ => {}
        }
        self.table = Table::Lost;
    }

    fn drop_entry(&mut self, subject: &'static str, wrong: &'static str) {
        if !self.spoilt {
            self.wrong(subject, Place { at: self.entry_at, read: "" }, wrong, LEFT_OUT);
        }
    }

    /// The file has ended: is there what is said about an overlay?
    fn end_root(&mut self) {
        let (overlay, [kind, options]) = (self.board.root.overlay, self.overlay_said);
        let (wrong, meaningless) = match overlay {
            None => ("means nothing without overlay", [kind, options]),
            Some("tmpfs") => ("means nothing to a tmpfs", [kind, None]),
            Some(_) => return,
        };
        for (subject, place) in meaningless.into_iter().flatten() {
            self.wrong(subject, place, wrong, IGNORED);
        }
        self.board.root.overlay_kind = None;
        if overlay.is_none() {
            self.board.root.overlay_options = None;
        }
    }

    fn end_mount(&mut self) {
        let mount = &mut self.mount;
        if mount.source.is_empty() {
            mount.source = mount.kind;
        }
        if mount.target.is_empty() {
            self.drop_entry("the mount", "has no target");
        } else if mount.kind.is_empty() {
            self.drop_entry("the mount", "has no type");
        } else if self.board.mounts.push(*mount).is_err() {
            self.drop_entry("the mount", "is one too many (32 at most)");
        }
    }

    /// Where the current entry says what `key` is.
    fn said(&self, key: Key) -> Option<Place<'a>> {
        let row = KEYS.iter().position(|(.., known)| *known == key)?;
        self.places.get(row).copied().flatten()
    }

    fn end_socket(&mut self) {
        if self.spoilt {
            return;
        }
        let mut socket = self.socket;
        match (socket.name, socket.at) {
            ("", "") => return self.drop_entry("the socket", "has no name"),
            (name, "") => socket.at = name,
            ("", at) => socket.name = at,
            _ => {}
        }
        match entries::address(&socket) {
            Ok(address) => socket.address = address,
            Err(wrong) => {
                let (subject, place) = match (self.said(Key::Address), self.said(Key::Identifier)) {
                    (Some(place), _) => ("address", place),
                    (None, place) => ("name", place.unwrap_or(Place { at: self.entry_at, read: "" })),
                };
                return self.wrong(subject, place, wrong, LEFT_OUT);
            }
        }
        if let Some((kind, wrong, now)) = entries::only_kind(&socket.address) {
            let asked = core::mem::replace(&mut socket.kind, kind);
            if let Some(place) = self.said(Key::Delivery).filter(|_| asked != kind) {
                self.wrong("type", place, wrong, now);
            }
        }
        if socket.kind == Kind::Datagram {
            socket.backlog = 0;
        }
        for (row, (_, subject, key)) in KEYS.iter().enumerate() {
            let place = self.places.get(row).copied().flatten();
            if let (Some(place), Some(wrong)) = (place, entries::meaningless(&socket, *key)) {
                self.wrong(subject, place, wrong, IGNORED);
            }
        }
        for (i, known) in KNOWN.iter().enumerate() {
            let place = self.places.get(KEYS.len() + i).copied().flatten();
            if let Some(place) = place.filter(|_| !known.is_for(&socket.address)) {
                self.wrong(known.key, place, entries::nothing_to(&socket.address), IGNORED);
            }
        }
        if let Some(wrong) = self.board.sockets.iter().find_map(|other| entries::clash(&socket, other)) {
            self.drop_entry("the socket", wrong);
        } else if self.board.sockets.push(socket).is_err() {
            self.drop_entry("the socket", "is one too many (128 at most)");
        }
    }

    fn end_allow(&mut self) {
        let first = self.allow.globs.1;
        self.allow.globs.0 = self.board.globs.len().saturating_sub(first);
        let wrong = if self.nobody {
            Some("names neither a user nor a group nor everybody")
        } else if self.allow.globs.0 == 0 && self.allow.rights == 0 {
            Some("allows nothing")
        } else if self.spoilt {
            Some("") // said already
        } else {
            self.board.allows.push(self.allow).is_err().then_some("is one too many (64 at most)")
        };
        if let Some(wrong) = wrong {
            self.board.globs.truncate(first);
            self.drop_entry("the entry", wrong);
        }
    }

    /// Whom an entry of the fd-holder is for.
    fn set_whom(&mut self, whom: Option<Whom<'a>>, wrong: &'static str) -> Read<()> {
        let twice = !self.nobody;
        self.nobody = false;
        self.allow.whom = whom.ok_or(wrong)?;
        if twice { Err("is a second one: an entry is for a user, a group or everybody") } else { Ok(()) }
    }

    /// What may be done with which identifiers: a pattern, or an array of them.
    fn allow_globs(&mut self, what: Use, subject: &'static str, value: Value<'a>, at: Place<'a>, list: &List<'a>) {
        match value {
            Value::Text(text) => self.allow_glob(what, subject, Some(text), at),
            Value::List => {
                for element in &list.elements {
                    self.allow_glob(what, subject, element.text, Place { at: element.at, read: element.read });
                }
                if list.more {
                    self.wrong(subject, at, "holds more than 64 patterns", "the rest is ignored");
                }
            }
            _ => self.wrong(subject, at, "is neither a string nor an array of strings", IGNORED),
        }
    }

    fn allow_glob(&mut self, what: Use, subject: &'static str, pattern: Option<&'a str>, at: Place<'a>) {
        let wrong = match pattern {
            None => "is not a string",
            Some(pattern) if pattern.contains('\0') => "holds a NUL",
            Some(pattern) if pattern.is_empty() || pattern.len() > HELD_NAME => "is not 1 to 255 bytes long",
            Some(pattern) if !glob::is_sound(pattern.as_bytes()) => {
                "is no pattern (a [ without its ], or a \\ at the end)"
            }
            // A byte that says for what it is, and a NUL.
            Some(pattern) if self.glob_bytes + pattern.len() + 2 > FDHOLDER_GLOBS => {
                "does not fit: the patterns of an entry have 1000 bytes"
            }
            Some(pattern) => match self.board.globs.push(Glob { what, pattern }) {
                Ok(()) => {
                    self.glob_bytes += pattern.len() + 2;
                    return;
                }
                Err(_) => "is one pattern too many (512 in all entries)",
            },
        };
        self.wrong(subject, at, wrong, LEFT_OUT);
    }

    /// An array of modules, or one.
    fn modules(&mut self, subject: &'static str, value: Value<'a>, at: Place<'a>, list: &List<'a>) {
        match value {
            Value::Text(text) => self.module(subject, Some(text), at),
            Value::List => {
                for element in &list.elements {
                    self.module(subject, element.text, Place { at: element.at, read: element.read });
                }
                if list.more {
                    self.wrong(subject, at, "holds more than 64 modules", "the rest is ignored");
                }
            }
            _ => self.wrong(subject, at, "is no array of strings", IGNORED),
        }
    }

    fn module(&mut self, subject: &'static str, words: Option<&'a str>, at: Place<'a>) {
        match words.filter(|words| module(words).is_some()) {
            Some(words) => {
                let _ = self.board.modules.push(words); // as many as an array holds
            }
            None => self.wrong(subject, at, "is no module (a name or an absolute path, and its parameters)", LEFT_OUT),
        }
    }

    fn pair(&mut self, key: Place<'a>, path: &Path<'a>, value: Value<'a>, at: Place<'a>, list: &List<'a>) {
        let table = match (self.table, path.two()) {
            (Table::Lost, _) => return,
            (Table::Root, Some((first, _))) => single_table(first),
            (table, _) => table,
        };
        let name = if self.table == Table::Root { path.two().map(|(_, name)| name) } else { path.one() };
        let row = KEYS.iter().position(|(of, known, _)| *of == table && Some(*known) == name);
        let option = KNOWN.iter().position(|known| table == Table::Socket && Some(known.key) == name);
        let Some(bit) = row.or(option.map(|option| KEYS.len() + option)) else {
            return self.wrong("the key", key, table.not_its_key(), IGNORED);
        };
        if self.seen & 1 << bit != 0 {
            if !matches!(table, Table::Mount | Table::Socket | Table::Allow) {
                return self.wrong("the key", key, "is there twice", "the first one counts");
            }
            // Most likely a header went missing: these lines are another entry's.
            self.wrong("the key", key, "is there twice", "it and the lines up to the next header are ignored");
            return self.end_entry();
        }
        self.seen |= 1 << bit;
        if let Some(place) = self.places.get_mut(bit) {
            *place = Some(at);
        }
        self.board.root.wanted |= table == Table::RootFs;
        let (subject, done) = match (row.and_then(|row| KEYS.get(row)), option.and_then(|i| Some((i, KNOWN.get(i)?)))) {
            (Some((_, subject, Key::Allowed(what))), _) => {
                return self.allow_globs(*what, subject, value, at, list);
            }
            (Some((_, subject, Key::Modules)), _) => return self.modules(subject, value, at, list),
            (Some((_, subject, key)), _) => {
                match key {
                    Key::OverlayType => self.overlay_said[0] = Some((subject, at)),
                    Key::OverlayOptions => self.overlay_said[1] = Some((subject, at)),
                    _ => {}
                }
                (*subject, self.set(*key, value))
            }
            (None, Some((i, known))) => {
                let read = option_value(known.takes, value);
                if let Ok(value) = read {
                    self.socket.values = self.socket.values.with(i, value);
                }
                (known.key, read.map(drop).map_err(|wrong| (wrong, DEFAULT_KEPT)))
            }
            (None, None) => return,
        };
        if let Err((wrong, now)) = done {
            self.wrong(subject, at, wrong, now);
        }
    }

    /// Sets what a key says. Errors: what is wrong, and what happens now.
    fn set(&mut self, key: Key, value: Value<'a>) -> Result<(), (&'static str, &'static str)> {
        let now = match key {
            Key::Identifier | Key::Address | Key::Target => LEFT_OUT,
            Key::User | Key::Group | Key::Everybody | Key::MaxHeld | Key::MaxLifetime => "the entry is left out",
            // Others than those that it is for might get in.
            Key::Device => "the socket is left out",
            Key::Mode => "the socket keeps 0600",
            Key::DirectoryMode => "they keep 0755",
            Key::Owner => "the socket is root's",
            Key::Init | Key::Script => "no script is run",
            Key::RootDevice => "root= of the kernel's command line counts",
            Key::Overlay => "nothing lies over the root",
            Key::RootType | Key::RootOptions | Key::OverlayType | Key::OverlayOptions | Key::Wait => IGNORED,
            Key::Rules => "there are no rules",
            Key::Name | Key::Hostname | Key::Source | Key::Type | Key::Options | Key::Dumps(_) => IGNORED,
            _ => DEFAULT_KEPT,
        };
        let done = self.store(key, value);
        if done.is_err() {
            self.spoilt |= matches!(now, LEFT_OUT | "the entry is left out" | "the socket is left out");
        }
        done.map_err(|wrong| (wrong, now))
    }

    fn store(&mut self, key: Key, value: Value<'a>) -> Read<()> {
        let (board, socket, mount) = (&mut *self.board, &mut self.socket, &mut self.mount);
        match key {
            Key::Name => text(value).map(|text| board.name = Some(text)),
            Key::Hostname => text(value).and_then(|text| {
                let fits = !text.is_empty() && text.len() <= HOST_NAME;
                board.hostname = fits.then_some(text);
                if fits { Ok(()) } else { Err("is not 1 to 64 bytes long") }
            }),
            Key::Services => path(value).map(|path| board.services = Some(path)),
            Key::Scandir => path(value).map(|path| board.scandir = Some(path)),
            Key::Init => path(value).map(|path| board.init = Some(path)),
            Key::Signals => choice(value, ["s6", "busybox", ""], "is neither \"s6\" nor \"busybox\"")
                .map(|i| board.signals = if i == 0 { Signals::S6 } else { Signals::Busybox }),
            Key::Modules => Ok(()), // done by the caller
            Key::RootDevice => device(value).map(|device| board.root.device = Some(device)),
            Key::RootType => word(value).map(|text| board.root.kind = Some(text)),
            Key::RootOptions => text(value).map(|text| board.root.options = Some(text)),
            Key::RootTimeout => duration(value).map(|nanos| board.root.timeout = nanos),
            Key::Overlay => device(value).map(|device| board.root.overlay = Some(device)),
            Key::OverlayType => word(value).map(|text| board.root.overlay_kind = Some(text)),
            Key::OverlayOptions => text(value).map(|text| board.root.overlay_options = Some(text)),
            Key::Wait => duration(value).map(|nanos| mount.wait = nanos),
            Key::Target => path(value).map(|path| mount.target = path),
            Key::Source => text(value).map(|text| mount.source = text),
            Key::Type => text(value).map(|text| mount.kind = text),
            Key::Options => text(value).map(|text| mount.options = text),
            Key::Identifier => identifier(value).map(|text| socket.name = text),
            Key::Address => identifier(value).map(|text| socket.at = text),
            Key::Mode => permissions(value).map(|mode| socket.mode = mode),
            Key::DirectoryMode => permissions(value).map(|mode| socket.directory_mode = mode),
            Key::Owner => match value {
                Value::Text(text) => Owner::parse(text),
                _ => None,
            }
            .map(|owner| socket.owner = owner)
            .ok_or("is not \"user:group\", \"user\" or \":group\""),
            Key::Backlog => number(value, u32::MAX).map(|backlog| socket.backlog = backlog),
            Key::Delivery => {
                let wrong = "is not \"stream\", \"dgram\" or \"seqpacket\"";
                choice(value, ["stream", "dgram", "seqpacket"], wrong).map(|i| {
                    socket.kind = [Kind::Stream, Kind::Datagram, Kind::SeqPacket].get(i).copied().unwrap_or_default();
                })
            }
            Key::Device => match value {
                Value::Text(text) if is_interface(text.as_bytes()) => {
                    socket.device = text;
                    Ok(())
                }
                _ => Err("is no name of a network interface (1 to 15 characters)"),
            },
            Key::Nonblocking => flag(value).map(|on| socket.nonblocking = on),
            Key::HolderPath => path(value).and_then(|path| {
                let fits = path.len() <= UNIX_NAME;
                board.fdholder = fits.then_some(path);
                if fits { Ok(()) } else { Err("is longer than a unix socket's 107 bytes") }
            }),
            Key::Rules => kept_path(value).map(|path| board.rules = Some(path)),
            Key::User => self.set_whom(account(value).map(Whom::User), "is no user (a name or a number)"),
            Key::Group => self.set_whom(account(value).map(Whom::Group), "is no group (a name or a number)"),
            Key::Everybody => self.set_whom((value == Value::Flag(true)).then_some(Whom::Everybody), "is not true"),
            Key::Allowed(_) => Ok(()), // done by the caller
            Key::Dumps(right) => flag(value).map(|on| self.allow.rights |= if on { right } else { 0 }),
            Key::MaxHeld => match number(value, u32::MAX)? {
                0 => Err("is not a number from 1 on"),
                most => {
                    self.allow.held_max = most;
                    Ok(())
                }
            },
            Key::MaxLifetime => match duration(value)? {
                0 => Err("is no time"),
                longest => {
                    self.allow.lifetime_max = longest;
                    Ok(())
                }
            },
            Key::FaultLimit => number(value, FAULTS_KEPT).map(|limit| board.fault.limit = limit),
            Key::FaultWithin => match duration(value)? {
                0 => Err("is no time"),
                within => {
                    board.fault.within = within;
                    Ok(())
                }
            },
            Key::FaultThen => choice(value, ["reboot", "rescue", "reap"], "is not \"reboot\", \"rescue\" or \"reap\"")
                .map(|i| {
                    board.fault.then = [Then::Reboot, Then::Rescue, Then::Reap].get(i).copied().unwrap_or_default();
                }),
            Key::Rescue => kept_path(value).map(|path| board.fault.rescue = path),
            Key::Timeout => duration(value).map(|nanos| board.timeout = Some(nanos)),
            Key::KillTimeout => duration(value).map(|nanos| board.kill_timeout = Some(nanos)),
            Key::Script => kept_path(value).map(|path| board.script = Some(path)),
            Key::ScriptTimeout => match duration(value)? {
                0 => Err("is no time"),
                nanos => {
                    board.script_timeout = Some(nanos);
                    Ok(())
                }
            },
        }
    }
}

/// The table that the first part of a dotted key names.
fn single_table(first: &str) -> Table {
    TABLES.iter().find(|(name, _, entries)| *name == first && !entries).map_or(Table::Root, |row| row.1)
}
