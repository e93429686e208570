//! Where a client comes from, as rules are written for it: `ip4/A.B.C.D_N`, `ip6/ADDRESS_N`, `reversedns/NAME`.
//!
//! An address is looked for under the networks that it is in, the smallest first: its N highest bits, the others cleared,
//! from all of them down to none. Addresses of IPv6 are written in their canonical form (RFC 5952, without dots). A name is
//! looked for as it is, without its first label, without its first two, and so on, and then as `@`, which is every name.
//! Pure: no system call.

use super::{KeyPath, Subject};
use crate::text::ip;
use crate::text::number::parse_u32;
use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest host name: RFC 1035's 255 bytes less those for the first length and the root.
pub const NAME: usize = 253;

/// One of the places that a client is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin<'a> {
    /// `ip4/ADDRESS_BITS`: a network of IPv4, the host's bits cleared.
    V4(Ipv4Addr, u8),
    /// `ip6/ADDRESS_BITS`: a network of IPv6, the host's bits cleared.
    V6(Ipv6Addr, u8),
    /// `reversedns/NAME`: a host, or a domain that it is in.
    Domain(&'a [u8]),
    /// `reversedns/@`: whoever has a name.
    Named,
}

impl Subject for Origin<'_> {
    fn path(&self) -> KeyPath {
        let mut path = Path(KeyPath::new());
        // What does not fit makes the path invalid.
        let _ = match self {
            Origin::V4(address, bits) => write!(path, "ip4/{}_{bits}", ip::Shown((*address).into())),
            Origin::V6(address, bits) => write!(path, "ip6/{}_{bits}", Canonical(*address)),
            Origin::Domain(name) => {
                path.0 = KeyPath::of(&[b"reversedns/", name]);
                Ok(())
            }
            Origin::Named => path.write_str("reversedns/@"),
        };
        path.0
    }
}

struct Path(KeyPath);

impl Write for Path {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push(text.as_bytes());
        Ok(())
    }
}

/// An address of IPv6 as keys have it: one that stands for an address of IPv4 is written like any other.
struct Canonical(Ipv6Addr);

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_ipv4_mapped() {
            Some(_) => {
                let [.., high, low] = self.0.segments();
                write!(f, "::ffff:{high:x}:{low:x}")
            }
            None => write!(f, "{}", ip::Shown(self.0.into())),
        }
    }
}

/// The networks that `address` is in, the smallest first.
pub fn of_address(address: IpAddr) -> impl Iterator<Item = Origin<'static>> {
    let widest = if address.is_ipv4() { 32 } else { 128 };
    (0..=widest).rev().map(move |bits: u8| match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Origin::V4(Ipv4Addr::from(u32::from(address) & mask), bits)
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Origin::V6(Ipv6Addr::from(u128::from(address) & mask), bits)
        }
    })
}

/// If `key` is that of a network, but not written as this is looked for: that of the network that is meant.
pub fn written_otherwise(key: &[u8]) -> Option<Origin<'static>> {
    let key = core::str::from_utf8(key).ok()?;
    let (kind, network) = key.split_once('/').filter(|(kind, _)| matches!(*kind, "ip4" | "ip6"))?;
    let (address, bits) = network.split_once('_').unwrap_or((network, ""));
    let address = ip::parse(address.as_bytes()).filter(|address| address.is_ipv4() == (kind == "ip4"))?;
    let widest = if address.is_ipv4() { 32 } else { 128 };
    let bits = parse_u32(bits.as_bytes()).filter(|bits| *bits <= widest).unwrap_or(widest);
    let meant = of_address(address).nth((widest - bits) as usize)?;
    if meant.path().as_bytes() == key.as_bytes() { None } else { Some(meant) }
}

/// A host name: labels of letters, digits, `-` and `_`, with dots between them. Nothing else makes a key, so that no name
/// leads to another rule than its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostName(heapless::Vec<u8, NAME>);

