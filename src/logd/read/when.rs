//! Times as people give them on a command line. Pure.

use super::line::{civil, number, stamp_of};
use crate::text::date::{Civil, DAY};
use crate::text::number::parse_u64;
use crate::text::tai::Stamp;
use crate::text::zone::Zone;

/// The forms that [`parse`] knows, for who has given another.
pub const FORMS: &str = "2026-11-22, \"2026-11-22 09:25:06\", 09:25, @400000006b02b5173aebe487, -5m, \"1h30m ago\", today, yesterday or now";

/// The longest date with a fraction.
const DATE: usize = 19;

/// A time: `2026-11-22`, with ` 09:25`, ` 09:25:06` or ` 09:25:06.9` behind it; `09:25` today; `@` and a TAI64N label, or
/// seconds since 1970; `-5m`, `1h30m ago` (units s, m, h, d, w); `today`, `yesterday`, `now`. In the zone's local time.
/// `None`: it is none of these.
pub fn parse(word: &[u8], now: (u64, u32), zone: &Zone<'_>) -> Option<Stamp> {
    let (unix, nano) = now;
    let local = |civil: Civil, nano: u32| stamp_of(zone, civil, nano, Stamp::default());
    let today = |back: i64| {
        let unix = i64::try_from(unix).unwrap_or(i64::MAX / 2);
        let here = unix.saturating_add(zone.offset(unix).into()).saturating_sub(back * DAY);
        Civil { hour: 0, minute: 0, second: 0, ..Civil::of(here) }
    };
    match word {
        b"now" => return Some(Stamp::from_unix(unix, nano)),
        b"today" => return Some(local(today(0), 0)),
        b"yesterday" => return Some(local(today(1), 0)),
        _ => {}
    }
    if let Some(label) = word.strip_prefix(b"@") {
        return match Stamp::from_text(word) {
            Some(stamp) if word.len() == 25 => Some(stamp),
            _ => parse_u64(label).filter(|unix| *unix < 1 << 40).map(|unix| Stamp::from_unix(unix, 0)),
        };
    }
    let past = word.strip_prefix(b"-").or_else(|| word.strip_suffix(b"ago").map(<[u8]>::trim_ascii_end));
    if let Some(past) = past {
        let seconds = duration(past)?;
        return Some(Stamp::from_unix(unix.saturating_sub(seconds), nano));
    }
    let (date, time) = match word {
        [_, _, _, _, b'-', _, _, b'-', _, _] => (Some(word), &b"00:00:00"[..]),
        [_, _, _, _, b'-', _, _, b'-', _, _, b' ' | b'T', ..] => (word.get(..10), word.get(11..)?),
        _ => (None, word),
    };
    let (time, fraction) = match time.iter().position(|byte| *byte == b'.') {
        Some(at) if at == 8 => (time.get(..at)?, fraction(time.get(at + 1..)?)?),
        _ => (time, 0),
    };
    let mut text = [0; DATE];
    let day = today(0);
    let mut room = [0; Civil::SIZE];
    text.get_mut(..10)?.copy_from_slice(date.or(day.write(&mut room).get(..10))?);
    text[10] = b' ';
    text.get_mut(11..)?.copy_from_slice(match time.len() {
        8 => time,
        5 => {
            text.get_mut(11..16)?.copy_from_slice(time);
            text.get_mut(16..)?.copy_from_slice(b":00");
            return civil(&text).map(|civil| local(civil, 0));
        }
        _ => return None,
    });
    civil(&text).map(|civil| local(civil, fraction))
}

/// Up to nine digits behind a point, as nanoseconds.
fn fraction(digits: &[u8]) -> Option<u32> {
    let missing = u32::try_from(9usize.checked_sub(digits.len())?).ok()?;
    number(digits)?.checked_mul(10u32.pow(missing))
}

