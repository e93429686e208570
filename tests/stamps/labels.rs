//! tai64nlocal: which lines it changes, and what becomes of labels, in UTC and in New York.

use crate::beside::*;
use crate::{Filtered, Numbers, YEAR_2400, filter, label};

/// What ours makes of `input`, which must be what Debian's makes of it.
fn shown(words: &[&str], zone: &str, input: &[u8]) -> String {
    let both = Beside::new();
    let [theirs, ours] =
        [Theirs, Ours].map(|whose| filter(both.command(whose, "tai64nlocal").args(words).env("TZ", zone), input));
    assert_eq!(ours.code, theirs.code);
    if ours.out != theirs.out {
        let lines =
            |filtered: &Filtered| String::from_utf8_lossy(&filtered.out).lines().map(str::to_owned).collect::<Vec<_>>();
        let all = lines(&ours).into_iter().zip(lines(&theirs));
        let wrong = all.clone().filter(|(ours, theirs)| ours != theirs);
        panic!("{zone:?} {} of {} lines: {:?}", wrong.clone().count(), all.count(), wrong.take(3).collect::<Vec<_>>());
    }
    assert_eq!(ours.code, 0);
    String::from_utf8_lossy(&ours.out).into_owned()
}

const STAMP: &str = "@400000006b098bdd2bfa5d34";
const SHOWN: &str = "2026-11-27 13:55:04.737828148";

#[test]
fn a_stamp_at_the_start_is_replaced_and_nothing_else() {
    for (input, output) in [
        (format!("{STAMP} x\n"), format!("{SHOWN} x\n")),
        (format!("{STAMP}\n"), format!("{SHOWN}\n")),
        (format!("{STAMP}x\n"), format!("{SHOWN}x\n")),
        (format!("{STAMP}x"), format!("{SHOWN}x")),
        (STAMP.to_owned(), STAMP.to_owned()),
        (format!("{STAMP}  two spaces\n\n"), format!("{SHOWN}  two spaces\n\n")),
        (format!("{STAMP} {STAMP} x\n"), format!("{SHOWN} {STAMP} x\n")),
        (format!("{STAMP} a\0b\n{STAMP}\0"), format!("{SHOWN} a\0b\n{SHOWN}\0")),
        (format!(" {STAMP} x\n"), format!(" {STAMP} x\n")),
        (STAMP.to_uppercase() + " x\n", format!("{SHOWN} x\n")),
        ("@400000006B098bdD2bFA5d34 x\n".to_owned(), format!("{SHOWN} x\n")),
        (String::new(), String::new()),
    ] {
        assert_eq!(shown(&[], "UTC", input.as_bytes()), output);
        assert_eq!(shown(&["-g"], "Asia/Tokyo", input.as_bytes()), output);
    }
}

#[test]
fn lines_that_do_not_begin_with_a_stamp_are_passed_on_as_they_are() {
    let mut lines = vec!["@", "", "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@", "a line that is longer than a stamp is"];
    let cut = (0..26).map(|length| &STAMP[..length.min(25)]).collect::<Vec<_>>();
    lines.extend(&cut);
    let spoiled = (1..25).map(|at| {
        let mut line = format!("{STAMP} spoiled");
        line.replace_range(at..at + 1, if at % 2 == 0 { "g" } else { " " });
        line
    });
    let spoiled = spoiled.collect::<Vec<_>>();
    lines.extend(spoiled.iter().map(String::as_str));
    // The one that has 25 bytes and a newline is a stamp.
    lines.retain(|line| *line != STAMP);
    let input = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(shown(&[], "UTC", input.as_bytes()), input);
    let unterminated = &input[..input.len() - 1];
    assert_eq!(shown(&[], "UTC", unterminated.as_bytes()), unterminated);
}

#[test]
fn labels_before_1970_and_impossible_ones_are_no_stamps() {
    let words = [
        "3fffffffffffffff",
        "0000000000000000",
        "4000000000000000",
        "4000000000000009",
        "7fffffffffffffff",
        "8000000000000000",
        "ffffffffffffffff",
        "c00000006b098bdd",
    ];
    let input = words.map(|word| format!("@{word}00000000 x\n")).concat();
    for zone in ["UTC", "America/New_York", "Asia/Tokyo"] {
        assert_eq!(shown(&[], zone, input.as_bytes()), input);
        assert_eq!(shown(&["-g"], zone, input.as_bytes()), input);
    }
    let first = label(10, 0) + " x\n";
    assert_eq!(shown(&[], "UTC", first.as_bytes()), "1970-01-01 00:00:00.000000000 x\n");
    assert_eq!(shown(&[], "America/New_York", first.as_bytes()), "1969-12-31 19:00:00.000000000 x\n");
}

#[test]
fn a_billion_nanoseconds_are_no_stamp() {
    // Debian's shows the first nine digits of the number: 04.100000000.
    let both = Beside::new();
    for nano in ["3b9aca00", "ffffffff"] {
        let line = format!("@400000006b098bdd{nano} x\n");
        let ours = filter(both.command(Ours, "tai64nlocal").env("TZ", "UTC"), line.as_bytes());
        assert_eq!(ours, Filtered { code: 0, out: line.into_bytes() });
    }
    assert_eq!(shown(&[], "UTC", b"@400000006b098bdd3b9ac9ff x\n"), "2026-11-27 13:55:04.999999999 x\n");
}

