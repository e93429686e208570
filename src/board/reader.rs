//! From the file's lines to the board's values: which keys there are, what each may hold, and what a mistake costs.
//! Pure. A mistake in a value costs that value, a socket or mount that lacks what it must have costs that entry; the
//! rest counts.

use super::diagnostic::{Diagnostic, Mistake, position};
use super::model::{Board, Mount, Owner, SOCKET_MODE, Signals, Socket};
use super::syntax::{Item, Parser, Value};
use crate::limits::BOARD_MISTAKES;
use crate::socket::Address;
use crate::socket::bind::BACKLOG;
use crate::sys::listener::{Kind, UNIX_NAME};
use crate::text::duration;
use crate::text::number::parse_octal;

/// The tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Root,
    Board,
    Boot,
    Mount,
    Socket,
    Fdholder,
    Shutdown,
    /// Not known, or not readable: its keys are passed over.
    Lost,
}

/// Name of a table and whether it is written in double brackets, once for each entry.
const TABLES: [(&str, Table, bool); 6] = [
    ("board", Table::Board, false),
    ("boot", Table::Boot, false),
    ("mount", Table::Mount, true),
    ("socket", Table::Socket, true),
    ("fdholder", Table::Fdholder, false),
    ("shutdown", Table::Shutdown, false),
];

/// The keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    Hostname,
    Services,
    Scandir,
    Init,
    Signals,
    Target,
    Source,
    Type,
    Options,
    Address,
    Mode,
    Owner,
    Backlog,
    Delivery,
    Freebind,
    V6Only,
    ReusePort,
    HolderPath,
    Timeout,
    KillTimeout,
}

