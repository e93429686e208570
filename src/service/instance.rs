//! Instances of a service: a service directory SD that supervises a scan directory of its own, `SD/instance`. Instance
//! NAME is the service directory `SD/instance/NAME`, a link to `SD/instances/NAME`, a copy of `SD/template`.

/// Whether an instance can have this name: it is not empty, has no dot in front, no slash and no white space.
pub fn is_valid_name(name: &[u8]) -> bool {
    let bad = |byte: &u8| matches!(byte, b'/' | b' ' | b'\t' | b'\n' | b'\r' | 0x0c);
    !name.is_empty() && !name.starts_with(b".") && !name.iter().any(bad)
}

#[cfg(test)]
mod tests {
    use super::is_valid_name;

    #[test]
    fn a_name_is_a_visible_file_name_without_white_space() {
        for name in ["a", "tty1", "a.b", "-x", "a@b:c", "\u{e4}"] {
            assert!(is_valid_name(name.as_bytes()), "{name:?}");
        }
        for name in ["", ".", "..", ".a", "a/b", "/", "a b", "a\t", "\na", "a\r", "a\x0c"] {
            assert!(!is_valid_name(name.as_bytes()), "{name:?}");
        }
    }
}
