//! Addresses of sockets as the board config writes them and the fd-holder names them:
//!
//! | text | what it is |
//! |---|---|
//! | `unix:/run/x.sock` | a path, absolute, at most 107 bytes |
//! | `unix:@name` | an abstract name (unix(7)), at most 107 bytes |
//! | `tcp:0.0.0.0:80`, `udp:127.0.0.1:53` | IPv4 address and port |
//! | `tcp:[::1]:80`, `udp:[fe80::1%eth0]:53` | IPv6 address, with its interface where it needs one (a number or a name), and port |
//! | `netlink:route`, `netlink:kobject-uevent:1` | netlink(7): the family, and a bit for each multicast group, both also as numbers |
//!
//! Addresses are numbers only: names would need a network. Brackets are required: `tcp:::1:80` reads two ways. The name
//! of an interface is looked up when the socket is bound.

use crate::sys::listener::UNIX_NAME;
use crate::text::ip;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use core::fmt;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Where a socket is bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address<'a> {
    /// A unix socket's path.
    Path(&'a [u8]),
    /// A unix socket's abstract name, without the `@`.
    Abstract(&'a [u8]),
    /// TCP
    Tcp(Host<'a>),
    /// UDP
    Udp(Host<'a>),
    /// Netlink
    Netlink {
        /// NETLINK_ROUTE, ...
        family: u8,
        /// Multicast groups, a bit for each.
        groups: u32,
    },
}

/// An IP address and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host<'a> {
    /// With the number of the interface, for IPv6, unless it is named.
    pub ip: SocketAddr,
    /// Name of the interface, for IPv6; empty if there is none.
    pub interface: &'a [u8],
}

impl<'a> Host<'a> {
    /// Reads a numeric address without brackets: IPv4, IPv6, or IPv6 with its interface behind a `%`, a number or a name.
    pub fn parse(word: &'a [u8], port: u16) -> Option<Host<'a>> {
        let named = word.iter().position(|b| *b == b'%').map(|at| (&word[..at], &word[at + 1..]));
        match named.filter(|(_, name)| is_interface(name) && parse_u32(name).is_none()) {
            Some((ip, interface)) => parse_ip(ip, port).filter(SocketAddr::is_ipv6).map(|ip| Host { ip, interface }),
            None => parse_ip(word, port).map(Host::from),
        }
    }
}

impl From<SocketAddr> for Host<'_> {
    fn from(ip: SocketAddr) -> Self {
        Host { ip, interface: b"" }
    }
}

/// Netlink families, linux/netlink.h, as systemd.socket(5) names them.
const NETLINK: [(&str, u8); 16] = [
    ("route", 0),
    ("sock-diag", 4),
    ("nflog", 5),
    ("xfrm", 6),
    ("selinux", 7),
    ("iscsi", 8),
    ("audit", 9),
    ("fib-lookup", 10),
    ("connector", 11),
    ("netfilter", 12),
    ("dnrtmsg", 14),
    ("kobject-uevent", 15),
    ("generic", 16),
    ("scsitransport", 18),
    ("ecryptfs", 19),
    ("rdma", 20),
];
/// The kernel's MAX_LINKS.
const NETLINK_FAMILIES: u32 = 32;

/// Longest name of a network interface: the kernel's IFNAMSIZ, less its NUL.
pub const INTERFACE_NAME: usize = 15;

/// Why a text is no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// It begins with none of the schemes.
    Scheme,
    /// After `unix:` comes neither `/` nor `@`, or nothing comes after that, or a NUL.
    Name,
    /// The path or name is too long.
    TooLong,
    /// No port, or one above 65535.
    Port,
    /// No numeric IP address.
    Ip,
    /// No netlink family.
    Netlink,
    /// Netlink groups that are no number.
    Groups,
}

impl Wrong {
    /// What is wrong, as the end of a sentence that begins with the text.
    pub fn text(self) -> &'static str {
        match self {
            Wrong::Scheme => "does not begin with unix:, tcp:, udp: or netlink:",
            Wrong::Name => "names neither an absolute path nor an @name",
            Wrong::TooLong => "is longer than a unix socket's 107 bytes",
            Wrong::Port => "does not end in a port (:0 to :65535)",
            Wrong::Ip => "holds no numeric IP address (like 10.0.0.1 or [::1])",
            Wrong::Netlink => "names no netlink family (like route or kobject-uevent)",
            Wrong::Groups => "does not end in a number of netlink groups",
        }
    }
}

