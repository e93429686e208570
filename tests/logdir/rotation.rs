//! When a log is rotated, and which archives stay.

use crate::beside::{Beside, Ours, Theirs, Whose, content, eventually};
use crate::house::{archives, found, lines, look, names, sizes};
use crate::logger::*;
use std::fs;
use std::path::Path;

/// Runs both with the same words in directories of their own, and answers what is in them, which must be the same.
fn same(words: &[&str], input: &str) -> Vec<crate::house::Found> {
    let [theirs, ours] = [Theirs, Ours].map(|whose| {
        let beside = Beside::new();
        assert_eq!(run(&beside, whose, &[words, &["./d"]].concat(), input), (0, String::new()));
        let d = beside.path().join("d");
        (look(&d), sizes(&d))
    });
    assert!(ours == theirs, "{words:?}: {:?} and Debian's {:?}", ours.1, theirs.1);
    ours.0
}

#[test]
fn archives_have_the_same_lines_as_debians_whatever_the_sizes() {
    let inputs =
        [numbered(3000, 100), numbered(40, 1000), numbered(20, 8191), numbered(30_000, 7), numbered(9, 30_000)];
    for words in [&["n100", "s4096", "l0"][..], &["n100", "s4096", "l2000"], &["n100", "s20000", "l1"], &["n100"]] {
        for input in &inputs {
            let there = same(words, input);
            let all: String = there.iter().map(|file| file.content.as_str()).collect();
            assert!(all == *input || input.lines().any(|line| line.len() > 8192), "{words:?}");
        }
    }
}

#[test]
fn lines_that_come_alone_make_archives_of_the_size_that_was_asked_for() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(&beside, whose, &["s4096", "l0", "./d"]);
        let mut written = 0;
        for number in 0..100 {
            logger.write(&format!("{number:099}\n"));
            written += 100;
            let total = || {
                let current = fs::metadata(d.join("current")).map_or(0, |about| about.len());
                sizes(&d).iter().sum::<u64>() + current
            };
            eventually(|| d.exists() && total() == written);
        }
        assert_eq!(logger.end(), (0, String::new()));
        assert_eq!(sizes(&d), [4100, 4100], "{whose:?}");
        assert_eq!(lines(&d).len(), 100);
    }
}

#[test]
fn a_log_that_is_too_large_already_is_rotated_before_it_is_written_to() {
    for (bytes, expected) in [(5000, vec![5000]), (4096, vec![4096]), (4095, vec![4097]), (3000, vec![])] {
        for whose in [Theirs, Ours] {
            let beside = Beside::new();
            let d = beside.path().join("d");
            assert_eq!(run(&beside, whose, &["./d"], &"x\n".repeat(bytes / 2)), (0, String::new()));
            if bytes % 2 == 1 {
                let text = content(&d.join("current"));
                fs::write(d.join("current"), format!("y{text}")).unwrap();
            }
            assert_eq!(run(&beside, whose, &["s4096", "l0", "./d"], "z\n"), (0, String::new()));
            assert_eq!(sizes(&d), expected, "{whose:?} {bytes}");
        }
    }
}

#[test]
fn as_many_archives_stay_as_were_asked_for_by_number_and_by_size() {
    let input = numbered(2000, 100);
    for (words, expected) in [
        (&["s4096", "n0"][..], 0),
        (&["s4096", "n1"], 1),
        (&["s4096", "n3"], 3),
        (&["s4096", "n1000", "S20000"], 3),
        (&["s4096", "n1", "S20000"], 1),
        (&["s4096", "n1000", "S1"], 0),
        (&["s4096"], 10),
    ] {
        let there = same(words, &input);
        assert_eq!(there.iter().filter(|file| file.name == "@.s").count(), expected, "{words:?}");
    }
}

const FOREIGN: [&str; 6] = [
    "@4000000000000000000000.s",
    "@40000000000000000000000g.s",
    "@400000000000000000000001.t",
    "@400000000000000000000001.s.gz",
    "x400000000000000000000001.s",
    "README",
];

fn old(dir: &Path, count: usize) {
    fs::create_dir(dir).unwrap();
    for number in 0..count {
        fs::write(
            dir.join(format!("@4000000000000000{number:08x}.{}", if number % 3 == 0 { 'u' } else { 's' })),
            "old\n",
        )
        .unwrap();
    }
}