#[test]
fn a_year_may_have_as_many_digits_as_it_needs() {
    let last = label(67_767_976_233_532_799 + 37, 5) + " x\n";
    assert_eq!(
        shown(&[], "UTC", (label(300_000_000_000, 5) + " x\n").as_bytes()),
        "11476-08-15 05:19:23.000000005 x\n"
    );
    assert_eq!(shown(&[], "UTC", last.as_bytes()), "2147483647-12-31 23:59:59.000000005 x\n");
    // A second later Debian's has no number for the year: it shows a wrong one, and crashes.
    let both = Beside::new();
    let later = label(67_767_976_233_532_800 + 37, 5) + " x\n";
    let ours = filter(both.command(Ours, "tai64nlocal").env("TZ", "UTC"), later.as_bytes());
    assert_eq!(ours, Filtered { code: 0, out: later.into_bytes() });
}

#[test]
fn inserted_seconds_are_shown_as_60_in_utc_and_in_new_york() {
    let around = |sec: u64| (sec - 2..sec + 3).map(|sec| label(sec, 123_456_789) + " x\n").collect::<String>();
    let last = 1_483_228_836;
    let times = |hour: u32, after: &str| {
        let fraction = ".123456789 x\n";
        let before = [58, 59, 60].map(|second| format!("2016-12-31 {hour}:59:{second}{fraction}")).concat();
        before + &[0, 1].map(|second| format!("{after}:00:0{second}{fraction}")).concat()
    };
    let utc = times(23, "2017-01-01 00");
    assert_eq!(shown(&[], "UTC", around(last).as_bytes()), utc);
    assert_eq!(shown(&["-g"], "America/New_York", around(last).as_bytes()), utc);
    assert_eq!(shown(&[], "America/New_York", around(last).as_bytes()), times(18, "2016-12-31 19"));
    // A zone whose files count leap seconds shows the same.
    assert_eq!(shown(&[], "right/UTC", around(last).as_bytes()), utc);
    assert_eq!(shown(&["-g"], "right/UTC", around(last).as_bytes()), utc);
    assert_eq!(shown(&[], "right/America/New_York", around(last).as_bytes()), times(18, "2016-12-31 19"));
}

#[test]
fn every_inserted_second_is_known() {
    let leaps = std::fs::read_to_string("/usr/share/zoneinfo/leap-seconds.list").unwrap();
    // Seconds since 1900, TAI less UTC from then on: the first line is of the 10 seconds at the beginning.
    let entries = leaps.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    let since_1970 = entries.map(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>());
        (words.next().unwrap().unwrap() - 2_208_988_800, words.next().unwrap().unwrap())
    });
    let since_1970 = since_1970.collect::<Vec<_>>();
    assert_eq!(since_1970.len(), 28, "there is a new one: text/tai.rs has to know it");
    for (unix, ahead) in &since_1970[1..] {
        let inserted = unix + ahead - 1;
        let input = (inserted - 2..inserted + 3).map(|sec| label(sec, 0) + "\n").collect::<String>();
        for zone in ["UTC", "America/New_York", "Asia/Kolkata", "right/Europe/London"] {
            let output = shown(&[], zone, input.as_bytes());
            let sixtieth = output.lines().nth(2).unwrap();
            assert!(sixtieth.ends_with(":60.000000000"), "{zone}: {output}");
            assert_eq!(output.matches(":60.").count(), 1);
        }
        assert_eq!(linchpin::text::tai::Stamp::from_unix(*unix, 0).sec, (1 << 62) + unix + ahead);
    }
}

#[test]
fn times_of_1970_to_2400_are_shown_as_debians_shows_them() {
    let mut numbers = Numbers(2400);
    let mut input = String::new();
    for _ in 0..2000 {
        let sec = 10 + numbers.below(YEAR_2400);
        input += &format!("{} {sec}\n", label(sec, numbers.below(1_000_000_000) as u32));
    }
    for zone in ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"] {
        shown(&[], zone, input.as_bytes());
        shown(&["-g"], zone, input.as_bytes());
    }
}

#[test]
fn lines_of_any_length_and_kind_are_shown_as_debians_shows_them() {
    let mut numbers = Numbers(60);
    let mut input = Vec::new();
    for _ in 0..800 {
        if numbers.below(3) > 0 {
            let stamp = label(1_795_000_000 + numbers.below(5), numbers.below(1_000_000_000) as u32);
            input.extend_from_slice(
                &stamp.as_bytes()[..if numbers.below(9) == 0 { numbers.below(26) as usize } else { 25 }],
            );
        }
        let most = if numbers.below(10) == 0 { 3000 } else { 90 };
        let length = numbers.below(most);
        input.extend((0..length).map(|_| b"ab 0\0@\t\xe9"[numbers.below(8) as usize]));
        input.push(b'\n');
    }
    shown(&[], "Europe/Berlin", &input);
    input.pop();
    shown(&[], "Europe/Berlin", &input);
}

#[test]
fn lines_around_the_size_of_the_buffer_are_shown_once() {
    for length in [65_500, 65_510, 65_511, 65_512, 65_535, 65_536, 65_537, 131_072, 1_000_000] {
        // There is a stamp wherever a part could begin.
        let line = format!("{STAMP} ").repeat(length / 26 + 1);
        let line = &line[..length];
        let input = format!("short\n{line}\n{line}\n\n{line}");
        shown(&[], "Europe/Berlin", input.as_bytes());
        shown(&[], "Europe/Berlin", line.as_bytes());
    }
}