impl<'a> Address<'a> {
    /// Reads an address.
    pub fn parse(text: &'a [u8]) -> Result<Address<'a>, Wrong> {
        if let Some(name) = text.strip_prefix(b"unix:") {
            let (bytes, address) = match name.split_first() {
                Some((b'/', rest)) if !rest.is_empty() => (name, Address::Path(name)),
                Some((b'@', rest)) if !rest.is_empty() => (rest, Address::Abstract(rest)),
                _ => return Err(Wrong::Name),
            };
            return match bytes {
                _ if bytes.contains(&0) => Err(Wrong::Name),
                _ if bytes.len() > UNIX_NAME => Err(Wrong::TooLong),
                _ => Ok(address),
            };
        }
        if let Some(netlink) = text.strip_prefix(b"netlink:") {
            return parse_netlink(netlink);
        }
        match (text.strip_prefix(b"tcp:"), text.strip_prefix(b"udp:")) {
            (Some(host), _) => parse_host(host).map(Address::Tcp),
            (_, Some(host)) => parse_host(host).map(Address::Udp),
            _ => Err(Wrong::Scheme),
        }
    }

    /// Whether it is a unix socket's.
    pub fn is_unix(&self) -> bool {
        matches!(self, Address::Path(_) | Address::Abstract(_))
    }
}

/// Reads `IPV4:PORT`, `[IPV6]:PORT` or `[IPV6%INTERFACE]:PORT`.
fn parse_host(text: &[u8]) -> Result<Host<'_>, Wrong> {
    let colon = text.iter().rposition(|b| *b == b':').ok_or(Wrong::Port)?;
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    let port = parse_port(port).ok_or(Wrong::Port)?;
    let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    match Host::parse(inner.unwrap_or(host), port) {
        Some(host) if host.ip.is_ipv6() == inner.is_some() => Ok(host),
        _ => Err(Wrong::Ip),
    }
}

/// Whether a network interface may have this name.
pub fn is_interface(name: &[u8]) -> bool {
    let forbidden = |byte: &u8| matches!(byte, b'/' | b':' | b'%' | b'[' | b']' | 0..=b' ' | 0x7f..);
    (1..=INTERFACE_NAME).contains(&name.len()) && !name.iter().any(forbidden) && name != b"." && name != b".."
}

/// Reads `FAMILY` or `FAMILY:GROUPS`.
fn parse_netlink(text: &[u8]) -> Result<Address<'_>, Wrong> {
    let (family, groups) = match text.iter().position(|b| *b == b':') {
        Some(colon) => (&text[..colon], parse_u32(&text[colon + 1..]).ok_or(Wrong::Groups)?),
        None => (text, 0),
    };
    let known = NETLINK.iter().find(|(name, _)| name.as_bytes() == family).map(|(_, number)| *number);
    let number = || parse_u32(family).filter(|number| *number < NETLINK_FAMILIES).map(|number| number as u8);
    let family = known.or_else(number).ok_or(Wrong::Netlink)?;
    Ok(Address::Netlink { family, groups })
}

/// Reads a port.
pub fn parse_port(word: &[u8]) -> Option<u16> {
    parse_u32(word).and_then(|port| u16::try_from(port).ok())
}

/// Reads a numeric address without brackets, IPv6 (`%N` allowed) or IPv4, and adds a port.
pub fn parse_ip(word: &[u8], port: u16) -> Option<SocketAddr> {
    if let Some(IpAddr::V4(v4)) = ip::parse(word) {
        return Some(SocketAddr::new(IpAddr::V4(v4), port));
    }
    let (word, interface) = match word.iter().position(|byte| *byte == b'%') {
        Some(at) => (word.get(..at)?, parse_u32(word.get(at + 1..)?)?),
        None => (word, 0),
    };
    let Some(IpAddr::V6(v6)) = ip::parse(word) else { return None };
    Some(SocketAddr::V6(SocketAddrV6::new(v6, port, 0, interface)))
}

