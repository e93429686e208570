//! How long a service waits before it is started again: `restart-delay`, an exponential back-off that never gives up.
//! Pure: the clock and the random number come from the caller.

use crate::sys::time::{MILLI, Nanos, SECOND};
use crate::text::duration;
use crate::text::number::parse_u32;

/// What `restart-delay` says: one to three words, separated by blanks or newlines, `MIN [MAX [JITTER]]`.
///
/// MIN and MAX are durations: a number with its unit (`500ms`, `10s`, `5m`), or a plain number, of milliseconds; not
/// zero, MAX not less than MIN. Without MAX it is MIN: the delay is the same every time. JITTER is `0%` to `100%`; it is
/// 0 if it is not given.
///
/// The delay counts from start to start, as the second without such a file does. It is MIN at first, and doubles, up to
/// MAX, with each run that did not last: that was shorter than the delay before it. A run that did last is followed by
/// the next one at once, and the delay is MIN again. To each delay a random part of it, at most JITTER, is added, so that
/// services that died together do not come back together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    min: Nanos,
    max: Nanos,
    /// Per cent.
    jitter: u8,
}

impl Rule {
    /// s6's: a second between two starts.
    pub const DEFAULT: Rule = Rule { min: SECOND, max: SECOND, jitter: 0 };

    /// Reads the content of the file; `None`: it is not valid.
    pub fn parse(text: &[u8]) -> Option<Rule> {
        let mut words = core::str::from_utf8(text).ok()?.split_ascii_whitespace();
        let min = time(words.next()?)?;
        let max = words.next().map_or(Some(min), time)?;
        let jitter = words.next().map_or(Some(0), per_cent)?;
        (words.next().is_none() && min <= max).then_some(Rule { min, max, jitter })
    }

    /// The delay after so many runs in a row that did not last.
    pub fn delay(&self, failures: u8) -> Nanos {
        let factor = 1u64.checked_shl(failures.into()).unwrap_or(u64::MAX);
        self.min.saturating_mul(factor).min(self.max)
    }

    /// What follows a run that lived so long, after `failures` that did not last: how long after its start the next one
    /// is due, and what `failures` is then. `random` chooses the jitter.
    pub fn next(&self, failures: u8, lived: Nanos, random: u32) -> (Nanos, u8) {
        let delay = self.delay(failures);
        if lived >= delay {
            return (0, 0);
        }
        let most = u64::from(self.jitter).saturating_mul(delay / 100);
        let (high, low, random) = (most >> 32, most & 0xffff_ffff, u64::from(random));
        let added = high * random + (low * random >> 32); // most * random / 2^32
        (delay.saturating_add(added), failures.saturating_add(1).min(MOST_FAILURES))
    }

    /// Whether [`Rule::next`] needs a random number.
    pub fn is_random(&self) -> bool {
        self.jitter > 0
    }
}

/// More doublings than this are none.
const MOST_FAILURES: u8 = 63;

/// A time as files of a service have it: a number with its unit, or of milliseconds; not zero.
pub(super) fn time(word: &str) -> Option<Nanos> {
    let plain = parse_u32(word.as_bytes()).map(|millis| Nanos::from(millis) * MILLI);
    plain.or_else(|| duration::parse(word)).filter(|time| *time > 0)
}

fn per_cent(word: &str) -> Option<u8> {
    let number = parse_u32(word.strip_suffix('%')?.as_bytes())?;
    u8::try_from(number).ok().filter(|number| *number <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(text: &str) -> Option<(Nanos, Nanos, u8)> {
        Rule::parse(text.as_bytes()).map(|rule| (rule.min, rule.max, rule.jitter))
    }

    #[test]
    fn words_may_be_on_one_line_or_on_several() {
        let expected = Some((SECOND, 300 * SECOND, 10));
        for text in ["1s 5m 10%", "1s\n5m\n10%\n", "1000 300000 10%", " \t1000ms  5m\n10% "] {
            assert_eq!(rule(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_no_growth_and_no_jitter() {
        assert_eq!(rule("250"), Some((250 * MILLI, 250 * MILLI, 0)));
        assert_eq!(rule("250 1s"), Some((250 * MILLI, SECOND, 0)));
    }

    #[test]
    fn what_is_not_valid_is_none() {
        for bad in [
            "",
            " ",
            "0",
            "0s 1s",
            "2s 1s",
            "1s 5m 10",
            "1s 5m 101%",
            "1s 5m -1%",
            "1s 5m 10% x",
            "-1",
            "1.5s",
            "1h",
            "s",
            "1s,5m",
            "1s 5m %",
            "4294967296",
            "1s\0",
            "\u{e9}",
        ] {
            assert_eq!(rule(bad), None, "{bad:?}");
        }
        assert_eq!(Rule::parse(b"1s \xff"), None);
    }

    #[test]
    fn the_delay_doubles_up_to_its_maximum_and_falls_back_after_a_run_that_lasted() {
        let rule = Rule::parse(b"1s 5s").unwrap();
        let mut failures = 0;
        let mut delays = Vec::new();
        for lived in [0, SECOND, 0, 0, 4 * SECOND, 5 * SECOND, 0] {
            let (delay, next) = rule.next(failures, lived, 7);
            delays.push((delay / SECOND, next));
            failures = next;
        }
        assert_eq!(delays, [(1, 1), (2, 2), (4, 3), (5, 4), (5, 5), (0, 0), (1, 1)]);
    }

    #[test]
    fn it_never_gives_up() {
        let rule = Rule::parse(b"1s 5m").unwrap();
        let mut failures = 0;
        for _ in 0..1000 {
            let (delay, next) = rule.next(failures, 0, 0);
            assert!(delay <= 300 * SECOND);
            failures = next;
        }
        assert_eq!(rule.next(failures, 299 * SECOND, 0).0, 300 * SECOND);
    }

    #[test]
    fn the_default_is_a_second_from_start_to_start() {
        assert_eq!(Rule::DEFAULT.next(60, 400 * MILLI, 1).0, SECOND);
        assert_eq!(Rule::DEFAULT.next(60, SECOND, 1), (0, 0));
    }

    proptest! {
        #[test]
        fn a_delay_is_within_its_bounds(
            min in 1u32.., factor in 1u64..1000, jitter in 0u8..=100, failures: u8, lived: u64, random: u32,
        ) {
            let text = format!("{min} {} {jitter}%", u64::from(min).saturating_mul(factor).min(u32::MAX.into()));
            let rule = Rule::parse(text.as_bytes()).unwrap();
            let (delay, next) = rule.next(failures.min(63), lived, random);
            let bare = rule.delay(failures.min(63));
            prop_assert!(rule.min <= bare && bare <= rule.max);
            if lived >= bare {
                prop_assert_eq!((delay, next), (0, 0));
            } else {
                prop_assert!(bare <= delay && delay <= bare + bare / 100 * u64::from(jitter));
                prop_assert!(next >= 1 && rule.delay(next) >= bare);
            }
        }

        #[test]
        fn no_content_is_too_strange(text in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(rule) = Rule::parse(&text) {
                prop_assert!(rule.min > 0 && rule.min <= rule.max && rule.jitter <= 100);
            }
        }
    }
}
