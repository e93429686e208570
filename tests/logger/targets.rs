//! Alerts, status files, and what stands in front of lines.

use crate::beside::Whose::{Ours, Theirs};
use crate::beside::{Beside, content, eventually};
use crate::work::*;

#[test]
fn alerts_are_cut_where_that_makes_them_shorter() {
    let both = Beside::new();
    for length in [0, 1, 199, 200, 203, 204, 1000] {
        let end = same(&both, &["pab", "2"], "x".repeat(length) + "\n");
        let line = if length > 203 { "x".repeat(200) + "..." } else { "x".repeat(length) };
        assert_eq!(end.err, format!("s6-log: alert: ab {line}\n"), "{length}");
    }
    assert_eq!(
        same(&both, &["E5", "2", "E0", "2"], "123456789\n").err,
        "s6-log: alert: 12345...\ns6-log: alert: 123456789\n"
    );
    same(&both, &["E5", "2", "E6", "2", "E1", "2"], "123456789\n12345678\n1234\n12345\n");
    // Longer than what a pipe takes at once, and in the order of the lines.
    same(&both, &["-l", "0", "E0", "2", "p2", "2"], "a\n".to_owned() + &"x".repeat(300_000) + "\nb\n");
}

#[test]
fn alerts_are_not_silenced() {
    let both = Beside::new();
    assert_eq!(same(&both, &["-q", "2"], "x\n").err, "s6-log: alert: x\n");
}

/// What a stamp looks like stays, what it says goes.
fn mask(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() || ('a'..='f').contains(&c) { '9' } else { c }).collect()
}

#[test]
fn stamps_and_prefixes_stand_in_the_order_and_with_the_spaces_of_s6() {
    let both = Beside::new();
    let scripts: [&[&str]; 7] = [
        &["t", "1"],
        &["T", "1"],
        &["pxyz", "1"],
        &["pxyz", "T", "t", "1"],
        &["t", "p:", "1", "1", "p", "T", "1"],
        &["t", "T", "pxyz", "2"],
        &["t", "t", "1", "t", "2", "1"],
    ];
    for words in scripts {
        let [theirs, ours] = BOTH.map(|whose| run(&both, whose, words, "xx\nzz\n\n"));
        assert_eq!((mask(&ours.out), mask(&ours.err)), (mask(&theirs.out), mask(&theirs.err)), "{words:?}");
        assert_eq!(ours.code, 0);
    }
}

#[test]
fn all_actions_have_the_same_stamps_of_a_line() {
    let both = Beside::new();
    let end = run(&both, Ours, &["t", "1", "t", "2", "t", "./d"], "x\n");
    assert_eq!(end.err, format!("s6-log: alert: {}", end.out));
    assert_eq!(content(&both.path().join("d/current")), end.out);
}

#[test]
fn stamps_are_those_of_the_time_when_a_line_has_come() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let stamp = |line: &str| {
        let sec = u64::from_str_radix(&line[1..17], 16).unwrap() - (1 << 62) - 37;
        std::time::Duration::new(sec, u32::from_str_radix(&line[17..25], 16).unwrap())
    };
    let mut logger = Logger::start(Ours, &["t", "1"]);
    let mut times = Vec::new();
    for number in 1..=5 {
        times.push(now());
        logger.feed("x\n");
        eventually(|| logger.out().lines().count() == number);
        times.push(now());
    }
    for (number, line) in logger.out().lines().enumerate() {
        let (before, after) = (times[2 * number], times[2 * number + 1]);
        // s6 adds 500 ns.
        let stamp = stamp(line);
        assert!(
            before <= stamp && stamp <= after + std::time::Duration::from_micros(1),
            "{before:?} {stamp:?} {after:?}"
        );
    }
}