/// `90s`, `1h30m`, `2 d`: seconds.
fn duration(mut text: &[u8]) -> Option<u64> {
    let mut sum = 0u64;
    while !text.is_empty() {
        let digits = text.iter().position(|byte| !byte.is_ascii_digit())?;
        let (number, rest) = text.split_at_checked(digits)?;
        let rest = rest.trim_ascii_start();
        let letters = rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at_checked(letters)?;
        let seconds = match unit {
            b"s" | b"sec" | b"second" | b"seconds" => 1,
            b"m" | b"min" | b"minute" | b"minutes" => 60,
            b"h" | b"hour" | b"hours" => 3600,
            b"d" | b"day" | b"days" => 86_400,
            b"w" | b"week" | b"weeks" => 604_800,
            _ => return None,
        };
        sum = sum.checked_add(parse_u64(number)?.checked_mul(seconds)?)?;
        text = rest.trim_ascii_start();
        if text.is_empty() {
            return Some(sum);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 09:25:06.5 UTC.
    const NOW: (u64, u32) = (1_795_339_506, 500_000_000);

    fn at(word: &str) -> Option<(i64, u32)> {
        let stamp = parse(word.as_bytes(), NOW, &Zone::UTC)?;
        Some((stamp.to_unix()?.0 as i64 - NOW.0 as i64, stamp.nano))
    }

    #[test]
    fn absolute_times_are_local() {
        for (word, seconds, nano) in [
            ("2026-11-22 09:25:06", 0, 0),
            ("2026-11-22T09:25:06", 0, 0),
            ("2026-11-22 09:25:06.25", 0, 250_000_000),
            ("2026-11-22 09:25:06.000000001", 0, 1),
            ("2026-11-22 09:25", -6, 0),
            ("2026-11-22", -33_906, 0),
            ("09:25", -6, 0),
            ("09:25:07", 1, 0),
            ("today", -33_906, 0),
            ("yesterday", -33_906 - 86_400, 0),
            ("now", 0, 500_000_000),
            ("@400000006b02b5173aebe487", 0, 0x3aeb_e487),
            ("@1795339506", 0, 0),
        ] {
            assert_eq!(at(word), Some((seconds, nano)), "{word}");
        }
        let zone = Zone::of_rule(b"CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let there = |word: &str| parse(word.as_bytes(), NOW, &zone).unwrap().to_unix().unwrap().0;
        assert_eq!(there("2026-11-22 10:25:06"), NOW.0);
        assert_eq!(there("today"), NOW.0 - 33_906 - 3600);
        assert_eq!(there("2026-07-01 02:00"), 1_782_864_000);
    }

    #[test]
    fn relative_times_have_units() {
        for (word, seconds) in [
            ("-5m", 300),
            ("5m ago", 300),
            ("5 minutes ago", 300),
            ("-1h30m", 5400),
            ("1h 30m ago", 5400),
            ("-2d", 172_800),
            ("-1w", 604_800),
            ("-0s", 0),
        ] {
            assert_eq!(at(word), Some((-seconds, 500_000_000)), "{word}");
        }
        assert_eq!(parse(b"-99999999w", NOW, &Zone::UTC), Some(Stamp::from_unix(0, 500_000_000)), "before 1970");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for word in [
            "",
            "5m",
            "-",
            "-5",
            "-m",
            "ago",
            "5 ago",
            "-5x",
            "--5m",
            "2026-11",
            "2026-11-31",
            "2026-11-22 9:25",
            "2026-11-22 09",
            "2026-11-22 09:25:06.",
            "2026-11-22 09:25:06.1234567890",
            "2026-11-22 09:25.5",
            "24:00",
            "09:25:",
            "@",
            "@x",
            "@400000006b02b5173aebe48",
            "tomorrow",
            "@99999999999999",
            "-99999999999999999999s",
            "2026-11-22 ",
            "-1h30",
        ] {
            assert_eq!(at(word), None, "{word}");
        }
    }
}
