//! Rings, as a logger makes them and a reader finds them.

use crate::beside::eventually;
use crate::follow::Follower;
use crate::place::{Place, Ran, label, line, shown};
use linchpin::logd::ring::{HEADER, State, Writer};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a ring with these lines, which have come after `before`.
fn make(path: &Path, capacity: usize, before: State, lines: &[String]) {
    let mut memory = vec![0; HEADER + capacity];
    let mut writer = Writer::make(&mut memory, 99, before).unwrap();
    for line in lines {
        writer.push(&[line.as_bytes()]);
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, memory).unwrap();
}

/// What a reader shows, without times.
fn texts(place: &Place, words: &[&str]) -> Vec<String> {
    place.show(words).lines().map(|line| line[27..].to_owned()).collect()
}

#[test]
fn a_ring_is_shown_with_the_count_of_what_had_to_go() {
    let place = Place::new();
    let lines: Vec<String> = (0..200).map(|n| line(n * 10, &format!("line {n}"))).collect();
    make(&place.path().join("web/ring"), 4096, State::default(), &lines);
    place.file("db", "current", line(1995, "between"));
    let kept = 4096 / lines[199].len();
    let gone = 200 - kept as u64;
    let bytes: usize = lines[..gone as usize].iter().map(String::len).sum();
    let mut expected =
        format!("                           web -- {gone} older lines ({bytes} bytes) had to leave the ring\n");
    for n in gone..200 {
        expected += &shown(n * 10, "web", &format!("line {n}"));
    }
    expected += &shown(1995, "db ", "between");
    assert_eq!(place.show(&[]), expected);
    let last: String = expected.split_inclusive('\n').skip(kept - 1).collect();
    assert_eq!(place.show(&["-n", "3"]), last);
    assert_eq!(place.show(&["--since", &label(1990), "web"]).lines().count(), 2);
    let json = place.show(&["--json", "web"]);
    assert_eq!(json.lines().next().unwrap(), format!("{{\"service\":\"web\",\"dropped\":{gone}}}"));
}

#[test]
fn what_a_logdir_has_too_is_shown_once() {
    let place = Place::new();
    // Lines of one time that say the same are several lines.
    let times = [1, 2, 2, 2, 3, 3, 4, 5, 5, 5, 5, 6];
    let lines: Vec<String> = times.iter().map(|time| line(*time, if *time == 3 { "b" } else { "a" })).collect();
    make(&place.path().join("web/ring"), 4096, State::default(), &lines[3..]);
    place.archive("web", 3, "s", lines[..5].concat());
    place.file("web", "current", lines[5..11].concat());
    let expected: String = lines.iter().map(|line| line.replacen(' ', " web ", 1)).collect();
    assert_eq!(place.show(&["-t"]), expected);
    for count in 0..=12 {
        let last = expected.split_inclusive('\n').skip(12 - count).collect::<String>();
        assert_eq!(place.show(&["-t", "-n", &count.to_string()]), last, "-n {count}");
    }
}

#[test]
fn damaged_rings_are_said() {
    let place = Place::new();
    place.file("web", "current", line(0, "there"));
    let path = place.path().join("web/ring");
    make(&path, 4096, State::default(), &[line(1, "ring")]);
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = [whole.clone(), whole.clone(), whole.clone(), whole[..5000].to_vec(), vec![], b"text".to_vec()];
    damaged[0][0] = 0;
    damaged[1][8] += 1;
    damaged[2][64..192].fill(1);
    let reasons =
        ["no ring", "the ring of another version", "damaged", "not the size that it says", "no ring", "no ring"];
    for (bytes, reason) in damaged.iter().zip(reasons) {
        std::fs::write(&path, bytes).unwrap();
        let ran = place.run(&["web"]);
        assert_eq!((ran.code, ran.out), (111, shown(0, "web", "there")));
        assert!(ran.err.starts_with(&format!("log: warning: unable to read {}: it ", path.display())), "{}", ran.err);
        assert!(ran.err.contains(reason), "{}", ran.err);
    }
}