#[test]
fn a_status_file_is_cut_and_filled_up_to_its_size() {
    for size in ["^10", "^0", "^1", "^1001", "^3000"] {
        for length in [0, 8, 9, 10, 11, 2000] {
            let [theirs, ours] = BOTH.map(|whose| {
                let both = Beside::new();
                let end = run(&both, whose, &[size, "p:", "=st"], "x".repeat(length) + "\n");
                assert_eq!(end, End::says(""));
                assert!(!both.path().join("st.new").exists());
                content(&both.path().join("st"))
            });
            assert!(ours == theirs, "{size} {length}: {ours:?} {theirs:?}");
        }
    }
}

#[test]
fn a_status_file_holds_the_last_line() {
    let scripts: [&[&str]; 5] = [
        &["=st"],
        &["-", "+7$", "=st"],
        &["-", "+7$", "pa", "=st", "f", "pb", "=st"],
        &["=st", "pb", "^0", "=st"],
        &["-", "+5", "=other", "f", "+7$", "=st"],
    ];
    for words in scripts {
        let [theirs, ours] = BOTH.map(|whose| {
            let both = Beside::new();
            let text: String = (0..2000).map(|number| format!("line {number}\n")).collect();
            assert_eq!(run(&both, whose, words, text), End::says(""));
            ["st", "other"].map(|name| content(&both.path().join(name)))
        });
        assert_eq!(ours, theirs, "{words:?}");
    }
}

#[test]
fn the_mode_of_a_status_file_is_the_umasks() {
    use std::os::unix::fs::PermissionsExt;
    for (umask, mode) in [("022", 0o644), ("077", 0o600), ("0", 0o666)] {
        for whose in BOTH {
            let both = Beside::new();
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &format!("umask {umask}; printf 'x\\n' | \"$@\""), "sh"]);
            command.arg(both.command(whose, "log").get_program()).args(["=st"]).current_dir(both.path());
            assert!(command.status().unwrap().success());
            let meta = std::fs::metadata(both.path().join("st")).unwrap();
            assert_eq!(meta.permissions().mode() & 0o777, mode);
        }
    }
}

#[test]
fn a_reader_of_a_status_file_finds_a_whole_one() {
    let mut logger = Logger::start(Ours, &["^100", "=st"]);
    logger.feed("number 0\n");
    let path = logger.both.path().join("st");
    eventually(|| path.exists());
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (stop, file) = (over.clone(), path.clone());
    let reader = std::thread::spawn(move || {
        let mut count = 0;
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let text = content(&file);
            assert!(text.len() == 100 && text.starts_with("number "), "{text:?}");
            count += 1;
        }
        count
    });
    for number in 1..=2000 {
        logger.write(&format!("number {number}\n"));
    }
    logger.close();
    assert_eq!(logger.wait(), End::says(""));
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reader.join().unwrap() > 0);
    assert_eq!(content(&path).trim_end(), "number 2000");
}

/// Alerts wait until they can be written; whoever shares standard error may have made it non-blocking.
#[test]
fn alerts_are_whole_on_a_standard_error_that_does_not_block() {
    let (mut read, write) = pipe();
    set_nonblocking(&write, true);
    let mut logger = Logger::start_with(Ours, &["-l0", "E0", "2"], |command| {
        command.stderr(write);
    });
    let line = "x".repeat(200_000);
    logger.write(&format!("{line}\nlast\n"));
    logger.close();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut read, &mut said).unwrap();
    assert!(said == format!("s6-log: alert: {line}\ns6-log: alert: last\n"));
    assert_eq!(logger.wait().code, 0);
}

/// What nothing can be said about: a status file in a directory that comes later.
#[test]
fn a_status_file_that_fails_is_written_the_next_time() {
    for whose in [Theirs, Ours] {
        let mut logger = Logger::start(whose, &["^0", "=sub/st", "1"]);
        logger.feed("a\n");
        logger.says("a\n");
        std::fs::create_dir(logger.both.path().join("sub")).unwrap();
        logger.feed("b\n");
        logger.close();
        let end = logger.wait();
        let warning = "s6-log: warning: unable to write status file sub/st: No such file or directory\n";
        assert_eq!((end.code, end.out.as_str(), end.err.as_str()), (0, "a\nb\n", warning));
        assert_eq!(content(&logger.both.path().join("sub/st")), "b\n");
    }
}
