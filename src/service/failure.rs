//! Permanent failure: which deaths count, and whether there were too many lately. What s6-permafailon(8) decides by. Pure,
//! but for reading the tally.

use super::tally::{self, Record};
use crate::limits::DEATH_TALLY;
use crate::sys::signal;
use crate::sys::{Fd, Result};
use crate::text::number::parse_u32;
use crate::text::tai::Stamp;

/// Deaths that count: by exit code, by signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Deaths {
    codes: [u64; 4],
    signals: u64,
}

impl Deaths {
    /// Reads a list: exit codes (`1`), ranges of them (`3-7`), signals (`SIGTERM`, `term`, `SIG15`), with commas, semicolons or
    /// white space between them. The error is the word that is none of these.
    pub fn parse(list: &[u8]) -> core::result::Result<Deaths, &[u8]> {
        let mut deaths = Deaths::default();
        for word in list.split(|byte| b",; \t\r\n".contains(byte)).filter(|word| !word.is_empty()) {
            if !word.first().is_some_and(u8::is_ascii_digit) {
                let signal = signal_of(word).ok_or(word)?;
                deaths.signals |= 1 << (signal - 1);
                continue;
            }
            let (from, to) = match word.iter().position(|byte| *byte == b'-') {
                Some(dash) => word.split_at(dash),
                None => (word, &b""[..]),
            };
            let from = code_of(from).ok_or(word)?;
            let to = if to.is_empty() { from } else { to.strip_prefix(b"-").and_then(code_of).ok_or(word)? };
            if to < from {
                return Err(word);
            }
            (from..=to).for_each(|code| deaths.add(code));
        }
        Ok(deaths)
    }

    fn add(&mut self, code: u8) {
        if let Some(bits) = self.codes.get_mut(usize::from(code / 64)) {
            *bits |= 1 << (code % 64);
        }
    }

    /// Whether a death counts: its signal is listed, or its exit code is (that of a death by signal is 128 + signal).
    pub fn contain(&self, record: &Record) -> bool {
        let code =
            self.codes.get(usize::from(record.code / 64)).is_some_and(|bits| bits >> (record.code % 64) & 1 != 0);
        code || (1..=64).contains(&record.signal) && self.signals >> (record.signal - 1) & 1 != 0
    }
}

fn code_of(word: &[u8]) -> Option<u8> {
    parse_u32(word).and_then(|code| u8::try_from(code).ok())
}

/// A name, or `SIG` and a number (a number alone is an exit code).
fn signal_of(word: &[u8]) -> Option<i32> {
    match word.split_first_chunk::<3>() {
        Some((head, number)) if head.eq_ignore_ascii_case(b"SIG") && number.first().is_some_and(u8::is_ascii_digit) => {
            signal::parse(number)
        }
        _ => signal::parse(word),
    }
}

/// How many deaths there were lately, and the last of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Deaths.
    pub count: u32,
    /// The last one.
    pub last: Option<Record>,
}

/// Counts the deaths in the tally of the service directory `dir` that `deaths` contain and that are not older than
/// `seconds` before `now`.
pub fn count(dir: Fd, deaths: &Deaths, seconds: u32, now: Stamp) -> Result<Count> {
    let oldest = Stamp { sec: now.sec.saturating_sub(seconds.into()), ..now };
    let mut found = Count::default();
    tally::visit(dir, DEATH_TALLY as u32, &mut |record| {
        if record.stamp >= oldest && deaths.contain(record) {
            found = Count { count: found.count + 1, last: Some(*record) };
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use proptest::prelude::*;

    fn exited(code: u8) -> Record {
        Record::new(Stamp::default(), u16::from(code) << 8)
    }

    fn killed(signal: u8) -> Record {
        Record::new(Stamp::default(), signal.into())
    }

    #[test]
    fn a_list_may_hold_codes_ranges_and_signals() {
        let deaths = Deaths::parse(b", 0;3-5\t255\r\nSIGTERM,kill sIg7").unwrap();
        for code in [0, 3, 4, 5, 255] {
            assert!(deaths.contain(&exited(code)), "{code}");
        }
        for code in [1, 2, 6, 15, 254] {
            assert!(!deaths.contain(&exited(code)), "{code}");
        }
        for signal in [15, 9, 7] {
            assert!(deaths.contain(&killed(signal)), "{signal}");
        }
        assert!(!deaths.contain(&killed(1)));
    }

    #[test]
    fn a_death_by_signal_has_an_exit_code_too() {
        assert!(Deaths::parse(b"143").unwrap().contain(&killed(15)));
        assert!(!Deaths::parse(b"SIGTERM").unwrap().contain(&exited(143)));
    }

    #[test]
    fn an_empty_list_contains_no_death() {
        assert_eq!(Deaths::parse(b""), Ok(Deaths::default()));
        assert!(!Deaths::default().contain(&exited(0)) && !Deaths::default().contain(&killed(1)));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for word in
            ["256", "3-", "-3", "7-3", "3-300", "3-TERM", "foo", "SIG", "SIG0", "SIG65", "SIGfoo", "1-2-3", "0x1"]
        {
            assert_eq!(Deaths::parse(format!("1,{word};2").as_bytes()), Err(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn only_recent_deaths_count() {
        let scratch = Scratch::new();
        scratch.mkdir("supervise");
        for (age, code) in [(100u64, 1), (60, 1), (59, 2), (10, 1)] {
            let record = Record { stamp: Stamp { sec: 1000 - age, nano: 5 }, ..exited(code) };
            tally::append(scratch.fd, &record, 9).unwrap();
        }
        let now = Stamp { sec: 1000, nano: 5 };
        let one = Deaths::parse(b"1").unwrap();
        let found = count(scratch.fd, &one, 60, now).unwrap();
        assert_eq!((found.count, found.last.unwrap().stamp.sec), (2, 990));
        assert_eq!(count(scratch.fd, &one, 60, Stamp { nano: 6, ..now }).unwrap().count, 1);
        assert_eq!(count(scratch.fd, &one, 9, now).unwrap(), Count::default());
        assert_eq!(count(scratch.fd, &one, u32::MAX, now).unwrap().count, 3);
    }

    proptest! {
        #[test]
        fn any_list_is_read_without_harm(list: Vec<u8>, code: u8, signal: u8) {
            if let Ok(deaths) = Deaths::parse(&list) {
                deaths.contain(&Record { stamp: Stamp::default(), code, signal });
            }
        }

        #[test]
        fn a_range_is_what_lies_between(from: u8, to: u8, code: u8) {
            let (from, to) = (from.min(to), from.max(to));
            let deaths = Deaths::parse(format!("{from}-{to}").as_bytes()).unwrap().contain(&exited(code));
            prop_assert_eq!(deaths, (from..=to).contains(&code));
        }
    }
}
