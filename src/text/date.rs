//! Dates as people read them, in UTC. Pure.

use core::fmt::{self, Display};

/// Seconds since 1970, shown as `2026-11-27 17:05:00 UTC`.
pub struct Date(pub u64);

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// Year, month and day of a day since 1970. A year is taken to begin in March, so that the leap day is its last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468); // since March of the year 0
    let (era, day) = (days / 146_097, days % 146_097); // 400 years
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // 0 is March
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates_are_right() {
        let date = |seconds| Date(seconds).to_string();
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(1_795_799_101), "2026-11-27 17:05:01 UTC");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00:00 UTC");
    }

    #[test]
    fn every_day_follows_the_one_before_it() {
        let mut last = civil(0);
        for day in 1..100_000 {
            let (year, month, dom) = civil(day);
            let follows = if dom > 1 {
                (last.0, last.1, last.2 + 1) == (year, month, dom)
            } else if month > 1 {
                last.0 == year && last.1 + 1 == month && last.2 >= 28
            } else {
                last.0 + 1 == year && last.1 == 12 && last.2 == 31
            };
            assert!(follows, "{last:?} {year} {month} {dom}");
            last = (year, month, dom);
        }
    }

    #[test]
    fn no_number_is_too_large() {
        assert!(Date(u64::MAX).to_string().ends_with(" UTC"));
    }
}
