//! Names of archives: the time of the rotation, and never the same name twice.

use crate::sys::time::{Nanos, boot};
use crate::text::tai::Stamp;

/// Bytes of an archive's name: `@`, 24 hex digits, `.`, `s` or `u`.
pub const NAME: usize = 27;

/// An archive's name.
pub type Name = [u8; NAME];

/// The name, if it is one of an archive.
pub fn of_archive(name: &[u8]) -> Option<Name> {
    match name {
        [b'@', digits @ .., b'.', b's' | b'u'] if digits.iter().all(u8::is_ascii_hexdigit) => name.try_into().ok(),
        _ => None,
    }
}

/// The clock by which archives are named. It is the wall clock, but never goes back: where the wall clock does, it goes on
/// by itself, and where there are later names already (a machine that does not know the time until it is told), by a
/// nanosecond for each archive.
pub struct Names {
    /// The wall clock...
    start: Stamp,
    /// ...at this time.
    since: Nanos,
    /// The last name that there is.
    last: Stamp,
}

impl Names {
    /// From now on.
    pub fn new() -> Names {
        Names::starting(Stamp::now(), boot())
    }

    fn starting(start: Stamp, since: Nanos) -> Names {
        Names { start, since, last: Stamp::default() }
    }

    /// There is an archive of this name: later ones have later names.
    pub fn seen(&mut self, name: &[u8]) {
        // Labels from 2^63 on are reserved: that is none of ours, and nothing could come after the last of them.
        if let Some(stamp) = Stamp::from_text(name).filter(|stamp| stamp.sec < (1 << 63) - 1) {
            self.last = self.last.max(stamp);
        }
    }

    /// A new stamp.
    pub fn next(&mut self) -> Stamp {
        self.at(Stamp::now(), boot())
    }

    fn at(&mut self, wall: Stamp, now: Nanos) -> Stamp {
        let own = self.start.plus(now.saturating_sub(self.since));
        self.last = own.max(wall).max(self.last.plus(1));
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Stamp = Stamp { sec: 0x4000_0000_6b09_8bdd, nano: 5 };

    fn later(seconds: u64) -> Stamp {
        START.plus(seconds * 1_000_000_000)
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_set_names_back() {
        let mut names = Names::starting(START, 100);
        assert_eq!(names.at(START, 100), START);
        // An hour back; ten seconds have passed.
        assert_eq!(names.at(Stamp { sec: START.sec - 3590, ..START }, 100 + 10_000_000_000), later(10));
        assert_eq!(names.at(Stamp { sec: START.sec - 3590, ..START }, 100 + 10_000_000_000), later(10).plus(1));
    }

    #[test]
    fn a_machine_that_learns_the_time_late_uses_it_from_then_on() {
        let mut names = Names::starting(Stamp::from_unix(7, 0), 0);
        assert_eq!(names.at(Stamp::from_unix(8, 0), 1_000_000_000), Stamp::from_unix(8, 0));
        assert_eq!(names.at(START, 2_000_000_000), START);
        assert_eq!(names.at(later(5), 7_000_000_000), later(5));
    }

    #[test]
    fn archives_of_a_later_time_are_followed_by_later_ones_all_the_same() {
        let mut names = Names::starting(Stamp::from_unix(7, 0), 0);
        names.seen(b"@400000006b098bdd00000005.u");
        names.seen(b"@400000006b098bdc00000005.s");
        assert_eq!(names.at(Stamp::from_unix(8, 0), 1_000_000_000), START.plus(1));
        assert_eq!(names.at(Stamp::from_unix(8, 0), 1_000_000_000), START.plus(2));
    }

    #[test]
    fn names_that_are_no_time_are_not_followed() {
        for name in ["@ffffffffffffffffffffffff.s", "@7fffffffffffffff3b9ac9ff.s", "@400000006b098bddffffffff.s"] {
            let mut names = Names::starting(START, 0);
            names.seen(name.as_bytes());
            assert_eq!(names.at(START, 0), START, "{name}");
        }
    }

    #[test]
    fn an_archive_is_known_by_its_name() {
        for good in ["@400000006b098bdd00000005.u", "@400000006B098BDD0000000f.s", "@ffffffffffffffffffffffff.s"] {
            assert_eq!(of_archive(good.as_bytes()).unwrap(), *good.as_bytes());
        }
        let bad = [
            "",
            "@",
            "@.s",
            "400000006b098bdd00000005x.u",
            "@400000006b098bdd00000005.x",
            "@400000006b098bdd0000000g.s",
            "@400000006b098bdd00000005.ss",
            "@400000006b098bdd000000055.s",
            "@400000006b098bdd0000000.s",
            "current",
        ];
        for bad in bad {
            assert!(of_archive(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn each_name_sorts_behind_all_before_it(
            clocks in proptest::collection::vec((0u64..1 << 40, 0u32..1_000_000_000, 0u64..1 << 50), 1..50),
            there in "@[0-7][0-9a-fA-F]{23}",
        ) {
            let mut names = Names::starting(START, 0);
            let mut last = there.clone().into_bytes();
            let seen = Stamp::from_text(&last).is_some();
            names.seen(there.as_bytes());
            for (i, (sec, nano, now)) in clocks.into_iter().enumerate() {
                let text = names.at(Stamp::from_unix(sec, nano), now).to_text().to_vec();
                prop_assert!(text > last || i == 0 && !seen);
                last = text;
            }
        }
    }
}
