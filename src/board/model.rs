//! What a board config says. Strings are those of the file; what it does not say has its default.

use super::root::Root;
use crate::fdholder::rights::Use;
use crate::limits::{BOARD_GLOBS, BOARD_MODULES, BOARD_MOUNTS, BOARD_SOCKETS, FDHOLDER_ALLOWS};
use crate::socket::Address;
use crate::socket::options::{FREEBIND, V6ONLY, Values};
use crate::socket::pending::Wanted;
use crate::sys::listener::Kind;
use crate::sys::time::{Nanos, SECOND};
use crate::text::CPath;
use crate::text::number::parse_u32;
use core::fmt;
use heapless::Vec;

/// A board. Large, and all zero when new: keep it in a static, where it costs nothing until it is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) hostname: Option<&'a str>,
    pub(super) services: Option<&'a str>,
    pub(super) scandir: Option<&'a str>,
    pub(super) init: Option<&'a str>,
    pub(super) signals: Signals,
    pub(super) modules: Vec<&'a str, BOARD_MODULES>,
    pub(super) root: Root<'a>,
    pub(super) fdholder: Option<&'a str>,
    pub(super) rules: Option<&'a str>,
    pub(super) fault: Fault<'a>,
    pub(super) timeout: Option<Nanos>,
    pub(super) kill_timeout: Option<Nanos>,
    pub(super) script: Option<&'a str>,
    pub(super) script_timeout: Option<Nanos>,
    pub(super) mounts: Vec<Mount<'a>, BOARD_MOUNTS>,
    pub(super) sockets: Vec<Socket<'a>, BOARD_SOCKETS>,
    pub(super) allows: Vec<Allow<'a>, FDHOLDER_ALLOWS>,
    /// Those of all entries, in their order.
    pub(super) globs: Vec<Glob<'a>, BOARD_GLOBS>,
}

/// What signals to PID 1 mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Signals {
    /// s6-linux-init's: INT reboot (ctrl-alt-del), USR1 power off, USR2 halt.
    #[default]
    S6,
    /// BusyBox init's: INT ctrl-alt-del, TERM reboot, USR1 halt, USR2 power off.
    Busybox,
}

/// What becomes of a process 1 that fails again and again, `[fault]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault<'a> {
    /// So many faults (0: any number), at most [`FAULTS_KEPT`]…
    pub limit: u32,
    /// …within this time, and process 1 does not go on, but…
    pub within: Nanos,
    /// …does this.
    pub then: Then,
    /// The command for [`Then::Rescue`].
    pub rescue: &'a str,
}

/// What process 1 does once it has failed too often, as the arena's header holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u32)]
pub enum Then {
    /// Sync and reboot.
    #[default]
    Reboot = 0,
    /// Reap, and run the rescue command on the console, again and again.
    Rescue = 1,
    /// Only reap.
    Reap = 2,
}

/// Faults whose time the arena remembers: no limit can be higher.
pub const FAULTS_KEPT: u32 = 8;

impl Fault<'static> {
    /// What holds where nothing is said.
    pub const DEFAULT: Fault<'static> = Fault { limit: 5, within: 60 * SECOND, then: Then::Reboot, rescue: "/bin/sh" };
}

/// A file system to mount, `[[mount]]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mount<'a> {
    /// Where; absolute.
    pub target: &'a str,
    /// What: a device, or anything for a file system that has none. Default: its type.
    pub source: &'a str,
    /// Type of the file system.
    pub kind: &'a str,
    /// Options as mount(8) has them, separated by commas. Default: none.
    pub options: &'a str,
    /// How long its source may take to appear. Default: 0, it is there or it is not.
    pub wait: Nanos,
    /// Line of its header in the file.
    pub line: u32,
}

/// A socket to make before anything runs, `[[socket]]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Socket<'a> {
    /// Its identifier in the fd-holder. Default: its address, as written.
    pub name: &'a str,
    /// Its address, as written. Default: its name.
    pub at: &'a str,
    /// Its address.
    pub address: Address<'a>,
    /// How it delivers. Default: stream; UDP is always datagram.
    pub kind: Kind,
    /// Permissions of a path. Default: 0600.
    pub mode: u16,
    /// Permissions of the directories above a path that are not there. Default: 0755.
    pub directory_mode: u16,
    /// Owner of a path. Default: root.
    pub owner: Owner<'a>,
    /// For listen(2). Default: 4096, which the kernel cuts to net.core.somaxconn; datagram sockets have 0.
    pub backlog: u32,
    /// O_NONBLOCK. Default: yes.
    pub nonblocking: bool,
    /// IP: the network interface that it is for. Default: any, which is empty.
    pub device: &'a str,
    /// Further options. Default: [`SOCKET_VALUES`].
    pub values: Values,
    /// Line of its header in the file.
    pub line: u32,
}

