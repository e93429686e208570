//! Names of descriptors in `LISTEN_FDNAMES`, sd_listen_fds_with_names(3): printable ASCII without a colon, which
//! separates them there. Pure.

/// Bytes that a name may have: sd_notify(3)'s limit for `FDNAME=`, and as many as an identifier.
pub const LONGEST: usize = 255;

/// Whether daemons take this for a name.
pub fn is_valid(name: &[u8]) -> bool {
    (1..=LONGEST).contains(&name.len()) && name.iter().all(may_be_in_name)
}

/// The name of a held descriptor that was not given another: its identifier, in which `_` stands for each byte that a
/// name cannot have (`unix_/run/web.sock` is `unix:/run/web.sock`).
pub fn of_identifier(id: &[u8]) -> impl Iterator<Item = u8> {
    id.iter().map(|byte| if may_be_in_name(byte) { *byte } else { b'_' })
}

fn may_be_in_name(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~') && *byte != b':'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(id: &[u8]) -> Vec<u8> {
        of_identifier(id).collect()
    }

    #[test]
    fn an_identifier_becomes_a_name_without_colons() {
        assert_eq!(named(b"unix:/run/web.sock"), b"unix_/run/web.sock");
        assert_eq!(named(b"tcp:[::1]:80"), b"tcp_[__1]_80");
        assert_eq!(named(b"a b\nc\xe9"), b"a b_c_");
        assert_eq!(named(b"http"), b"http");
    }

    #[test]
    fn names_are_printable_and_have_1_to_255_bytes() {
        for good in [&b"x"[..], b"http", b"a b#2", &[b'x'; 255]] {
            assert!(is_valid(good));
        }
        for bad in [&b""[..], b"a:b", b"a\nb", b"\x7f", "é".as_bytes(), &[b'x'; 256]] {
            assert!(!is_valid(bad));
        }
    }

    proptest! {
        #[test]
        fn every_identifier_becomes_a_name_that_is_one(id in prop::collection::vec(1u8.., 1..=255)) {
            prop_assert!(is_valid(&named(&id)));
        }
    }
}
