//! Names of handed-over descriptors, as `LISTEN_FDNAMES` has them, sd_listen_fds_with_names(3): printable ASCII without
//! `:`, at most 255 bytes.

/// Longest name.
pub const MAX: usize = 255;

/// Whether `name` can be one as it is.
pub fn is_valid(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= MAX && name.iter().all(|byte| acceptable(*byte))
}

/// `identifier` made a name: what cannot be in one becomes `_`, and what is too long is cut.
pub fn of(identifier: &[u8]) -> impl Iterator<Item = u8> {
    identifier.iter().take(MAX).map(|byte| if acceptable(*byte) { *byte } else { b'_' })
}

fn acceptable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b':'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colons_controls_and_bytes_beyond_ascii_are_replaced() {
        let name: Vec<u8> = of(b"unix:/run/a b=c\n\x7f\xc3\xa9~").collect();
        assert_eq!(name, b"unix_/run/a b=c____~");
        for bad in [&b""[..], b"a:b", b"a\n", b"\xff", &[b'x'; 256]] {
            assert!(!is_valid(bad), "{bad:x?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_made_of_an_identifier_is_valid_and_a_valid_one_stays_itself(id: Vec<u8>) {
            let name: Vec<u8> = of(&id).collect();
            prop_assert_eq!(is_valid(&name), !id.is_empty());
            prop_assert!(!is_valid(&id) || name == id);
        }
    }
}