/// Runs our logger with a ring of so many bytes on this input: what it says.
fn run(place: &Place, size: &str, input: &str) -> Ran {
    let mut command = place.our_log(&[&format!("ram:{size}"), "./web"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Ran::from(&child.wait_with_output().unwrap())
}

fn numbered(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("line {n:04}\n")).collect()
}

#[test]
fn a_ring_goes_on_behind_what_it_holds_also_with_another_size() {
    let place = Place::new();
    let shows = |from: usize, to: usize, gone: usize| {
        let mut expected: Vec<String> = (from..to).map(|n| format!("web line {n:04}")).collect();
        if gone > 0 {
            expected.insert(0, format!("web -- {gone} older lines ({} bytes) had to leave the ring", gone * 10));
        }
        assert_eq!(texts(&place, &["web"]), expected);
    };
    assert_eq!(run(&place, "4096", &numbered(0, 300)).fine(), "");
    shows(0, 300, 0);
    assert_eq!(run(&place, "4096", &numbered(300, 500)).fine(), "");
    shows(91, 500, 91);
    // A larger one.
    assert_eq!(run(&place, "8k", &numbered(500, 600)).fine(), "");
    shows(91, 600, 91);
    assert_eq!(std::fs::metadata(place.path().join("web/ring")).unwrap().len(), HEADER as u64 + 8192);
    // A smaller one says how many it cannot hold.
    let ran = run(&place, "4096", "");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (0, "s6-log: warning: ./web/ring has become smaller: 100 lines are dropped\n")
    );
    shows(191, 600, 191);
    // One of a size that is not whole pages.
    assert_eq!(run(&place, "5000", &numbered(600, 601)).fine(), "");
    shows(191, 601, 191);
    assert!(!place.path().join("web/ring.new").exists());
}

#[test]
fn a_ring_that_cannot_be_gone_on_with_is_begun_anew() {
    let place = Place::new();
    for damage in [0, 8, 64, HEADER + 5] {
        assert_eq!(run(&place, "4096", "old\nlines\n").code, 0);
        let path = place.path().join("web/ring");
        let mut bytes = std::fs::read(&path).unwrap();
        let end = if damage == 64 { 192 } else { damage + 1 };
        bytes[damage..end].fill(b'\n');
        std::fs::write(&path, bytes).unwrap();
        let ran = run(&place, "4096", "new\n");
        assert_eq!(ran.code, 0);
        assert!(ran.err.starts_with("s6-log: warning: ./web/ring cannot be gone on with (it is "), "{}", ran.err);
        assert!(ran.err.ends_with("): what it held is dropped\n"), "{}", ran.err);
        assert_eq!(texts(&place, &["web"]), ["web new"], "{damage}");
        std::fs::remove_file(path).unwrap();
    }
    // One that is damaged and has another size.
    assert_eq!(run(&place, "4096", "old\nlines\n").code, 0);
    let path = place.path().join("web/ring");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[HEADER + 1] = b'\n';
    std::fs::write(&path, bytes).unwrap();
    let ran = run(&place, "8192", "new\n");
    assert_eq!((ran.code, ran.err.as_str()), (0, "s6-log: warning: ./web/ring: it is damaged: 2 lines are dropped\n"));
    assert_eq!(texts(&place, &["web"]), ["web -- 2 older lines (10 bytes) had to leave the ring", "web new"]);
}

#[test]
fn a_line_that_is_longer_than_the_ring_is_cut_with_a_mark() {
    let place = Place::new();
    let link = place.our_log(&["-l", "0", "ram:4096", "./web"]);
    place.log(link, format!("short\n{}\n", "x".repeat(5000)).as_bytes());
    let expected =
        ["web -- 1 older lines (914 bytes) had to leave the ring".to_owned(), format!("web {}...", "x".repeat(4092))];
    assert_eq!(texts(&place, &["web"]), expected);
}

#[test]
fn files_have_the_modes_that_those_of_a_logdir_have() {
    let place = Place::new();
    for (umask, dir, file) in [("022", 0o700, 0o644), ("077", 0o700, 0o600), ("0", 0o700, 0o666)] {
        let link = place.our_log(&[]);
        let program = link.get_program().to_str().unwrap().to_owned();
        let script = format!("umask {umask}; {program} ram:4k ./web </dev/null");
        assert!(Command::new("sh").args(["-c", &script]).current_dir(place.path()).status().unwrap().success());
        let mode = |name: &str| std::fs::metadata(place.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode("web"), mode("web/ring"), mode("web/lock")], [dir, file, file], "{umask}");
        std::fs::remove_dir_all(place.path().join("web")).unwrap();
    }
}

