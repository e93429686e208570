//! Loggers and the pipes between them and their services.

use crate::scandir::*;
use std::os::fd::AsRawFd;

/// Appends all it reads to `$BASE/logged`, a line at a time.
const LOGGER: &str = "#!/bin/sh\necho logger >$SAID\nexec cat >>$BASE/logged\n";
/// Writes what is written to its FIFO.
const ECHOES: &str = "#!/bin/sh\n[ -p in ] || mkfifo in\nexec 4<>in\necho service >$SAID\nexec cat <&4\n";
/// Writes something when it is told to end.
const LAST_WORDS: &str = "#!/bin/sh
trap 'echo last words; exit 0' TERM
mkfifo never
exec 4<>never
echo service >$SAID
read x <&4
";

fn logged(svscan: &Svscan) -> String {
    std::fs::read_to_string(svscan.base("logged")).unwrap_or_default()
}

/// Lets the service write a line.
fn write(svscan: &Svscan, name: &str, line: &str) {
    svscan.push(&format!("{name}/in"), &format!("{line}\n"));
}

fn both(svscan: &Svscan) {
    let mut said = [svscan.hear(), svscan.hear()];
    said.sort();
    assert_eq!(said, ["logger", "service"]);
}

/// What waits in the pipe that is a process's standard output or input.
fn waiting(pid: i32, fd: i32) -> i32 {
    let pipe = std::fs::OpenOptions::new().read(true).open(format!("/proc/{pid}/fd/{fd}")).unwrap();
    rustix::io::ioctl_fionread(linchpin::sys::Fd(pipe.as_raw_fd())).unwrap() as i32
}

#[test]
fn what_a_service_writes_is_read_by_its_logger() {
    let svscan = Svscan::new(&[("a", &[("run", ECHOES), ("log/run", LOGGER)])]);
    both(&svscan);
    write(&svscan, "a", "hello");
    eventually(|| logged(&svscan) == "hello\n");
    assert_eq!(svscan.code("s6-svok a/log"), 0);
}

#[test]
fn a_log_that_is_no_directory_is_no_logger() {
    let svscan = Svscan::new(&[(
        "a",
        &[("run", "#!/bin/sh\nexec 4>&1\nreadlink /proc/$$/fd/4 >$SAID\nexec sleep 1000\n"), ("log", "")],
    )]);
    assert_eq!(svscan.hear(), std::fs::read_link(format!("/proc/{}/fd/1", svscan.pid())).unwrap().to_str().unwrap());
}

#[test]
fn nothing_is_lost_by_the_death_of_a_logger() {
    let svscan = Svscan::new(&[("a", &[("run", ECHOES), ("log/run", LOGGER)])]);
    both(&svscan);
    let mut expected = String::new();
    for round in 0..5 {
        svscan.ok("s6-svc -wD -T 20000 -d a/log");
        for line in 0..20 {
            let line = format!("{round} {line}");
            write(&svscan, "a", &line);
            expected += &(line + "\n");
        }
        eventually(|| waiting(svscan.pid_of("a"), 1) == 20 * 4 + 10);
        match round {
            // Neither by that of its supervisor,
            1 => svscan.ok("s6-svc -x a/log"),
            // nor by that of the service and of its supervisor.
            2 => {
                svscan.ok("s6-svc -k a");
                assert_eq!(svscan.hear(), "service");
            }
            3 => {
                svscan.ok("s6-svc -xk a");
                assert_eq!(svscan.hear(), "service");
            }
            _ => {}
        }
        eventually(|| svscan.code("s6-svc -u a/log") == 0);
        assert_eq!(svscan.hear(), "logger");
        eventually(|| logged(&svscan) == expected);
    }
}

#[test]
fn a_logger_appears_later_and_is_used_from_the_next_start() {
    let svscan = Svscan::new(&[("a", &[("run", ECHOES)])]);
    assert_eq!(svscan.hear(), "service");
    make_service(&svscan.path("a/.log"), &[("run", LOGGER)]);
    std::fs::rename(svscan.path("a/.log"), svscan.path("a/log")).unwrap();
    svscan.ok("s6-svscanctl -a .");
    assert_eq!(svscan.hear(), "logger");
    svscan.ok("s6-svc -r a");
    assert_eq!(svscan.hear(), "service");
    write(&svscan, "a", "late");
    eventually(|| logged(&svscan) == "late\n");
}

#[test]
fn on_removal_the_logger_reads_to_the_end() {
    let slow = "#!/bin/sh\necho logger >$SAID\nread x <go\ncat >>$BASE/logged\necho drained >$SAID\n";
    let svscan = Svscan::new(&[("a", &[("run", LAST_WORDS), ("log/run", slow), ("log/go", FIFO)])]);
    both(&svscan);
    let (mut service, mut logger) = (svscan.listen("a"), svscan.listen("a/log"));
    svscan.hide("a");
    svscan.ok("s6-svscanctl -an .");
    service.until(b'x');
    svscan.push(".a/log/go", "\n");
    assert_eq!(svscan.hear(), "drained");
    logger.until(b'x');
    assert_eq!(logged(&svscan), "last words\n");
}

