//! /etc/hosts, line by line: hosts(5).

use super::ip;
use core::net::IpAddr;

/// The address of a line, and its names, the canonical one first. `None`: the line has no address, or no name.
pub fn line(line: &[u8]) -> Option<(IpAddr, impl Iterator<Item = &[u8]> + Clone)> {
    let meant = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    let mut words = meant.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let address = ip::parse(words.next()?)?;
    words.clone().next()?;
    Some((address, words))
}

/// The address of `name`, if the line gives one; upper and lower case are the same.
pub fn address_of(of: &[u8], name: &[u8]) -> Option<IpAddr> {
    let (address, mut names) = line(of)?;
    names.any(|other| other.eq_ignore_ascii_case(name)).then_some(address)
}

/// The canonical name of `address`, if the line gives one.
pub fn name_of(of: &[u8], address: IpAddr) -> Option<&[u8]> {
    let (other, mut names) = line(of)?;
    if other == address { names.next() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_an_address_its_names() {
        let text = b"192.0.2.7\tboard.example  board # comment gate";
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(address_of(text, b"BOARD"), Some(address));
        assert_eq!(address_of(text, b"gate"), None);
        assert_eq!(name_of(text, address), Some(&b"board.example"[..]));
        assert_eq!(name_of(text, "192.0.2.8".parse().unwrap()), None);
        assert_eq!(address_of(b"::1 localhost", b"localhost"), Some("::1".parse().unwrap()));
    }

    #[test]
    fn lines_without_address_or_name_give_nothing() {
        for text in ["", "#", "# 192.0.2.7 x", "192.0.2.7", "192.0.2 x", "x 192.0.2.7", "\u{ff} x"] {
            assert!(line(text.as_bytes()).is_none(), "{text}");
        }
    }
}
