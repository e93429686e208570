//! Logdirs: what is shown of them, in which order.

use crate::place::{NINE, Place, Ran, clock, label, line, shown, touch};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn thousands_of_lines_of_many_services_come_in_the_order_of_time() {
    let place = Place::new();
    let mut numbers = Numbers(42);
    let mut all = Vec::new();
    for service in 0..30 {
        let name = format!("s{service:02}");
        let (mut time, mut files) = (numbers.below(1000), vec![String::new()]);
        for n in 0..400 {
            // Some lines have one time; those of one service keep their order.
            time += numbers.below(4) * 500;
            let text = format!("line {n} {}", "x".repeat(numbers.below(90) as usize));
            files.last_mut().unwrap().push_str(&line(time, &text));
            all.push((time, service, n, shown(time, &name, &text)));
            if numbers.below(60) == 0 {
                let full = files.last().unwrap().clone();
                place.archive(&name, time, if n % 3 == 0 { "u" } else { "s" }, full);
                // The next one is not of the same moment: its name would be the same.
                time += 1;
                files.push(String::new());
            }
        }
        place.file(&name, "current", files.last().unwrap());
    }
    all.sort();
    // Services that have a line at the same time come in some order.
    let out = place.show(&[]);
    let times = |text: &str| text.lines().map(|line| line[..26].to_owned()).collect::<Vec<_>>();
    let expected: String = all.iter().map(|(.., text)| text.as_str()).collect();
    assert_eq!(times(&out), times(&expected));
    let mut sorted = [out.lines().collect::<Vec<_>>(), expected.lines().collect()];
    sorted.iter_mut().for_each(|lines| lines.sort_unstable());
    assert_eq!(sorted[0], sorted[1]);
    for service in 0..30 {
        let of = |text: &str| {
            text.lines()
                .filter(|line| line[27..].starts_with(&format!("s{service:02}")))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&out), of(&expected));
    }
    // The last so many are the end of the same.
    let tail: Vec<&str> = out.lines().collect();
    for count in [0, 1, 7, 500, 11_999, 12_000, 20_000] {
        let last = place.show(&["-n", &count.to_string()]);
        let from = tail.len().saturating_sub(count);
        assert_eq!(last.lines().collect::<Vec<_>>(), tail[from..], "-n {count}");
    }
    // So are those that match, and those of a time.
    let matching: Vec<&str> = tail.iter().copied().filter(|line| line.contains("line 7")).collect();
    assert_eq!(place.show(&["--grep", "^line 7"]).lines().collect::<Vec<_>>(), matching);
    let last = place.show(&["-n", "50", "--grep", "^line 7"]);
    assert_eq!(last.lines().collect::<Vec<_>>(), matching[matching.len() - 50..]);
    let (from, to) = (label(100_000), label(200_000));
    let between: Vec<&str> =
        all.iter().filter(|(time, ..)| (100_000..=200_000).contains(time)).map(|(.., text)| text.trim_end()).collect();
    let out = place.show(&["--since", &from, "--until", &to]);
    assert_eq!(times(&out), times(&between.join("\n")));
    let last = place.show(&["--since", &from, "--until", &to, "-n", "100"]);
    assert_eq!(last, out.lines().skip(between.len() - 100).map(|line| format!("{line}\n")).collect::<String>());
}