const KEYS: [(Table, &str, Key); 21] = [
    (Table::Board, "name", Key::Name),
    (Table::Board, "hostname", Key::Hostname),
    (Table::Boot, "services", Key::Services),
    (Table::Boot, "scandir", Key::Scandir),
    (Table::Boot, "init", Key::Init),
    (Table::Boot, "signals", Key::Signals),
    (Table::Mount, "target", Key::Target),
    (Table::Mount, "source", Key::Source),
    (Table::Mount, "type", Key::Type),
    (Table::Mount, "options", Key::Options),
    (Table::Socket, "name", Key::Address),
    (Table::Socket, "mode", Key::Mode),
    (Table::Socket, "owner", Key::Owner),
    (Table::Socket, "backlog", Key::Backlog),
    (Table::Socket, "type", Key::Delivery),
    (Table::Socket, "freebind", Key::Freebind),
    (Table::Socket, "v6only", Key::V6Only),
    (Table::Socket, "reuseport", Key::ReusePort),
    (Table::Fdholder, "path", Key::HolderPath),
    (Table::Shutdown, "timeout", Key::Timeout),
    (Table::Shutdown, "kill-timeout", Key::KillTimeout),
];

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
    kind: Option<(Kind, Place<'a>)>,
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

    fn header(&mut self, at: usize, array: bool, path: &str, read: &'a str) {
        self.end_entry();
        let place = Place { at, read };
        let Some((_, table, entries)) = TABLES.iter().find(|(name, ..)| *name == path) else {
            self.table = Table::Lost;
            return self.wrong("the table", place, "is not known", "its keys are ignored");
        };
        if array != *entries {
            let wrong = if array { "is written in single brackets" } else { "is written in double brackets" };
            self.wrong("the table", place, wrong, "it is read as if it were");
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
        let mut mount = self.mount;
        if mount.target.is_empty() {
            return self.drop_entry("the mount", "has no target");
        }
        if mount.kind.is_empty() {
            return self.drop_entry("the mount", "has no type");
        }
        if mount.source.is_empty() {
            mount.source = mount.kind;
        }
        if self.board.mounts.push(mount).is_err() {
            self.drop_entry("the mount", "is one too many (32 at most)");
        }
    }

    fn end_socket(&mut self) {
        let Some(address) = self.address else {
            return self.drop_entry("the socket", "has no name");
        };
        let mut socket = Socket { address, ..self.socket };
        let datagram = matches!(address, Address::Udp(_));
        socket.kind = if datagram { Kind::Datagram } else { Kind::Stream };
        if let Some((kind, place)) = self.kind {
            match (address, kind) {
                (Address::Tcp(_), Kind::Datagram | Kind::SeqPacket) => {
                    self.wrong("type", place, "is not TCP's", "the socket is a stream socket");
                }
                (Address::Udp(_), Kind::Stream | Kind::SeqPacket) => {
                    self.wrong("type", place, "is not UDP's", "the socket is a datagram socket");
                }
                _ => socket.kind = kind,
            }
        }
        if socket.kind == Kind::Datagram {
            socket.backlog = 0;
            if let Some(place) = self.backlog {
                self.wrong("backlog", place, "means nothing to a datagram socket", IGNORED);
            }
        }
        if self.board.sockets.iter().any(|other| other.address == address) {
            return self.drop_entry("the socket", "has the address of one above");
        }
        if self.board.sockets.push(socket).is_err() {
            self.drop_entry("the socket", "is one too many (128 at most)");
        }
    }

    fn pair(&mut self, key: Place<'a>, path: &str, value: Value<'a>, place: Place<'a>) {
        let (table, name) = match (self.table, path.split_once('.')) {
            (Table::Lost, _) => return,
            (Table::Root, Some((table, name))) => {
                let known = TABLES.iter().find(|(known, _, entries)| *known == table && !entries);
                (known.map_or(Table::Root, |(_, table, _)| *table), name)
            }
            (table, _) => (table, path),
        };
        let row = KEYS.iter().enumerate().find(|(_, (of, known, _))| *of == table && *known == name);
        let Some((bit, (_, _, found))) = row else {
            let wrong = match table {
                Table::Root => "is in no table",
                Table::Board => "is not a key of [board]",
                Table::Boot => "is not a key of [boot]",
                Table::Mount => "is not a key of [[mount]]",
                Table::Socket => "is not a key of [[socket]]",
                Table::Fdholder => "is not a key of [fdholder]",
                Table::Shutdown | Table::Lost => "is not a key of [shutdown]",
            };
            return self.wrong("the key", key, wrong, IGNORED);
        };
        if self.seen & 1 << bit != 0 {
            return self.wrong("the key", key, "is there twice", "the first one counts");
        }
        self.seen |= 1 << bit;
        self.set(*found, value, place);
    }

    fn set(&mut self, key: Key, value: Value<'a>, at: Place<'a>) {
        match key {
            Key::Name => self.board.name = self.text("name", value, at),
            Key::Hostname => {
                self.board.hostname = self.text("hostname", value, at);
                if self.board.hostname.is_some_and(|name| name.is_empty() || name.len() > HOST_NAME) {
                    self.wrong("hostname", at, "is not 1 to 64 bytes long", IGNORED);
                    self.board.hostname = None;
                }
            }
            Key::Services => self.board.services = self.path("services", value, at, DEFAULT_KEPT),
            Key::Scandir => self.board.scandir = self.path("scandir", value, at, DEFAULT_KEPT),
            Key::Init => self.board.init = self.path("init", value, at, "no script is run"),
            Key::Signals => match value {
                Value::Text("s6") => self.board.signals = Signals::S6,
                Value::Text("busybox") => self.board.signals = Signals::Busybox,
                _ => self.wrong("signals", at, "is neither \"s6\" nor \"busybox\"", "they are s6's"),
            },
            Key::Target => match self.path("target", value, at, "the mount is left out") {
                Some(target) => self.mount.target = target,
                None => self.spoilt = true,
            },
            Key::Source => self.mount.source = self.text("source", value, at).unwrap_or_default(),
            Key::Type => self.mount.kind = self.text("type", value, at).unwrap_or_default(),
            Key::Options => self.mount.options = self.text("options", value, at).unwrap_or_default(),
            Key::Address => self.set_address(value, at),
            Key::Mode => match value {
                Value::Text(text) => match parse_octal(text.as_bytes()).and_then(|mode| u16::try_from(mode).ok()) {
                    Some(mode) if mode <= 0o777 => self.socket.mode = mode,
                    Some(_) => self.wrong("mode", at, "is more than 0777", "the socket keeps 0600"),
                    None => self.wrong("mode", at, "is not an octal number", "the socket keeps 0600"),
                },
                _ => self.wrong("mode", at, "is not a string (like \"0660\")", "the socket keeps 0600"),
            },
            Key::Owner => match value {
                Value::Text(text) if Owner::parse(text).is_some() => {
                    self.socket.owner = Owner::parse(text).unwrap_or_default();
                }
                _ => self.wrong("owner", at, "is not \"user:group\", \"user\" or \":group\"", "the socket is root's"),
            },
            Key::Backlog => match value {
                Value::Number(n) => {
                    self.socket.backlog = n;
                    self.backlog = Some(at);
                }
                _ => self.wrong("backlog", at, "is not a number", DEFAULT_KEPT),
            },
            Key::Delivery => match value {
                Value::Text("stream") => self.kind = Some((Kind::Stream, at)),
                Value::Text("dgram") => self.kind = Some((Kind::Datagram, at)),
                Value::Text("seqpacket") => self.kind = Some((Kind::SeqPacket, at)),
                _ => self.wrong("type", at, "is not \"stream\", \"dgram\" or \"seqpacket\"", DEFAULT_KEPT),
            },
            Key::Freebind => self.socket.freebind = self.flag("freebind", value, at, true),
            Key::V6Only => self.socket.v6only = self.flag("v6only", value, at, true),
            Key::ReusePort => self.socket.reuseport = self.flag("reuseport", value, at, false),
            Key::HolderPath => {
                self.board.fdholder = self.path("path", value, at, DEFAULT_KEPT);
                if self.board.fdholder.is_some_and(|path| path.len() > UNIX_NAME) {
                    self.wrong("path", at, "is longer than a unix socket's 107 bytes", DEFAULT_KEPT);
                    self.board.fdholder = None;
                }
            }
            Key::Timeout => self.board.timeout = self.duration("timeout", value, at),
            Key::KillTimeout => self.board.kill_timeout = self.duration("kill-timeout", value, at),
        }
    }

    fn set_address(&mut self, value: Value<'a>, at: Place<'a>) {
        let wrong = match value {
            Value::Text(text) => match Address::parse(text.as_bytes()) {
                Ok(address) => {
                    self.socket.name = text;
                    self.address = Some(address);
                    return;
                }
                Err(wrong) => wrong.text(),
            },
            _ => "is not a string",
        };
        self.spoilt = true;
        self.wrong("name", at, wrong, "the socket is left out");
    }

    fn text(&mut self, subject: &'static str, value: Value<'a>, at: Place<'a>) -> Option<&'a str> {
        match value {
            Value::Text(text) if !text.contains('\0') => return Some(text),
            Value::Text(_) => self.wrong(subject, at, "holds a NUL", IGNORED),
            _ => self.wrong(subject, at, "is not a string", IGNORED),
        }
        None
    }

    fn path(&mut self, subject: &'static str, value: Value<'a>, at: Place<'a>, now: &'static str) -> Option<&'a str> {
        match value {
            Value::Text(text) if text.starts_with('/') && !text.contains('\0') => return Some(text),
            Value::Text(_) => self.wrong(subject, at, "is not an absolute path", now),
            _ => self.wrong(subject, at, "is not a string", now),
        }
        None
    }

    fn flag(&mut self, subject: &'static str, value: Value<'a>, at: Place<'a>, default: bool) -> bool {
        match value {
            Value::Flag(on) => on,
            _ => {
                self.wrong(subject, at, "is neither true nor false", DEFAULT_KEPT);
                default
            }
        }
    }

    fn duration(&mut self, subject: &'static str, value: Value<'a>, at: Place<'a>) -> Option<u64> {
        let read = match value {
            Value::Text(text) => duration::parse(text),
            _ => None,
        };
        if read.is_none() {
            self.wrong(subject, at, "is not a duration (like \"1500ms\", \"10s\" or \"2m\")", DEFAULT_KEPT);
        }
        read
    }
}
