//! How everything ends: orders, signals and their scripts, `finish` and `crash`, the catch-all logger.

use crate::scandir::*;
use linchpin::sys::process;
use std::io::Read;

/// Says which signal ends it.
const TELLS: &str = "#!/bin/sh
for s in TERM HUP QUIT; do trap \"echo $0 $1 $s >\\$SAID; exit 0\" $s; done
[ -p never ] || mkfifo never
exec 4<>never
echo up >$SAID
read x <&4
";
const FINISH: &str = "#!/bin/sh\necho finish $$ $# $0 $(pwd) >$SAID\nexit 42\n";

fn hear_sorted(svscan: &Svscan, count: usize) -> Vec<String> {
    let mut heard: Vec<_> = (0..count).map(|_| svscan.hear()).collect();
    heard.sort();
    heard
}

#[test]
fn a_stop_terminates_everybody_and_goes_on_as_finish() {
    for how in ["s6-svscanctl -t .", "s6-svscanctl -i .", "TERM", "INT"] {
        let services: &[Service<'_>] = &[("a", &[("run", TELLS)]), ("b", &[("run", TELLS), DOWN])];
        let mut svscan = ScanDir::new(services).script("finish", FINISH).start("");
        svscan.hear();
        match how {
            "TERM" => svscan.signal(libc::SIGTERM),
            "INT" => svscan.signal(libc::SIGINT),
            _ => svscan.ok(how),
        }
        assert_eq!(svscan.hear(), "./run a TERM");
        let expected = format!("finish {} 0 .s6-svscan/finish {}", svscan.pid(), svscan.path("").display());
        assert_eq!(format!("{}/", svscan.hear()), expected);
        assert_eq!(svscan.wait().code(), Some(42));
        assert!(svscan.until_all_are_gone());
        assert_ne!(svscan.code("s6-svok a"), 0);
    }
}

#[test]
fn loggers_are_terminated_by_q_only() {
    let services: &[Service<'_>] = &[("a", &[("run", TELLS), ("log/run", TELLS)])];
    for how in ["s6-svscanctl -q .", "QUIT"] {
        let mut svscan = ScanDir::new(services).start("");
        assert_eq!(hear_sorted(&svscan, 2), ["up", "up"]);
        match how {
            "QUIT" => svscan.signal(libc::SIGQUIT),
            _ => svscan.ok(how),
        }
        assert_eq!(hear_sorted(&svscan, 2), ["./run a TERM", "./run a/log TERM"]);
        assert!(svscan.wait().success());
    }
    // After t, one that does not end by itself is waited for, until q.
    let mut svscan = ScanDir::new(services).start("");
    assert_eq!(hear_sorted(&svscan, 2), ["up", "up"]);
    svscan.ok("s6-svscanctl -t .");
    assert_eq!(svscan.hear(), "./run a TERM");
    svscan.ok("s6-svwait -D -t 20000 a");
    svscan.ok("s6-svscanctl -q .");
    assert_eq!(svscan.hear(), "./run a/log TERM");
    assert!(svscan.wait().success());
}

#[test]
fn a_stop_waits_for_finish_scripts_and_starts_nothing_again() {
    let finish = "#!/bin/sh\nread x <go\necho finished >$SAID\n";
    let files: &[(&str, &str)] = &[("run", TELLS), ("finish", finish), ("timeout-finish", "0"), ("go", FIFO)];
    let mut svscan = Svscan::new(&[("a", files)]);
    svscan.hear();
    svscan.ok("s6-svscanctl -t .");
    assert_eq!(svscan.hear(), "./run a TERM");
    svscan.add("late", &[("run", TELLS)]);
    svscan.ok("s6-svscanctl -a .");
    svscan.ok("s6-svc -u a");
    svscan.push("a/go", "\n");
    assert_eq!(svscan.hear(), "finished");
    assert!(svscan.wait().success());
    assert!(!svscan.path("late/supervise").exists());
}

#[test]
fn to_leave_is_to_go_on_as_finish_without_telling_anybody() {
    for how in ["s6-svscanctl -b .", "ABRT"] {
        let mut svscan = ScanDir::new(&[("a", &[("run", TELLS)])]).script("finish", FINISH).start("");
        svscan.hear();
        let pid = svscan.pid_of("a");
        match how {
            "ABRT" => svscan.signal(libc::SIGABRT),
            _ => svscan.ok(how),
        }
        assert!(svscan.hear().starts_with("finish "));
        assert_eq!(svscan.wait().code(), Some(42));
        process::kill(pid, libc::SIGTERM).unwrap();
        assert_eq!(svscan.hear(), "./run a TERM");
    }
}

#[test]
fn to_terminate_and_leave_tells_everybody_and_waits_for_nobody() {
    let stubborn = "#!/bin/sh\ntrap 'echo told >$SAID' TERM\nexec 4<>never\necho up >$SAID\nread x <&4\nread x <&4\n";
    let files: &[(&str, &str)] = &[("run", stubborn), ("never", FIFO)];
    let mut svscan = ScanDir::new(&[("a", files)]).script("finish", FINISH).start("");
    svscan.hear();
    svscan.ok("s6-svscanctl -tb .");
    let heard = hear_sorted(&svscan, 2);
    assert!(heard[0].starts_with("finish ") && heard[1] == "told", "{heard:?}");
    assert_eq!(svscan.wait().code(), Some(42));
    // The other way round it is a full stop.
    let svscan = ScanDir::new(&[("a", &[("run", TELLS)])]).script("finish", FINISH).start("");
    svscan.hear();
    svscan.ok("s6-svscanctl -bt .");
    assert_eq!(svscan.hear(), "./run a TERM");
    assert!(svscan.hear().starts_with("finish "));
}

#[test]
fn a_finish_that_cannot_be_executed_is_a_crash() {
    let mut svscan = ScanDir::new(&[]).script("finish", "no interpreter\n").script("crash", FINISH).start("");
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.hear().contains(" .s6-svscan/crash "));
    assert_eq!(svscan.wait().code(), Some(42));
    for (finish, crash, code) in [
        ("no interpreter\n", None, 127),
        ("#!/nonexistent\n", None, 127),
        ("no interpreter\n", Some("nor here\n"), 126),
    ] {
        let mut dir = ScanDir::new(&[]).script("finish", finish);
        if let Some(crash) = crash {
            dir = dir.script("crash", crash);
        }
        let mut svscan = dir.start("");
        svscan.ok("s6-svscanctl -t .");
        assert_eq!(svscan.wait().code(), Some(code), "{finish} {crash:?}");
    }
}

/// Waits until every signal that was sent has been taken.
fn until_taken(svscan: &Svscan) {
    eventually(|| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", svscan.pid())).unwrap();
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
        u64::from_str_radix(pending.trim(), 16) == Ok(0)
    });
}

