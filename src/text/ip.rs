//! IP addresses, read and shown as the standard library does it (RFC 5952), in less code.

use super::number::parse_u32;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Reads a numeric address: IPv4 with four decimal numbers without zeros in front, or IPv6.
pub fn parse(word: &[u8]) -> Option<IpAddr> {
    v4(word).map(IpAddr::V4).or_else(|| v6(word).map(IpAddr::V6))
}

fn v4(word: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut numbers = word.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let digits = numbers.next().filter(|digits| digits.len() == 1 || digits.first() != Some(&b'0'))?;
        *octet = u8::try_from(parse_u32(digits)?).ok()?;
    }
    numbers.next().is_none().then_some(Ipv4Addr::from(octets))
}

fn v6(word: &[u8]) -> Option<Ipv6Addr> {
    let (mut groups, mut count, mut gap) = ([0u16; 8], 0, None);
    let mut push = |count: &mut usize, group: u16| -> Option<()> {
        *groups.get_mut(*count)? = group;
        *count += 1;
        Some(())
    };
    let mut rest = word;
    if let Some(after) = rest.strip_prefix(b"::") {
        (gap, rest) = (Some(0), after);
    }
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b':');
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        if piece.contains(&b'.') {
            let [a, b, c, d] = v4(rest)?.octets();
            push(&mut count, u16::from_be_bytes([a, b]))?;
            push(&mut count, u16::from_be_bytes([c, d]))?;
            break;
        }
        push(&mut count, hex(piece)?)?;
        let Some(after) = after.strip_prefix(b":") else { break };
        rest = after;
        if let Some(after) = after.strip_prefix(b":").filter(|_| gap.is_none()) {
            (gap, rest) = (Some(count), after);
        } else if rest.is_empty() {
            return None;
        }
    }
    match gap {
        // It stands for one group at least.
        Some(at) if count < 8 => {
            groups.get_mut(count..)?.fill(0);
            groups.get_mut(at..)?.rotate_right(8 - count);
        }
        _ if count == 8 && gap.is_none() => {}
        _ => return None,
    }
    Some(Ipv6Addr::from(groups))
}

fn hex(digits: &[u8]) -> Option<u16> {
    if !(1..=4).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |sum, byte| Some(sum << 4 | char::from(*byte).to_digit(16)? as u16))
}

/// Displays an address in its shortest form.
pub struct Shown(pub IpAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dotted = |f: &mut fmt::Formatter<'_>, [a, b, c, d]: [u8; 4]| write!(f, "{a}.{b}.{c}.{d}");
        let address = match self.0 {
            IpAddr::V4(address) => return dotted(f, address.octets()),
            IpAddr::V6(address) => address,
        };
        if let Some(mapped) = address.to_ipv4_mapped() {
            f.write_str("::ffff:")?;
            return dotted(f, mapped.octets());
        }
        let groups = address.segments();
        let (start, length) = gap(&groups);
        for (at, group) in groups.iter().enumerate() {
            if length > 1 && at == start {
                f.write_str("::")?;
            }
            if length > 1 && (start..start + length).contains(&at) {
                continue;
            }
            if at > 0 && (length < 2 || at != start + length) {
                f.write_str(":")?;
            }
            write!(f, "{group:x}")?;
        }
        Ok(())
    }
}

/// Displays an address and its port: `1.2.3.4:5`, `[::1]:5` or, with the number of an interface, `[fe80::1%2]:5`.
pub struct Socket(pub SocketAddr);

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ip, port) = (Shown(self.0.ip()), self.0.port());
        match self.0 {
            SocketAddr::V4(_) => write!(f, "{ip}:{port}"),
            SocketAddr::V6(v6) if v6.scope_id() == 0 => write!(f, "[{ip}]:{port}"),
            SocketAddr::V6(v6) => write!(f, "[{ip}%{}]:{port}", v6.scope_id()),
        }
    }
}

/// The longest run of zeros, the first one of several: where it begins, and how long it is.
fn gap(groups: &[u16; 8]) -> (usize, usize) {
    let mut longest = (0, 0);
    let mut length = 0;
    for (at, group) in groups.iter().enumerate() {
        length = if *group == 0 { length + 1 } else { 0 };
        if length > longest.1 {
            longest = (at + 1 - length, length);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agree(text: &str) -> bool {
        parse(text.as_bytes()) == text.parse().ok()
    }

    #[test]
    fn addresses_are_read_as_the_standard_library_reads_them() {
        for text in [
            "",
            ":",
            "::",
            ":::",
            "::1",
            "1::",
            "1",
            "1:",
            "1::2::3",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1::3:4:5:6:7:8",
            "1::2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            "::ffff:1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "::1.2.3.4:5",
            "::1.2.3",
            "12345::",
            "g::",
            "1.2.3.4",
            "01.2.3.4",
            "0.0.0.0",
            "00.0.0.0",
            "1.2.3.256",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4 ",
            "+1.2.3.4",
            "::+1",
            "1..2.3",
            ".1.2.3",
            "FE80::aB",
        ] {
            assert!(agree(text), "{text}: {:?}", parse(text.as_bytes()));
        }
        assert_eq!(parse(b"\xff"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn so_is_any_text(text in "[0-9a-f:.]{0,20}|([0-9a-f]{1,4}:|:){1,8}[0-9a-f]{0,4}|([0-9a-f]{0,2}:){2,6}[0-9]{1,3}(\\.[0-9]{1,3}){3}") {
            prop_assert!(agree(&text), "{}", text);
        }

        #[test]
        fn addresses_are_shown_as_the_standard_library_shows_them(
            groups in prop::array::uniform8(prop_oneof![3 => Just(0u16), 2 => any::<u16>(), 1 => Just(0xffffu16)]),
            octets: [u8; 4],
            port: u16,
            scope in 0u32..3,
        ) {
            for address in [IpAddr::from(groups), IpAddr::from(octets)] {
                prop_assert_eq!(Shown(address).to_string(), address.to_string());
                prop_assert_eq!(parse(address.to_string().as_bytes()), Some(address));
                let mut socket = SocketAddr::new(address, port);
                if let SocketAddr::V6(v6) = &mut socket {
                    v6.set_scope_id(scope);
                }
                prop_assert_eq!(Socket(socket).to_string(), socket.to_string());
            }
        }
    }
}
