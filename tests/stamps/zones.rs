//! Zones beside the C library's, which date(1) asks in a process of its own; and files that are damaged.

use crate::Numbers;
use linchpin::text::date::Civil;
use linchpin::text::zone::Zone;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DIRECTORY: &str = "/usr/share/zoneinfo";

/// What the C library shows at each of some times.
fn theirs(zone: &str, times: &[i64]) -> Vec<String> {
    let mut date = Command::new("date");
    date.env("TZ", zone).args(["-f", "-", "+%Y-%m-%d %H:%M:%S"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = date.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let asked = times.iter().map(|time| format!("@{time}\n")).collect::<String>();
    let writer = std::thread::spawn(move || stdin.write_all(asked.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(shown.len(), times.len(), "{zone}");
    shown
}

fn ours(zone: &Zone, time: i64) -> String {
    String::from_utf8(zone.local(time).write(&mut [0; Civil::SIZE]).to_vec()).unwrap()
}

fn compare(name: &str, zone: &Zone, times: &[i64]) {
    for (time, theirs) in times.iter().zip(theirs(name, times)) {
        assert_eq!(ours(zone, *time), theirs, "{name} @{time}");
    }
}

/// The seconds around every change between two times that are more than two weeks apart.
fn around_changes(zone: &Zone, from: i64, to: i64) -> Vec<i64> {
    const STEP: i64 = 14 * 86_400;
    let mut times = Vec::new();
    for start in (from..to).step_by(STEP as usize) {
        let (mut low, mut high) = (start, start + STEP);
        if zone.offset(low) == zone.offset(high) {
            continue;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if zone.offset(middle) == zone.offset(low) { low = middle } else { high = middle }
        }
        times.extend([low - 1, low, high, high + 1]);
    }
    times
}

/// All zones of a directory below [`DIRECTORY`].
fn zones(directory: &str) -> Vec<String> {
    fn walk(path: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(path).expect("zones are missing. Try: scripts/setup") {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if !["right", "posix"].iter().any(|other| path == Path::new(DIRECTORY).join(other)) => {
                    walk(path, found)
                }
                true => {}
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new(DIRECTORY).join(directory), &mut found);
    found.retain(|path| std::fs::read(path).unwrap().starts_with(b"TZif"));
    let name = |path: PathBuf| path.strip_prefix(DIRECTORY).unwrap().to_str().unwrap().to_owned();
    found.into_iter().map(name).collect()
}

/// Calls `check` with those of the zones whose files differ, on both processors.
fn each_zone(directory: &str, check: impl Fn(&str, &[u8]) + Sync) -> usize {
    let mut seen = HashSet::new();
    let files =
        zones(directory).into_iter().map(|name| (std::fs::read(Path::new(DIRECTORY).join(&name)).unwrap(), name));
    let different = files.filter(|(bytes, _)| seen.insert(bytes.clone())).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        for half in different.chunks(different.len().div_ceil(2)) {
            scope.spawn(|| half.iter().for_each(|(bytes, name)| check(name, bytes)));
        }
    });
    different.len()
}

const YEAR_2037: i64 = 2_114_380_800;

#[test]
fn every_zone_shows_the_times_that_the_c_library_shows() {
    let checked = each_zone(".", |name, bytes| {
        let zone = Zone::of_file(bytes).unwrap_or_else(|| panic!("{name} is not read"));
        assert!(!zone.is_right());
        let mut numbers = Numbers(name.len() as u64);
        let mut times = (0..400).map(|_| numbers.below(crate::YEAR_2400) as i64).collect::<Vec<_>>();
        times.extend((0..100).map(|_| -(numbers.below(3_000_000_000) as i64)));
        times.extend(around_changes(&zone, -2_000_000_000, 2_500_000_000));
        compare(name, &zone, &times);
    });
    assert!(checked > 100, "{checked} zones");
}

#[test]
fn every_zone_that_counts_leap_seconds_shows_the_times_that_the_c_library_shows() {
    let checked = each_zone("right", |name, bytes| {
        let zone = Zone::of_file(bytes).unwrap_or_else(|| panic!("{name} is not read"));
        assert!(zone.is_right(), "{name}");
        let mut numbers = Numbers(name.len() as u64);
        // These files have no rule: after the last change the C library has an opinion of its own.
        let mut times = (0..300).map(|_| numbers.below(YEAR_2037 as u64) as i64).collect::<Vec<_>>();
        times.extend(around_changes(&zone, 0, YEAR_2037 - 15 * 86_400));
        times.extend((78_796_798..78_796_803).chain(1_483_228_824..1_483_228_829));
        compare(name, &zone, &times);
    });
    assert!(checked > 100, "{checked} zones");
}

#[test]
fn the_old_table_alone_shows_the_same_while_it_has_times() {
    // "fat" files only; others have an empty old table.
    let checked = std::sync::atomic::AtomicUsize::new(0);
    each_zone(".", |name, bytes| {
        let mut old = bytes.to_vec();
        old[4] = 0; // what follows its table is not looked at then
        let (old, new) = (Zone::of_file(&old), Zone::of_file(bytes).unwrap());
        let Some(old) = old.filter(|old| !around_changes(old, 0, YEAR_2037).is_empty()) else { return };
        for time in around_changes(&new, 0, YEAR_2037 - 15 * 86_400) {
            assert_eq!(old.local(time), new.local(time), "{name} @{time}");
        }
        checked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(checked.into_inner() > 50 || std::fs::read(format!("{DIRECTORY}/Europe/Berlin")).unwrap().len() < 1000);
}

#[test]
fn rules_show_the_times_that_the_c_library_shows() {
    let mut numbers = Numbers(99);
    let mut rules = ["CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30", "<-03>3", "UTC0", "AAA-24", "AAA24", "EST5"]
        .map(str::to_owned)
        .to_vec();
    for _ in 0..120 {
        let mut n = |limit: u64| numbers.below(limit);
        let hours = n(25) as i64 - 12;
        let mut rule = format!("ABC{hours}:{:02}DEF", n(60));
        if n(2) == 0 {
            let _ = write!(rule, "{}:{:02}:{:02}", hours - 2 + n(3) as i64, n(60), n(60));
        }
        // Weeks away from the turn of the year, and from each other: what comes to pass else is open to opinion.
        let spring = match n(3) {
            0 => format!("M{}.{}.{}", 2 + n(4), 1 + n(5), n(7)),
            1 => format!("J{}", 50 + n(100)),
            _ => format!("{}", 50 + n(100)),
        };
        let autumn = match n(3) {
            0 => format!("M{}.{}.{}", 8 + n(4), 1 + n(5), n(7)),
            1 => format!("J{}", 220 + n(100)),
            _ => format!("{}", 220 + n(100)),
        };
        let mut time = || match n(4) {
            0 => String::new(),
            1 => format!("/{}", n(25)),
            2 => format!("/{}:{:02}:{:02}", n(24), n(60), n(60)),
            _ => format!("/{}", n(300) as i64 - 150),
        };
        let (first, second) = (time(), time());
        match numbers.below(2) {
            0 => rules.push(format!("{rule},{spring}{first},{autumn}{second}")),
            _ => rules.push(format!("{rule},{autumn}{first},{spring}{second}")),
        }
    }
    for rule in &rules {
        let zone = Zone::of_rule(rule.as_bytes()).unwrap_or_else(|| panic!("{rule} is not read"));
        let mut times = (0..300).map(|_| numbers.below(crate::YEAR_2400) as i64).collect::<Vec<_>>();
        times.extend(around_changes(&zone, 0, 1_000_000_000));
        compare(rule, &zone, &times);
    }
}

#[test]
fn a_summer_that_lasts_all_year_never_ends() {
    // RFC 9636, section 3.3.1, has that for a zone without a standard time. (The C library has a gap at the new year.)
    let zone = Zone::of_rule(b"EST5EDT,0/0,J365/25").unwrap();
    for time in (0..YEAR_2037).step_by(12_345) {
        assert_eq!(zone.offset(time), -4 * 3600, "{time}");
    }
    for year in 1970..2100 {
        let new_year = Civil { year, month: 1, day: 1, hour: 0, minute: 0, second: 0 }.seconds();
        for time in new_year - 8 * 3600..new_year + 8 * 3600 {
            assert_eq!(zone.offset(time), -4 * 3600, "{time}");
        }
    }
}

#[test]
fn what_is_no_rule_is_refused() {
    for bad in [
        "",
        "A",
        "AB3",
        "ABC",
        "ABC+",
        "ABC-",
        "ABC25",
        "ABC3:60",
        "ABC3:5:60",
        "ABC1234",
        "3",
        "<ab>3",
        "<abc3",
        "<a c>3",
        "abc>3",
        "ABC3 ",
        " ABC3",
        "ABC3DE",
        "ABC3DEF,",
        "ABC3DEF,M3.5.0",
        "ABC3DEF,M3.5.0,",
        "ABC3DEF,M13.1.0,J3",
        "ABC3DEF,M0.1.0,J3",
        "ABC3DEF,M3.6.0,J3",
        "ABC3DEF,M3.0.0,J3",
        "ABC3DEF,M3.1.7,J3",
        "ABC3DEF,M3.1,J3",
        "ABC3DEF,J0,J3",
        "ABC3DEF,J366,J3",
        "ABC3DEF,366,J3",
        "ABC3DEF,J1/168,J3",
        "ABC3DEF,J1/-168,J3",
        "ABC3DEF,J1/,J3",
        "ABC3DEF,J1,J3,",
        "ABC3DEF,J1,J3x",
        "ABC3DEF4x",
        "ABC3DEF25",
        "ABC3:",
        "\u{e4}BC3",
        "ABC3\0",
        "ABC99999999999999999999",
    ] {
        assert!(Zone::of_rule(bad.as_bytes()).is_none(), "{bad:?}");
    }
}

/// A file as tzfile(5) describes it: version, times with their types, offsets, leap seconds, footer.
fn file(version: u8, times: &[(i64, u8)], offsets: &[i32], leaps: &[(i64, i32)], footer: &[u8]) -> Vec<u8> {
    let block = |width: usize, times: &[(i64, u8)], leaps: &[(i64, i32)]| {
        let number = |time: i64| time.to_be_bytes()[8 - width..].to_vec();
        let counts =
            [0, 0, leaps.len(), times.len(), offsets.len(), 4].map(|count| (count as u32).to_be_bytes()).concat();
        let mut bytes = [&b"TZif"[..], &[version], &[0; 15], &counts].concat();
        bytes.extend(times.iter().flat_map(|(time, _)| number(*time)));
        bytes.extend(times.iter().map(|(_, kind)| kind));
        bytes.extend(offsets.iter().flat_map(|offset| [&offset.to_be_bytes()[..], &[0, 0]].concat()));
        bytes.extend_from_slice(b"XYZ\0");
        bytes.extend(leaps.iter().flat_map(|(time, count)| [number(*time), count.to_be_bytes().to_vec()].concat()));
        bytes
    };
    match version {
        0 => block(4, times, leaps),
        _ => [block(4, &[], &[]), block(8, times, leaps), footer.to_vec()].concat(),
    }
}

#[test]
fn files_of_every_version_are_read() {
    let times = [(-5_000_000_000, 1), (1_000_000_000, 2), (2_000_000_000, 0)];
    for version in *b"234" {
        let bytes = file(version, &times, &[10, 20, 30], &[], b"\nAAA-1\n");
        let zone = Zone::of_file(&bytes).unwrap();
        let at = [-5_000_000_001, -5_000_000_000, 999_999_999, 1_000_000_000, 1_999_999_999, 2_000_000_000, i64::MAX];
        assert_eq!(at.map(|time| zone.offset(time)), [10, 20, 20, 30, 30, 3600, 3600]);
    }
    let bytes = file(0, &times[1..], &[10, 20, 30], &[], b"");
    let zone = Zone::of_file(&bytes).unwrap();
    assert_eq!([i64::MIN, 1_000_000_000, 2_000_000_000].map(|time| zone.offset(time)), [10, 30, 10]);
    // Without a rule the last change lasts; without any change there is the first type.
    let bytes = file(b'2', &times, &[10, 20, 30], &[], b"\n\n");
    assert_eq!(Zone::of_file(&bytes).unwrap().offset(3_000_000_000), 10);
    let bytes = file(b'3', &[], &[77], &[], b"\n\n");
    assert_eq!(Zone::of_file(&bytes).unwrap().offset(0), 77);
    let bytes = file(b'3', &[], &[77], &[], b"\nAAA-1\n");
    assert_eq!(Zone::of_file(&bytes).unwrap().offset(0), 3600);
}

#[test]
fn leap_seconds_of_a_file_may_be_taken_out_and_may_end() {
    let show = |leaps: &[(i64, i32)], time| {
        let bytes = file(b'4', &[], &[0], leaps, b"\n\n");
        ours(&Zone::of_file(&bytes).unwrap(), time)
    };
    let inserted = [(78_796_800, 1), (94_694_401, 2)];
    assert_eq!(show(&inserted, 94_694_400), "1972-12-31 23:59:59");
    assert_eq!(show(&inserted, 94_694_401), "1972-12-31 23:59:60");
    assert_eq!(show(&inserted, 94_694_402), "1973-01-01 00:00:00");
    // One second less: 23:59:59 is left out.
    let removed = [(78_796_800, 1), (94_694_400, 0)];
    assert_eq!(show(&removed, 94_694_399), "1972-12-31 23:59:58");
    assert_eq!(show(&removed, 94_694_400), "1973-01-01 00:00:00");
    // An entry that changes nothing says how long the table holds: version 4.
    let expires = [(78_796_800, 1), (94_694_400, 1)];
    assert_eq!(show(&expires, 94_694_400), "1972-12-31 23:59:59");
    // A table that begins later begins with all there were before: version 4.
    assert_eq!(show(&[(94_694_401, 2)], 94_694_401), "1972-12-31 23:59:59");
}

#[test]
fn damaged_files_are_refused() {
    let good = file(b'2', &[(5, 0), (7, 1)], &[10, 20], &[(6, 1)], b"\nAAA-1\n");
    assert!(Zone::of_file(&good).is_some());
    for length in 0..good.len() {
        assert!(Zone::of_file(&good[..length]).is_none(), "{length} bytes");
    }
    for (why, bad) in [
        ("no magic", [b"TZiF", &good[4..]].concat()),
        ("a type that is not there", file(b'2', &[(5, 0), (7, 2)], &[10, 20], &[], b"\n\n")),
        ("no type", file(b'2', &[], &[], &[], b"\nAAA-1\n")),
        ("times that go back", file(b'2', &[(7, 0), (5, 1)], &[10, 20], &[], b"\n\n")),
        ("a time twice", file(b'2', &[(7, 0), (7, 1)], &[10, 20], &[], b"\n\n")),
        ("leap seconds that go back", file(b'2', &[], &[10], &[(7, 1), (5, 2)], b"\n\n")),
        ("an offset of 26 hours", file(b'2', &[], &[26 * 3600], &[], b"\n\n")),
        ("an offset of minus 25 hours", file(b'2', &[], &[-25 * 3600], &[], b"\n\n")),
        ("an offset of none", file(b'2', &[], &[i32::MIN], &[], b"\n\n")),
        ("a rule that is none", file(b'2', &[], &[10], &[], b"\nAAA\n")),
        ("no end of the rule", file(b'2', &[], &[10], &[], b"\nAAA-1")),
        ("no footer", file(b'2', &[], &[10], &[], b"")),
        ("no type, old", file(0, &[], &[], &[], b"")),
    ] {
        assert!(Zone::of_file(&bad).is_none(), "{why}");
    }
}