#[test]
fn many_orders_to_stop_do_not_keep_it_from_finish() {
    let run = "#!/bin/sh\ntrap '' TERM\necho up >$SAID\nread x <go\n";
    let mut svscan = ScanDir::new(&[("a", &[("run", run), ("go", FIFO)])]).script("finish", FINISH).start("");
    svscan.hear();
    let pid = svscan.pid_of("a");
    // None may come later: finish has its signals as every program has.
    for _ in 0..100 {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            svscan.signal(signal);
        }
    }
    until_taken(&svscan);
    svscan.until_log("stop:");
    // Some come at the same time as the death that it waits for.
    svscan.signal(libc::SIGSTOP);
    process::kill(pid, libc::SIGKILL).unwrap();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCONT] {
        svscan.signal(signal);
    }
    assert_eq!(svscan.wait().code(), Some(42));
}

#[test]
fn a_signal_runs_its_script_in_place_of_its_action() {
    let handler = "#!/bin/sh\necho $0 $# $(pwd) >$SAID\n";
    let mut dir = ScanDir::new(&[("a", &[("run", SLEEPER)])]);
    let signals = [
        ("SIGHUP", libc::SIGHUP),
        ("SIGINT", libc::SIGINT),
        ("SIGTERM", libc::SIGTERM),
        ("SIGQUIT", libc::SIGQUIT),
        ("SIGUSR1", libc::SIGUSR1),
        ("SIGUSR2", libc::SIGUSR2),
        ("SIGPWR", libc::SIGPWR),
        ("SIGWINCH", libc::SIGWINCH),
    ];
    for name in signals.map(|(name, _)| name).into_iter().chain(["SIGALRM", "SIGCHLD"]) {
        dir = dir.script(name, handler);
    }
    let svscan = dir.start("");
    let service = svscan.pid_of("a");
    for (name, signal) in signals {
        svscan.signal(signal);
        assert_eq!(format!("{}/", svscan.hear()), format!(".s6-svscan/{name} 0 {}", svscan.path("").display()));
    }
    // These two are not diverted.
    svscan.signal(libc::SIGALRM);
    svscan.signal(libc::SIGCHLD);
    svscan.settle();
    eventually(|| svscan.children() == [service]);
}

#[test]
fn without_a_script_that_can_be_executed_a_signal_has_its_action() {
    let mut svscan = ScanDir::new(&[]).script("SIGTERM", "no interpreter\n").start("");
    for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGPWR, libc::SIGWINCH] {
        svscan.signal(signal);
    }
    svscan.settle();
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
    assert!(svscan.log().contains("cannot run .s6-svscan/SIGTERM: "));
}