/// Default permissions of a socket that has a path.
pub const SOCKET_MODE: u16 = 0o600;
/// Default permissions of the directories that are made for it.
pub const DIRECTORY_MODE: u16 = 0o755;
/// Options that are on unless the file says otherwise: the address need not be there yet, and IPv6 sockets take no IPv4
/// connections.
pub const SOCKET_VALUES: Values = Values::NONE.with(FREEBIND, 1).with(V6ONLY, 1);

impl<'a> Socket<'a> {
    /// How to bind it, given the ids of its owner ([`resolve`](super::users::resolve)).
    pub fn wanted(&self, (uid, gid): (Option<u32>, Option<u32>)) -> Wanted<'a> {
        Wanted {
            name: self.name,
            address: self.at,
            kind: self.kind,
            nonblocking: self.nonblocking,
            backlog: self.backlog,
            mode: self.mode,
            directory_mode: self.directory_mode,
            uid,
            gid,
            device: self.device,
            values: self.values,
        }
    }
}

/// Whom an [`Allow`] is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whom<'a> {
    /// `user`
    User(Id<'a>),
    /// `group`
    Group(Id<'a>),
    /// `everybody`
    Everybody,
}

/// What somebody may do with the fd-holder, `[[fdholder.allow]]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allow<'a> {
    /// Who.
    pub whom: Whom<'a>,
    /// [`GETDUMP`](crate::fdholder::rights::GETDUMP) and [`SETDUMP`](crate::fdholder::rights::SETDUMP).
    pub rights: u8,
    /// Most descriptors that they may have stored at a time. Default: 0, no limit.
    pub held_max: u32,
    /// The longest that a descriptor of theirs is held. Default: 0, no limit.
    pub lifetime_max: Nanos,
    /// How many patterns it has, and which of the board's is the first.
    pub(super) globs: (usize, usize),
    /// Line of its header in the file.
    pub line: u32,
}

/// A pattern of identifiers, and what may be done with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glob<'a> {
    /// `store`, `retrieve`, `delete` or `list`.
    pub what: Use,
    /// See [`glob`](crate::text::glob).
    pub pattern: &'a str,
}

/// A user or a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Id<'a> {
    /// By number.
    Number(u32),
    /// By name in /etc/passwd or /etc/group.
    Name(&'a str),
}

/// User and group of a file; `None`: as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Owner<'a> {
    /// User.
    pub user: Option<Id<'a>>,
    /// Group.
    pub group: Option<Id<'a>>,
}

impl<'a> Owner<'a> {
    /// Reads `user:group`, `user` or `:group`, each a name or a number.
    pub fn parse(text: &'a str) -> Option<Owner<'a>> {
        let (user, group) = match text.split_once(':') {
            Some(("", group)) => (None, Some(group)),
            Some((user, group)) => (Some(user), Some(group)),
            None => (Some(text), None),
        };
        let user = match user {
            Some(word) => Some(id(word)?),
            None => None,
        };
        let group = match group {
            Some(word) => Some(id(word)?),
            None => None,
        };
        Some(Owner { user, group })
    }
}

/// A name or a number; all ones is nobody's.
pub(super) fn id(word: &str) -> Option<Id<'_>> {
    if word.is_empty() || word.bytes().any(|byte| byte == b':' || byte <= b' ' || byte == 0x7f) {
        return None;
    }
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Id::Name(word));
    }
    parse_u32(word.as_bytes()).filter(|number| *number != u32::MAX).map(Id::Number)
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => write!(f, "{number}"),
            Id::Name(name) => f.write_str(name),
        }
    }
}

