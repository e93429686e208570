//! Rules as the TZ variable and the ends of zone files have them: `CET-1CEST,M3.5.0,M10.5.0/3`.
//!
//! A name, the hours that local time is behind UTC; if there is a summer time, its name, its own hours (one less, if they are
//! left out), and when it begins and ends, each `Jn` (day 1 to 365, February 29 not counted), `n` (day 0 to 365) or `Mm.w.d`
//! (day d, 0 is Sunday, of week w of month m, 5 is the last), and the time of the day after a `/`, of the local time that ends
//! then; 2 o'clock if it is left out. RFC 9636 allows -167 to 167 hours there. Names are not kept.

use crate::text::date::{Civil, DAY, day_number, is_leap};

/// Local time in every year.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Seconds east of UTC.
    standard: i32,
    summer: Option<Summer>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Summer {
    /// Seconds east of UTC.
    offset: i32,
    begins: Change,
    ends: Change,
}

/// A day of every year, and seconds from its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Change {
    day: Day,
    second: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Day {
    /// 1 to 365, without February 29.
    Julian(u16),
    /// 0 to 365.
    Counted(u16),
    /// Month, week (5 is the last), day of the week.
    Weekday(u8, u8, u8),
}

/// What C libraries take where a rule has a summer time and does not say when: that of the United States.
const UNSAID: (Change, Change) = (
    Change { day: Day::Weekday(3, 2, 0), second: TWO_O_CLOCK },
    Change { day: Day::Weekday(11, 1, 0), second: TWO_O_CLOCK },
);

const TWO_O_CLOCK: i32 = 2 * 3600;

impl Rule {
    /// Reads a rule. `None`: it is none.
    pub fn parse(text: &[u8]) -> Option<Rule> {
        let mut rest = Rest(text);
        rest.name()?;
        let standard = -rest.time(24)?;
        if rest.0.is_empty() {
            return Some(Rule { standard, summer: None });
        }
        rest.name()?;
        let has_own = !matches!(rest.0.first(), None | Some(b','));
        let offset = if has_own { -rest.time(24)? } else { standard + 3600 };
        let (begins, ends) = if rest.0.is_empty() { UNSAID } else { (rest.change()?, rest.change()?) };
        rest.0.is_empty().then_some(Rule { standard, summer: Some(Summer { offset, begins, ends }) })
    }

    /// Seconds by which local time is ahead of UTC at a time, in seconds since 1970.
    pub fn offset(&self, time: i64) -> i32 {
        let Some(summer) = self.summer else { return self.standard };
        let this = Civil::of(time.saturating_add(self.standard.into())).year;
        let mut last = (i64::MIN, self.standard);
        // Those of a year may come a week earlier or later than it. Where one ends when the next begins, it goes on.
        for year in this - 2..=this + 1 {
            let ends = summer.ends.of_year(year).saturating_sub(summer.offset.into());
            let begins = summer.begins.of_year(year).saturating_sub(self.standard.into());
            for change in [(ends, self.standard), (begins, summer.offset)] {
                if change.0 <= time && change.0 >= last.0 {
                    last = change;
                }
            }
        }
        last.1
    }
}

impl Change {
    /// Local time, in seconds since 1970, at which it happens.
    fn of_year(&self, year: i64) -> i64 {
        let day = match self.day {
            Day::Julian(day) => day_number(year, 1, 1) + i64::from(day) - i64::from(day < 60 || !is_leap(year)),
            Day::Counted(day) => day_number(year, 1, 1) + i64::from(day),
            Day::Weekday(month, week, weekday) => {
                let first = day_number(year, month, 1);
                let next = if month == 12 { first + 31 } else { day_number(year, month + 1, 1) };
                let days = (i64::from(weekday) - weekday_of(first)).rem_euclid(7) + 7 * (i64::from(week) - 1);
                if first + days < next { first + days } else { first + days - 7 }
            }
        };
        day.saturating_mul(DAY).saturating_add(self.second.into())
    }
}

/// Day of the week of a day since 1970, which began on a Thursday; 0 is Sunday.
fn weekday_of(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// Whether `byte` comes next; it is read then.
    fn takes(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A name of three letters or more, or of anything that a name may have between `<` and `>`.
    fn name(&mut self) -> Option<()> {
        let quoted = self.takes(b'<');
        let belongs = |byte: &u8| match quoted {
            true => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'),
            false => byte.is_ascii_alphabetic(),
        };
        let length = self.0.iter().take_while(|byte| belongs(byte)).count();
        self.0 = &self.0[length..];
        (length >= 3 && (!quoted || self.takes(b'>'))).then_some(())
    }

    /// A number of one to three digits, at most `most`.
    fn number(&mut self, most: u16) -> Option<u16> {
        let digits = self.0.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        let value = number.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        ((1..=3).contains(&digits) && value <= most).then_some(value)
    }

    /// `[+-]hours[:minutes[:seconds]]`, as seconds.
    fn time(&mut self, most_hours: u16) -> Option<i32> {
        let is_negative = self.takes(b'-');
        if !is_negative {
            self.takes(b'+');
        }
        let mut seconds = i32::from(self.number(most_hours)?) * 3600;
        for unit in [60, 1] {
            if !self.takes(b':') {
                break;
            }
            seconds += i32::from(self.number(59)?) * unit;
        }
        Some(if is_negative { -seconds } else { seconds })
    }

    /// `,day[/time]`.
    fn change(&mut self) -> Option<Change> {
        if !self.takes(b',') {
            return None;
        }
        let day = if self.takes(b'M') {
            let mut part = |before: bool, range: core::ops::RangeInclusive<u16>| {
                let is_there = !before || self.takes(b'.');
                let number = self.number(*range.end()).filter(|number| is_there && range.contains(number))?;
                u8::try_from(number).ok()
            };
            Day::Weekday(part(false, 1..=12)?, part(true, 1..=5)?, part(true, 0..=6)?)
        } else if self.takes(b'J') {
            Day::Julian(self.number(365).filter(|day| *day > 0)?)
        } else {
            Day::Counted(self.number(365)?)
        };
        let second = if self.takes(b'/') { self.time(167)? } else { TWO_O_CLOCK };
        Some(Change { day, second })
    }
}