/// Prints an address as [`Address::parse`] reads it, IP addresses in their shortest form.
impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => write!(f, "unix:{}", Printable(path)),
            Address::Abstract(name) => write!(f, "unix:@{}", Printable(name)),
            Address::Tcp(host) => write!(f, "tcp:{host}"),
            Address::Udp(host) => write!(f, "udp:{host}"),
            Address::Netlink { family, groups } => {
                match NETLINK.iter().find(|(_, number)| number == family) {
                    Some((name, _)) => write!(f, "netlink:{name}")?,
                    None => write!(f, "netlink:{family}")?,
                }
                if *groups == 0 { Ok(()) } else { write!(f, ":{groups}") }
            }
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interface.is_empty() {
            return write!(f, "{}", ip::Socket(self.ip));
        }
        write!(f, "[{}%{}]:{}", ip::Shown(self.ip.ip()), Printable(self.interface), self.ip.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv6Addr;
    use proptest::prelude::*;

    fn host(text: &str) -> Host<'_> {
        Host::from(text.parse::<SocketAddr>().unwrap())
    }

    fn parse(text: &str) -> Result<Address<'_>, Wrong> {
        Address::parse(text.as_bytes())
    }

    #[test]
    fn each_form_is_read() {
        assert_eq!(parse("unix:/run/x.sock"), Ok(Address::Path(b"/run/x.sock")));
        assert_eq!(parse("unix:@bus"), Ok(Address::Abstract(b"bus")));
        assert_eq!(parse("tcp:0.0.0.0:80"), Ok(Address::Tcp(host("0.0.0.0:80"))));
        assert_eq!(parse("tcp:[::]:0"), Ok(Address::Tcp(host("[::]:0"))));
        assert_eq!(parse("udp:[fe80::1%2]:53"), Ok(Address::Udp(host("[fe80::1%2]:53"))));
        let named = Host { interface: b"eth0.7", ..host("[fe80::1]:53") };
        assert_eq!(parse("udp:[fe80::1%eth0.7]:53"), Ok(Address::Udp(named)));
        assert_eq!(parse("netlink:route"), Ok(Address::Netlink { family: 0, groups: 0 }));
        assert_eq!(parse("netlink:kobject-uevent:1"), Ok(Address::Netlink { family: 15, groups: 1 }));
        assert_eq!(parse("netlink:31:4294967295"), Ok(Address::Netlink { family: 31, groups: u32::MAX }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, wrong) in [
            ("", Wrong::Scheme),
            ("/run/x", Wrong::Scheme),
            ("TCP:0.0.0.0:80", Wrong::Scheme),
            ("unix:", Wrong::Name),
            ("unix:run/x", Wrong::Name),
            ("unix:/", Wrong::Name),
            ("unix:@", Wrong::Name),
            ("unix:/a\0b", Wrong::Name),
            ("tcp:0.0.0.0", Wrong::Port),
            ("tcp:0.0.0.0:", Wrong::Port),
            ("tcp:0.0.0.0:65536", Wrong::Port),
            ("tcp:0.0.0.0:http", Wrong::Port),
            ("tcp:0.0.0.0:+80", Wrong::Port),
            ("tcp::80", Wrong::Ip),
            ("tcp:localhost:80", Wrong::Ip),
            ("tcp:127.0.0.1x:80", Wrong::Ip),
            ("tcp:127.1:80", Wrong::Ip),
            ("tcp:0:80", Wrong::Ip),
            ("tcp:::1:80", Wrong::Ip),
            ("tcp:[::1:80", Wrong::Ip),
            ("tcp:[127.0.0.1]:80", Wrong::Ip),
            ("tcp:[fe80::1%]:80", Wrong::Ip),
            ("tcp:[fe80::1%a/b]:80", Wrong::Ip),
            ("tcp:[fe80::1%0123456789abcdef]:80", Wrong::Ip),
            ("tcp:[fe80::1%a%b]:80", Wrong::Ip),
            ("tcp:127.0.0.1%eth0:80", Wrong::Ip),
            ("tcp:[%eth0]:80", Wrong::Ip),
            ("netlink:", Wrong::Netlink),
            ("netlink:rout", Wrong::Netlink),
            ("netlink:32", Wrong::Netlink),
            ("netlink:route:", Wrong::Groups),
            ("netlink:route:all", Wrong::Groups),
            ("netlink:route:1:2", Wrong::Groups),
        ] {
            assert_eq!(parse(text), Err(wrong), "{text:?}");
        }
    }

    #[test]
    fn a_unix_name_may_have_107_bytes() {
        for kind in ["unix:/", "unix:@/"] {
            assert!(parse(&format!("{kind}{}", "x".repeat(106))).is_ok());
            assert_eq!(parse(&format!("{kind}{}", "x".repeat(107))), Err(Wrong::TooLong));
        }
    }

    proptest! {
        #[test]
        fn a_printed_ip_address_reads_back(ip: IpAddr, port: u16, tcp: bool) {
            let host = Host::from(SocketAddr::new(ip, port));
            let address = if tcp { Address::Tcp(host) } else { Address::Udp(host) };
            let text = address.to_string();
            prop_assert_eq!(parse(&text), Ok(address));
        }

        #[test]
        fn a_printed_interface_reads_back(ip: Ipv6Addr, port: u16, interface in "[a-z@._-]{1,15}") {
            prop_assume!(interface != "." && interface != "..");
            let ip = SocketAddr::new(IpAddr::V6(ip), port);
            let address = Address::Udp(Host { ip, interface: interface.as_bytes() });
            let text = address.to_string();
            prop_assert_eq!(parse(&text), Ok(address));
        }

        #[test]
        fn a_printed_netlink_address_reads_back(family in 0u8..32, groups: u32) {
            let text = Address::Netlink { family, groups }.to_string();
            prop_assert_eq!(parse(&text), Ok(Address::Netlink { family, groups }));
        }

        #[test]
        fn a_printed_unix_address_reads_back(name in "[/@][ -\\[\\]-~]{1,106}") {
            let text = format!("unix:{name}");
            prop_assert_eq!(parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, scheme in "(unix|tcp|udp|netlink):") {
            let _ = Address::parse(&bytes);
            let _ = Address::parse(&[scheme.as_bytes(), &bytes].concat());
        }
    }
}
