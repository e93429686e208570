//! Options of sockets, socket(7), ip(7), ipv6(7), tcp(7), that a board config can set: one table of what they are called
//! there, what they hold, which sockets have them, and what setsockopt(2) is given.

use super::Address;
use crate::limits::SOCKET_OPTIONS;
use crate::sys::{Errno, Fd, Result, listener};
use linux_raw_sys::net as nr;

/// What an option holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// Yes or no: 1 or 0.
    Flag,
    /// A number up to this.
    Number(u32),
    /// A time, in seconds.
    Seconds,
}

/// An option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Its key in a board config.
    pub key: &'static str,
    /// What it holds.
    pub takes: Takes,
    /// Which sockets have it: bits of [`kinds`].
    on: u8,
    /// Without it there is no socket; else it is only said that it is not set.
    needed: bool,
    /// Level and option; for IPv6, if it is another one there.
    plain: (u32, u32),
    v6: Option<(u32, u32)>,
    /// An option of SOL_SOCKET that does more and is tried first.
    stronger: Option<u32>,
    /// The value is shifted left by this.
    shift: u8,
}

/// Which sockets have an option.
pub mod kinds {
    /// Unix sockets.
    pub const UNIX: u8 = 1;
    /// TCP over IPv4.
    pub const TCP4: u8 = 2;
    /// TCP over IPv6.
    pub const TCP6: u8 = 4;
    /// UDP over IPv4.
    pub const UDP4: u8 = 8;
    /// UDP over IPv6.
    pub const UDP6: u8 = 16;
    /// Netlink sockets.
    pub const NETLINK: u8 = 32;
    /// See above.
    pub const TCP: u8 = TCP4 | TCP6;
    /// See above.
    pub const UDP: u8 = UDP4 | UDP6;
    /// See above.
    pub const IP: u8 = TCP | UDP;
    /// All.
    pub const ALL: u8 = UNIX | IP | NETLINK;
}
use kinds::{ALL, IP, NETLINK, TCP, TCP6, UDP, UDP4, UDP6, UNIX};

/// The kind of an address, one of [`kinds`].
pub fn kind_of(address: &Address<'_>) -> u8 {
    match address {
        Address::Path(_) | Address::Abstract(_) => UNIX,
        Address::Tcp(host) => {
            if host.ip.is_ipv6() {
                TCP6
            } else {
                kinds::TCP4
            }
        }
        Address::Udp(host) => {
            if host.ip.is_ipv6() {
                UDP6
            } else {
                UDP4
            }
        }
        Address::Netlink { .. } => NETLINK,
    }
}

const MOST: u32 = i32::MAX as u32;

/// An option of its level everywhere.
const fn plain(key: &'static str, takes: Takes, on: u8, needed: bool, level: u32, option: u32) -> Known {
    Known { key, takes, on, needed, plain: (level, option), v6: None, stronger: None, shift: 0 }
}

/// An option of IPv4 and its sibling of IPv6.
const fn ip(key: &'static str, takes: Takes, on: u8, needed: bool, v4: u32, v6: u32) -> Known {
    Known { v6: Some((nr::SOL_IPV6, v6)), ..plain(key, takes, on, needed, nr::SOL_IP, v4) }
}

/// The size of a buffer: beyond the limits of sysctl, if we may.
const fn buffer(key: &'static str, option: u32, stronger: u32) -> Known {
    Known { stronger: Some(stronger), ..plain(key, Takes::Number(MOST), ALL, false, nr::SOL_SOCKET, option) }
}

