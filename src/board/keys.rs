//! The tables and keys that a board config may have. What they mean: [`model`](super::model). A socket has the keys of
//! [`KNOWN`] too.

use super::syntax::Path;
use crate::fdholder::rights::{GETDUMP, SETDUMP, Use};
use crate::socket::options::KNOWN;

/// The tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// None: the beginning of the file.
    Root,
    /// `[board]`
    Board,
    /// `[boot]`
    Boot,
    /// `[root]`
    RootFs,
    /// `[[mount]]`
    Mount,
    /// `[[socket]]`
    Socket,
    /// `[fdholder]`
    Fdholder,
    /// `[[fdholder.allow]]`
    Allow,
    /// `[fault]`
    Fault,
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
            Table::RootFs => "is not a key of [root]",
            Table::Mount => "is not a key of [[mount]]",
            Table::Socket => "is not a key of [[socket]]",
            Table::Fdholder => "is not a key of [fdholder]",
            Table::Allow => "is not a key of [[fdholder.allow]]",
            Table::Fault => "is not a key of [fault]",
            Table::Shutdown | Table::Lost => "is not a key of [shutdown]",
        }
    }
}

/// Name of a table and whether it is written in double brackets, once for each entry.
pub const TABLES: [(&str, Table, bool); 9] = [
    ("board", Table::Board, false),
    ("boot", Table::Boot, false),
    ("root", Table::RootFs, false),
    ("mount", Table::Mount, true),
    ("socket", Table::Socket, true),
    ("fdholder", Table::Fdholder, false),
    ("fdholder.allow", Table::Allow, true),
    ("fault", Table::Fault, false),
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
    /// `boot.modules`
    Modules,
    /// `root.device`
    RootDevice,
    /// `root.type`
    RootType,
    /// `root.options`
    RootOptions,
    /// `root.timeout`
    RootTimeout,
    /// `root.overlay`
    Overlay,
    /// `root.overlay-type`
    OverlayType,
    /// `root.overlay-options`
    OverlayOptions,
    /// `mount.target`
    Target,
    /// `mount.source`
    Source,
    /// `mount.type`
    Type,
    /// `mount.options`
    Options,
    /// `mount.wait`
    Wait,
    /// `socket.name`
    Identifier,
    /// `socket.address`
    Address,
    /// `socket.directory-mode`
    DirectoryMode,
    /// `socket.device`
    Device,
    /// `socket.nonblocking`
    Nonblocking,
    /// `socket.mode`
    Mode,
    /// `socket.owner`
    Owner,
    /// `socket.backlog`
    Backlog,
    /// `socket.type`
    Delivery,
    /// `fdholder.path`
    HolderPath,
    /// `fdholder.rules`
    Rules,
    /// `fdholder.allow.user`
    User,
    /// `fdholder.allow.group`
    Group,
    /// `fdholder.allow.everybody`
    Everybody,
    /// `fdholder.allow.store`, `.retrieve`, `.delete`, `.list`
    Allowed(Use),
    /// `fdholder.allow.getdump`, `.setdump`: a bit of an entry's `rights`
    Dumps(u8),
    /// `fdholder.allow.max-held`
    MaxHeld,
    /// `fdholder.allow.max-lifetime`
    MaxLifetime,
    /// `fault.limit`
    FaultLimit,
    /// `fault.within`
    FaultWithin,
    /// `fault.then`
    FaultThen,
    /// `fault.rescue`
    Rescue,
    /// `shutdown.timeout`
    Timeout,
    /// `shutdown.kill-timeout`
    KillTimeout,
    /// `shutdown.script`
    Script,
    /// `shutdown.script-timeout`
    ScriptTimeout,
}

/// Table and name of every key.
pub const KEYS: [(Table, &str, Key); 49] = [
    (Table::Board, "name", Key::Name),
    (Table::Board, "hostname", Key::Hostname),
    (Table::Boot, "services", Key::Services),
    (Table::Boot, "scandir", Key::Scandir),
    (Table::Boot, "init", Key::Init),
    (Table::Boot, "signals", Key::Signals),
    (Table::Boot, "modules", Key::Modules),
    (Table::RootFs, "device", Key::RootDevice),
    (Table::RootFs, "type", Key::RootType),
    (Table::RootFs, "options", Key::RootOptions),
    (Table::RootFs, "timeout", Key::RootTimeout),
    (Table::RootFs, "overlay", Key::Overlay),
    (Table::RootFs, "overlay-type", Key::OverlayType),
    (Table::RootFs, "overlay-options", Key::OverlayOptions),
    (Table::Mount, "target", Key::Target),
    (Table::Mount, "source", Key::Source),
    (Table::Mount, "type", Key::Type),
    (Table::Mount, "options", Key::Options),
    (Table::Mount, "wait", Key::Wait),
    (Table::Socket, "name", Key::Identifier),
    (Table::Socket, "address", Key::Address),
    (Table::Socket, "mode", Key::Mode),
    (Table::Socket, "directory-mode", Key::DirectoryMode),
    (Table::Socket, "device", Key::Device),
    (Table::Socket, "nonblocking", Key::Nonblocking),
    (Table::Socket, "owner", Key::Owner),
    (Table::Socket, "backlog", Key::Backlog),
    (Table::Socket, "type", Key::Delivery),
    (Table::Fdholder, "path", Key::HolderPath),
    (Table::Fdholder, "rules", Key::Rules),
    (Table::Allow, "user", Key::User),
    (Table::Allow, "group", Key::Group),
    (Table::Allow, "everybody", Key::Everybody),
    (Table::Allow, "store", Key::Allowed(Use::Store)),
    (Table::Allow, "retrieve", Key::Allowed(Use::Retrieve)),
    (Table::Allow, "delete", Key::Allowed(Use::Delete)),
    (Table::Allow, "list", Key::Allowed(Use::List)),
    (Table::Allow, "getdump", Key::Dumps(GETDUMP)),
    (Table::Allow, "setdump", Key::Dumps(SETDUMP)),
    (Table::Allow, "max-held", Key::MaxHeld),
    (Table::Allow, "max-lifetime", Key::MaxLifetime),
    (Table::Fault, "limit", Key::FaultLimit),
    (Table::Fault, "within", Key::FaultWithin),
    (Table::Fault, "then", Key::FaultThen),
    (Table::Fault, "rescue", Key::Rescue),
    (Table::Shutdown, "timeout", Key::Timeout),
    (Table::Shutdown, "kill-timeout", Key::KillTimeout),
    (Table::Shutdown, "script", Key::Script),
    (Table::Shutdown, "script-timeout", Key::ScriptTimeout),
];

/// A bit for each of [`KEYS`], then for each of [`KNOWN`].
pub type Seen = u128;
const _: () = assert!(KEYS.len() + KNOWN.len() <= Seen::BITS as usize);

/// The row of [`TABLES`] with this name.
pub fn table(path: &Path<'_>) -> Option<&'static (&'static str, Table, bool)> {
    TABLES.iter().find(|row| match row.0.split_once('.') {
        Some(both) => path.two() == Some(both),
        None => path.one() == Some(row.0),
    })
}