#[test]
fn a_service_that_comes_back_waits_for_its_old_logger_and_gets_a_fresh_pipe() {
    let slow = "#!/bin/sh\necho logger >$SAID\nread x <go\ncat >>$BASE/logged\n";
    let svscan = Svscan::new(&[("a", &[("run", ECHOES), ("log/run", slow), ("log/go", FIFO)])]);
    both(&svscan);
    write(&svscan, "a", "old");
    eventually(|| waiting(svscan.pid_of("a"), 1) == 4);
    let pipe = std::fs::read_link(format!("/proc/{}/fd/1", svscan.pid_of("a"))).unwrap();
    let (mut service, mut logger) = (svscan.listen("a"), svscan.listen("a/log"));
    svscan.hide("a");
    svscan.ok("s6-svscanctl -an .");
    service.until(b'x');
    svscan.unhide("a");
    svscan.ok("s6-svscanctl -a .");
    svscan.settle();
    assert_ne!(svscan.code("s6-svok a"), 0, "its logger is still busy with the old one");
    svscan.push("a/log/go", "\n");
    logger.until(b'x');
    both(&svscan);
    assert_ne!(std::fs::read_link(format!("/proc/{}/fd/1", svscan.pid_of("a"))).unwrap(), pipe);
    write(&svscan, "a", "new");
    svscan.push("a/log/go", "\n");
    eventually(|| logged(&svscan) == "old\nnew\n");
}

#[test]
fn a_logger_or_a_service_that_lost_its_partner_gets_a_new_one_when_the_entry_comes_back() {
    let svscan = Svscan::new(&[("a", &[("run", ECHOES), ("log/run", LOGGER)])]);
    both(&svscan);
    svscan.settle();
    let before = svscan.fds();
    for gone in ["a/log", "a"] {
        svscan.hide("a");
        svscan.ok("s6-svscanctl -a .");
        svscan.settle();
        let mut events = svscan.listen(&format!(".{gone}"));
        svscan.ok(&format!("s6-svc -xk .{gone}"));
        events.until(b'x');
        eventually(|| svscan.code(&format!("s6-svok .{gone}")) != 0);
        svscan.unhide("a");
        svscan.ok("s6-svscanctl -a .");
        assert!(["logger", "service"].contains(&svscan.hear().as_str()));
        // The other notices that its pipe has ended, or is told to start again.
        let mut other = svscan.listen(if gone == "a" { "a/log" } else { "a" });
        svscan.ok(if gone == "a" { "s6-svc -r a/log" } else { "s6-svc -r a" });
        other.until(b'u');
        svscan.settle();
        write(&svscan, "a", gone);
        eventually(|| logged(&svscan).ends_with(&format!("{gone}\n")));
        assert_eq!(svscan.fds(), before, "after {gone}");
        drop(events);
    }
}

#[test]
fn a_stop_lets_loggers_read_to_the_end() {
    let mut svscan = Svscan::new(&[("a", &[("run", LAST_WORDS), ("log/run", LOGGER)])]);
    both(&svscan);
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.wait().success());
    assert_eq!(logged(&svscan), "last words\n");
}

#[test]
fn a_stop_starts_a_logger_once_more_that_waits_for_its_next_start() {
    let crashes = "#!/bin/sh\nif [ -e ../../../broken ]; then echo crash >$SAID; exit 1; fi\nexec cat >>$BASE/logged\n";
    for (how, finish) in [("in its delay", ""), ("in its finish script", "#!/bin/sh\necho finish >$SAID\nread x <go\n")]
    {
        let mut files = vec![("run", ECHOES), ("log/run", crashes), ("log/timeout-finish", "0"), ("log/go", FIFO)];
        if !finish.is_empty() {
            files.push(("log/finish", finish));
        }
        let dir = ScanDir::new(&[("a", &files)]);
        std::fs::write(dir.path().join("../broken"), "").unwrap();
        let mut svscan = dir.start("");
        let heard: Vec<_> = (0..if finish.is_empty() { 2 } else { 3 }).map(|_| svscan.hear()).collect();
        assert!(heard.contains(&"crash".to_owned()), "{heard:?}");
        write(&svscan, "a", "not lost");
        eventually(|| waiting(svscan.pid_of("a"), 1) == 9);
        std::fs::remove_file(svscan.base("broken")).unwrap();
        svscan.ok("s6-svscanctl -t .");
        if !finish.is_empty() {
            svscan.ok("s6-svwait -D -t 20000 a");
            svscan.push("a/log/go", "\n");
            // The drained logger has a finish, too.
            assert_eq!(svscan.hear(), "finish");
            svscan.push("a/log/go", "\n");
        }
        assert!(svscan.wait().success());
        assert_eq!(logged(&svscan), "not lost\n", "{how}");
    }
}

#[test]
fn a_stop_starts_a_logger_once_more_that_waits_for_its_next_supervisor() {
    let mut svscan = Svscan::new(&[("a", &[("run", ECHOES), ("log/run", LOGGER)])]);
    both(&svscan);
    let mut events = svscan.listen("a/log");
    svscan.ok("s6-svc -xk a/log");
    events.until(b's');
    assert_eq!(svscan.hear(), "logger");
    // It has just been started, so the next one is a second away.
    svscan.ok("s6-svc -xk a/log");
    events.until(b'x');
    write(&svscan, "a", "not lost");
    eventually(|| waiting(svscan.pid_of("a"), 1) == 9);
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.wait().success());
    assert_eq!(logged(&svscan), "not lost\n");
}

#[test]
fn a_logger_that_never_ends_does_not_keep_its_service_from_noticing() {
    // The logger dies by the order to stop at once; the service that goes on writing gets SIGPIPE.
    let run = "#!/bin/sh\ntrap '' TERM\necho service >$SAID\nexec yes\n";
    let mut svscan =
        Svscan::new(&[("a", &[("run", run), ("log/run", "#!/bin/sh\necho logger >$SAID\nexec sleep 1000\n")])]);
    both(&svscan);
    svscan.ok("s6-svscanctl -q .");
    assert!(svscan.wait().success());
}
