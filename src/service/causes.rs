//! Causes of death, as s6-permafailon lists them: exit codes and signals. Pure.
//!
//! A list holds items between separators (comma, semicolon, blank, tab, carriage return, newline): an exit code (`1`),
//! a range of them (`1-50`), a signal by name (`SIGTERM`, `term`) or by number (`SIG11`). A number alone is an exit
//! code; that of a death by a signal is 128 + signal, as the tally has it.

use super::tally::Record;
use crate::sys::signal;
use crate::text::number::parse_u32;

/// What is wrong with a list: this item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid<'a>(pub &'a [u8]);

/// A set of causes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Causes {
    /// A bit for each exit code.
    codes: [u64; 4],
    /// Bit `signal - 1`.
    signals: u64,
}

impl Causes {
    /// Reads a list. The empty list has no cause; one that begins with a separator is invalid, as s6 has it.
    pub fn parse(list: &[u8]) -> Result<Causes, Invalid<'_>> {
        let mut causes = Causes::default();
        if list.first().is_some_and(is_separator) {
            return Err(Invalid(list));
        }
        for item in list.split(is_separator).filter(|item| !item.is_empty()) {
            causes.add(item).ok_or(Invalid(item))?;
        }
        Ok(causes)
    }

    fn add(&mut self, item: &[u8]) -> Option<()> {
        if let Some(signal) = signal_of(item) {
            self.signals |= 1u64.checked_shl(signal.checked_sub(1)?)?;
            return Some(());
        }
        let (first, last) = match item.iter().position(|b| *b == b'-') {
            None => (item, item),
            Some(at) => (item.get(..at)?, item.get(at + 1..)?),
        };
        let (first, last) = (code_of(first)?, code_of(last)?);
        if first > last {
            return None;
        }
        for code in first..=last {
            *self.codes.get_mut(usize::from(code / 64))? |= 1 << (code % 64);
        }
        Some(())
    }

    /// Whether this death has one of the causes.
    pub fn include(&self, death: &Record) -> bool {
        let code = self.codes.get(usize::from(death.code / 64)).is_some_and(|word| word >> (death.code % 64) & 1 == 1);
        code || (1..=64).contains(&death.signal) && self.signals >> (death.signal - 1) & 1 == 1
    }
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b',' | b';' | b' ' | b'\t' | b'\r' | b'\n')
}

fn code_of(digits: &[u8]) -> Option<u8> {
    parse_u32(digits).and_then(|code| u8::try_from(code).ok())
}

/// `SIGNAME`, `NAME` or `SIGNUMBER`, not a number alone.
fn signal_of(item: &[u8]) -> Option<u32> {
    let signal = match item {
        [a, b, c, number @ ..] if [*a, *b, *c].eq_ignore_ascii_case(b"SIG") && parse_u32(number).is_some() => {
            signal::parse(number)
        }
        _ if parse_u32(item).is_some() => None,
        _ => signal::parse(item),
    };
    signal.and_then(|signal| u32::try_from(signal).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tai::Stamp;
    use proptest::prelude::*;

    fn exit(code: u8) -> Record {
        Record { stamp: Stamp::default(), code, signal: 0 }
    }

    fn killed(signal: u8) -> Record {
        Record { stamp: Stamp::default(), code: 128 + signal, signal }
    }

    fn causes(list: &str) -> Causes {
        Causes::parse(list.as_bytes()).unwrap_or_else(|e| panic!("{list:?}: {e:?}"))
    }

    /// The exit codes in a list, deaths by signals left out.
    fn codes(list: &str) -> Vec<u8> {
        (0..=255).filter(|code| causes(list).include(&exit(*code))).collect()
    }

    fn signals(list: &str) -> Vec<u8> {
        (1..=64).filter(|signal| causes(list).include(&killed(*signal))).collect()
    }

    #[test]
    fn a_number_is_an_exit_code() {
        assert_eq!(codes("7"), [7]);
        assert_eq!(codes("007"), [7]);
        assert_eq!(codes("0"), [0]);
        assert_eq!(codes("255"), [255]);
        assert_eq!(signals("15"), [] as [u8; 0]);
    }

    #[test]
    fn a_range_has_both_its_ends() {
        assert_eq!(codes("62-65"), [62, 63, 64, 65]);
        assert_eq!(codes("5-5"), [5]);
        assert_eq!(codes("0-255").len(), 256);
    }

    #[test]
    fn a_signal_is_a_name_or_a_number_after_sig() {
        for list in ["SIGTERM", "TERM", "term", "sigTerm", "SIG15", "sig15"] {
            assert_eq!(signals(list), [15], "{list}");
            assert_eq!(codes(list), [] as [u8; 0], "{list}");
        }
        assert_eq!(signals("SIG1"), [1]);
        assert_eq!(signals("SIG64"), [64]);
    }

    #[test]
    fn the_exit_code_of_a_signal_matches_it_too() {
        assert_eq!(signals("143"), [15]);
        assert_eq!(signals("129-131"), [1, 2, 3]);
    }

    #[test]
    fn every_separator_separates() {
        assert_eq!(codes("1,2;3 4\t5\r6\n7"), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(codes("1,, 2,\n"), [1, 2]);
        assert_eq!(codes("60-61,SEGV,1"), [1, 60, 61]);
    }

    #[test]
    fn an_empty_list_has_no_cause() {
        assert_eq!(causes(""), Causes::default());
        assert!((0..=255).all(|code| !causes("").include(&exit(code))));
    }

    #[test]
    fn what_is_neither_is_refused_with_its_name() {
        for item in [
            "256",
            "300",
            "-1",
            "1-",
            "10-9",
            "0-256",
            "1-2-3",
            "SIG",
            "SIG0",
            "SIG65",
            "SIGNONE",
            "SIGSIGTERM",
            "SIGTERM-1",
        ] {
            assert_eq!(Causes::parse(format!("1,{item},2").as_bytes()), Err(Invalid(item.as_bytes())));
        }
        for list in [",", ",1", " 1", "7x", "1-5SIGTERM"] {
            assert!(Causes::parse(list.as_bytes()).is_err(), "{list:?}");
        }
    }

    #[test]
    fn a_damaged_record_with_a_signal_that_cannot_be_matches_none() {
        let all = causes("SIG1,SIG64");
        assert!(!all.include(&Record { signal: 200, ..exit(3) }));
    }

    proptest! {
        #[test]
        fn a_list_of_bytes_is_read_or_refused(list: Vec<u8>) {
            let _ = Causes::parse(&list);
        }

        #[test]
        fn a_range_includes_what_lies_between(first: u8, last: u8, code: u8) {
            let list = format!("{first}-{last}");
            match Causes::parse(list.as_bytes()) {
                Ok(causes) => prop_assert_eq!(causes.include(&exit(code)), (first..=last).contains(&code)),
                Err(_) => prop_assert!(first > last),
            }
        }
    }
}