impl HostName {
    /// `text`, without the dot that it may end with; `None`: it is no host name, or has more than [`NAME`] bytes.
    pub fn new(text: &[u8]) -> Option<HostName> {
        let name = text.strip_suffix(b".").unwrap_or(text);
        let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let good = name.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(is_good));
        if good { heapless::Vec::from_slice(name).ok().map(HostName) } else { None }
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The keys under which rules for it are looked for.
    pub fn keys(&self) -> impl Iterator<Item = Origin<'_>> {
        let parents = core::iter::successors(Some(self.as_bytes()), |name| {
            let name: &[u8] = name;
            name.iter().position(|byte| *byte == b'.').and_then(|dot| name.get(dot + 1..))
        });
        parents.map(Origin::Domain).chain([Origin::Named])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written<'a>(keys: impl Iterator<Item = Origin<'a>>) -> Vec<String> {
        keys.map(|key| key.path().get().unwrap().to_str().unwrap().to_owned()).collect()
    }

    fn of(address: &str) -> Vec<String> {
        written(of_address(address.parse().unwrap()))
    }

    #[test]
    fn an_address_of_ipv4_is_in_33_networks() {
        let keys = of("192.168.1.7");
        let first = ["192.168.1.7_32", "192.168.1.6_31", "192.168.1.4_30", "192.168.1.0_29", "192.168.1.0_28"];
        let last = ["192.0.0.0_3", "192.0.0.0_2", "128.0.0.0_1", "0.0.0.0_0"];
        assert_eq!(keys[..5], first.map(|key| format!("ip4/{key}")));
        assert_eq!(keys[29..], last.map(|key| format!("ip4/{key}")));
    }

    #[test]
    fn an_address_of_ipv6_is_in_129_networks() {
        let keys = of("2A00:1450:4002:803:0:0:0:1006");
        for (bits, network) in [
            (128, "2a00:1450:4002:803::1006"),
            (127, "2a00:1450:4002:803::1006"),
            (126, "2a00:1450:4002:803::1004"),
            (125, "2a00:1450:4002:803::1000"),
            (116, "2a00:1450:4002:803::1000"),
            (115, "2a00:1450:4002:803::"),
            (112, "2a00:1450:4002:803::"),
            (63, "2a00:1450:4002:802::"),
            (11, "2a00::"),
            (10, "2a00::"),
            (7, "2a00::"),
            (6, "2800::"),
            (5, "2800::"),
            (4, "2000::"),
            (3, "2000::"),
            (2, "::"),
            (0, "::"),
        ] {
            assert_eq!(keys[128 - bits], format!("ip6/{network}_{bits}"));
        }
        assert_eq!(keys.len(), 129);
    }

    #[test]
    fn no_key_of_ipv6_has_dots() {
        assert_eq!(of("::ffff:1.2.3.4")[0], "ip6/::ffff:102:304_128");
        assert_eq!(of("::ffff:1.2.3.4")[16], "ip6/::ffff:102:0_112");
        assert_eq!(of("::1.2.3.4")[0], "ip6/::102:304_128");
        assert_eq!(of("1:0:2:0:3:0:4:0")[0], "ip6/1:0:2:0:3:0:4:0_128");
        assert_eq!(of("1:0:0:2:0:0:0:3")[0], "ip6/1:0:0:2::3_128");
    }

    #[test]
    fn a_name_is_in_its_domains_and_everybody_who_has_one_is_named() {
        let keys = |name: &str| HostName::new(name.as_bytes()).map(|name| written(name.keys()));
        let expected = ["reversedns/foo.bar.com", "reversedns/bar.com", "reversedns/com", "reversedns/@"];
        assert_eq!(keys("foo.bar.com").unwrap(), expected);
        assert_eq!(keys("foo.bar.com.").unwrap(), expected);
        assert_eq!(keys("Board_2").unwrap(), ["reversedns/Board_2", "reversedns/@"]);
    }

    #[test]
    fn what_is_no_host_name_leads_to_no_rule() {
        let long = "a.".repeat(126) + "bc";
        for text in ["", ".", "..", "a..b", ".a", "a..", "../uid/0", "a/b", "@", "a b", "a\0", "\u{e9}", &long] {
            assert_eq!(HostName::new(text.as_bytes()), None, "{text:?}");
        }
        let longest = "a.".repeat(126) + "b";
        let name = HostName::new(longest.as_bytes()).unwrap();
        assert_eq!(written(name.keys()).len(), 128);
    }

    #[test]
    fn the_key_that_is_meant_is_found() {
        let meant = |key: &str| written(written_otherwise(key.as_bytes()).into_iter()).pop();
        for (key, expected) in [
            ("ip4/192.168.1.7_24", Some("ip4/192.168.1.0_24")),
            ("ip4/192.168.1.7", Some("ip4/192.168.1.7_32")),
            ("ip4/192.168.1.0_024", Some("ip4/192.168.1.0_24")),
            ("ip6/2001:DB8::_32", Some("ip6/2001:db8::_32")),
            ("ip6/2001:db8:0:0::1_128", Some("ip6/2001:db8::1_128")),
            ("ip4/192.168.1.0_24", None),
            ("ip6/::_0", None),
            ("ip4/::1_128", None),
            ("uid/7", None),
            ("ip4/board", None),
        ] {
            assert_eq!(meant(key).as_deref(), expected, "{key}");
        }
    }

    /// Whether both agree in so many of their highest bits, looked at one by one.
    fn agree(a: &[u8], b: &[u8], bits: usize) -> bool {
        let bit = |bytes: &[u8], n: usize| bytes[n / 8] >> (7 - n % 8) & 1;
        (0..bits).all(|n| bit(a, n) == bit(b, n))
    }

    fn bytes(address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }
    }

    /// The network that a key names, and its bits.
    fn read(key: &str) -> (IpAddr, usize) {
        let (kind, rest) = key.split_once('/').unwrap();
        let (address, bits) = rest.split_once('_').unwrap();
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(kind, if address.is_ipv4() { "ip4" } else { "ip6" });
        (address, bits.parse().unwrap())
    }

    fn families() -> impl Strategy<Value = (IpAddr, IpAddr)> {
        let near = |shift: u32, noise: u128| noise.checked_shr(shift).unwrap_or(0);
        prop_oneof![
            (any::<u32>(), 0u32..40, any::<u32>()).prop_map(move |(a, shift, noise)| {
                let b = a ^ near(shift + 96, u128::from(noise) << 96) as u32;
                (IpAddr::V4(a.into()), IpAddr::V4(b.into()))
            }),
            (any::<u128>(), 0u32..140, any::<u128>()).prop_map(move |(a, shift, noise)| {
                (IpAddr::V6(a.into()), IpAddr::V6((a ^ near(shift, noise)).into()))
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_network_holds_an_address_exactly_if_their_first_bits_agree((network, address) in families()) {
            let (holder, host) = (bytes(network), bytes(address));
            let keys = written(of_address(address));
            for (at, network) in written(of_address(network)).iter().enumerate() {
                let bits = holder.len() * 8 - at;
                prop_assert_eq!(keys.contains(network), agree(&holder, &host, bits), "{} {:?}", network, address);
            }
        }

        #[test]
        fn a_key_is_the_address_with_its_last_bits_cleared((address, _) in families()) {
            let all = bytes(address);
            for (at, key) in written(of_address(address)).iter().enumerate() {
                let (network, bits) = read(key);
                prop_assert_eq!(bits, all.len() * 8 - at);
                let network = bytes(network);
                prop_assert_eq!(network.len(), all.len());
                prop_assert!(agree(&network, &all, bits));
                prop_assert!((bits..all.len() * 8).all(|n| network[n / 8] >> (7 - n % 8) & 1 == 0));
            }
        }
    }
}