impl<'a> Board<'a> {
    /// A board of which nothing is said: all defaults.
    pub const fn new() -> Board<'a> {
        Board {
            name: None,
            hostname: None,
            services: None,
            scandir: None,
            init: None,
            signals: Signals::S6,
            modules: Vec::new(),
            root: Root::DEFAULT,
            fdholder: None,
            rules: None,
            fault: Fault::DEFAULT,
            timeout: None,
            kill_timeout: None,
            script: None,
            script_timeout: None,
            mounts: Vec::new(),
            sockets: Vec::new(),
            allows: Vec::new(),
            globs: Vec::new(),
        }
    }

    /// Back to all defaults.
    pub fn clear(&mut self) {
        self.name = None;
        self.hostname = None;
        self.services = None;
        self.scandir = None;
        self.init = None;
        self.signals = Signals::S6;
        self.modules.clear();
        self.root = Root::DEFAULT;
        self.fdholder = None;
        self.rules = None;
        self.fault = Fault::DEFAULT;
        self.timeout = None;
        self.kill_timeout = None;
        self.script = None;
        self.script_timeout = None;
        self.mounts.clear();
        self.sockets.clear();
        self.allows.clear();
        self.globs.clear();
    }

    /// `[board] name`: what the machine type is called. Default: none.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// `[board] hostname`. Default: none; that of /etc/hostname is taken, else the kernel's stays.
    pub fn hostname(&self) -> Option<&'a str> {
        self.hostname
    }

    /// `[boot] services`: the run image, copied to the scan directory at boot.
    pub fn services(&self) -> &'a str {
        self.services.unwrap_or("/etc/linchpin/service")
    }

    /// `[boot] scandir`.
    pub fn scandir(&self) -> &'a str {
        self.scandir.unwrap_or("/run/service")
    }

    /// `[boot] init`: a script to run once, beside the services. Default: none.
    pub fn init(&self) -> Option<&'a str> {
        self.init
    }

    /// `[boot] signals`.
    pub fn signals(&self) -> Signals {
        self.signals
    }

    /// `[boot] modules`: modules of the kernel, each with its parameters, in the order in which they are loaded
    /// ([`module`](super::root::module)).
    pub fn modules(&self) -> &[&'a str] {
        &self.modules
    }

    /// `[root]`.
    pub fn root(&self) -> Root<'a> {
        self.root
    }

    /// `[[mount]]`, in the order of the file.
    pub fn mounts(&self) -> &[Mount<'a>] {
        &self.mounts
    }

    /// `[[socket]]`, in the order of the file; no name twice.
    pub fn sockets(&self) -> &[Socket<'a>] {
        &self.sockets
    }

    /// `[fdholder] path`: the fd-holder's own socket. Default: `fdholder/s` in the scan directory.
    pub fn fdholder(&self) -> CPath {
        match self.fdholder {
            Some(path) => CPath::of(&[path.as_bytes()]),
            None => CPath::of(&[self.scandir().as_bytes(), b"/fdholder/s"]),
        }
    }

    /// `[fdholder] rules`: the directory of access rules for those that no entry is for. Default: none.
    pub fn rules(&self) -> Option<&'a str> {
        self.rules
    }

    /// `[[fdholder.allow]]`, in the order of the file.
    pub fn allows(&self) -> &[Allow<'a>] {
        &self.allows
    }

    /// The patterns of an entry, in the order of the file.
    pub fn globs(&self, allow: &Allow<'_>) -> &[Glob<'a>] {
        let (count, first) = allow.globs;
        self.globs.get(first..).and_then(|from| from.get(..count)).unwrap_or_default()
    }

    /// `[fault]`.
    pub fn fault(&self) -> Fault<'a> {
        self.fault
    }

    /// `[shutdown] timeout`: how long services get before SIGKILL. Default: 10 s.
    pub fn timeout(&self) -> Nanos {
        self.timeout.unwrap_or(10 * SECOND)
    }

    /// `[shutdown] kill-timeout`: how long all that is left gets between SIGTERM and SIGKILL. Default: 3 s.
    pub fn kill_timeout(&self) -> Nanos {
        self.kill_timeout.unwrap_or(3 * SECOND)
    }

    /// `[shutdown] script`: what is run before anything is stopped. Default: none.
    pub fn script(&self) -> Option<&'a str> {
        self.script
    }

    /// `[shutdown] script-timeout`: how long that may take. Default: 30 s.
    pub fn script_timeout(&self) -> Nanos {
        self.script_timeout.unwrap_or(30 * SECOND)
    }
}

impl Default for Board<'_> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_names_or_numbers_either_may_be_missing() {
        let both = Owner { user: Some(Id::Name("hello")), group: Some(Id::Number(7)) };
        assert_eq!(Owner::parse("hello:7"), Some(both));
        assert_eq!(Owner::parse("0"), Some(Owner { user: Some(Id::Number(0)), group: None }));
        assert_eq!(Owner::parse(":www-data"), Some(Owner { user: None, group: Some(Id::Name("www-data")) }));
        for bad in ["", ":", "a:", "a:b:c", "a b", "4294967295", "99999999999:1", "a\n"] {
            assert_eq!(Owner::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_new_board_is_all_defaults() {
        let board = Board::new();
        assert_eq!(board.scandir(), "/run/service");
        assert_eq!(board.fdholder().get(), Some(c"/run/service/fdholder/s"));
        assert_eq!((board.timeout(), board.kill_timeout()), (10 * SECOND, 3 * SECOND));
        assert_eq!((board.script(), board.script_timeout()), (None, 30 * SECOND));
        let fault = Fault { limit: 5, within: 60 * SECOND, then: Then::Reboot, rescue: "/bin/sh" };
        assert_eq!(board.fault(), fault);
    }
}
