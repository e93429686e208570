//! Processors of archives: what they find, what becomes of what they leave, how they fail.

use crate::beside::{Beside, Ours, Theirs, content, eventually};
use crate::house::{archives, found, lines, look, names, sizes};
use crate::logger::*;
use std::fs;
use std::process::{Command, Stdio};

/// The archives, one after the other.
fn archived(d: &std::path::Path) -> String {
    archives(d).iter().map(|name| content(&d.join(name))).collect()
}

#[test]
fn a_processor_finds_its_files_its_directory_and_no_signal_blocked() {
    let beside = Beside::new();
    let d = beside.path().join("d");
    let script = "?pwd; for n in 0 1 4 5 7; do readlink /proc/self/fd/$n; done; grep SigBlk /proc/self/status; \
                  ls -l /proc/$$/fd | grep -c -e current -e lock -e signalfd; cat";
    let mut logger = Logger::below(&beside, Ours, "exec 3<&- 7</dev/null; exec \"$@\"", &[script, "./d"]);
    logger.write("line\n");
    until(&d.join("current"), "line\n");
    logger.kill(libc::SIGALRM);
    eventually(|| archives(&d).len() == 1);
    let d = d.canonicalize().unwrap();
    let said = archived(&d);
    let expected: String = ["", "/previous", "/processed", "/state", "/newstate"]
        .iter()
        .map(|file| format!("{}{file}\n", d.display()))
        .chain(["/dev/null\nSigBlk:\t0000000000000000\n0\nline\n".to_owned()])
        .collect();
    assert_eq!(said, expected);
    assert_eq!(logger.end(), (0, String::new()));
    assert_eq!(names(&d).len(), 4, "{:?}", names(&d));
}

/// The second logdir is there because Debian's has a bug with one: newstate is closed.
#[test]
fn what_a_processor_writes_as_its_state_the_next_one_reads() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let words = ["s4096", "!sh -c \"read n <&4; echo run $n; cat >/dev/null; echo 1$n >&5\"", "./d", "!", "./e"];
        let mut logger = Logger::start(&beside, whose, &words);
        for count in 1..=3 {
            logger.write(&numbered(50, 100));
            eventually(|| {
                d.exists()
                    && archives(&d).len() == count
                    && content(&d.join("state")) == format!("{}\n", "1".repeat(count))
            });
        }
        assert_eq!(archived(&d), "run\nrun 1\nrun 11\n", "{whose:?}");
        assert_eq!(logger.end(), (0, String::new()));
        // A clean start keeps it, an unclean one does not.
        let mut logger = Logger::start(&beside, whose, &words);
        logger.write(&numbered(50, 100));
        eventually(|| content(&d.join("state")) == "1111\n" && !d.join("processed").exists());
        logger.kill(libc::SIGKILL);
        logger.end();
        run(&beside, whose, &words, "");
        assert_eq!(content(&d.join("state")), "", "{whose:?}");
    }
}

/// To Debian's that is a processor that can never begin.
#[test]
fn a_clean_log_without_a_state_is_processed_all_the_same() {
    let beside = Beside::new();
    let d = beside.path().join("d");
    assert_eq!(run(&beside, Ours, &["./d"], "a\n"), (0, String::new()));
    fs::remove_file(d.join("state")).unwrap();
    let mut logger = Logger::start(&beside, Ours, &["s4096", "?cat", "./d"]);
    logger.write("b\n");
    until(&d.join("current"), "a\nb\n");
    // Even if it goes while the logger runs.
    fs::remove_file(d.join("state")).unwrap();
    logger.write(&numbered(50, 100));
    eventually(|| archives(&d).len() == 1);
    assert_eq!(logger.end(), (0, String::new()));
}

#[test]
fn a_processor_that_fails_is_run_again_until_it_succeeds_and_nothing_is_lost() {
    for (end, text) in [("exit 3", "failed"), ("kill -9 $$", "crashed")] {
        for whose in [Theirs, Ours] {
            let beside = Beside::new();
            let d = beside.path().join("d");
            let script = format!("?echo garbage; test -e ../good || {end}; exec >processed; cat");
            let mut logger = Logger::start(&beside, whose, &["r50", "s4096", &script, "./d"]);
            logger.write(&numbered(50, 100));
            logger.says(&format!("s6-log: warning: processor {text} in ./d\n"), 3);
            logger.write("later\n");
            assert_eq!(content(&d.join("current")), "", "{whose:?}");
            beside.file("good", "");
            until(&d.join("current"), "later\n");
            let (code, said) = logger.end();
            assert!(code == 0 && said.lines().all(|line| line.contains(text)), "{said}");
            assert_eq!(lines(&d), format!("{}later\n", numbered(50, 100)).lines().collect::<Vec<_>>());
        }
    }
}

