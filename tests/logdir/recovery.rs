//! What a logger finds at its start, whatever was left, and how it leaves it.

use crate::beside::{Beside, Ours, Theirs, Whose, eventually};
use crate::house::{Found, archives, found, lines, look, mode};
use crate::logger::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How a file is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Is {
    Missing,
    /// Not complete.
    Open,
    /// u+x.
    Complete,
    /// An archive already.
    Linked,
    Empty,
}

fn put(dir: &Path, name: &str, is: Is) {
    if is == Is::Missing {
        return;
    }
    let text = if is == Is::Empty { String::new() } else { format!("{name}\n") };
    fs::write(dir.join(name), text).unwrap();
    let mode = if is == Is::Complete { 0o744 } else { 0o644 };
    fs::set_permissions(dir.join(name), Permissions::from_mode(mode)).unwrap();
    if is == Is::Linked {
        fs::hard_link(dir.join(name), dir.join(format!("@4000000000000000{:08x}.s", name.len()))).unwrap();
    }
}

fn set_up(dir: &Path, files: &[(&str, Is)]) {
    fs::create_dir(dir).unwrap();
    files.iter().for_each(|(name, is)| put(dir, name, *is));
}

/// Runs a logger on it; again if it is Debian's and has died of names that it has given twice.
fn recovered(beside: &Beside, whose: Whose) -> Vec<Found> {
    let dir = if whose == Ours { "./ours" } else { "./theirs" };
    for _ in 0..3 {
        let (code, said) = run(beside, whose, &[dir], "new\n");
        if code == 0 {
            assert_eq!(said, "");
            return look(&beside.path().join(dir));
        }
        assert!(whose == Theirs && code == 111 && said.contains("File exists"), "{code} {said}");
    }
    panic!("Debian's does not get through");
}

