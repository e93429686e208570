//! One service: starting, readiness, death, finish, and when it is started again.

use crate::scandir::*;
use linchpin::sys::process;
use std::time::Duration;

const SECOND: u128 = 1_000_000_000;

/// Says its pid and waits for a signal.
const TELLS: &str = "#!/bin/sh\necho up $$ >$SAID\nexec sleep 1000\n";
const FINISH_TELLS: &str = "#!/bin/sh\necho finish $0 $* >$SAID\n";

#[test]
fn a_service_is_started_and_s6_sees_it_up() {
    let svscan = Svscan::new(&[("a", &[("run", TELLS)])]);
    let said = svscan.hear();
    let mut events = svscan.listen("a");
    svscan.ok("s6-svwait -u -t 20000 a");
    assert_eq!(
        svscan.text("s6-svstat -o up,pid,wantedup,paused,ready a"),
        format!("true {} true false false", &said[3..])
    );
    svscan.ok("s6-svc -d a");
    events.until(b'D');
    assert_eq!(svscan.text("s6-svstat -o up,wantedup,signal,exitcode a"), "false false SIGTERM -1");
}

#[test]
fn a_service_with_a_down_file_is_left_down_until_somebody_wants_it() {
    let svscan = Svscan::new(&[("a", &[("run", TELLS), DOWN])]);
    svscan.settle();
    assert_eq!(svscan.status("a").encode()[34], 9, "never started, and finish is over");
    svscan.ok("s6-svc -wu -T 20000 -u a");
    assert!(svscan.path("a/down").exists());
    svscan.hear();
}

#[test]
fn the_down_file_counts_when_the_supervisor_starts_only() {
    let svscan = Svscan::new(&[("a", &[("run", TELLS)])]);
    svscan.hear();
    std::fs::write(svscan.path("a/down"), "").unwrap();
    svscan.ok("s6-svc -k a");
    svscan.hear();
}

#[test]
fn finish_is_told_how_run_died_and_which_process_group_it_had() {
    let svscan = Svscan::new(&[("a", &[("run", TELLS), ("finish", FINISH_TELLS)])]);
    let first = svscan.hear()[3..].to_owned();
    svscan.ok("s6-svc -k a");
    assert_eq!(svscan.hear(), format!("finish ./finish 256 9 a {first}"));
    let exits = "#!/bin/sh\necho up $$ >$SAID\nexit 7\n";
    let svscan = Svscan::new(&[("b", &[("run", exits), ("finish", FINISH_TELLS)])]);
    let first = svscan.hear()[3..].to_owned();
    assert_eq!(svscan.hear(), format!("finish ./finish 7 0 b {first}"));
}

#[test]
fn while_finish_runs_the_status_shows_its_pid_and_the_service_is_down() {
    let finish = "#!/bin/sh\necho $$ >$SAID\nread x <go\n";
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "0"), ("go", FIFO)])]);
    svscan.ok("s6-svc -wu -T 20000 a");
    svscan.ok("s6-svc -wd -T 20000 -d a");
    let pid = svscan.hear();
    let status = svscan.status("a");
    assert_eq!((status.pid.to_string(), status.finishing, status.is_up(), status.ready), (pid, true, false, false));
    assert_eq!((status.wstat, status.want_up), (15, false));
    svscan.push("a/go", "\n");
    svscan.ok("s6-svwait -D -t 20000 a");
    assert_eq!(svscan.status("a").encode()[34], 8);
}

#[test]
fn without_finish_both_events_come_in_one_write() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), DOWN])]);
    svscan.ok("s6-svc -wu -T 20000 -o a");
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -k a");
    assert_eq!(events.read_once(), b"dD");
}

/// s6's clients of 2.11 take notice of one event only of those that they read together.
#[test]
fn s6s_own_clients_see_a_restart_that_comes_at_once() {
    let svscan = Svscan::new(&[("a", &[("run", READY), NOTIFIES])]);
    svscan.ok("s6-svwait -U -t 20000 a");
    for order in ["-wr -k", "-wR -r"] {
        // A machine that is busy may keep the client from its events for long: it may try again.
        let sees = |_: &i32| {
            eventually(|| svscan.text("s6-svstat -o updownfor a") != "0");
            std::thread::sleep(Duration::from_millis(200)); // past the second between two starts
            svscan.code(&format!("s6-svc {order} -T 5000 a")) == 0
        };
        assert!((0..3).any(|attempt| sees(&attempt)), "{order}");
    }
}

#[test]
fn a_finish_that_exits_125_keeps_the_service_down() {
    let svscan = Svscan::new(&[("a", &[("run", "#!/bin/sh\nexit 1\n"), ("finish", "#!/bin/sh\nexit 125\n"), DOWN])]);
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -u a");
    events.until(b'd');
    events.until(b'O');
    events.until(b'D');
    let status = svscan.status("a");
    assert_eq!((status.pid, status.want_up, status.ready), (0, false, true));
    // And it can be started again.
    svscan.ok("s6-svc -u a");
    events.until(b'u');
}