/// All of them, in the order in which they are set.
pub const KNOWN: [Known; 19] = [
    plain("v6only", Takes::Flag, TCP6 | UDP6, true, nr::SOL_IPV6, nr::IPV6_V6ONLY),
    ip("freebind", Takes::Flag, IP, false, nr::IP_FREEBIND, nr::IPV6_FREEBIND),
    plain("reuseport", Takes::Flag, IP, true, nr::SOL_SOCKET, nr::SO_REUSEPORT),
    ip("transparent", Takes::Flag, IP, true, nr::IP_TRANSPARENT, nr::IPV6_TRANSPARENT),
    plain("mark", Takes::Number(u32::MAX), IP, true, nr::SOL_SOCKET, nr::SO_MARK),
    plain("pass-credentials", Takes::Flag, UNIX | NETLINK, true, nr::SOL_SOCKET, nr::SO_PASSCRED),
    ip("packet-info", Takes::Flag, UDP, true, nr::IP_PKTINFO, nr::IPV6_RECVPKTINFO),
    plain("broadcast", Takes::Flag, UDP4, true, nr::SOL_SOCKET, nr::SO_BROADCAST),
    buffer("receive-buffer", nr::SO_RCVBUF, nr::SO_RCVBUFFORCE),
    buffer("send-buffer", nr::SO_SNDBUF, nr::SO_SNDBUFFORCE),
    plain("keepalive", Takes::Flag, TCP, false, nr::SOL_SOCKET, nr::SO_KEEPALIVE),
    plain("keepalive-time", Takes::Seconds, TCP, false, nr::SOL_TCP, nr::TCP_KEEPIDLE),
    plain("nodelay", Takes::Flag, TCP, false, nr::SOL_TCP, nr::TCP_NODELAY),
    plain("defer-accept", Takes::Seconds, TCP, false, nr::SOL_TCP, nr::TCP_DEFER_ACCEPT),
    plain("fastopen", Takes::Number(MOST), TCP, false, nr::SOL_TCP, nr::TCP_FASTOPEN),
    ip("tos", Takes::Number(255), IP, false, nr::IP_TOS, nr::IPV6_TCLASS),
    Known { shift: 2, ..ip("dscp", Takes::Number(63), IP, false, nr::IP_TOS, nr::IPV6_TCLASS) },
    ip("ttl", Takes::Number(255), IP, false, nr::IP_TTL, nr::IPV6_UNICAST_HOPS),
    // The last one, because tos changes it.
    plain("priority", Takes::Number(MOST), ALL, false, nr::SOL_SOCKET, nr::SO_PRIORITY),
];

/// Place of `v6only` in [`KNOWN`].
pub const V6ONLY: usize = 0;
/// Place of `freebind`.
pub const FREEBIND: usize = 1;
/// Place of `reuseport`.
pub const REUSEPORT: usize = 2;
/// Place of `broadcast`.
pub const BROADCAST: usize = 7;

const _: () =
    assert!(KNOWN.len() <= SOCKET_OPTIONS && SOCKET_OPTIONS <= 32, "a bit for each, and a place in the record");

impl Known {
    /// Whether a socket with this address has it.
    pub fn is_for(&self, address: &Address<'_>) -> bool {
        self.on & kind_of(address) != 0
    }

    fn set(&self, fd: Fd, v6: bool, value: u32) -> Result<()> {
        if self.stronger.is_some_and(|option| listener::set(fd, nr::SOL_SOCKET, option, value).is_ok()) {
            return Ok(());
        }
        let (level, option) = self.v6.filter(|_| v6).unwrap_or(self.plain);
        listener::set(fd, level, option, value << self.shift)
    }
}

/// Options and their values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Values {
    /// Which have one: a bit for each of [`KNOWN`].
    pub asked: u32,
    /// See above; 0 for those that have none.
    pub of: [u32; SOCKET_OPTIONS],
}

impl Values {
    /// None at all.
    pub const NONE: Values = Values { asked: 0, of: [0; SOCKET_OPTIONS] };

    /// With option `which` of [`KNOWN`] set to `value`.
    pub const fn with(mut self, which: usize, value: u32) -> Values {
        if which < SOCKET_OPTIONS {
            self.asked |= 1 << which;
            self.of[which] = value;
        }
        self
    }