#[test]
fn every_combination_of_files_is_recovered_as_debians_does() {
    use Is::*;
    let mut seen = 0;
    for current in [Missing, Open, Complete, Linked, Empty] {
        for previous in [Missing, Open, Complete, Linked, Empty] {
            for processed in [Missing, Open, Complete, Linked] {
                for (state, newstate) in [(Missing, Missing), (Open, Missing), (Open, Open), (Missing, Open)] {
                    let beside = Beside::new();
                    let files = [
                        ("current", current),
                        ("previous", previous),
                        ("processed", processed),
                        ("state", state),
                        ("newstate", newstate),
                        ("foreign", Open),
                    ];
                    for dir in ["ours", "theirs"] {
                        set_up(&beside.path().join(dir), &files);
                    }
                    let [ours, mut theirs] = [Ours, Theirs].map(|whose| recovered(&beside, whose));
                    // Debian's leaves a clean log without a state as it is: a processor could never begin.
                    if current == Complete && state == Missing {
                        theirs.push(found("state", 0o644, ""));
                        theirs.sort();
                    }
                    // To Debian's the empty log that an interrupted rotation had begun is an archive.
                    if current == Empty && (previous != Missing || processed != Missing) {
                        let at = theirs.iter().rposition(|file| *file == found("@.u", 0o644, "")).unwrap();
                        theirs.remove(at);
                    }
                    assert_eq!(ours, theirs, "{files:?}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 400);
}

/// Debian's dies once, of a name that it gives twice.
#[test]
fn after_a_death_in_the_middle_of_a_rotation_one_start_is_enough() {
    let beside = Beside::new();
    set_up(&beside.path().join("ours"), &[("current", Is::Open), ("previous", Is::Open)]);
    let there = recovered(&beside, Ours);
    assert_eq!(there[..2], [found("@.u", 0o644, "previous\n"), found("@.u", 0o644, "current\n")]);
}

#[test]
fn a_second_name_is_taken_for_an_archive_and_none_is_made_again() {
    let beside = Beside::new();
    set_up(&beside.path().join("ours"), &[("previous", Is::Linked), ("current", Is::Complete)]);
    fs::set_permissions(beside.path().join("ours/current"), Permissions::from_mode(0o644)).unwrap();
    let there = recovered(&beside, Ours);
    assert_eq!(there[..2], [found("@.s", 0o644, "previous\n"), found("@.u", 0o644, "current\n")]);
    assert_eq!(there.iter().filter(|file| file.name.starts_with('@')).count(), 2);
}

#[test]
fn permissions_follow_the_umask_and_say_whether_a_log_is_closed() {
    for whose in [Theirs, Ours] {
        for (mask, open) in [("022", 0o644), ("077", 0o600), ("027", 0o640), ("177", 0o600)] {
            let beside = Beside::new();
            let shell = format!("umask {mask}; exec \"$@\"");
            let mut logger = Logger::below(&beside, whose, &shell, &["s4096", "./d"]);
            let d = beside.path().join("d");
            logger.write("x\n");
            until(&d.join("current"), "x\n");
            assert_eq!((mode(&d.join("current")), mode(&d.join("lock"))), (open, open), "{whose:?} {mask}");
            assert_eq!(mode(&d) & 0o777, 0o700 & !u32::from_str_radix(mask, 8).unwrap());
            logger.write(&numbered(50, 100));
            eventually(|| archives(&d).len() == 1);
            assert_eq!(look(&d)[0].mode, open | 0o100);
            assert_eq!(logger.end(), (0, String::new()));
            assert_eq!((mode(&d.join("current")), mode(&d.join("state"))), (open | 0o100, open));
        }
    }
}

#[test]
fn a_killed_logger_leaves_an_unclean_log_and_a_stopped_one_goes_on_in_it() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(&beside, whose, &["./d"]);
        logger.write("a\n");
        until(&d.join("current"), "a\n");
        logger.kill(libc::SIGKILL);
        logger.end();
        assert_eq!(run(&beside, whose, &["./d"], "b\n"), (0, String::new()));
        assert_eq!(run(&beside, whose, &["./d"], "c\n"), (0, String::new()));
        let there = look(&d);
        assert_eq!(there[..2], [found("@.u", 0o644, "a\n"), found("current", 0o744, "b\nc\n")], "{whose:?}");
    }
}

#[test]
fn a_second_logger_in_the_same_directory_is_refused() {
    for (first, second) in [(Ours, Ours), (Ours, Theirs), (Theirs, Ours)] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(&beside, first, &["./d"]);
        logger.write("a\n");
        until(&d.join("current"), "a\n");
        let (code, said) = run(&beside, second, &["./d"], "b\n");
        assert_eq!(code, 111);
        assert_eq!(said, "s6-log: fatal: unable to lock ./d/lock: Device or resource busy\n");
        logger.write("c\n");
        until(&d.join("current"), "a\nc\n");
        // (Its own words are written over by those of the second.)
        assert_eq!(logger.end().0, 0);
        assert_eq!(run(&beside, second, &["./d"], "b\n"), (0, String::new()));
        assert_eq!(lines(&d), ["a", "c", "b"]);
    }
}

#[test]
fn a_directory_that_is_named_twice_gets_each_line_twice() {
    let there = [Theirs, Ours].map(|whose| {
        let beside = Beside::new();
        assert_eq!(run(&beside, whose, &["./d", "./d"], "a\nb\n"), (0, String::new()));
        look(&beside.path().join("d"))
    });
    // To the second, the log that the first has just begun is one of a logger that died.
    assert_eq!(there[0][..2], [found("@.u", 0o744, "a\nb\n"), found("current", 0o744, "a\nb\n")]);
    assert_eq!(there[1], there[0]);
}

#[test]
fn what_keeps_a_logger_from_starting_is_said() {
    let cases = [
        ("./none/d", "unable to mkdir ./none/d: No such file or directory"),
        ("./file", "Not a directory"),
        ("./locked", "unable to open ./locked/lock: Is a directory"),
        ("./odd", "unable to open"),
    ];
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        beside.file("file", "");
        fs::create_dir_all(beside.path().join("locked/lock")).unwrap();
        fs::create_dir_all(beside.path().join("odd/current")).unwrap();
        for (dir, text) in &cases {
            let (code, said) = run(&beside, whose, &[dir], "a\n");
            // Debian's calls opening a file to append to it "open_append".
            assert_eq!((code, said.contains(text)), (111, true), "{whose:?} {dir}: {said}");
        }
    }
}