#[test]
fn a_finish_that_takes_too_long_is_killed() {
    let finish = "#!/bin/sh\necho $$ >$SAID\ntrap '' TERM\nread x <never\n";
    let svscan =
        Svscan::new(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "100\n"), ("never", FIFO)])]);
    svscan.ok("s6-svc -wu -T 20000 a");
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -d a");
    events.until(b'd');
    events.until(b'D');
    assert_eq!(svscan.deaths("a").len(), 1, "the end of finish is no death");
    assert_eq!(svscan.text("s6-svstat -o signal a"), "SIGTERM", "and not the service's");
}

#[test]
fn a_service_becomes_ready_by_a_newline_on_its_descriptor() {
    let svscan = Svscan::new(&[("a", &[("run", READY), NOTIFIES])]);
    svscan.ok("s6-svwait -U -t 20000 a");
    assert_eq!(svscan.text("s6-svstat -o up,ready a"), "true true");
    // The newline may be anywhere, and only the first counts.
    let run = "#!/bin/sh\nhead -c 6000 /dev/zero >&4\necho trailing >&4\necho more >&4\nexec sleep 1000\n";
    svscan.add("b", &[("run", run), ("notification-fd", "4"), DOWN]);
    let mut events = svscan.listen("b");
    svscan.ok("s6-svscanctl -a .");
    events.until(b's');
    svscan.ok("s6-svc -u b");
    events.until(b'u');
    events.until(b'U');
    svscan.ok("s6-svc -d b");
    events.until(b'd');
    assert!(!events.has(b'U'));
}

#[test]
fn a_descriptor_closed_without_a_newline_is_not_readiness() {
    let run = "#!/bin/sh\nprintf nearly >&3\nexec 3>&-\necho closed >$SAID\nexec sleep 1000\n";
    let svscan = Svscan::new(&[("a", &[("run", run), NOTIFIES])]);
    svscan.hear();
    svscan.settle();
    assert_eq!(svscan.text("s6-svstat -o up,ready a"), "true false");
}

#[test]
fn an_unfinished_line_with_the_descriptor_kept_open_keeps_nobody_waiting() {
    let run = "#!/bin/sh\nprintf nearly >&3\necho said >$SAID\nexec sleep 1000\n";
    let svscan = Svscan::new(&[("a", &[("run", run), NOTIFIES])]);
    svscan.hear();
    svscan.ok("s6-svc -wD -T 20000 -d a");
    assert_eq!(svscan.text("s6-svstat -o ready,wantedup a"), "false false");
}

#[test]
fn what_a_service_says_in_its_last_moment_counts() {
    let svscan = Svscan::new(&[("a", &[("run", "#!/bin/sh\necho >&3\n"), NOTIFIES, DOWN])]);
    let mut events = svscan.listen("a");
    for _ in 0..20 {
        svscan.ok("s6-svc -o a");
        events.until(b'u');
        events.until(b'U');
        events.until(b'd');
    }
}

#[test]
fn a_crash_loop_starts_once_a_second_counted_from_start_to_start() {
    let svscan = Svscan::new(&[("a", &[("run", "#!/bin/sh\nexit 1\n"), ("finish", "#!/bin/sh\nsleep 0.3\n"), DOWN])]);
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -u a");
    let mut starts = Vec::new();
    for _ in 0..4 {
        events.until(b'u');
        starts.push(nanos(svscan.status("a").stamp));
        events.until(b'd');
    }
    // The stamp read may be that of the death, some milliseconds after the start.
    for pair in starts.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((SECOND * 95 / 100..SECOND * 19 / 10).contains(&gap), "{starts:?}");
    }
}

#[test]
fn what_was_up_for_a_second_comes_back_at_once() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -u a");
    events.until(b'u');
    let first = nanos(svscan.status("a").stamp);
    svscan.add("clock", &[("run", "#!/bin/sh\nsleep 1.1\necho now >$SAID\nexec sleep 1000\n")]);
    svscan.ok("s6-svscanctl -a .");
    svscan.hear();
    svscan.ok("s6-svc -k a");
    events.until(b'u');
    let (death, second) = (svscan.deaths("a")[0], nanos(svscan.status("a").stamp));
    assert!(second - first > SECOND);
    assert!(second - death < SECOND / 2, "{} ns", second - death);
}

