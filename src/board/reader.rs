//! From the file's lines to the board's values: what each key may hold, and what a mistake costs. Pure. A mistake in a value costs that value, a socket or mount that lacks what it must have costs that entry; the
//! rest counts.

use super::diagnostic::{Diagnostic, Mistake, position};
use super::keys::{KEYS, Key, Table, table};
use super::model::{Board, Mount, Owner, SOCKET_MODE, Signals, Socket};
use super::syntax::{Item, Parser, Path, Value};
use crate::limits::BOARD_MISTAKES;
use crate::socket::Address;
use crate::socket::bind::BACKLOG;
use crate::sys::listener::{Kind, UNIX_NAME};
use crate::text::duration;
use crate::text::number::parse_octal;

const DEFAULT_KEPT: &str = "the default is kept";
const IGNORED: &str = "it is ignored";

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
        mount: NO_MOUNT,
        socket: NO_SOCKET,
        address: None,
        kind: None,
        backlog: None,
    };
    for item in Parser::new(text, scratch) {
        match item {
            Item::Header { at, array, path, read } => reader.header(at, array, &path, read),
            Item::Pair { at, path, read, value_at, value, value_read } => {
                reader.pair(Place { at, read }, &path, value, Place { at: value_at, read: value_read });
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
    reader.mistakes
}

/// Something in the file: where, and how it is written.
#[derive(Clone, Copy)]
struct Place<'a> {
    at: usize,
    read: &'a str,
}

const NO_MOUNT: Mount<'static> = Mount { target: "", source: "", kind: "", options: "", line: 0 };
const NO_SOCKET: Socket<'static> = Socket {
    name: "",
    address: Address::Abstract(b""),
    kind: Kind::Stream,
    mode: SOCKET_MODE,
    owner: Owner { user: None, group: None },
    backlog: BACKLOG,
    freebind: true,
    v6only: true,
    reuseport: false,
    line: 0,
};