#[test]
fn a_second_logger_at_the_same_ring_is_refused() {
    let place = Place::new();
    let mut first = place.our_log(&["ram:4k", "./web"]).spawn().unwrap();
    eventually(|| place.path().join("web/ring").exists());
    let busy = "s6-log: fatal: unable to lock ./web/lock: Device or resource busy\n";
    let ran = run(&place, "4k", "");
    assert_eq!((ran.code, ran.err.as_str()), (111, busy));
    // Debian's is refused as well, whatever it is to write there.
    let theirs = Ran::of(place.s6_log(&["./web"]).stdin(Stdio::null()));
    assert_eq!((theirs.code, theirs.err.as_str()), (111, busy));
    first.stdin.take().unwrap().write_all(b"first\n").unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(run(&place, "4k", "next\n").fine(), "");
    assert_eq!(texts(&place, &["web"]), ["web first", "web next"]);
    // The same ring twice in one logger is a second one.
    let twice = Ran::of(place.our_log(&["ram:4k", "./web", "./web"]).stdin(Stdio::null()));
    assert_eq!((twice.code, twice.err.as_str()), (111, busy));
}

#[test]
fn a_full_file_system_is_an_error_at_the_start() {
    let place = Place::new();
    let program = place.our_log(&[]).get_program().to_str().unwrap().to_owned();
    // A file system with room for 32 KiB, which is seen by these only.
    let inside = |script: &str| {
        let all = format!("mount -t tmpfs -o size=32k none tmp && cd tmp && {}", script.replace("LOG", &program));
        std::fs::create_dir_all(place.path().join("tmp")).unwrap();
        Ran::of(Command::new("unshare").args(["-m", "sh", "-c", &all]).current_dir(place.path()))
    };
    let ran = inside("echo x | LOG ram:64k ./web; code=$?; ls web; exit $code");
    assert_eq!((ran.code, ran.out.as_str()), (111, "lock\n"));
    let expected = "s6-log: fatal: no room for the 69632 bytes of ./web/ring: No space left on device: make the ring smaller \
                    (ram:) or its file system larger\n";
    assert_eq!(ran.err, expected);
    // There is room for each of two rings, but not for both at once: what the first holds is dropped, and counted.
    let ran = inside(
        "printf 'a\\nb\\nc\\n' | LOG ram:12k ./web && echo d | LOG ram:16k ./web && cat web/ring | tr -d '\\0' | tail -c 2; ls -s web | tail -n +2",
    );
    assert_eq!((ran.code, ran.out.as_str()), (0, "d\n 0 lock\n20 ring\n"));
    let expected =
        "s6-log: warning: no room for a new ./web/ring beside the old one: its 3 lines (6 bytes) are dropped\n";
    assert_eq!(ran.err, expected);
    // A full file system does nothing to a ring that is there.
    let ran = inside(
        "echo a | LOG ram:8k ./web && { cat /dev/zero >rest; seq 1 5000 | LOG ram:8k ./web; } 2>/dev/null && tail -c 3 web/ring | tr -d '\\0'",
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn a_ring_is_followed_over_the_death_of_its_logger_and_another_size() {
    let place = Place::new();
    assert_eq!(run(&place, "4096", "before\n").code, 0);
    let follower = Follower::start(place.command(&["-f", "web"]));
    let next = || follower.next()[27..].to_owned();
    assert_eq!(next(), "web before");
    for (size, lines) in [("4096", 3), ("8192", 200), ("4096", 30), ("16k", 300)] {
        // Slow enough to be read, or in one piece that fits.
        assert_eq!(run(&place, size, &numbered(0, lines)).code, 0);
        for n in 0..lines {
            assert_eq!(next(), format!("web line {n:04}"));
        }
        let mut killed = place.our_log(&[&format!("ram:{size}"), "./web"]).spawn().unwrap();
        killed.stdin.as_mut().unwrap().write_all(b"of one that is killed\n").unwrap();
        assert_eq!(next(), "web of one that is killed");
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    // Faster than anybody reads: what is missing is counted.
    let total = 200_000;
    let mut logger = place.our_log(&["ram:16k", "./web"]).spawn().unwrap();
    logger.stdin.take().unwrap().write_all(numbered(0, total).as_bytes()).unwrap();
    assert!(logger.wait().unwrap().success());
    let (mut seen, mut lost, mut last) = (0, 0, None);
    while last.as_deref() != Some("web line 199999") {
        let line = next();
        match line.strip_prefix("web -- ") {
            Some(note) => {
                let (count, rest) = note.split_once(' ').unwrap();
                assert_eq!(rest, "lines were overwritten in the ring before they could be read");
                lost += count.parse::<usize>().unwrap();
            }
            None => seen += 1,
        }
        last = Some(line);
    }
    assert_eq!(seen + lost, total);
    assert_eq!(follower.end(), (vec![], String::new()));
    println!("{lost} of {total} lines were overwritten");
}