#[test]
fn of_many_that_die_at_once_each_comes_back_and_each_death_is_told_and_on_record() {
    let names: Vec<_> = (0..70).map(|n| format!("s{n:02}")).collect();
    let services: Vec<_> = names.iter().map(|name| (name.as_str(), &[("run", SLEEPER)][..])).collect();
    let svscan = Svscan::new(&services);
    let before: Vec<_> = names.iter().map(|name| svscan.pid_of(name)).collect();
    let mut listeners: Vec<_> = names.iter().map(|name| svscan.listen(name)).collect();
    std::thread::sleep(Duration::from_millis(1100)); // what is tested is that they start at once, after a second
    for pid in &before {
        assert!(*pid > 1);
        process::kill(*pid, 9).unwrap();
    }
    for ((name, old), listener) in names.iter().zip(before).zip(&mut listeners) {
        for event in [b'd', b'D', b'u'] {
            listener.until(event);
        }
        let status = svscan.status(name);
        assert!(status.is_up() && status.pid != old && status.wstat == 9, "{name}: {status:?}");
        assert_eq!(svscan.deaths(name).len(), 1, "{name}");
    }
    svscan.settle();
    assert!(listeners.iter_mut().all(|listener| !listener.has(b'u')), "an event came twice");
    assert_eq!(svscan.children().len(), names.len());
}

#[test]
fn an_order_to_start_does_not_wait_for_the_second() {
    let svscan = Svscan::new(&[("a", &[("run", "#!/bin/sh\nexit 1\n"), DOWN])]);
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -u a");
    events.until(b'D');
    let first = svscan.deaths("a")[0];
    svscan.ok("s6-svc -u a");
    events.until(b'D');
    assert!(svscan.deaths("a")[1] - first < SECOND * 9 / 10);
}

#[test]
fn a_program_that_cannot_be_executed_is_no_death() {
    for (name, content) in [("run", "no interpreter line\n"), ("not-run", ""), ("run/not-a-file", "")] {
        let svscan = Svscan::new(&[("a", &[(name, content), ("finish", FINISH_TELLS)])]);
        svscan.until_log("service a cannot be started: ./run: ");
        svscan.settle();
        assert_eq!(svscan.deaths("a").len(), 0);
        assert_eq!(svscan.text("s6-svstat -o up,wantedup a"), "false true");
        assert!(svscan.children().is_empty());
        // It is tried at once when somebody asks, and then it works.
        let _ = std::fs::remove_dir_all(svscan.path("a/run"));
        let _ = std::fs::remove_file(svscan.path("a/run"));
        make_service(&svscan.path("a/new"), &[("run", TELLS)]);
        std::fs::rename(svscan.path("a/new/run"), svscan.path("a/run")).unwrap();
        svscan.ok("s6-svc -u a");
        svscan.hear();
    }
}

#[test]
fn a_death_is_on_record_before_finish_runs() {
    let finish = "#!/bin/sh\ns6-svdt . | wc -l >$SAID\n";
    let svscan = Svscan::new(&[("a", &[("run", "#!/bin/sh\nexit 3\n"), ("finish", finish), DOWN])]);
    let mut events = svscan.listen("a");
    for deaths in 1..4 {
        svscan.ok("s6-svc -o a");
        assert_eq!(svscan.hear(), deaths.to_string());
        events.until(b'D'); // while finish runs, an order does not start it
    }
    assert!(svscan.text("s6-svdt a").lines().all(|line| line.ends_with(" exitcode 3")));
    svscan.ok("s6-svdt-clear a");
    assert_eq!(svscan.text("s6-svdt a"), "");
}

#[test]
fn a_status_is_complete_at_every_moment() {
    let svscan = Svscan::new(&[("a", &[("run", "#!/bin/sh\nexit 0\n")])]);
    let path = svscan.path("a/supervise/status");
    let mut events = svscan.listen("a");
    for _ in 0..30 {
        svscan.ok("s6-svc -u a");
        for _ in 0..200 {
            assert_eq!(std::fs::read(&path).unwrap().len(), 35);
        }
    }
    events.until(b'D');
}

#[test]
fn the_status_is_written_before_its_event_is_sent() {
    let svscan = Svscan::new(&[("a", &[("run", READY), NOTIFIES, DOWN])]);
    let mut events = svscan.listen("a");
    for _ in 0..20 {
        svscan.ok("s6-svc -u a");
        events.until(b'u');
        assert!(svscan.status("a").is_up());
        events.until(b'U');
        assert!(svscan.status("a").ready);
        svscan.ok("s6-svc -d a");
        events.until(b'D');
        assert_eq!(svscan.status("a").pid, 0);
    }
}

#[test]
fn s6_clients_see_every_transition() {
    let svscan = Svscan::new(&[("a", &[("run", READY), NOTIFIES, DOWN]), ("b", &[("run", SLEEPER), DOWN])]);
    svscan.ok("s6-svok a");
    for _ in 0..10 {
        svscan.ok("s6-svlisten1 -U -t 20000 a s6-svc -u a");
        svscan.ok("s6-svc -wR -T 20000 -r a");
        svscan.ok("s6-svlisten1 -d -t 20000 a s6-svc -d a");
        svscan.ok("s6-svwait -D -t 20000 a");
    }
    svscan.ok("s6-svc -wu -T 20000 -u b");
    assert_eq!(svscan.text("s6-ftrig-listen1 -t 20000 b/event d s6-svc -d b"), "d");
    assert_eq!(fifos(&svscan.path("a")) + fifos(&svscan.path("b")), 0);
}
