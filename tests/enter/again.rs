//! `svscan`.

use crate::engine::{complaints, inheritable, lives, returns};
use crate::scandir::{ScanDir, Svscan};
use crate::supervision::*;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Logs what it reads.
const LOGGER: &str = "#!/bin/sh\nexec cat >>../said\n";
/// Says a line whenever somebody writes one into its FIFO.
const ECHO: &str = "#!/bin/sh\nexec <>fifo\nwhile read -r line; do echo \"$line\"; done\n";
/// Says that it is ready when somebody asks for it.
const READY_LATER: &str = "#!/bin/sh\nread -r line <>fifo\necho >&3\nexec 3>&-\nexec sleep 1000\n";
/// Ends when it is killed.
const STUBBORN: &str = "#!/bin/sh\ntrap '' TERM HUP\necho up >$SAID\nexec sleep 1000\n";

/// What everybody can see of services: who runs, since when, how.
fn seen(svscan: &Svscan, names: &[String]) -> Vec<String> {
    let shown = |name: &String| {
        svscan.text(&format!("s6-svstat -o up,wantedup,normallyup,ready,paused,pid,exitcode,signal {name}"))
    };
    names.iter().map(shown).collect()
}

fn fifty() -> (Svscan, Vec<String>) {
    let names: Vec<String> = (0..50).map(|n| format!("s{n:02}")).collect();
    let files: Vec<Vec<(&str, &str)>> = (0..50)
        .map(|n| match n % 5 {
            0 => vec![("run", SLEEPER), ("log/run", LOGGER)],
            1 => vec![("run", READY), NOTIFIES, ("log/run", LOGGER)],
            2 => vec![("run", READY_LATER), NOTIFIES, ("fifo", FIFO)],
            3 => vec![("run", SLEEPER), DOWN],
            _ => vec![("run", SLEEPER), ("notify-socket", "")],
        })
        .collect();
    let services: Vec<Service<'_>> =
        names.iter().zip(&files).map(|(name, files)| (name.as_str(), &files[..])).collect();
    let svscan = Svscan::new(&services);
    let mut all = names.clone();
    all.extend((0..50).filter(|n| n % 5 < 2).map(|n| format!("s{n:02}/log")));
    for (at, name) in names.iter().enumerate().filter(|(at, _)| at % 5 != 3) {
        svscan.pid_of(name);
        if at % 5 == 1 {
            svscan.ok(&format!("s6-svwait -U -t 30000 {name}"));
        }
    }
    for name in all.iter().filter(|name| name.ends_with("/log")) {
        svscan.pid_of(name);
    }
    (svscan, all)
}

#[test]
fn fifty_services_are_as_they_were_a_hundred_times_in_a_row() {
    let (svscan, names) = fifty();
    let (shown, open, given) = (seen(&svscan, &names), svscan.open(), inheritable(svscan.pid()));
    let files: Vec<_> = names.iter().map(|name| svscan.status(name)).collect();
    for round in 1..=100 {
        svscan.fail();
        assert_eq!(svscan.open(), open, "after {round}");
    }
    assert_eq!(returns(&svscan.log()), 100);
    assert_eq!(seen(&svscan, &names), shown);
    assert_eq!(names.iter().map(|name| svscan.status(name)).collect::<Vec<_>>(), files);
    assert_eq!(inheritable(svscan.pid()), given);
    assert_eq!(complaints(&svscan.log()), Vec::<&str>::new());
    // And it goes on.
    let old = svscan.pid_of("s00");
    svscan.ok("s6-svc -r s00");
    eventually(|| svscan.pid_of("s00") != old && !lives(old));
    svscan.ok("s6-svc -uwu -T 30000 s03");
    svscan.ok("s6-svc -dwD -T 30000 s01");
    svscan.push("s02/fifo", "go\n");
    svscan.ok("s6-svwait -U -t 30000 s02");
    svscan.settle();
    let mut svscan = svscan;
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.wait().success());
    assert!(svscan.until_all_are_gone());
}

#[test]
fn orders_that_come_while_it_is_away_are_obeyed() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)]), ("b", &[("run", SLEEPER), DOWN])]);
    svscan.pid_of("a");
    svscan.fail_while(|| {
        assert!(svscan.send("a", b"d") && svscan.send("b", b"u"));
    });
    svscan.ok("s6-svwait -D -t 30000 a");
    svscan.ok("s6-svwait -u -t 30000 b");
}

#[test]
fn a_service_that_dies_while_it_is_away_is_started_again() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    let (old, mut events) = (svscan.pid_of("a"), svscan.listen("a"));
    svscan.fail_while(|| linchpin::sys::process::kill(old, 9).unwrap());
    events.until(b'd');
    events.until(b'u');
    assert_ne!(svscan.pid_of("a"), old);
    assert_eq!(svscan.deaths("a").len(), 1);
}

