//! What is in front of a line in a log: its time. Pure.

use crate::text::date::{Civil, DAY};
use crate::text::tai::Stamp;
use crate::text::zone::Zone;

/// A label in front of a line: `@` and 24 digits.
const LABEL: usize = 25;
/// Local time in front of a line: `2026-11-22 09:25:06.988537991`.
const LOCAL: usize = 29;

/// When a line was logged, as it says itself, and how many bytes say so. `after`: the time of the line before it, which helps
/// where an hour comes twice.
pub fn time(line: &[u8], zone: &Zone<'_>, after: Stamp) -> (Option<Stamp>, usize) {
    if let Some(stamp) = Stamp::from_text(line) {
        let rest = line.get(LABEL..).unwrap_or_default();
        let len = LABEL + usize::from(rest.first() == Some(&b' '));
        // Both stamps say the same; one is enough.
        let both = line.get(len..).and_then(local).map_or(0, |_| LOCAL + 2);
        return (Some(stamp), len + both);
    }
    match local(line) {
        Some((civil, nano)) => (Some(stamp_of(zone, civil, nano, after)), LOCAL + 2),
        None => (None, 0),
    }
}

/// The stamp of a line, if it begins with a label: without a look at local time.
pub fn label(line: &[u8]) -> Option<Stamp> {
    Stamp::from_text(line)
}

/// Local time and two spaces, as s6-log writes them.
fn local(line: &[u8]) -> Option<(Civil, u32)> {
    let text = line.get(..LOCAL)?;
    line.get(LOCAL..LOCAL + 2).filter(|spaces| spaces == b"  ")?;
    let (date, fraction) = text.split_at_checked(19)?;
    let nano = number(fraction.strip_prefix(b".")?)?;
    Some((civil(date)?, nano))
}

/// `2026-11-22 09:25:06`; there may be a `T` in its middle.
pub fn civil(text: &[u8]) -> Option<Civil> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ' | b'T', h1, h2, b':', n1, n2, b':', s1, s2] = text else {
        return None;
    };
    let pair = |a: u8, b: u8| number(&[a, b]).and_then(|number| u8::try_from(number).ok());
    let civil = Civil {
        year: number(&[y1, y2, y3, y4])?.into(),
        month: pair(m1, m2)?,
        day: pair(d1, d2)?,
        hour: pair(h1, h2)?,
        minute: pair(n1, n2)?,
        second: pair(s1, s2)?,
    };
    let in_day = civil.hour < 24 && civil.minute < 60 && civil.second <= 60;
    // A day that its month has not counts as one of the next.
    let is_date = || {
        let back = Civil::of(Civil { hour: 0, minute: 0, second: 0, ..civil }.seconds());
        (back.year, back.month, back.day) == (civil.year, civil.month, civil.day)
    };
    ((1..=12).contains(&civil.month) && in_day && is_date()).then_some(civil)
}

/// Digits only.
pub fn number(digits: &[u8]) -> Option<u32> {
    crate::text::number::parse_u32(digits)
}

/// The stamp of a local time: of two, the first that is not before `after`; of none, because clocks are put forward over it,
/// what it would be if they had not been yet.
pub fn stamp_of(zone: &Zone<'_>, civil: Civil, nano: u32, after: Stamp) -> Stamp {
    let (inserted, civil) = if civil.second == 60 { (1, Civil { second: 59, ..civil }) } else { (0, civil) };
    let local = civil.seconds();
    // No zone changes twice in two days.
    let before = local.saturating_sub(zone.offset(local.saturating_sub(DAY)).into());
    let behind = local.saturating_sub(zone.offset(local.saturating_add(DAY)).into());
    let is_right = |time: &i64| time.saturating_add(zone.offset(*time).into()) == local;
    let stamp = |time: i64| Stamp::from_unix(u64::try_from(time).unwrap_or(0), nano);
    let (first, last) = (before.min(behind), before.max(behind));
    let found = match (is_right(&first), is_right(&last)) {
        (true, true) if stamp(first) < after => last,
        (true, _) => first,
        (false, true) => last,
        (false, false) => before,
    };
    let stamp = stamp(found);
    Stamp { sec: stamp.sec.saturating_add(inserted), ..stamp }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Stamp = Stamp { sec: 0, nano: 0 };

    fn parsed(line: &str) -> (Option<Stamp>, &str) {
        let (stamp, len) = time(line.as_bytes(), &Zone::UTC, NONE);
        (stamp, &line[len..])
    }

    #[test]
    fn a_line_begins_with_a_label_or_local_time_or_both() {
        let time = Stamp::from_unix(1_795_339_506, 988_537_991);
        let (stamp, label) = (Some(time), String::from_utf8(time.to_text().to_vec()).unwrap());
        let local = "2026-11-22 09:25:06.988537991";
        for (line, rest) in [
            (format!("{label} text"), "text"),
            (format!("{local}  text"), "text"),
            (format!("{label} {local}  text"), "text"),
            (format!("{label}  text"), " text"),
            (format!("{label} {local} text"), "2026-11-22 09:25:06.988537991 text"),
            (format!("{label}text"), "text"),
            (label.clone(), ""),
        ] {
            assert_eq!(parsed(&line), (stamp, rest), "{line}");
        }
    }

    #[test]
    fn what_is_nearly_a_time_is_text() {
        for line in [
            "",
            "@",
            "@400000006b02b5173aebe48",
            "2026-11-22 09:25:06.988537991 one space",
            "2026-11-22 09:25:06  no fraction",
            "2026-13-22 09:25:06.988537991  text",
            "2026-02-29 09:25:06.988537991  text",
            "2026-11-22 24:25:06.988537991  text",
            "2026-11-22 09:60:06.988537991  text",
            "2026-11-22 09:25:61.988537991  text",
            "2026-11-22 09:25:06.98853799x  text",
            " 2026-11-22 09:25:06.988537991  text",
        ] {
            assert_eq!(parsed(line), (None, line));
        }
    }

    #[test]
    fn an_inserted_second_has_the_label_between_its_neighbours() {
        let stamp = |text: &str| parsed(&format!("{text}.000000000  x")).0.unwrap().sec;
        let before = stamp("2016-12-31 23:59:59");
        assert_eq!(stamp("2016-12-31 23:59:60"), before + 1);
        assert_eq!(stamp("2017-01-01 00:00:00"), before + 2);
    }

    #[test]
    fn an_hour_that_comes_twice_is_the_second_one_after_a_later_line() {
        let zone = Zone::of_rule(b"CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let time = |text: &str, after| time(format!("{text}.000000000  x").as_bytes(), &zone, after).0.unwrap();
        let first = time("2026-10-25 02:30:00", NONE);
        assert_eq!(first, Stamp::from_unix(1_792_888_200, 0)); // 00:30 UTC
        let second = time("2026-10-25 02:10:00", first);
        assert_eq!(second, Stamp::from_unix(1_792_890_600, 0)); // 01:10 UTC
        assert_eq!(time("2026-10-25 03:10:00", second), Stamp::from_unix(1_792_894_200, 0));
        // 02:30 is not there when summer begins.
        assert_eq!(time("2026-03-29 02:30:00", NONE), Stamp::from_unix(1_774_747_800, 0));
        assert_eq!(time("2026-03-29 03:30:00", NONE), Stamp::from_unix(1_774_747_800, 0));
    }
}
