//! Full disks, read-only ones, no descriptors left, directories and files that go while they are used.

use crate::beside::{Beside, Ours, Theirs, content, eventually};
use crate::house::{archives, lines, sizes};
use crate::logger::*;
use std::fs;
use std::process::Command;

/// Whether this may make mounts; says so if not.
fn may_mount() -> bool {
    let may = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: it needs a mount namespace");
    }
    may
}

#[test]
fn on_a_full_disk_lines_wait_and_none_is_lost_or_doubled_and_other_logs_go_on() {
    if !may_mount() {
        return;
    }
    for whose in [Theirs, Ours] {
        for (size, room) in [(256, 32), (256, 61)] {
            let beside = Beside::new();
            fs::create_dir(beside.path().join("small")).unwrap();
            let shell = format!(
                "exec unshare -m sh -c 'mount -t tmpfs -o size={size}k none small && \
                 head -c {}k /dev/zero >small/filler && exec \"$@\"' sh \"$@\"",
                size - room
            );
            let mut logger = Logger::below(&beside, whose, &shell, &["n100", "r50", "s4096", "./small/d", "./big"]);
            let input = numbered(900, 97);
            logger.write(&input);
            let expected: Vec<&str> = input.lines().collect();
            logger.says("s6-log: warning: unable to write to ./small/d/current: No space left on device\n", 3);
            // Several times the retry time at least.
            eventually(|| lines(&beside.path().join("big")) == expected);
            let small = std::path::PathBuf::from(format!("/proc/{}/cwd/small", logger.pid()));
            let before = lines(&small.join("d"));
            assert!(before.len() < 900 && before.len() > 50);
            fs::remove_file(small.join("filler")).unwrap();
            eventually(|| lines(&small.join("d")) == expected);
            // No archive of ours ends in the middle of a line. (Debian's do, if a short write has made the log full.)
            let sizes = sizes(&small.join("d"));
            assert!(whose == Theirs || sizes.iter().all(|size| size % 97 == 0), "{sizes:?}");
            let (code, said) = logger.end();
            assert_eq!(code, 0, "{whose:?} {said}");
            assert!(said.lines().all(|line| line.contains("No space left on device")), "{said}");
        }
    }
}

#[test]
fn on_a_disk_that_may_not_be_written_to_a_logger_does_not_start() {
    if !may_mount() {
        return;
    }
    let shell = "exec unshare -m sh -c 'mount -t tmpfs none small && mkdir small/there && mount -o remount,ro small && \
                 exec \"$@\"' sh \"$@\"";
    for (dir, text) in
        [("./small/there", "unable to open ./small/there/lock"), ("./small/new", "unable to mkdir ./small/new")]
    {
        for whose in [Theirs, Ours] {
            let beside = Beside::new();
            fs::create_dir(beside.path().join("small")).unwrap();
            let logger = Logger::below(&beside, whose, shell, &[dir]);
            assert_eq!(logger.end(), (111, format!("s6-log: fatal: {text}: Read-only file system\n")), "{whose:?}");
        }
    }
}

#[test]
fn when_its_directory_is_removed_it_goes_on_and_says_so_at_the_next_rotation() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(&beside, whose, &["r50", "./d", "./e"]);
        logger.write("a\n");
        until(&d.join("current"), "a\n");
        fs::remove_dir_all(&d).unwrap();
        logger.write("b\n");
        until(&beside.path().join("e/current"), "a\nb\n");
        assert_eq!(logger.said(), "");
        logger.kill(libc::SIGALRM);
        logger.says("s6-log: warning: unable to rename ./d/current to ./d/previous: No such file or directory\n", 3);
        // The other one has been rotated, and goes on.
        logger.write("c\n");
        until(&beside.path().join("e/current"), "c\n");
        assert!(!d.exists());
    }
}

#[test]
fn a_log_that_was_renamed_by_hand_is_written_to_until_the_next_rotation() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(&beside, whose, &["r50", "./d"]);
        logger.write("a\n");
        until(&d.join("current"), "a\n");
        fs::rename(d.join("current"), d.join("mine")).unwrap();
        logger.write("b\n");
        until(&d.join("mine"), "a\nb\n");
        logger.kill(libc::SIGALRM);
        logger.write("c\n");
        logger.says("s6-log: warning: unable to rename ./d/current to ./d/previous: No such file or directory\n", 2);
        // It is put back: the rotation goes on.
        fs::rename(d.join("mine"), d.join("current")).unwrap();
        until(&d.join("current"), "c\n");
        assert_eq!(logger.end().0, 0);
        assert_eq!(lines(&d), ["a", "b", "c"]);
    }
}

#[test]
fn without_descriptors_a_rotation_waits_and_lines_with_it() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(&beside, whose, &["r50", "s4096", "./d"]);
        logger.write("x\n");
        until(&d.join("current"), "x\n");
        logger.starve(true);
        logger.kill(libc::SIGALRM);
        logger.says(": Too many open files\n", 2);
        logger.starve(false);
        until(&d.join("current"), "");
        eventually(|| archives(&d).len() == 1);
        logger.write("y\n");
        until(&d.join("current"), "y\n");
        assert_eq!(logger.end().0, 0);
        assert_eq!(lines(&d), ["x", "y"]);
    }
}

#[test]
fn what_goes_wrong_is_not_said_by_a_silent_logger() {
    let beside = Beside::new();
    let d = beside.path().join("d");
    let mut logger = Logger::start(&beside, Ours, &["-q", "r20", "?touch ../ran; exit 1", "./d"]);
    logger.write("x\n");
    until(&d.join("current"), "x\n");
    logger.kill(libc::SIGALRM);
    for _ in 0..3 {
        eventually(|| beside.path().join("ran").exists());
        fs::remove_file(beside.path().join("ran")).unwrap();
    }
    assert_eq!((logger.said(), content(&d.join("previous"))), (String::new(), "x\n".to_owned()));
}
