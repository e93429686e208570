//! What s6 (2.11 as Debian has it, or 2.15) gets wrong, one test each: linchpin does not. Some are with the other tests of
//! their command:
//!
//! * svlink `-d` leaves `log/down` behind: `supervision_clients/svlink.rs`, `with_d_service_and_logger_stay_down_and_…`
//! * notifyoncheck `-t` leaves overdue checks running: `clients_more/notifyoncheck.rs`, `overdue_checks_are_killed_…`
//! * background-watch `-t` kills again and again: `chain/daemons.rs`, `a_parent_that_takes_too_long_is_killed`
//! * envdir `-L` loses a value without a newline: `chain/envdir.rs`, `with_l_a_last_line_without_a_newline_counts`

use crate::scandir::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command, Output, Stdio};

/// A FIFO's name as listeners choose it.
const FIFO_NAME: &str = "ftrig1:@4000000065000000000000ab:AbC-_9";

/// Our own command, in the scan directory.
fn command(svscan: &Svscan, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    command.args(words.split(' ')).current_dir(svscan.path("")).stdin(Stdio::null());
    command
}

fn ours(svscan: &Svscan, words: &str) -> Output {
    command(svscan, words).output().unwrap()
}

fn succeeds(svscan: &Svscan, words: &str) {
    let output = ours(svscan, words);
    assert!(output.status.success(), "{words}: {output:?}; {}", svscan.log());
}

/// A command that goes on beside us. It is ended with us.
struct Beside(Child);

impl Beside {
    fn new(mut command: Command) -> Beside {
        Beside(command.spawn().unwrap())
    }

    fn code(&mut self) -> Option<i32> {
        eventually(|| self.0.try_wait().unwrap().is_some());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// 2.15 drops the byte in the supervisor.
#[test]
fn the_order_q_is_obeyed() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    let pid = svscan.pid_of("a");
    succeeds(&svscan, "svc -Q a");
    eventually(|| !svscan.status("a").want_up);
    assert!(svscan.path("a/down").exists());
    assert_eq!(svscan.status("a").pid, pid, "it runs to its end");
    let mut events = svscan.listen("a");
    succeeds(&svscan, "svc -k a");
    events.until(b'D');
    svscan.settle();
    assert_eq!(svscan.status("a").pid, 0);
}

/// Both wait for the rest of the line, and do nothing else until it comes.
#[test]
fn a_readiness_line_that_is_never_finished_freezes_nobody() {
    let svscan = Svscan::new(&[
        ("a", &[("run", "#!/bin/sh\nprintf part >&3\necho said >$SAID\nexec sleep 1000\n"), NOTIFIES]),
        ("b", &[("run", SLEEPER), DOWN]),
    ]);
    assert_eq!(svscan.hear(), "said");
    svscan.ok("s6-svc -wu -T 20000 -u b");
    svscan.ok("s6-svc -wd -T 20000 -d a");
    assert_eq!(svscan.status("a").wstat, 15);
    // Nor is time spent on the descriptor that is kept open.
    svscan.ok("s6-svc -u a");
    assert_eq!(svscan.hear(), "said");
    svscan.settle();
    let before = svscan.cpu();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(svscan.cpu() - before < std::time::Duration::from_millis(200));
}

#[test]
fn a_readiness_line_that_comes_in_parts_counts_when_it_is_whole() {
    let run = "#!/bin/sh\nprintf part >&3\necho said >$SAID\nread line <go\necho ial >&3\nexec sleep 1000\n";
    let svscan = Svscan::new(&[("a", &[("run", run), NOTIFIES, ("go", FIFO)])]);
    let mut events = svscan.listen("a");
    assert_eq!(svscan.hear(), "said");
    svscan.settle();
    assert!(!svscan.status("a").ready && !events.has(b'U'));
    svscan.push("a/go", "\n");
    events.until(b'U');
    assert!(svscan.status("a").ready);
}

/// Both lose the lock before the service has it, or when it gets its number.
#[test]
fn with_a_lock_descriptor_a_second_copy_waits_until_the_first_is_dead() {
    for number in ["3\n", "9\n"] {
        let svscan = ScanDir::new(&[(".a", &[("run", SLEEPER), ("lock-fd", number)])]).start("");
        let supervise = |stderr: &str| {
            let mut command = command(&svscan, "supervise .a");
            command.stderr(std::fs::File::create(svscan.base(stderr)).unwrap());
            Beside::new(command)
        };
        let mut events = svscan.listen(".a");
        let mut first = supervise("first");
        events.until(b'u');
        let pid = svscan.status(".a").pid;
        linchpin::sys::process::kill(first.0.id() as i32, 3).unwrap(); // leaves it alone
        assert_eq!(first.code(), Some(0));
        events.until(b'x');
        let _second = supervise("second");
        eventually(|| std::fs::read_to_string(svscan.base("second")).unwrap().contains("service-lock"));
        assert!(!events.has(b'u'));
        assert!(pid > 1);
        linchpin::sys::process::kill(pid, 9).unwrap();
        events.until(b'u');
    }
}

/// 2.11 looks for names of 49 bytes; there are none.
#[test]
fn what_dead_listeners_left_is_removed_when_a_supervisor_starts() {
    let dir = ScanDir::new(&[("a", &[(&format!("event/{FIFO_NAME}"), FIFO), ("event/other", FIFO), DOWN])]);
    let svscan = dir.start("");
    eventually(|| !svscan.path("a/event").join(FIFO_NAME).exists());
    assert!(svscan.path("a/event/other").exists());
}

/// As above.
#[test]
fn what_dead_listeners_left_is_removed_by_cleanfifodir() {
    let dir = ScanDir::new(&[(".a", &[(&format!("event/{FIFO_NAME}"), FIFO), ("event/other", FIFO)])]);
    let svscan = dir.start("");
    let listener = svscan.listen(".a");
    succeeds(&svscan, "cleanfifodir .a/event");
    assert!(!svscan.path(".a/event").join(FIFO_NAME).exists());
    assert_eq!(fifos(&svscan.path(".a")), 2, "a listener that lives, and what has another name");
    drop(listener);
}

/// In 2.11 nobody but root and they themselves can.
#[test]
fn whoever_notifies_may_write_to_listeners() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), DOWN])]);
    for words in ["svwait -u -t 20000 a", "ftrig-wait a/event u"] {
        let mut waiting = Beside::new(command(&svscan, words));
        let mode = || {
            let entries = std::fs::read_dir(svscan.path("a/event")).unwrap();
            let fifo = entries.map(|entry| entry.unwrap()).find(|fifo| fifo.file_name().len() == FIFO_NAME.len());
            fifo.and_then(|fifo| fifo.metadata().ok()).map(|meta| meta.permissions().mode() & 0o7777)
        };
        eventually(|| mode().is_some());
        assert_eq!(mode(), Some(0o622), "{words}");
        succeeds(&svscan, "svc -u a");
        assert_eq!(waiting.code(), Some(0));
        succeeds(&svscan, "svc -wD -T 20000 -d a");
    }
}