#[test]
fn what_is_no_archive_stays_and_the_smallest_name_goes_first_however_new_its_file_is() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        old(&d, 20);
        FOREIGN.iter().for_each(|name| fs::write(d.join(name), "foreign\n").unwrap());
        // The oldest by name is the newest by time; letters of both kinds count as digits.
        fs::write(d.join("@40000000000000000000000A.s"), "old\n").unwrap();
        fs::write(d.join("@400000000000000000000000.u"), "touched\n").unwrap();
        assert_eq!(run(&beside, whose, &["n9", "s4096", "./d"], &numbered(30, 100)), (0, String::new()));
        let names = names(&d);
        assert!(FOREIGN.iter().all(|foreign| names.iter().any(|name| name == foreign)), "{names:?}");
        let archives: Vec<&String> = names.iter().filter(|name| name.starts_with('@')).collect();
        let kept: Vec<&str> =
            archives.iter().map(|name| name.as_str()).filter(|name| !FOREIGN.contains(name)).collect();
        assert_eq!(kept.len(), 9, "{whose:?} {names:?}");
        assert_eq!(
            kept[..8].iter().map(|name| &name[20..25]).collect::<Vec<_>>(),
            ["0000c", "0000d", "0000e", "0000f", "00010", "00011", "00012", "00013"]
        );
    }
}

#[test]
fn a_directory_of_thousands_of_archives_is_trimmed_at_once() {
    let beside = Beside::new();
    let d = beside.path().join("d");
    old(&d, 2000);
    assert_eq!(run(&beside, Ours, &["n10", "s4096", "./d"], &numbered(30, 100)), (0, String::new()));
    let archives = archives(&d);
    assert_eq!((archives.len(), archives[0].as_str()), (10, "@4000000000000000000007c7.s"));
}

/// To Debian's these are the oldest, and go at once: on a machine that does not know the time yet, all that is new does.
#[test]
fn an_archive_is_later_than_those_that_there_are() {
    let beside = Beside::new();
    let d = beside.path().join("d");
    fs::create_dir(&d).unwrap();
    let future = "@400000010000000000000000.s";
    fs::write(d.join(future), "of a later time\n").unwrap();
    assert_eq!(run(&beside, Ours, &["n2", "s4096", "./d"], &numbered(200, 100)), (0, String::new()));
    let archives = archives(&d);
    assert!(archives.len() == 2 && archives.iter().all(|name| name.as_str() > future), "{archives:?}");
}

#[test]
fn an_alarm_rotates_a_log_that_is_not_empty_and_nothing_else() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(&beside, whose, &["./d"]);
        logger.write("a\n");
        until(&d.join("current"), "a\n");
        logger.kill(libc::SIGALRM);
        eventually(|| archives(&d).len() == 1);
        // With nothing in it: the next line shows that the signal was seen.
        logger.kill(libc::SIGALRM);
        logger.write("b\n");
        until(&d.join("current"), "b\n");
        assert_eq!(logger.end(), (0, String::new()));
        let expected = [found("@.s", 0o744, "a\n"), found("current", 0o744, "b\n")];
        assert_eq!(look(&d)[..2], expected, "{whose:?}");
    }
}

#[test]
fn a_log_is_rotated_when_it_is_a_second_old() {
    let beside = Beside::new();
    let d = beside.path().join("d");
    let mut logger = Logger::start(&beside, Ours, &["R1", "./d"]);
    logger.write("a\n");
    eventually(|| d.exists() && archives(&d).len() == 1);
    logger.write("b\n");
    eventually(|| archives(&d).len() == 2);
    assert_eq!(logger.end(), (0, String::new()));
    assert_eq!((lines(&d), content(&d.join("current"))), (vec!["a".to_owned(), "b".to_owned()], String::new()));
}

/// A rotation is never in the middle of a line, and an archive of somebody's own is not written over: Debian's does.
#[test]
fn a_previous_that_is_of_no_rotation_is_kept() {
    let lost = |whose: Whose| {
        let beside = Beside::new();
        let d = beside.path().join("d");
        assert_eq!(run(&beside, whose, &["./d"], "a\n"), (0, String::new()));
        fs::write(d.join("previous"), "precious\n").unwrap();
        assert_eq!(run(&beside, whose, &["s4096", "./d"], &numbered(50, 100)), (0, String::new()));
        !lines(&d).contains(&"precious".to_owned())
    };
    assert_eq!((lost(Theirs), lost(Ours)), (true, false));
}
