//! Addresses of sockets as the board config writes them and the fd-holder names them:
//!
//! | text | what it is |
//! |---|---|
//! | `unix:/run/x.sock` | a path, absolute, at most 107 bytes |
//! | `unix:@name` | an abstract name (unix(7)), at most 107 bytes |
//! | `tcp:0.0.0.0:80`, `udp:127.0.0.1:53` | IPv4 address and port |
//! | `tcp:[::1]:80`, `udp:[fe80::1%2]:53` | IPv6 address, with the number of its interface where it needs one, and port |
//!
//! Numbers only: names would need a network. Brackets are required: `tcp:::1:80` reads two ways.

use crate::sys::listener::UNIX_NAME;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Where a socket is bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address<'a> {
    /// A unix socket's path.
    Path(&'a [u8]),
    /// A unix socket's abstract name, without the `@`.
    Abstract(&'a [u8]),
    /// TCP
    Tcp(SocketAddr),
    /// UDP
    Udp(SocketAddr),
}

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
}

impl Wrong {
    /// What is wrong, as the end of a sentence that begins with the text.
    pub fn text(self) -> &'static str {
        match self {
            Wrong::Scheme => "does not begin with unix:, tcp: or udp:",
            Wrong::Name => "names neither an absolute path nor an @name",
            Wrong::TooLong => "is longer than a unix socket's 107 bytes",
            Wrong::Port => "does not end in a port (:0 to :65535)",
            Wrong::Ip => "holds no numeric IP address (like 10.0.0.1 or [::1])",
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
        match (text.strip_prefix(b"tcp:"), text.strip_prefix(b"udp:")) {
            (Some(ip), _) => socket_addr(ip).map(Address::Tcp),
            (_, Some(ip)) => socket_addr(ip).map(Address::Udp),
            _ => Err(Wrong::Scheme),
        }
    }

    /// Whether it is a unix socket's.
    pub fn is_unix(&self) -> bool {
        matches!(self, Address::Path(_) | Address::Abstract(_))
    }
}

/// Reads `IPV4:PORT` or `[IPV6]:PORT`.
fn socket_addr(text: &[u8]) -> Result<SocketAddr, Wrong> {
    let colon = text.iter().rposition(|b| *b == b':').ok_or(Wrong::Port)?;
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    let port = parse_port(port).ok_or(Wrong::Port)?;
    let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    match parse_ip(inner.unwrap_or(host), port) {
        Some(address) if address.is_ipv6() == inner.is_some() => Ok(address),
        _ => Err(Wrong::Ip),
    }
}

/// Reads a port.
pub fn parse_port(word: &[u8]) -> Option<u16> {
    parse_u32(word).and_then(|port| u16::try_from(port).ok())
}

/// Reads a numeric address without brackets, IPv6 (`%N` allowed) or IPv4, and adds a port.
pub fn parse_ip(word: &[u8], port: u16) -> Option<SocketAddr> {
    let text = core::str::from_utf8(word).ok()?;
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Some(SocketAddr::new(IpAddr::V4(v4), port));
    }
    let (ip, interface) = match text.split_once('%') {
        Some((ip, interface)) => (ip, parse_u32(interface.as_bytes())?),
        None => (text, 0),
    };
    Some(SocketAddr::V6(SocketAddrV6::new(ip.parse::<Ipv6Addr>().ok()?, port, 0, interface)))
}

/// Prints an address as [`Address::parse`] reads it, IP addresses in their shortest form.
impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => write!(f, "unix:{}", Printable(path)),
            Address::Abstract(name) => write!(f, "unix:@{}", Printable(name)),
            Address::Tcp(ip) => write!(f, "tcp:{ip}"),
            Address::Udp(ip) => write!(f, "udp:{ip}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Address<'_>, Wrong> {
        Address::parse(text.as_bytes())
    }

    #[test]
    fn each_form_is_read() {
        assert_eq!(parse("unix:/run/x.sock"), Ok(Address::Path(b"/run/x.sock")));
        assert_eq!(parse("unix:@bus"), Ok(Address::Abstract(b"bus")));
        assert_eq!(parse("tcp:0.0.0.0:80"), Ok(Address::Tcp("0.0.0.0:80".parse().unwrap())));
        assert_eq!(parse("tcp:[::]:0"), Ok(Address::Tcp("[::]:0".parse().unwrap())));
        assert_eq!(parse("udp:[fe80::1%2]:53"), Ok(Address::Udp("[fe80::1%2]:53".parse().unwrap())));
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
            ("tcp:[fe80::1%eth0]:80", Wrong::Ip),
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
            let ip = SocketAddr::new(ip, port);
            let address = if tcp { Address::Tcp(ip) } else { Address::Udp(ip) };
            let text = address.to_string();
            prop_assert_eq!(parse(&text), Ok(address));
        }

        #[test]
        fn a_printed_unix_address_reads_back(name in "[/@][ -\\[\\]-~]{1,106}") {
            let text = format!("unix:{name}");
            prop_assert_eq!(parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, scheme in "(unix|tcp|udp):") {
            let _ = Address::parse(&bytes);
            let _ = Address::parse(&[scheme.as_bytes(), &bytes].concat());
        }
    }
}