/// In 2.15 nothing new is found while it is there, and what a scan that it ended has seen first is never started.
#[test]
fn a_dangling_link_keeps_no_service_from_being_found() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    for name in ["0", "dangling", "zzz"] {
        symlink("nowhere", svscan.path(name)).unwrap();
    }
    for name in ["b", "c", "d"] {
        svscan.add(name, &[("run", "#!/bin/sh\necho $1 >$SAID\nexec sleep 1000\n")]);
    }
    succeeds(&svscan, "svscanctl -a .");
    let mut said = [svscan.hear(), svscan.hear(), svscan.hear()];
    said.sort();
    assert_eq!(said, ["b", "c", "d"]);
    svscan.until_log("dangling");
}

/// In 2.15 nothing at all is started.
#[test]
fn of_more_services_than_may_be_as_many_as_may_be_are_started() {
    let run: &[(&str, &str)] = &[("run", "#!/bin/sh\necho $1 >$SAID\nexec sleep 1000\n")];
    let names: Vec<String> = (0..7).map(|n| format!("s{n}")).collect();
    let services: Vec<_> = names.iter().map(|name| (name.as_str(), run)).collect();
    let svscan = ScanDir::new(&services).start("-C 5");
    let mut said: Vec<_> = (0..5).map(|_| svscan.hear()).collect();
    said.sort();
    said.dedup();
    assert_eq!(said.len(), 5);
    svscan.until_log("2 entries have no supervisor: there is room for 5");
    assert_eq!(svscan.children().len(), 5);
}

/// Documented, but both say 1, or nothing.
#[test]
fn svwait_and_svlisten_say_how_many_services_failed() {
    let fails: &[(&str, &str)] = &[("run", "#!/bin/sh\nexit 1\n"), ("finish", "#!/bin/sh\nexit 125\n"), DOWN];
    let svscan = Svscan::new(&[("a", fails), ("b", fails), ("c", fails)]);
    let mut waiting = Beside::new(command(&svscan, "svwait -U -t 20000 a b c"));
    eventually(|| ["a", "b", "c"].iter().all(|name| fifos(&svscan.path(name)) == 1));
    succeeds(&svscan, "svc -o a b c");
    assert_eq!(waiting.code(), Some(3));
    let mut listening = command(&svscan, "svlisten -U -t 20000");
    listening.args([" a", " b", ""]).args([env!("CARGO_BIN_EXE_linchpin"), "svc", "-o", "a", "b"]);
    assert_eq!(Beside::new(listening).code(), Some(2));
}

/// In 2.11 the beginning of a name will do, and means the first that begins so.
#[test]
fn fields_of_svstat_have_one_name_only() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    svscan.pid_of("a");
    assert_eq!(ours(&svscan, "svstat -o up,ready a").stdout, b"true false\n");
    for prefix in ["u", "p", "pi", "read", "updown", "exit", "up,pi"] {
        assert_eq!(ours(&svscan, &format!("svstat -o {prefix} a")).status.code(), Some(100), "{prefix}");
    }
}
