//! What tables of several commands are made of: columns, and times as people say them. Pure.

use crate::sys::time::{MILLI, Nanos, SECOND};
use core::fmt::{self, Display, Write};

/// Seconds that have passed, as people say it: one number and its unit.
pub struct Span(pub u64);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s @ 0..120 => write!(f, "{s} s"),
            s @ 120..7200 => write!(f, "{} min", s / 60),
            s @ 7200..172_800 => write!(f, "{} h", s / 3600),
            s => write!(f, "{} d", s / 86_400),
        }
    }
}

/// Time until something happens: below ten seconds with a tenth, where there is one.
pub struct Left(pub Nanos);

impl Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.div_ceil(100 * MILLI);
        match (tenths, tenths % 10) {
            (0, _) => write!(f, "now"),
            (100.., _) => write!(f, "in {}", Span(self.0.div_ceil(SECOND))),
            (_, 0) => write!(f, "in {} s", tenths / 10),
            (_, tenth) => write!(f, "in {}.{tenth} s", tenths / 10),
        }
    }
}

/// Bytes that a text takes.
pub fn width_of(text: &dyn Display) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    let _ = write!(count, "{text}");
    count.0
}

/// A text, and blanks up to `width`.
pub fn cell(out: &mut dyn Write, width: usize, text: &dyn Display) -> fmt::Result {
    write!(out, "{text}")?;
    (width_of(text)..width).try_for_each(|_| out.write_char(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let span = |seconds| Span(seconds).to_string();
        assert_eq!([span(0), span(119), span(120), span(7199)], ["0 s", "119 s", "2 min", "119 min"]);
        assert_eq!([span(7200), span(172_799), span(172_800)], ["2 h", "47 h", "2 d"]);
        let left = |millis: u64| Left(millis * MILLI).to_string();
        assert_eq!([left(0), left(1), left(100), left(3200)], ["now", "in 0.1 s", "in 0.1 s", "in 3.2 s"]);
        assert_eq!([left(4000), left(9901), left(12_100), left(300_000)], ["in 4 s", "in 10 s", "in 13 s", "in 5 min"]);
    }
}