#[test]
fn more_scripts_than_there_is_room_for_are_reported_and_take_no_room_for_ever() {
    let slow = "#!/bin/sh\necho handling >$SAID\nread x <go\n";
    let svscan = ScanDir::new(&[]).script("SIGUSR1", slow).start("");
    svscan.ok("mkfifo go");
    for _ in 0..linchpin::limits::JOBS {
        svscan.signal(libc::SIGUSR1);
        svscan.hear();
    }
    svscan.signal(libc::SIGUSR1);
    svscan.until_log("cannot run .s6-svscan/SIGUSR1: ");
    for pid in svscan.children() {
        process::kill(pid, 9).unwrap();
    }
    eventually(|| svscan.children().is_empty());
    svscan.signal(libc::SIGUSR1);
    svscan.hear();
    process::kill(svscan.children()[0], 9).unwrap();
}

#[test]
fn the_catch_all_logger_reads_everything_to_the_end_and_its_own_errors_go_to_the_console() {
    // As a stage 1 does it: output goes to the logger's FIFO, which is open for writing before anybody reads it.
    let logger = "#!/bin/sh\necho to the console >&2\nexec 0<fifo\necho reads >$SAID\nexec cat >$BASE/logged\n";
    let services: &[Service<'_>] = &[
        ("s6-svscan-log", &[("run", logger), ("fifo", FIFO)]),
        (
            "a",
            &[(
                "run",
                "#!/bin/sh\ntrap 'echo last words; exit 0' TERM\necho to everybody\necho to somebody >&2\n[ -p never ] || mkfifo never\nexec 4<>never\necho up >$SAID\nread x <&4\n",
            )],
        ),
    ];
    let finish = "#!/bin/sh\necho finish out\necho finish err >&2\n";
    let mut svscan = ScanDir::new(services).script("finish", finish).start_by(
        "exec 5>$BASE/console 6<>$BASE/scan/s6-svscan-log/fifo 1>$BASE/scan/s6-svscan-log/fifo 6<&- 2>&1; exec \"$@\"",
        "-X 5",
    );
    assert_eq!(hear_sorted(&svscan, 2), ["reads", "up"]);
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.wait().success());
    let read = |name| std::fs::read_to_string(svscan.base(name)).unwrap();
    let mut logged: Vec<_> = read("logged").lines().map(str::to_owned).collect();
    logged.sort();
    assert_eq!(logged[..3], ["last words", "svscan: info: stop: stopping 2 services", "to everybody"]);
    let mut console: Vec<_> = read("console").lines().map(str::to_owned).collect();
    console.sort();
    assert_eq!(console, ["finish err", "finish out", "to the console"]);
}

#[test]
fn a_catch_all_logger_between_two_runs_is_started_once_more_at_the_end() {
    let logger = "#!/bin/sh\n[ -e ../../fixed ] || { echo crash >$SAID; exit 1; }\nexec cat fifo >$BASE/logged\n";
    let services: &[Service<'_>] = &[
        ("s6-svscan-log", &[("run", logger), ("fifo", FIFO)]),
        ("a", &[("run", "#!/bin/sh\necho not lost\necho up >$SAID\nexec sleep 1000\n")]),
    ];
    let mut svscan = ScanDir::new(services)
        .start_by("exec 6<>$BASE/scan/s6-svscan-log/fifo 1>$BASE/scan/s6-svscan-log/fifo; exec \"$@\" 2>&1", "");
    while svscan.hear() != "up" {}
    std::fs::write(svscan.base("fixed"), "").unwrap();
    // A run that has not seen it must be over.
    eventually(|| {
        let pid = svscan.status("s6-svscan-log").pid;
        pid == 0 || std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "cat\n")
    });
    svscan.ok("s6-svscanctl -t .");
    // Descriptor 6, which keeps the FIFO open here while nobody reads it, is inherited: nobody sees its end but by this.
    eventually(|| std::fs::read_to_string(svscan.base("logged")).is_ok_and(|text| text.contains("not lost")));
    svscan.ok("s6-svc -t s6-svscan-log");
    assert!(svscan.wait().success());
}

#[test]
fn its_standard_error_may_be_full() {
    let dir = ScanDir::new(&[("a", &[("run", "no interpreter\n"), DOWN])]);
    let fifo = dir.path().join("../full");
    make_fifo(&fifo);
    let svscan = dir.start_by("exec 2<>$BASE/full; exec \"$@\"", "");
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let fd = linchpin::sys::Fd(std::os::fd::AsRawFd::as_raw_fd(&reader));
    fd.set_nonblocking(true).unwrap();
    while rustix::io::write(fd, &[b'.'; 4096]).is_ok() {}
    // Each of these is a line.
    for _ in 0..50 {
        std::fs::write(svscan.path(".s6-svscan/control"), "?").unwrap();
    }
    svscan.settle();
    let mut all = Vec::new();
    let _ = reader.read_to_end(&mut all);
    std::fs::write(svscan.path(".s6-svscan/control"), "!").unwrap();
    svscan.settle();
    let _ = reader.read_to_end(&mut all);
    let text = String::from_utf8(all).unwrap();
    assert!(
        text.contains("50 lines are lost: standard error was full\nsvscan: warning: unknown byte 0x21"),
        "{text:.200}"
    );
}
