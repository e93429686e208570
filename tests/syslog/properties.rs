//! The checks of the fuzzer, with bytes that proptest makes up.

use crate::checks;
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_kernels_log_is_readable_whatever_it_holds(data: Vec<u8>) {
        checks::kmsg(&data);
    }

    #[test]
    fn records_are_readable_whatever_they_hold(
        number: u32, sequence: u64, micros: u64, text in "([ -~]|\\\\x[0-9a-f]{2}|\\\\|\u{e9}|\u{0}){0,40}",
    ) {
        checks::kmsg(format!("{number},{sequence},{micros},-;{text}\n SUBSYSTEM={text}\n").as_bytes());
    }
}
