//! What an entry of a board config is before it says anything, and what fits together in it: for the reader. Pure.

use super::keys::Key;
use super::model::{Allow, DIRECTORY_MODE, Mount, Owner, SOCKET_MODE, SOCKET_VALUES, Socket, Whom};
use crate::socket::Address;
use crate::socket::bind::BACKLOG;
use crate::socket::options::{REUSEPORT, kind_of, kinds};
use crate::sys::listener::Kind;

/// Something in the file: where, and how it is written.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Bytes from the beginning.
    pub at: usize,
    /// See above.
    pub read: &'a str,
}

/// A mount that says nothing.
pub const MOUNT: Mount<'static> = Mount { target: "", source: "", kind: "", options: "", wait: 0, line: 0 };

/// A socket that says nothing.
pub const SOCKET: Socket<'static> = Socket {
    name: "",
    at: "",
    address: Address::Abstract(b""),
    kind: Kind::Stream,
    mode: SOCKET_MODE,
    directory_mode: DIRECTORY_MODE,
    owner: Owner { user: None, group: None },
    backlog: BACKLOG,
    nonblocking: true,
    device: "",
    values: SOCKET_VALUES,
    line: 0,
};

/// An entry of the fd-holder that says nothing.
pub const ALLOW: Allow<'static> =
    Allow { whom: Whom::Everybody, rights: 0, held_max: 0, lifetime_max: 0, globs: (0, 0), line: 0 };

/// The address of a socket; or what is wrong with it.
pub fn address<'a>(socket: &Socket<'a>) -> Result<Address<'a>, &'static str> {
    Address::parse(socket.at.as_bytes()).map_err(|wrong| wrong.text())
}

/// The only way in which sockets with this address deliver, if there is only one; what is wrong with another one, and what
/// happens then.
pub fn only_kind(address: &Address<'_>) -> Option<(Kind, &'static str, &'static str)> {
    match address {
        Address::Tcp(_) => Some((Kind::Stream, "is not TCP's", "the socket is a stream socket")),
        Address::Udp(_) => Some((Kind::Datagram, "is not UDP's", "the socket is a datagram socket")),
        Address::Netlink { .. } => Some((Kind::Datagram, "is not netlink's", "the socket is a raw one")),
        Address::Path(_) | Address::Abstract(_) => None,
    }
}

/// Why a key of a socket has no effect, if it has none.
pub fn meaningless(socket: &Socket<'_>, key: Key) -> Option<&'static str> {
    let has_path = matches!(socket.address, Address::Path(_));
    match key {
        Key::Mode | Key::DirectoryMode | Key::Owner if !has_path => Some("means nothing to a socket without a path"),
        Key::Device if kind_of(&socket.address) & kinds::IP == 0 => Some(nothing_to(&socket.address)),
        Key::Backlog if socket.kind == Kind::Datagram => Some("means nothing to a datagram socket"),
        _ => None,
    }
}

/// That an option means nothing to a socket with this address.
pub fn nothing_to(address: &Address<'_>) -> &'static str {
    match kind_of(address) {
        kinds::UNIX => "means nothing to a unix socket",
        kinds::TCP4 => "means nothing to TCP over IPv4",
        kinds::TCP6 => "means nothing to TCP over IPv6",
        kinds::UDP4 => "means nothing to UDP over IPv4",
        kinds::UDP6 => "means nothing to UDP over IPv6",
        _ => "means nothing to netlink",
    }
}

/// Why there cannot be both sockets: they have one name, or one address that they do not share.
pub fn clash(socket: &Socket<'_>, other: &Socket<'_>) -> Option<&'static str> {
    let shares = |socket: &Socket<'_>| socket.values.get(REUSEPORT) == Some(1);
    let together = match socket.address {
        Address::Netlink { .. } => true,
        Address::Tcp(_) | Address::Udp(_) => shares(socket) && shares(other) || socket.device != other.device,
        Address::Path(_) | Address::Abstract(_) => false,
    };
    if socket.name == other.name && socket.at == other.at || socket.address == other.address && !together {
        Some("has the address of one above")
    } else {
        (socket.name == other.name).then_some("has the name of one above")
    }
}