#[test]
fn what_debians_logger_has_rotated_is_whole() {
    let place = Place::new();
    let lines: String = (0..5000).map(|n| format!("line {n}\n")).collect();
    place.log(place.s6_log(&["n1000", "s4096", "t", "./web", "T", "./both"]), lines.as_bytes());
    let archives = std::fs::read_dir(place.path().join("web")).unwrap().count();
    assert!(archives > 8, "{archives} files");
    let texts =
        |out: String| out.lines().map(|line| format!("{}\n", line.rsplit_once("line").unwrap().1)).collect::<String>();
    let expected = texts(lines.clone());
    assert_eq!(texts(place.show(&["web"])), expected);
    // Local time in the logs is the machine's.
    assert_eq!(texts(Ran::of(place.bare(&[]).args(["both"])).fine()), expected);
    // Both logdirs have the same times, to the nanosecond.
    let dates = |words: &[&str]| {
        let ran = Ran::of(&mut place.bare(words));
        ran.fine().lines().map(|line| line.split_once(' ').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    let seconds = |stamps: Vec<String>| stamps.iter().map(|stamp| stamp[..17].to_owned()).collect::<Vec<_>>();
    assert_eq!(seconds(dates(&["-t", "web"])), seconds(dates(&["-t", "both"])));
    // The same text as the archives have, label and all.
    let out: String = place.show(&["-t", "web"]).replace(" web line", " line");
    assert_eq!(out, place.content("web"));
}

#[test]
fn since_and_until_include_their_moment() {
    let place = Place::new();
    let content: String = [0, 1, 1_000_000, 1_000_000, 1_000_001, 2_500_000].map(|time| line(time, "x")).concat();
    place.file("web", "current", content);
    let times = |words: &[&str]| place.show(words).lines().map(|line| line[11..26].to_owned()).collect::<Vec<_>>();
    let clocks = |times: &[u64]| times.iter().map(|time| clock(*time)).collect::<Vec<_>>();
    let from_second = clocks(&[1_000_000, 1_000_000, 1_000_001, 2_500_000]);
    assert_eq!(times(&["--since", "2026-11-22 09:00:01"]), from_second);
    assert_eq!(times(&["-S", "2026-11-22T09:00:01.000001"]), from_second[2..]);
    assert_eq!(times(&["--since=@1795338001"]), from_second);
    assert_eq!(times(&["--until", "2026-11-22 09:00:01"]), clocks(&[0, 1, 1_000_000, 1_000_000]));
    assert_eq!(times(&["-U", &label(0)]), clocks(&[0]));
    assert_eq!(times(&["--since", &label(1_000_000), "--until", &label(1_000_000)]), clocks(&[1_000_000, 1_000_000]));
    assert!(times(&["--since", "2026-11-22 09:00:03"]).is_empty());
    assert!(times(&["--until", "2026-11-22 08:59:59.999999"]).is_empty());
    assert!(times(&["--since", "2026-11-22 09:00:02", "--until", "2026-11-22 09:00:01"]).is_empty());
    let ran = place.run(&["--grep", "["]);
    assert_eq!((ran.code, ran.err.as_str()), (100, "log: fatal: --grep: that is no extended regular expression\n"));
    for (option, word) in [("--since", "5m"), ("--until", "2026-11-31"), ("--since", "")] {
        let ran = place.run(&[option, word]);
        assert_eq!((ran.code, ran.out.as_str()), (100, ""));
        assert!(ran.err.starts_with(&format!("log: fatal: {word} is no time: give one like ")), "{}", ran.err);
    }
}

#[test]
fn times_are_given_and_shown_in_local_time_or_utc() {
    let place = Place::new();
    place.file("web", "current", line(0, "nine in Greenwich"));
    let in_berlin = |words: &[&str]| Ran::of(place.command(words).env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")).fine();
    let local = "2026-11-22 10:00:00.000000 web nine in Greenwich\n";
    assert_eq!(in_berlin(&[]), local);
    assert_eq!(in_berlin(&["--since", "2026-11-22 10:00", "--until", "2026-11-22 10:00"]), local);
    assert_eq!(in_berlin(&["--until", "2026-11-22 09:30"]), "");
    let utc = "2026-11-22 09:00:00.000000 web nine in Greenwich\n";
    assert_eq!(in_berlin(&["-g", "--until", "2026-11-22 09:00"]), utc);
    // An hour that comes twice.
    place.file("twice", "current", "2026-10-25 02:30:00.000000000  a\n2026-10-25 02:10:00.000000000  b\n");
    let out = Ran::of(place.command(&["-g", "twice"]).env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")).fine();
    assert_eq!(out, "2026-10-25 00:30:00.000000 twice a\n2026-10-25 01:10:00.000000 twice b\n");
}

#[test]
fn archives_that_are_too_old_are_not_read() {
    let place = Place::new();
    // What is in them would be shown if somebody looked.
    place.archive("web", 1_000_000, "s", line(9_000_000, "old"));
    place.archive("web", 2_000_000, "s", line(9_000_001, "old too"));
    // The logger's clock was wrong when it began; the kernel's was right later.
    let stepped = place.archive("web", 3_000_000, "s", line(9_000_002, "stepped"));
    touch(&stepped, NINE + 9);
    place.file("web", "current", line(9_000_003, "new"));
    let since = label(8_000_000);
    let expected = shown(9_000_002, "web", "stepped") + &shown(9_000_003, "web", "new");
    assert_eq!(place.show(&["--since", &since]), expected);
    assert_eq!(place.show(&["--since", &since, "-n", "9"]), expected);
    assert_eq!(place.show(&[]).lines().count(), 4);
}

#[test]
fn lines_without_a_time_have_that_of_the_line_before_them() {
    let place = Place::new();
    let content = format!("first\n{}continued\n{}", line(1_000_000, "start"), line(2_000_000, "next"));
    place.file("web", "current", content);
    place.file("other", "current", line(1_500_000, "between"));
    let blank = |micros: u64, text: &str| format!("2026-11-22 {}        {text}\n", &clock(micros)[..8]);
    let expected = blank(1_000_000, "web   first")
        + &shown(1_000_000, "web  ", "start")
        + &blank(1_000_000, "web   continued")
        + &shown(1_500_000, "other", "between")
        + &shown(2_000_000, "web  ", "next");
    assert_eq!(place.show(&[]), expected);
    // Of a file in which no line has one, it is when it was written.
    place.archive("plain", 5_000_000, "s", "a\nb\n");
    place.archive("plain", 6_000_000, "u", "c");
    touch(&place.file("plain", "current", "d\n\ne\n"), NINE + 7);
    let expected: String = [(5, "a"), (5, "b"), (6, "c"), (7, "d"), (7, ""), (7, "e")]
        .map(|(second, text)| blank(second * 1_000_000, &format!("plain {text}")))
        .concat();
    assert_eq!(place.show(&["plain"]), expected);
    assert_eq!(
        place.show(&["-n", "4", "plain"]),
        expected.lines().skip(2).map(|line| format!("{line}\n")).collect::<String>()
    );
    assert_eq!(place.show(&["-t", "-n", "1", "plain"]), format!("{} plain e\n", label(7_000_000)));
}

#[test]
fn what_a_logger_that_died_has_left_is_shown_once() {
    let place = Place::new();
    place.archive("web", 1_000_000, "s", line(500_000, "archived"));
    // In the middle of a rotation, with a processor at work...
    place.file("web", "previous", line(1_500_000, "previous"));
    place.file("web", "processed", line(1_500_000, "not all of it"));
    place.file("web", "current", line(2_500_000, "current"));
    let expected = [(500_000, "archived"), (1_500_000, "previous"), (2_500_000, "current")]
        .map(|(time, text)| shown(time, "web", text))
        .concat();
    assert_eq!(place.show(&[]), expected);
    assert_eq!(place.show(&["-n", "2"]), expected.split_inclusive('\n').skip(1).collect::<String>());
    // ...or between link and unlink.
    let archive = place.path().join("web").join(format!("{}.s", label(2_000_000)));
    std::fs::hard_link(place.path().join("web/previous"), archive).unwrap();
    assert_eq!(place.show(&[]), expected);
    for count in 1..=3 {
        let last = expected.split_inclusive('\n').skip(3 - count).collect::<String>();
        assert_eq!(place.show(&["-n", &count.to_string()]), last, "-n {count}");
    }
}

#[test]
fn archives_that_a_processor_has_compressed_are_unpacked() {
    let place = Place::new();
    let mut expected = String::new();
    for (i, program) in (0..).zip(["gzip", "xz", "zstd", "lz4", "bzip2"]) {
        let text = format!("by {program} {}", "x".repeat(5000));
        let plain = place.file("scratch", "plain", line(i * 1_000_000, &text));
        let packed = Command::new(program).arg("-c").arg(&plain).output();
        let Ok(packed) = packed else { continue }; // it is not installed
        place.archive("web", i * 1_000_000 + 500_000, "s", packed.stdout);
        expected += &shown(i * 1_000_000, "web", &text);
    }
    place.file("web", "current", line(9_000_000, "current"));
    expected += &shown(9_000_000, "web", "current");
    assert!(expected.contains("by gzip"));
    assert_eq!(place.show(&["web"]), expected);
    let last = expected.split_inclusive('\n').rev().take(2).collect::<Vec<_>>();
    assert_eq!(place.show(&["-n", "2", "web"]), format!("{}{}", last[1], last[0]));
    assert_eq!(place.show(&["--grep", "by gzip", "web"]).lines().count(), 1);
    // Debian's logger, with a processor.
    let lines: String = (0..3000).map(|n| format!("line {n} of some length\n")).collect();
    place.log(place.s6_log(&["n1000", "s8192", "?gzip -c", "t", "./packed"]), lines.as_bytes());
    let out = place.show(&["packed"]);
    assert_eq!(out.lines().map(|line| format!("{}\n", &line[34..])).collect::<String>(), lines);
}

#[test]
fn a_compressed_archive_that_cannot_be_unpacked_is_said() {
    let place = Place::new();
    let plain = place.file("scratch", "plain", line(0, "packed") + &"more to pack\n".repeat(5000));
    let packed = Command::new("gzip").arg("-c").arg(&plain).output().unwrap().stdout;
    let archive = place.archive("web", 1_000_000, "s", &packed);
    place.file("web", "current", line(2_000_000, "current"));
    let last = shown(2_000_000, "web", "current");
    let path = place.path().join("web");
    let ran = Ran::of(place.command(&["web"]).env("PATH", "/nowhere"));
    assert_eq!((ran.code, ran.out), (111, last.clone()));
    let name = archive.file_name().unwrap().to_str().unwrap();
    let expected = format!(
        "log: warning: {}/{name} is left out: it is compressed, and gzip cannot be executed: No such file or directory\n",
        path.display()
    );
    assert_eq!(ran.err, expected);
    place.archive("web", 1_000_000, "s", &packed[..packed.len() - 20]);
    let ran = place.run(&["web"]);
    assert_eq!(ran.code, 111);
    assert!(ran.out.starts_with(&shown(0, "web", "packed")) && ran.out.ends_with(&last), "{}", ran.out.len());
    let said = format!("log: warning: {}/{name} is damaged: not all of it could be unpacked\n", path.display());
    assert!(ran.err.ends_with(&said), "{}", ran.err);
}

#[test]
fn a_line_may_have_any_length() {
    let place = Place::new();
    let lengths = [65_000, 70_000, 1_048_550, 1_048_576, 1_200_000, 5_000_000];
    let texts: Vec<String> =
        (0u8..).zip(lengths).map(|(i, length)| format!("{}{}", char::from(b'a' + i), "x".repeat(length))).collect();
    let content: String =
        (0..).zip(&texts).map(|(i, text)| line(i * 2_000_000, text) + &line(i * 2_000_000 + 1, "short")).collect();
    place.file("web", "current", &content);
    place.file("other", "current", line(1_000_000, "between"));
    let mut expected: Vec<String> = (0..)
        .zip(&texts)
        .map(|(i, text)| shown(i * 2_000_000, "web  ", text) + &shown(i * 2_000_000 + 1, "web  ", "short"))
        .collect();
    expected.insert(1, shown(1_000_000, "other", "between"));
    let expected = expected.concat();
    let out = place.show(&[]);
    assert!(out == expected, "{} bytes, not {}", out.len(), expected.len());
    for count in [1, 2, 3, 4, 9] {
        let last = expected.split_inclusive('\n').skip(13 - count).collect::<String>();
        assert!(place.show(&["-n", &count.to_string()]) == last, "-n {count}");
    }
    let since = ["--since", &label(10_000_000)];
    assert!(place.show(&[&since[..], &["--grep", "^fx"]].concat()) == shown(10_000_000, "web  ", &texts[5]));
    assert_eq!(place.show(&[&since[..], &["--grep", "^short"]].concat()), shown(10_000_001, "web  ", "short"));
    let json = place.show(&[&since[..], &["--json"]].concat());
    assert_eq!(json.lines().map(|line| line.ends_with("\"}")).collect::<Vec<_>>(), [true, true]);
}

#[test]
fn a_line_that_has_no_end_is_one_at_the_end_of_its_file() {
    let place = Place::new();
    place.archive("web", 1_000_000, "u", line(0, "whole") + label(500_000).as_str() + " half");
    place.file("web", "current", line(2_000_000, "whole") + label(3_000_000).as_str() + " half too");
    let expected = [(0, "whole"), (500_000, "half"), (2_000_000, "whole"), (3_000_000, "half too")]
        .map(|(time, text)| shown(time, "web", text))
        .concat();
    assert_eq!(place.show(&[]), expected);
    assert_eq!(place.show(&["-n", "4"]), expected);
    assert_eq!(place.show(&["-n", "3"]), expected.split_inclusive('\n').skip(1).collect::<String>());
}

#[test]
fn json_is_an_object_a_line() {
    let place = Place::new();
    let content = [line(1, "say \"x\\y\"\t\u{1b}[1mé").as_bytes(), b"\xff\xfebad \xc3", b"\n"].concat();
    place.file("we\"b", "current", content);
    let expected = concat!(
        r#"{"time":"2026-11-22T09:00:00.000001000Z","service":"we\"b","message":"say \"x\\y\"\t\u001b[1mé"}"#,
        "\n",
        r#"{"time":"2026-11-22T09:00:00.000001000Z","service":"we\"b","exact":false,"message":"��bad �"}"#,
        "\n"
    );
    assert_eq!(place.show(&["--json"]), expected);
    let there = Ran::of(place.command(&["--json"]).env("TZ", "CET-1")).fine();
    assert_eq!(there, expected, "it is always UTC");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_trouble() {
    let place = Place::new();
    place.file("web", "current", (0..100_000).map(|n| line(n, "text")).collect::<String>());
    for ignored in [false, true] {
        let mut command = place.command(&[]);
        if ignored {
            let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
            command = Command::new("sh");
            command.env("TZ", "UTC0").args(["-c", "trap '' PIPE; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_linchpin")]);
            command.args(words);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        drop(out);
        assert_eq!(first, shown(0, "web", "text"));
        let ran = Ran::from(&child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (if ignored { 0 } else { 1013 }, ""));
    }
    let ran = Ran::of(place.command(&[]).stdout(std::fs::File::options().write(true).open("/dev/full").unwrap()));
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (111, "log: fatal: unable to write to standard output: No space left on device\n")
    );
}

#[test]
fn what_may_not_be_read_is_said_with_what_helps() {
    let place = Place::new();
    place.file("secret", "current", line(0, "secret"));
    place.file("open", "current", line(1, "open"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(place.path().join("secret"), mode(0o700)).unwrap();
    let copy = place.path().join("linchpin");
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_linchpin")).arg(&copy).status().unwrap().success());
    let run = |words: &[&str]| {
        let mut command = Command::new(&copy);
        command
            .arg("log")
            .arg("-d")
            .arg(place.path())
            .args(words)
            .env_clear()
            .env("TZ", "UTC0")
            .uid(65_534)
            .gid(65_534);
        Ran::of(&mut command)
    };
    let denied = format!(
        "log: warning: unable to read {}: Permission denied: run this as root, or as a member of the log's group\n",
        place.path().join("secret").display()
    );
    let ran = run(&["secret", "open"]);
    assert_eq!((ran.code, ran.out, ran.err), (111, shown(1, "open", "open"), denied.clone()));
    let ran = run(&["secret"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err), (111, "", denied));
    // The file only.
    std::fs::set_permissions(place.path().join("secret"), mode(0o755)).unwrap();
    std::fs::set_permissions(place.path().join("secret/current"), mode(0o600)).unwrap();
    let ran = run(&["secret", "open"]);
    assert_eq!((ran.code, ran.out), (111, shown(1, "open  ", "open")));
    assert!(ran.err.contains("secret/current: Permission denied"), "{}", ran.err);
}

#[test]
fn who_asks_for_what_is_not_there_is_told_where_it_was_looked_for() {
    let place = Place::new();
    place.file("web", "current", line(0, "there"));
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let dir = place.path().display().to_string();
    let ran = place.run(&["wob"]);
    assert_eq!((ran.code, ran.err), (100, format!("log: warning: no logs of wob in {dir}\n")));
    let ran = place.run(&["web", "wob"]);
    assert_eq!((ran.code, ran.out), (0, shown(0, "web", "there")));
    assert!(ran.err.contains("no logs of wob"));
    let empty = format!("{dir}/empty");
    let ran = place.run(&[&empty]);
    assert_eq!(
        (ran.code, ran.err),
        (100, format!("log: warning: there are no logs in {empty}: no current, ring or archive\n"))
    );
    let missing = format!("{dir}/missing/");
    let ran = place.run(&[&missing]);
    assert_eq!((ran.code, ran.err), (100, format!("log: warning: there is no directory {missing}\n")));
    // A word with a slash is a directory, wherever that is.
    let direct = format!("{dir}/web//");
    assert_eq!(place.show(&[&direct]), shown(0, "web", "there"));
    let ran = place.run(&["web", "-n", "1"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (100, "log: fatal: -n is behind the name of a service: options come first\n")
    );
}

#[test]
fn sixty_four_logs_are_read_at_a_time_and_more_are_said() {
    let place = Place::new();
    for i in 0..64 {
        place.file(&format!("s{i:02}"), "current", line(i, "x"));
        place.file(&format!("s{i:02}"), "lock", "");
    }
    assert_eq!(place.show(&[]).lines().count(), 64);
    place.file("more", "current", line(64, "x"));
    place.file("more", "lock", "");
    let ran = place.run(&[]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 64));
    assert_eq!(ran.err, "log: warning: there are more than 64 logs: name the services that you want to see\n");
    assert_eq!(place.show(&["more"]), shown(64, "more", "x"));
}

#[test]
fn escape_sequences_do_nothing_to_a_terminal() {
    let place = Place::new();
    place.file("web", "current", line(0, "red \u{1b}[31m\ttab\r\u{7f} é"));
    let command = format!("TZ=UTC0 {} log -d {}", env!("CARGO_BIN_EXE_linchpin"), place.path().display());
    let Ok(mut child) = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
    else {
        return; // no such program
    };
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success());
    let expected = shown(0, "web", "red \\x1b[31m\ttab\\x0d\\x7f é");
    assert_eq!(out.replace("\r\n", "\n"), expected);
    // A file gets what there is.
    assert_eq!(place.show(&[]), shown(0, "web", "red \u{1b}[31m\ttab\r\u{7f} é"));
}