#[test]
fn readiness_is_heard_that_comes_before_while_and_after_it_is_away() {
    let files = [("run", READY_LATER), NOTIFIES, ("fifo", FIFO)];
    let svscan = Svscan::new(&[("a", &files), ("b", &files), ("c", &files)]);
    let pids = ["a", "b", "c"].map(|name| svscan.pid_of(name));
    let mut waiting: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            let mut command = Command::new("s6-svwait");
            command.args(["-U", "-t", "30000", name]).current_dir(svscan.path("")).stdin(Stdio::null()).spawn().unwrap()
        })
        .collect();
    svscan.push("a/fifo", "go\n");
    svscan.fail_while(|| svscan.push("b/fifo", "go\n"));
    svscan.push("c/fifo", "go\n");
    for waiter in &mut waiting {
        assert!(end_of(waiter).is_some_and(|status| status.success()), "{}", svscan.log());
    }
    assert_eq!(["a", "b", "c"].map(|name| svscan.pid_of(name)), pids);
    assert!(["a", "b", "c"].iter().all(|name| svscan.status(name).ready));
}

#[test]
fn a_notification_socket_is_the_same_and_is_heard() {
    let run = "#!/bin/sh\nread -r line <>fifo\nsystemd-notify --ready --status=fine\nexec sleep 1000\n";
    if Command::new("systemd-notify").arg("--version").output().is_err() {
        return eprintln!("skipped: there is no systemd-notify here");
    }
    let svscan = Svscan::new(&[("a", &[("run", run), ("notify-socket", "access=all\n"), ("fifo", FIFO)])]);
    svscan.pid_of("a");
    svscan.fail();
    svscan.push("a/fifo", "go\n");
    svscan.ok("s6-svwait -U -t 30000 a");
}

#[test]
fn held_sockets_are_held_and_nobody_who_has_connected_is_refused() {
    let svscan = Svscan::new(&[]);
    let path = svscan.base("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut store = Command::new("s6-fdholder-store");
    store.arg(svscan.path("fdholder/s")).arg("unix:a").stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)));
    assert!(store.status().unwrap().success());
    drop(store); // and with it our copy
    let mut clients: Vec<_> = (0..5).map(|_| UnixStream::connect(&path).unwrap()).collect();
    svscan.settle(); // it has noticed by then that the client is gone
    let open = svscan.open();
    svscan.fail();
    assert_eq!(svscan.open(), open);
    clients.push(UnixStream::connect(&path).unwrap());
    let script = "import socket,sys\ns=socket.socket(fileno=0)\nfor _ in range(6): s.accept()[0].sendall(b'!')\n";
    let mut retrieve = Command::new("s6-fdholder-retrieve");
    retrieve.arg(svscan.path("fdholder/s")).arg("unix:a").args(["python3", "-c", script]);
    assert!(retrieve.status().unwrap().success());
    for client in &mut clients {
        let mut answer = [0];
        std::io::Read::read_exact(client, &mut answer).unwrap();
        assert_eq!(&answer, b"!");
    }
}

#[test]
fn a_deadline_that_was_set_before_holds_after() {
    let svscan = Svscan::new(&[("a", &[("run", STUBBORN), ("timeout-kill", "1500\n")])]);
    svscan.pid_of("a");
    assert_eq!(svscan.hear(), "up");
    let began = Instant::now();
    svscan.ok("s6-svc -d a");
    svscan.fail();
    svscan.fail();
    svscan.ok("s6-svwait -D -t 30000 a");
    assert!(began.elapsed() >= Duration::from_millis(1500));
    assert_eq!(svscan.text("s6-svstat -o signal a"), "SIGKILL");
}

#[test]
fn a_service_that_waits_for_its_next_start_is_not_started_early_nor_forgotten() {
    let run = "#!/bin/sh\necho started >$SAID\nexit 1\n";
    let svscan = Svscan::new(&[("a", &[("run", run), ("restart-delay", "2s\n")])]);
    assert_eq!(svscan.hear(), "started");
    let began = Instant::now();
    svscan.fail();
    assert_eq!(svscan.hear(), "started");
    assert!(began.elapsed() >= Duration::from_millis(1000), "{:?}", began.elapsed());
}

#[test]
fn a_logger_loses_no_line() {
    let svscan = Svscan::new(&[("a", &[("run", ECHO), ("fifo", FIFO), ("log/run", LOGGER)])]);
    svscan.pid_of("a");
    svscan.pid_of("a/log");
    let mut whole = String::new();
    for round in 0..20 {
        whole.push_str(&format!("line {round}\n"));
        svscan.push("a/fifo", &format!("line {round}\n"));
        eventually(|| std::fs::read_to_string(svscan.path("a/said")).is_ok_and(|text| text == whole));
        if round % 4 == 3 {
            svscan.fail();
        }
        if round % 8 == 5 {
            let old = svscan.pid_of("a/log");
            svscan.ok("s6-svc -r a/log");
            eventually(|| svscan.pid_of("a/log") != old);
        }
    }
}