    /// The options that have a value, and it.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Known, u32)> + '_ {
        KNOWN.iter().zip(self.of).enumerate().filter(|(i, _)| self.asked & 1 << i != 0).map(|(_, pair)| pair)
    }

    /// The value of option `which` of [`KNOWN`].
    pub fn get(&self, which: usize) -> Option<u32> {
        self.of.get(which).copied().filter(|_| self.asked & 1 << which != 0)
    }

    /// Sets those that a socket with this address has. `report` hears of each that cannot be set; an error is that of the
    /// first one without which there shall be no socket.
    pub fn apply(&self, fd: Fd, address: &Address<'_>, report: &mut dyn FnMut(&'static Known, Errno)) -> Result<()> {
        let v6 = kind_of(address) & (TCP6 | UDP6) != 0;
        for (known, value) in self.iter().filter(|(known, _)| known.is_for(address)) {
            if let Err(e) = known.set(fd, v6, value) {
                report(known, e);
                if known.needed {
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::listener::{Family, Kind, create};

    fn get(fd: Fd, level: i32, option: i32) -> i32 {
        let (mut value, mut len) = (0i32, 4);
        // SAFETY: the value and its length live across the call.
        #[allow(unsafe_code)]
        let done = unsafe { libc::getsockopt(fd.0, level, option, (&raw mut value).cast(), &raw mut len) };
        assert_eq!(done, 0);
        value
    }

    fn place(key: &str) -> usize {
        KNOWN.iter().position(|known| known.key == key).unwrap()
    }

    #[test]
    fn each_option_reaches_its_socket() {
        use libc::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET};
        let (tcp4, tcp6) = ("tcp:127.0.0.1:0", "tcp:[::1]:0");
        for (address, key, value, level, option, seen) in [
            (tcp6, "v6only", 0, IPPROTO_IPV6, libc::IPV6_V6ONLY, 0),
            (tcp4, "freebind", 1, IPPROTO_IP, libc::IP_FREEBIND, 1),
            (tcp6, "freebind", 1, IPPROTO_IPV6, libc::IPV6_FREEBIND, 1),
            (tcp4, "reuseport", 1, SOL_SOCKET, libc::SO_REUSEPORT, 1),
            ("unix:@x", "pass-credentials", 1, SOL_SOCKET, libc::SO_PASSCRED, 1),
            ("netlink:route", "pass-credentials", 1, SOL_SOCKET, libc::SO_PASSCRED, 1),
            ("udp:0.0.0.0:0", "packet-info", 1, IPPROTO_IP, libc::IP_PKTINFO, 1),
            ("udp:[::]:0", "packet-info", 1, IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
            ("udp:0.0.0.0:0", "broadcast", 1, SOL_SOCKET, libc::SO_BROADCAST, 1),
            ("unix:@x", "receive-buffer", 20000, SOL_SOCKET, libc::SO_RCVBUF, 40000),
            (tcp4, "send-buffer", 20000, SOL_SOCKET, libc::SO_SNDBUF, 40000),
            (tcp4, "keepalive", 1, SOL_SOCKET, libc::SO_KEEPALIVE, 1),
            (tcp4, "keepalive-time", 77, IPPROTO_TCP, libc::TCP_KEEPIDLE, 77),
            (tcp6, "nodelay", 1, IPPROTO_TCP, libc::TCP_NODELAY, 1),
            (tcp4, "defer-accept", 1, IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 1),
            (tcp4, "fastopen", 5, IPPROTO_TCP, libc::TCP_FASTOPEN, 5),
            (tcp4, "tos", 0x10, IPPROTO_IP, libc::IP_TOS, 0x10),
            (tcp6, "dscp", 46, IPPROTO_IPV6, libc::IPV6_TCLASS, 0xb8),
            (tcp4, "ttl", 3, IPPROTO_IP, libc::IP_TTL, 3),
            (tcp6, "ttl", 3, IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, 3),
            (tcp4, "priority", 5, SOL_SOCKET, libc::SO_PRIORITY, 5),
        ] {
            let address = Address::parse(address.as_bytes()).unwrap();
            let family = match address {
                Address::Netlink { family, .. } => Family::Netlink(family),
                Address::Path(_) | Address::Abstract(_) => Family::Unix,
                _ if kind_of(&address) & (TCP6 | UDP6) != 0 => Family::V6,
                _ => Family::V4,
            };
            let kind = if kind_of(&address) & UDP != 0 { Kind::Datagram } else { Kind::Stream };
            let mut fd = create(family, kind, true).unwrap();
            let values = Values::NONE.with(place(key), value);
            assert_eq!(values.apply(fd, &address, &mut |known, e| panic!("{}: {e}", known.key)), Ok(()), "{key}");
            assert_eq!(get(fd, level, option), seen, "{key} of {address}");
            fd.close();
        }
    }

    #[test]
    fn a_buffer_may_be_larger_than_the_limit_if_we_are_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let most: u32 = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap().trim().parse().unwrap();
        let mut fd = create(Family::Unix, Kind::Stream, true).unwrap();
        let values = Values::NONE.with(place("receive-buffer"), most + 4096);
        values.apply(fd, &Address::Abstract(b"x"), &mut |_, e| panic!("{e}")).unwrap();
        assert_eq!(get(fd, libc::SOL_SOCKET, libc::SO_RCVBUF) as u32, 2 * (most + 4096));
        fd.close();
    }

    #[test]
    fn what_a_socket_does_not_have_is_not_set_on_it() {
        let mut fd = create(Family::Unix, Kind::Stream, true).unwrap();
        let values = (0..KNOWN.len()).filter(|i| !KNOWN[*i].is_for(&Address::Abstract(b"x")));
        let values = values.fold(Values::NONE, |values, i| values.with(i, 1));
        assert_eq!(values.apply(fd, &Address::Abstract(b"x"), &mut |_, _| panic!()), Ok(()));
        fd.close();
    }

    #[test]
    fn the_places_have_their_names() {
        let places = [("v6only", V6ONLY), ("freebind", FREEBIND), ("reuseport", REUSEPORT), ("broadcast", BROADCAST)];
        places.iter().for_each(|(key, at)| assert_eq!(place(key), *at));
        let values = Values::NONE.with(FREEBIND, 1).with(REUSEPORT, 0);
        assert_eq!((values.get(FREEBIND), values.get(REUSEPORT), values.get(V6ONLY)), (Some(1), Some(0), None));
    }
}
