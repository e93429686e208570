//! What a super-server says, in the words of s6 and s6-networking.

use super::Kind;
use super::child::Text;
use super::table::{Client, Ended};
use crate::applets::cli::Cli;
use crate::sys::process::Death;
use crate::text::ip;
use core::fmt::{self, Display, Formatter};
use core::net::SocketAddr;

/// Who wants to be served.
#[derive(Clone, Copy)]
pub enum Who {
    /// Somebody: `-P`.
    Anybody,
    /// A user and a group of this machine.
    User(u32, u32),
    /// An address and a port.
    Address(SocketAddr),
}

impl Who {
    /// What counts as one client: the user, the address.
    pub fn client(self) -> Client {
        match self {
            Who::Anybody => 0,
            Who::User(user, _) => user.into(),
            Who::Address(SocketAddr::V4(address)) => address.ip().to_ipv6_mapped().into(),
            Who::Address(SocketAddr::V6(address)) => (*address.ip()).into(),
        }
    }
}

impl Display for Who {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Who::Anybody => f.write_str("?:?"),
            Who::User(user, group) => write!(f, "{user}:{group}"),
            Who::Address(address) => write!(f, "{}_{}", ip::Shown(address.ip()), address.port()),
        }
    }
}

/// How many connections somebody has, of how many; `?` if nobody counts.
struct Count(Option<u32>, u32);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => write!(f, "{count}/{}", self.1),
            None => write!(f, "?/{}", self.1),
        }
    }
}

/// How a child ended.
struct How(Death);

impl Display for How {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.wstat & 0x7f {
            0 => write!(f, "exitcode {}", self.0.wstat >> 8 & 0xff),
            signal => write!(f, "signal {signal}"),
        }
    }
}

/// Who speaks, how much, and about which limits.
pub struct Report<'a> {
    pub cli: &'a Cli,
    pub verbosity: u32,
    pub kind: Kind,
    /// Whether clients are told apart.
    pub lookup: bool,
    pub most: u32,
    pub most_each: u32,
}

impl Report<'_> {
    /// `warning: TEXT`, unless it is to say nothing but errors.
    pub fn warn(&self, text: impl Display) {
        if self.verbosity >= 1 {
            self.cli.warn(text);
        }
    }

    fn detail(&self, text: fmt::Arguments<'_>) {
        if self.verbosity >= 2 {
            self.cli.info(text);
        }
    }

    /// It begins, as the socket of that address.
    pub fn starting(&self, local: Option<SocketAddr>) {
        match local {
            None => self.detail(format_args!("starting")),
            Some(local) => {
                self.detail(format_args!("starting - bound to ip {} port {}", ip::Shown(local.ip()), local.port()))
            }
        }
        self.status(0);
    }

    /// It ends.
    pub fn exiting(&self) {
        self.detail(format_args!("exiting"));
    }

    /// So many are connected.
    pub fn status(&self, count: usize) {
        self.detail(format_args!("status: {count}/{}", self.most));
    }

    fn count(&self, count: u32) -> Count {
        Count(self.lookup.then_some(count), self.most_each)
    }

    /// Somebody is being served.
    pub fn accepted(&self, who: Who, pid: i32, count: u32) {
        let verb = if self.kind == Kind::Ipc { "allow" } else { "accept" };
        self.detail(format_args!("{verb} {who} pid {pid} count {}", self.count(count)));
    }

    /// Somebody has too many connections, and is not served.
    pub fn refused(&self, who: Who, count: u32) {
        let count = self.count(count);
        match self.kind {
            Kind::Ipc => self.cli.info(format_args!("deny {who} count {count}: too many connections of this user")),
            Kind::Tcp if self.verbosity >= 1 => self.cli.info(format_args!("reject {who} count {count}")),
            Kind::Tcp => {}
        }
    }

    /// A child has ended.
    pub fn ended(&self, death: Death, ended: Ended) {
        let (pid, how) = (death.pid, How(death));
        match (self.kind, self.lookup) {
            (Kind::Ipc, true) => self.detail(format_args!("end pid {pid} uid {} {how}", ended.client)),
            (Kind::Ipc, false) => self.detail(format_args!("end pid {pid} uid ? {how}")),
            (Kind::Tcp, _) => self.detail(format_args!("end pid {pid} {how} count {}", self.count(ended.left))),
        }
    }

    /// A signal has come that ends it, and leaves children alone.
    pub fn quitting(&self, name: &str) {
        self.detail(format_args!("received SIG{name}, quitting"));
    }

    /// A signal has come that is passed on.
    pub fn sending(&self, name: &str, quitting: &str) {
        let and = if self.kind == Kind::Ipc { "+" } else { " and " };
        self.detail(format_args!("received SIG{name}, sending SIGTERM{and}SIGCONT to all connections{quitting}"));
    }

    /// A signal has come that ends it and all children.
    pub fn killing(&self, name: &str) {
        self.detail(format_args!("received SIG{name}, sending SIGKILL to all connections and quitting"));
    }
}

/// An address as the environment has it.
pub fn text(address: SocketAddr) -> Text {
    Text::of(ip::Shown(address.ip()))
}
