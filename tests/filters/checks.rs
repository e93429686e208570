//! Checks that take arbitrary bytes, for a fuzzer as well as for tests.

use linchpin::access::Subject;
use linchpin::access::origin::{HostName, Origin, of_address, written_otherwise};
use std::net::IpAddr;

fn written(key: Origin<'_>) -> String {
    key.path().get().expect("every key fits").to_str().unwrap().to_owned()
}

/// The keys of the address, or of the name, that these bytes stand for.
pub fn origins(data: &[u8]) {
    if let Some((octets, _)) = data.split_first_chunk::<4>() {
        networks(IpAddr::from(*octets));
    }
    if let Some((octets, _)) = data.split_first_chunk::<16>() {
        networks(IpAddr::from(*octets));
    }
    name(data);
    if let Some(meant) = written_otherwise(data) {
        let meant = written(meant);
        assert_ne!(meant.as_bytes(), data);
        assert_eq!(written_otherwise(meant.as_bytes()), None, "{meant}");
    }
}

fn networks(address: IpAddr) {
    let (kind, widest) = if address.is_ipv4() { ("ip4/", 32) } else { ("ip6/", 128) };
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let mut keys = of_address(address);
    for bits in (0..=widest).rev() {
        let key = keys.next().expect("a network of every size");
        let key = written(key);
        let (network, said) = key.strip_prefix(kind).unwrap().split_once('_').unwrap();
        assert_eq!(said, bits.to_string());
        // One bit after the other, the slow way.
        let cleared = (0..widest - bits).fold(number(address), |left, bit| left & !(1 << bit));
        assert_eq!(number(network.parse().unwrap()), cleared, "{key}");
        assert!(!key.bytes().any(|byte| byte.is_ascii_uppercase()) && (kind == "ip4/" || !key.contains('.')));
        assert_eq!(written_otherwise(key.as_bytes()), None);
    }
    assert_eq!(keys.next(), None);
}

fn name(data: &[u8]) {
    let Some(name) = HostName::new(data) else { return };
    let mut rest = Some(data.strip_suffix(b".").unwrap_or(data));
    for key in name.keys() {
        let key = written(key);
        let tail = key.strip_prefix("reversedns/").unwrap();
        assert!(!tail.contains('/') && !tail.starts_with('.') && !tail.is_empty());
        match rest {
            Some(expected) => assert_eq!(tail.as_bytes(), expected),
            None => assert_eq!(tail, "@"),
        }
        rest = rest.and_then(|rest| rest.iter().position(|byte| *byte == b'.').map(|dot| &rest[dot + 1..]));
    }
    assert_eq!(rest, None);
}
