//! Dates as people read them. Pure.

use core::fmt::{self, Display};

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Seconds since 1970, shown as `2026-11-27 17:05:00 UTC`.
pub struct Date(pub u64);

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A year more than there are numbers of 63 bits for, which nobody can tell from the right one.
        let civil = Civil::of(i64::try_from(self.0).unwrap_or(i64::MAX));
        let mut room = [0; Civil::SIZE];
        f.write_str(core::str::from_utf8(civil.write(&mut room)).unwrap_or_default())?;
        f.write_str(" UTC")
    }
}

/// A date and a time of the day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Civil {
    /// Year of the Gregorian calendar; 0 is the one before 1.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; 60 in an inserted second.
    pub second: u8,
}

impl Civil {
    /// Room for any one's text.
    pub const SIZE: usize = 20 + 15;

    /// So many seconds after the beginning of 1970, or before if they are negative. No leap seconds are counted.
    pub fn of(seconds: i64) -> Civil {
        let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY) as u32);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = ((second / 3600) as u8, (second / 60 % 60) as u8, (second % 60) as u8);
        Civil { year, month, day, hour, minute, second }
    }

    /// Seconds since 1970, negative before; the inverse of [`Civil::of`] for all times that a clock can show. Days and times
    /// beyond the end of a month or a day count as what they would be if it went on.
    pub fn seconds(&self) -> i64 {
        let time = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        day_number(self.year, self.month, self.day).saturating_mul(DAY).saturating_add(time)
    }

    /// `2026-11-27 17:05:00`: the year has four digits or more.
    pub fn write<'a>(&self, room: &'a mut [u8; Self::SIZE]) -> &'a [u8] {
        // From the end, because years have more or fewer digits.
        let mut at = room.len();
        let mut put = |byte: u8| {
            at -= 1;
            room[at] = byte;
        };
        let fields =
            [(b'-', self.month), (b'-', self.day), (b' ', self.hour), (b':', self.minute), (b':', self.second)];
        for (before, number) in fields.into_iter().rev() {
            put(b'0' + number % 10);
            put(b'0' + number / 10 % 10);
            put(before);
        }
        let mut year = self.year.unsigned_abs();
        for digit in 0..19 {
            if year == 0 && digit >= 4 {
                break;
            }
            put(b'0' + (year % 10) as u8);
            year /= 10;
        }
        if self.year < 0 {
            put(b'-');
        }
        &room[at..]
    }
}

/// Year, month and day of a day since 1970. A year is taken to begin in March, so that the leap day is its last.
fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468; // since March of the year 0
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097) as u32); // 400 years
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // 0 is March
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + i64::from(year) + next, month as u8, day as u8)
}

/// Days from 1970 to a date, negative before; the inverse of [`civil`].
pub fn day_number(year: i64, month: u8, day: u8) -> i64 {
    let (month, before) = if month > 2 { (i64::from(month) - 3, 0) } else { (i64::from(month) + 9, 1) };
    let year = year.saturating_sub(before);
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5 + i64::from(day) - 1 + 365 * year + year / 4 - year / 100;
    era.saturating_mul(146_097).saturating_add(day - 719_468)
}

/// Whether a year has a 29th of February.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_dates_are_right() {
        let date = |seconds| Date(seconds).to_string();
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(1_795_799_101), "2026-11-27 17:05:01 UTC");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(date(253_402_300_800), "10000-01-01 00:00:00 UTC");
    }

    #[test]
    fn times_before_1970_are_dates_too() {
        let text = |seconds| String::from_utf8(Civil::of(seconds).write(&mut [0; Civil::SIZE]).to_vec()).unwrap();
        assert_eq!(text(-1), "1969-12-31 23:59:59");
        assert_eq!(text(-86_401), "1969-12-30 23:59:59");
        assert_eq!(text(-62_167_219_200), "0000-01-01 00:00:00");
        assert_eq!(text(-62_167_219_201), "-0001-12-31 23:59:59");
    }

    #[test]
    fn every_day_follows_the_one_before_it() {
        let mut last = civil(-100_001);
        for day in -100_000..100_000 {
            let (year, month, dom) = civil(day);
            let follows = if dom > 1 {
                (last.0, last.1, last.2 + 1) == (year, month, dom)
            } else if month > 1 {
                last.0 == year && last.1 + 1 == month && last.2 >= 28
            } else {
                last.0 + 1 == year && last.1 == 12 && last.2 == 31
            };
            assert!(follows, "{last:?} {year} {month} {dom}");
            assert_eq!(day_number(year, month, dom), day);
            assert_eq!(is_leap(year), day_number(year, 3, 1) - day_number(year, 2, 28) == 2);
            last = (year, month, dom);
        }
    }

    #[test]
    fn no_number_is_too_large() {
        assert!(Date(u64::MAX).to_string().ends_with(" UTC"));
        for seconds in [i64::MIN, i64::MAX] {
            assert!(Civil::of(seconds).write(&mut [0; Civil::SIZE]).len() > 20);
        }
    }

    proptest! {
        #[test]
        fn a_date_reads_back(seconds in prop_oneof![-(1i64 << 40)..1 << 40, -(1i64 << 62)..1 << 62]) {
            prop_assert_eq!(Civil::of(seconds).seconds(), seconds);
        }
    }
}
