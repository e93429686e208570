//! The tables and keys that a board config may have. What they mean: [`model`](super::model).

/// The tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// None: the beginning of the file.
    Root,
    /// `[board]`
    Board,
    /// `[boot]`
    Boot,
    /// `[[mount]]`
    Mount,
    /// `[[socket]]`
    Socket,
    /// `[fdholder]`
    Fdholder,
    /// `[shutdown]`
    Shutdown,
    /// Not known, or not readable: its keys are passed over.
    Lost,
}

impl Table {
    /// What is wrong with a key that is not one of this table's.
    pub fn not_its_key(self) -> &'static str {
        match self {
            Table::Root => "is in no table",
            Table::Board => "is not a key of [board]",
            Table::Boot => "is not a key of [boot]",
            Table::Mount => "is not a key of [[mount]]",
            Table::Socket => "is not a key of [[socket]]",
            Table::Fdholder => "is not a key of [fdholder]",
            Table::Shutdown | Table::Lost => "is not a key of [shutdown]",
        }
    }
}

/// Name of a table and whether it is written in double brackets, once for each entry.
pub const TABLES: [(&str, Table, bool); 6] = [
    ("board", Table::Board, false),
    ("boot", Table::Boot, false),
    ("mount", Table::Mount, true),
    ("socket", Table::Socket, true),
    ("fdholder", Table::Fdholder, false),
    ("shutdown", Table::Shutdown, false),
];

/// The keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `board.name`
    Name,
    /// `board.hostname`
    Hostname,
    /// `boot.services`
    Services,
    /// `boot.scandir`
    Scandir,
    /// `boot.init`
    Init,
    /// `boot.signals`
    Signals,
    /// `mount.target`
    Target,
    /// `mount.source`
    Source,
    /// `mount.type`
    Type,
    /// `mount.options`
    Options,
    /// `socket.name`
    Address,
    /// `socket.mode`
    Mode,
    /// `socket.owner`
    Owner,
    /// `socket.backlog`
    Backlog,
    /// `socket.type`
    Delivery,
    /// `socket.freebind`
    Freebind,
    /// `socket.v6only`
    V6Only,
    /// `socket.reuseport`
    ReusePort,
    /// `fdholder.path`
    HolderPath,
    /// `shutdown.timeout`
    Timeout,
    /// `shutdown.kill-timeout`
    KillTimeout,
}

/// Table and name of every key.
pub const KEYS: [(Table, &str, Key); 21] = [
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

/// The row of [`TABLES`] with this name.
pub fn table(name: &str) -> Option<&'static (&'static str, Table, bool)> {
    TABLES.iter().find(|row| row.0 == name)
}