#[test]
fn lines_wait_for_a_slow_processor_and_are_in_the_next_log_once() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(
            &beside,
            whose,
            &["s4096", "?cat; touch ../runs; while test ! -e ../go; do sleep 0.02; done", "./d"],
        );
        logger.write(&numbered(41, 100));
        eventually(|| beside.path().join("runs").exists());
        logger.write("a\nb\nc\n");
        logger.kill(libc::SIGALRM); // there is a rotation already
        beside.file("go", "");
        until(&d.join("current"), "a\nb\nc\n");
        assert_eq!(logger.end(), (0, String::new()));
        assert_eq!(sizes(&d), [4100], "{whose:?}");
    }
}

#[test]
fn the_end_waits_for_the_processor() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        let mut logger = Logger::start(
            &beside,
            whose,
            &["s4096", "?touch ../runs; while test ! -e ../go; do sleep 0.02; done; cat", "./d"],
        );
        logger.write(&numbered(41, 100));
        eventually(|| beside.path().join("runs").exists());
        logger.write("a\n");
        logger.kill(libc::SIGHUP);
        let go = beside.path().join("go");
        let opener = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(200));
            fs::write(go, "").unwrap();
        });
        assert_eq!(logger.end(), (0, String::new()));
        opener.join().unwrap();
        let there = look(&d);
        assert_eq!((there.len(), there[0].content.len(), there[1].mode), (4, 4100, 0o744), "{whose:?}");
    }
}

#[test]
fn archives_that_are_compressed_have_the_lines_that_were_written() {
    let input = numbered(3000, 100);
    for word in ["!gzip -9", "?gzip -9"] {
        let beside = Beside::new();
        let d = beside.path().join("d");
        assert_eq!(run(&beside, Ours, &["n100", word, "./d"], &input), (0, String::new()));
        let files = archives(&d);
        assert!(files.len() >= 2, "{files:?}");
        let unpacked = Command::new("gzip").args(["-dc", "-S", ".s"]).args(&files).current_dir(&d).output().unwrap();
        assert!(unpacked.status.success(), "{unpacked:?}");
        let all = String::from_utf8(unpacked.stdout).unwrap() + &content(&d.join("current"));
        assert!(all == input && sizes(&d).iter().sum::<u64>() < 50_000, "{:?}", sizes(&d));
        assert!(names(&d).iter().eq(files.iter().chain([&"current".into(), &"lock".into(), &"state".into()])));
    }
}

#[test]
fn without_execlineb_the_shell_runs_the_processor() {
    let beside = Beside::new();
    let d = beside.path().join("d");
    fs::create_dir(beside.path().join("few")).unwrap();
    let cat = ["/bin/cat", "/usr/bin/cat"].into_iter().find(|path| fs::metadata(path).is_ok()).unwrap();
    std::os::unix::fs::symlink(cat, beside.path().join("few/cat")).unwrap();
    beside.file("input", numbered(50, 100));
    let mut log = command(&beside, Ours, &["s4096", "!echo $0; cat", "./d"]);
    log.env("PATH", beside.path().join("few")).stdin(fs::File::open(beside.path().join("input")).unwrap());
    assert!(log.stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(archived(&d), format!("/bin/sh\n{}", numbered(50, 100)));
}

#[test]
fn an_empty_output_is_an_empty_archive() {
    for whose in [Theirs, Ours] {
        let beside = Beside::new();
        assert_eq!(run(&beside, whose, &["s4096", "?cat >/dev/null", "./d"], &numbered(50, 100)), (0, String::new()));
        assert_eq!(look(&beside.path().join("d"))[0], found("@.s", 0o744, ""), "{whose:?}");
    }
}

/// Debian's makes an archive of nothing of it.
#[test]
fn a_processor_that_removes_its_output_has_failed() {
    let beside = Beside::new();
    let d = beside.path().join("d");
    let mut logger = Logger::start(&beside, Ours, &["r50", "s4096", "?test -e ../good || rm processed; cat", "./d"]);
    logger.write(&numbered(50, 100));
    logger.says("s6-log: warning: unable to fsync ./d/processed: No such file or directory\n", 2);
    beside.file("good", "");
    eventually(|| archives(&d).len() == 1);
    assert_eq!(logger.end().0, 0);
    assert_eq!(lines(&d).len(), 50);
}