#[test]
fn a_stop_that_is_under_way_goes_on() {
    let services: [Service<'_>; 2] =
        [("a", &[("run", STUBBORN), ("timeout-kill", "1000\n"), ("log/run", LOGGER)]), ("b", &[("run", SLEEPER)])];
    let mut svscan = Svscan::new(&services);
    assert_eq!(svscan.hear(), "up");
    svscan.pid_of("b");
    svscan.ok("s6-svscanctl -t .");
    svscan.until_log("stopping");
    svscan.fail();
    assert!(svscan.wait().success());
    assert!(svscan.until_all_are_gone());
    assert_eq!(svscan.log().matches("stopping").count(), 1, "{}", svscan.log());
}

#[test]
fn a_stop_keeps_its_order() {
    let on_b = [
        ("run", "#!/bin/sh\ntrap 'sleep 1; echo a >$SAID; exit' TERM\necho up >$SAID\nwhile :; do sleep 0.1; done\n"),
        ("dependencies.d/b", ""),
    ];
    let b = "#!/bin/sh\ntrap 'echo b >$SAID; exit' TERM\necho >&3\nexec 3>&-\nwhile :; do sleep 0.1; done\n";
    let mut svscan = Svscan::new(&[("a", &on_b), ("b", &[("run", b), NOTIFIES])]);
    assert_eq!(svscan.hear(), "up");
    svscan.ok("s6-svscanctl -t .");
    svscan.until_log("stopping");
    svscan.fail();
    assert_eq!((svscan.hear(), svscan.hear()), ("a".to_owned(), "b".to_owned()));
    assert!(svscan.wait().success());
}

#[test]
fn a_service_that_waits_for_another_is_started_when_that_is_ready() {
    let b = [("run", READY_LATER), NOTIFIES, ("fifo", FIFO)];
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), ("dependencies.d/b", "")]), ("b", &b)]);
    svscan.pid_of("b");
    svscan.fail();
    assert!(!svscan.status("a").is_up());
    svscan.push("b/fifo", "go\n");
    svscan.pid_of("a");
}

#[test]
fn what_was_open_for_its_children_is_and_what_is_its_own_is_not() {
    let run =
        "#!/bin/sh\nls -l /proc/self/fd | grep -c given >$SAID\nls /proc/self/fd | wc -l >$SAID\nexec sleep 1000\n";
    let dir = ScanDir::new(&[("a", &[("run", run)])]);
    let svscan = dir.start_by("exec 7>$BASE/given; exec \"$@\"", "");
    let first = (svscan.hear(), svscan.hear());
    assert_eq!(first.0, "1");
    let given = inheritable(svscan.pid());
    svscan.fail();
    svscan.fail();
    svscan.ok("s6-svc -r a");
    assert_eq!((svscan.hear(), svscan.hear()), first);
    assert_eq!(inheritable(svscan.pid()), given);
}

#[test]
fn its_starter_is_told_once_that_it_is_ready_and_services_are_not_told_of_its_state() {
    let run = "#!/bin/sh\nenv | grep -c LINCHPIN_[SHR] >$SAID\nexec sleep 1000\n";
    let svscan = Svscan::new(&[("a", &[("run", run)])]);
    assert_eq!(svscan.hear(), "0");
    svscan.fail();
    svscan.ok("s6-svc -r a");
    assert_eq!(svscan.hear(), "0");
}

#[test]
fn a_directory_that_was_added_meanwhile_is_not_a_service_until_somebody_asks_for_a_scan() {
    let svscan = Svscan::new(&[]);
    svscan.settle();
    svscan.add("new", &[("run", SLEEPER)]);
    svscan.fail();
    svscan.fail();
    assert!(svscan.try_status("new").is_none());
    svscan.settle(); // which scans
    svscan.pid_of("new");
}

#[test]
fn svscan_that_is_interrupted_before_it_has_begun_or_while_it_enters_again_begins_all_the_same() {
    let plans = [
        "scandir.dir",
        "scandir.lock",
        "scandir.control",
        "turn,enter.checked,enter.derived",
        "turn:2,enter.children,enter.told,turn:2",
    ];
    for plan in plans {
        let dir = ScanDir::new(&[("a", &[("run", SLEEPER), ("log/run", LOGGER)])]);
        let svscan = dir.start_by(&format!("export LINCHPIN_FAULTS={plan}; exec \"$@\""), "");
        svscan.pid_of("a");
        svscan.pid_of("a/log");
        svscan.settle();
        eventually(|| svscan.log().matches("which is survived").count() == plan.split(',').count());
        assert_eq!(complaints(&svscan.log()), Vec::<&str>::new(), "{plan}");
        assert_eq!(svscan.children().len(), 2, "{plan}");
        let mut svscan = svscan;
        svscan.ok("s6-svscanctl -t .");
        assert!(svscan.wait().success());
    }
}