struct Reader<'a, 'r> {
    text: &'a [u8],
    board: &'r mut Board<'a>,
    report: &'r mut dyn FnMut(&Diagnostic<'_>),
    mistakes: usize,
    table: Table,
    /// Where the header of the current entry is.
    entry_at: usize,
    /// Keys that have been read: bits are rows of [`KEYS`]; those of entries are cleared with each entry.
    seen: u32,
    /// What makes the current entry unusable has been said.
    spoilt: bool,
    mount: Mount<'a>,
    socket: Socket<'a>,
    address: Option<Address<'a>>,
    /// Where the socket's type is said.
    kind: Option<Place<'a>>,
    /// Where its backlog is said.
    backlog: Option<Place<'a>>,
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
        let Some((_, table, entries)) = path.one().and_then(table) else {
            self.table = Table::Lost;
            return self.wrong("the table", place, "is not known", "its keys are ignored");
        };
        if array != *entries {
            let wrong = if array { "should have single brackets" } else { "should have double brackets" };
            self.wrong("the table", place, wrong, "it is read as if it had");
        }
        self.table = *table;
        if *entries {
            self.begin_entry(at);
        }
    }

    fn begin_entry(&mut self, at: usize) {
        let (line, _) = position(self.text, at);
        self.entry_at = at;
        self.spoilt = false;
        self.mount = Mount { line, ..NO_MOUNT };
        self.socket = Socket { line, ..NO_SOCKET };
        (self.address, self.kind, self.backlog) = (None, None, None);
        for (bit, (table, ..)) in KEYS.iter().enumerate() {
            if *table == self.table {
                self.seen &= !(1 << bit);
            }
        }
    }

    /// The current mount or socket is complete.
    fn end_entry(&mut self) {
        match self.table {
            Table::Mount => self.end_mount(),
            Table::Socket => self.end_socket(),
            _ => {}
        }
        self.table = Table::Lost;
    }

    fn drop_entry(&mut self, subject: &'static str, wrong: &'static str) {
        if !self.spoilt {
            self.wrong(subject, Place { at: self.entry_at, read: "" }, wrong, "it is left out");
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

    fn end_socket(&mut self) {
        let Some(address) = self.address else {
            return self.drop_entry("the socket", "has no name");
        };
        let ip_kind = match address {
            Address::Tcp(_) => Some((Kind::Stream, "is not TCP's", "the socket is a stream socket")),
            Address::Udp(_) => Some((Kind::Datagram, "is not UDP's", "the socket is a datagram socket")),
            Address::Path(_) | Address::Abstract(_) => None,
        };
        let socket = &mut self.socket;
        socket.address = address;
        if let Some((kind, wrong, now)) = ip_kind {
            let asked = core::mem::replace(&mut socket.kind, kind);
            if let Some(place) = self.kind.filter(|_| asked != kind) {
                self.wrong("type", place, wrong, now);
            }
        }
        if self.socket.kind == Kind::Datagram {
            self.socket.backlog = 0;
            if let Some(place) = self.backlog {
                self.wrong("backlog", place, "means nothing to a datagram socket", IGNORED);
            }
        }
        if self.board.sockets.iter().any(|other| other.address == address) {
            self.drop_entry("the socket", "has the address of one above");
        } else if self.board.sockets.push(self.socket).is_err() {
            self.drop_entry("the socket", "is one too many (128 at most)");
        }
    }

    fn pair(&mut self, key: Place<'a>, path: &Path<'a>, value: Value<'a>, at: Place<'a>) {
        let table = match (self.table, path.two()) {
            (Table::Lost, _) => return,
            (Table::Root, Some((first, _))) => table(first).filter(|row| !row.2).map_or(Table::Root, |row| row.1),
            (table, _) => table,
        };
        let name = if self.table == Table::Root { path.two().map(|(_, name)| name) } else { path.one() };
        let row = KEYS.iter().enumerate().find(|(_, (of, known, _))| *of == table && Some(*known) == name);
        let Some((bit, (_, subject, key_read))) = row else {
            return self.wrong("the key", key, table.not_its_key(), IGNORED);
        };
        if self.seen & 1 << bit != 0 {
            if !matches!(table, Table::Mount | Table::Socket) {
                return self.wrong("the key", key, "is there twice", "the first one counts");
            }
            // Most likely a header went missing: these lines are another entry's.
            self.wrong("the key", key, "is there twice", "it and the lines up to the next header are ignored");
            return self.end_entry();
        }
        self.seen |= 1 << bit;
        if let Err((wrong, now)) = self.set(*key_read, value, at) {
            self.wrong(subject, at, wrong, now);
        }
    }

    /// Sets what a key says. Errors: what is wrong, and what happens now.
    fn set(&mut self, key: Key, value: Value<'a>, at: Place<'a>) -> Result<(), (&'static str, &'static str)> {
        let now = match key {
            Key::Address | Key::Target => "it is left out",
            Key::Mode => "the socket keeps 0600",
            Key::Owner => "the socket is root's",
            Key::Init => "no script is run",
            Key::Name | Key::Hostname | Key::Source | Key::Type | Key::Options => IGNORED,
            _ => DEFAULT_KEPT,
        };
        let (board, socket, mount) = (&mut *self.board, &mut self.socket, &mut self.mount);
        let done = match key {
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
            Key::Target => path(value).map(|path| mount.target = path),
            Key::Source => text(value).map(|text| mount.source = text),
            Key::Type => text(value).map(|text| mount.kind = text),
            Key::Options => text(value).map(|text| mount.options = text),
            Key::Address => text(value).and_then(|text| {
                socket.name = text;
                self.address = Some(Address::parse(text.as_bytes()).map_err(|wrong| wrong.text())?);
                Ok(())
            }),
            Key::Mode => match value {
                Value::Text(text) => match parse_octal(text.as_bytes()) {
                    Some(mode @ 0..=0o777) => {
                        socket.mode = mode as u16;
                        Ok(())
                    }
                    Some(_) => Err("is more than 0777"),
                    None => Err("is not an octal number"),
                },
                _ => Err("is not a string (like \"0660\")"),
            },
            Key::Owner => match value {
                Value::Text(text) => Owner::parse(text),
                _ => None,
            }
            .map(|owner| socket.owner = owner)
            .ok_or("is not \"user:group\", \"user\" or \":group\""),
            Key::Backlog => match value {
                Value::Number(backlog) => {
                    socket.backlog = backlog;
                    self.backlog = Some(at);
                    Ok(())
                }
                _ => Err("is not a number"),
            },
            Key::Delivery => {
                let wrong = "is not \"stream\", \"dgram\" or \"seqpacket\"";
                choice(value, ["stream", "dgram", "seqpacket"], wrong).map(|i| {
                    socket.kind = [Kind::Stream, Kind::Datagram, Kind::SeqPacket].get(i).copied().unwrap_or_default();
                    self.kind = Some(at);
                })
            }
            Key::Freebind => flag(value).map(|on| socket.freebind = on),
            Key::V6Only => flag(value).map(|on| socket.v6only = on),
            Key::ReusePort => flag(value).map(|on| socket.reuseport = on),
            Key::HolderPath => path(value).and_then(|path| {
                let fits = path.len() <= UNIX_NAME;
                board.fdholder = fits.then_some(path);
                if fits { Ok(()) } else { Err("is longer than a unix socket's 107 bytes") }
            }),
            Key::Timeout => duration(value).map(|nanos| board.timeout = Some(nanos)),
            Key::KillTimeout => duration(value).map(|nanos| board.kill_timeout = Some(nanos)),
        };
        if done.is_err() {
            self.spoilt |= key == Key::Address || key == Key::Target;
        }
        done.map_err(|wrong| (wrong, now))
    }
}

/// What a value is instead of what it should be.
type Read<T> = Result<T, &'static str>;

fn text(value: Value<'_>) -> Read<&str> {
    match value {
        Value::Text(text) if text.contains('\0') => Err("holds a NUL"),
        Value::Text(text) => Ok(text),
        _ => Err("is not a string"),
    }
}

fn path(value: Value<'_>) -> Read<&str> {
    text(value).and_then(|text| if text.starts_with('/') { Ok(text) } else { Err("is not an absolute path") })
}

fn choice(value: Value<'_>, words: [&str; 3], wrong: &'static str) -> Read<usize> {
    let Value::Text(text) = value else { return Err(wrong) };
    words.iter().position(|word| !text.is_empty() && *word == text).ok_or(wrong)
}

fn flag(value: Value<'_>) -> Read<bool> {
    if let Value::Flag(on) = value { Ok(on) } else { Err("is neither true nor false") }
}

fn duration(value: Value<'_>) -> Read<u64> {
    let read = if let Value::Text(text) = value { duration::parse(text) } else { None };
    read.ok_or("is not a duration (like \"1500ms\", \"10s\" or \"2m\")")
}
