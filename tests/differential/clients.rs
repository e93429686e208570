//! Clients of supervisors: exit codes and output.

use crate::compare::{Make, differ};
use crate::supervision::*;
use crate::world::*;
use std::time::{Duration, Instant};

/// Not at once: see `World::waits`.
const FAILS: &[(&str, &str)] =
    &[("run", "#!/bin/sh\nsleep 0.3\nexit 1\n"), ("finish", "#!/bin/sh\nexit 125\n"), DOWN, NOTIFIES];

/// A finish that keeps a death and the next start apart.
const SLOW: (&str, &str) = ("finish", "#!/bin/sh\nsleep 0.3\n");

#[test]
pub fn the_lock_tells_whether_there_is_a_supervisor() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.run("s6-svok a");
        w.run("s6-svc a");
        w.service(".b", &[("run", SLEEPER)]);
        w.run("s6-svok .b");
        w.run("s6-svok .nonexistent");
        w.run("s6-svok");
        w.run("s6-svc .b");
        let since = Instant::now();
        w.run("s6-svc -u .b");
        w.note("at once", since.elapsed() < Duration::from_secs(20));
        // A FIFO without a reader is nobody; flock is not the lock.
        w.service(".c", &[("run", SLEEPER), ("supervise/control", FIFO), ("supervise/lock", "")]);
        w.run("s6-svc -u .c");
        w.run("s6-svok .c");
        w.run("s6-svstat .c");
        w.run("flock .c/supervise/lock s6-svok .c");
        w.run("s6-setlock .c/supervise/lock sh -c 's6-svok .c; exit $?'");
        w.run("s6-setlock -r .c/supervise/lock sh -c 's6-svok .c; exit $?'");
        w.run("s6-svscanctl -q .");
        w.end("svscan");
        w.run("s6-svok a");
        w.run("s6-svc a");
        w.out("s6-svstat a");
    });
}

#[test]
pub fn svc_knows_its_options() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), SLOW, DOWN])]);
        for line in ["-z a", "-wx a", "-w a", "-T x a", "''", "-u .nonexistent", "-n a"] {
            w.run(&format!("s6-svc {line}"));
        }
        let mut events = w.listen("a");
        w.run(&format!("s6-svc -{} a", "o".repeat(62)));
        w.until(&mut events, 'u');
        w.run(&format!("s6-svc -{} a", "o".repeat(63)));
        w.run("s6-svc -dwD -T30000 -- a");
        w.times_out("s6-svc -wu -T TIME a");
        w.run("s6-svc -uwu -T 30000 a");
        w.times_out("s6-svc -wr -T TIME a");
        w.waits("s6-svc -rwr -T 5000 a");
        w.run("s6-svc -wd -wu a");
    });
}

#[test]
pub fn svstat_tells_every_field() {
    differ(|w| {
        w.with(&[("a", &[("run", READY), NOTIFIES]), ("b", &[("run", "#!/bin/sh\nexit 9\n"), DOWN])]);
        let mut events = w.listen("b");
        w.ok("s6-svc -wU -T 30000 a");
        w.ok("s6-svc -o b");
        w.until(&mut events, 'D');
        let pid = w.pid_of("a").to_string();
        let shown = w.text("s6-svstat -p a");
        w.note("pid", shown == pid);
        for name in ["a", "b"] {
            w.out(&format!("s6-svstat {name}"));
            w.out(&format!("s6-svstat -n {name}"));
            w.out(&format!("s6-svstat -uwNres {name}"));
            w.out(&format!("s6-svstat -o up,wantedup,normallyup,ready,paused,exitcode,signal,signum {name}"));
            w.out(&format!("s6-svstat -o updownsince,readysince {name}"));
            w.out(&format!("s6-svstat -u -o up -es {name}"));
            let ages = w.text(&format!("s6-svstat -o updownfor,readyfor {name}"));
            w.note("ages", ages.split(' ').all(|age| age.parse::<u32>().is_ok_and(|age| age < 60)));
        }
        for line in [
            "-o nonsense a",
            "-o up, a",
            "-o '' a",
            "-x a",
            "",
            "nonexistent",
            "-uuuuuuuuuuuuuuuu a",
            "-uuuuuuuuuuuuuuuuu a",
        ] {
            w.out(&format!("s6-svstat {line}"));
        }
    });
}

#[test]
pub fn svwait_waits_for_what_it_is_told() {
    differ(|w| {
        w.with(&[("a", &[("run", READY), SLOW, NOTIFIES, DOWN]), ("b", &[("run", SLEEPER), DOWN])]);
        w.run("s6-svwait -d -t 30000 a b");
        w.run("s6-svwait -D -t 30000 a b");
        w.times_out("s6-svwait -t TIME a");
        w.times_out("s6-svwait -U -t TIME a");
        for (target, order) in [("-u", "-u"), ("-d", "-d"), ("-U", "-u"), ("-D", "-d")] {
            let waiting = w.begin(&format!("s6-svwait {target} -t 30000 a"));
            w.eventually("listening", || w.listeners("a/event") > 0);
            w.ok(&format!("s6-svc {order} a"));
            w.end_of(target, waiting);
        }
        w.ok("s6-svc -uwU -T 30000 a");
        w.waits("s6-svlisten1 -r -t 5000 a s6-svc -r a");
        w.waits("s6-svlisten1 -R -t 5000 a s6-svc -r a");
        w.ok("s6-svc -dwD -T 30000 a");
        let waiting = w.begin("s6-svwait -o -u -t 30000 a b");
        w.ok("s6-svc -u a");
        w.end_of("-o", waiting);
        let waiting = w.begin("s6-svwait -u -t 30000 a b");
        w.eventually("listening", || w.listeners("b/event") == 1);
        w.ok("s6-svc -u b");
        w.end_of("-a", waiting);
        w.run("s6-svwait -x a");
        w.run("s6-svwait -t x a");
        w.run("s6-svwait nonexistent");
        w.service(".c", &[]);
        w.run("s6-svwait .c");
        w.eventually("removed", || fifos(&w.path(".c")) == 0);
        w.layout(".c/event");
        w.run("s6-svwait");
    });
}

#[test]
pub fn svwait_counts_failures() {
    differ(|w| {
        w.with(&[("a", FAILS), ("b", FAILS), ("c", &[("run", SLEEPER)])]);
        w.waits("s6-svlisten1 -u -t 5000 a s6-svc -u a");
        w.eventually("down", || w.status_of("a").pid == 0);
        w.waits("s6-svlisten1 -U -t 5000 a s6-svc -u a");
        w.eventually("down", || w.status_of("a").pid == 0);
        w.waits("s6-svlisten -U -t 5000 a '' s6-svc -u a");
    });
}

#[test]
pub fn two_failures_are_two() {
    differ(|w| {
        w.with(&[("a", FAILS), ("b", FAILS)]);
        let limit = if w.combination.clients == Make::Linchpin { 30000 } else { 1000 };
        let code = w.try_run(&format!("s6-svlisten -U -t {limit} a b '' sh -c 's6-svc -u a; s6-svc -u b'"));
        w.note("svlisten", if code == 111 { 99 } else { code });
    });
}

#[test]
pub fn a_supervisor_that_exits_is_a_failure_unless_the_state_is_there() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN]), ("b", &[("run", SLEEPER), SLOW])]);
        w.run("s6-svlisten1 -u -t 30000 a s6-svc -x a");
        w.waits("s6-svlisten1 -d -t 5000 b s6-svc -dx b");
    });
}

#[test]
pub fn no_transition_is_missed() {
    differ(|w| {
        w.with(&[("a", &[("run", READY), NOTIFIES, DOWN])]);
        for _ in 0..8 {
            for (wait, order) in [("-U", "-u"), ("-D", "-d")] {
                let waiting = w.begin(&format!("s6-svwait {wait} -t 30000 a"));
                w.ok(&format!("s6-svc {order} a"));
                w.end_of(wait, waiting);
            }
        }
    });
}

#[test]
pub fn svlisten_runs_its_program_when_it_listens() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), SLOW]), ("b", &[("run", SLEEPER), DOWN])]);
        // It is up already.
        w.run("s6-svlisten1 -u -t 30000 a s6-svc -u a");
        w.waits("s6-svlisten1 -r -t 5000 a s6-svc -r a");
        w.run("s6-svlisten -u -t 30000 a b '' s6-svc -u b");
        w.run("s6-svlisten -o -d -t 30000 a b '' s6-svc -d b");
        w.times_out("s6-svlisten1 -d -t TIME a true");
        w.run("s6-svlisten1 -u -t 30000 a false");
        w.run("s6-svlisten1 -u a ./nonexistent");
        w.run("s6-svlisten1 -u a");
        w.run("s6-svlisten -u a b s6-svc -u b");
        w.run("s6-svlisten -u -t 30000 ' a' '' true");
    });
}

#[test]
pub fn svperms_gives_and_tells_who_may_what() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.out("s6-svperms a");
        for options in ["-u", "-g :7", "-G :7", "-o", "-O :7", "-e", "-E :7", "-u -E :0", "-g daemon"] {
            w.run(&format!("s6-svperms {options} a"));
            w.layout("a/supervise");
            w.layout("a/event");
            w.out("s6-svperms -v a");
        }
        for line in ["-g nonexistent a", "-g :x a", "", "nonexistent", "-z a"] {
            w.run(&format!("s6-svperms {line}"));
        }
        w.ok("chmod 755 a/supervise");
        w.run("s6-svperms a");
    });
}

#[test]
pub fn svlink_and_svunlink() {
    differ(|w| {
        w.start();
        let make = |w: &World, name: &str, files: &[(&str, &str)]| make_service(&w.base(name), files);
        make(w, "one", &[("run", SLEEPER)]);
        make(w, "two", &[("run", SLEEPER), ("log/run", "#!/bin/sh\nexec cat\n")]);
        make(w, "none", &[]);
        std::fs::write(w.base("none/run"), "").unwrap();
        w.run("s6-svlink -t 30000 . $BASE/one");
        w.run("s6-svok one");
        let target = std::fs::read_link(w.path("one")).unwrap();
        w.note("link", target == w.base("one"));
        w.run("s6-svlink -t 30000 . $BASE/one");
        w.run("s6-svlink -d -t 30000 . $BASE/two called");
        w.run("s6-svok called/log");
        w.note("down files", format!("{} {}", w.base("two/down").exists(), w.base("two/log/down").exists()));
        w.out("s6-svstat -o up called");
        for line in [". $BASE/one .x", ". $BASE/one a/b", ". $BASE/none", ". $BASE/nonexistent", ".x $BASE/one", ". "] {
            w.run(&format!("s6-svlink {line}"));
        }
        w.run("s6-svunlink -t 30000 . one");
        w.note("link", w.path("one").exists());
        // s6-supervise says x a moment before it lets go of its lock.
        w.eventually("unlocked", || w.try_run("s6-svok $BASE/one") == 1);
        w.run("s6-svunlink -t 30000 . called");
        w.eventually("unlocked", || w.try_run("s6-svok $BASE/two/log") == 1);
        w.run("s6-svunlink . nonexistent");
        w.run("s6-svunlink . .x");
        w.run("s6-svunlink .");
    });
}

#[test]
pub fn svlink_right_after_svunlink() {
    differ(|w| {
        w.start();
        make_service(&w.base("one"), &[("run", SLEEPER)]);
        for _ in 0..4 {
            w.run("s6-svlink -t 30000 . $BASE/one");
            w.eventually("up", || w.try_status("one").is_some_and(|status| status.pid > 0));
            w.run("s6-svunlink -t 30000 . one");
            w.eventually("unlocked", || w.try_run("s6-svok $BASE/one") == 1);
        }
    });
}

#[test]
pub fn instances() {
    differ(|w| {
        let run = "#!/bin/sh\nexec s6-svc -u ../../nobody 2>/dev/null\n";
        make_service(&w.base("template"), &[("run", run)]);
        w.start();
        w.run("s6-instance-maker $BASE/template $BASE/maker");
        for name in ["instance", "instances", "template", "notification-fd"] {
            w.note(name, w.base("maker").join(name).exists());
        }
        w.run("s6-instance-maker $BASE/nonexistent $BASE/other");
        w.run("s6-instance-create $BASE/maker x");
        w.run("s6-instance-list $BASE/nonexistent");
        w.run("s6-instance-delete $BASE/maker .x");
        w.run("s6-instance-create $BASE/maker 'a b'");
        w.run("s6-instance-control -u $BASE/maker x");
        w.run("s6-instance-status $BASE/maker x");
    });
}

#[test]
pub fn notifyoncheck_tells_when_the_check_succeeds() {
    let run = "#!/bin/sh\nexec s6-notifyoncheck -s 1 -w 50 -n 0 sleep 1000\n";
    let by_command = "#!/bin/sh\nexec s6-notifyoncheck -s 1 -w 20 -n 100 -c 'test -e ok' sleep 1000\n";
    differ(|w| {
        w.with(&[
            ("a", &[("run", run), ("data/check", "#!/bin/sh\ntest -e ok\n"), NOTIFIES, DOWN]),
            ("b", &[("run", by_command), NOTIFIES, DOWN]),
        ]);
        for name in ["a", "b"] {
            let mut events = w.listen(name);
            w.send(name, "u");
            w.until(&mut events, 'u');
            w.times_out(&format!("s6-svwait -U -t TIME {name}"));
            std::fs::write(w.path(name).join("ok"), "").unwrap();
            w.until(&mut events, 'U');
            w.send(name, "d");
            w.until(&mut events, 'D');
        }
        w.service(".c", &[NOTIFIES]);
        w.run("cd .c && s6-notifyoncheck true");
        w.run("cd a && s6-notifyoncheck");
    });
}

#[test]
pub fn permafailon_reads_its_list() {
    differ(|w| {
        w.with(&[("a", &[("run", "#!/bin/sh\nexit $(cat code)\n"), ("code", "7"), DOWN])]);
        let mut events = w.listen("a");
        for code in ["7", "7", "200"] {
            std::fs::write(w.path("a/code"), code).unwrap();
            w.send("a", "o");
            w.until(&mut events, 'D');
        }
        for line in [
            "60 2 7",
            "60 3 7",
            "60 3 7,200",
            "60 3 1-255",
            "60 2 '7;8 9'",
            "60 1 SIGTERM",
            "60 1 200",
            "60 0 7",
            "60 1 300",
            "60 1 9-7",
            "60 1 SIGNOTHING",
            "x 1 7",
            "60 1",
            "60 1 7,",
        ] {
            w.run(&format!("cd a && s6-permafailon {line} sh -c 'exit 5'"));
        }
        w.run("cd a && s6-permafailon 60 9 7");
        w.run("cd a && s6-permafailon 60 9 7 ./nonexistent");
        w.ok("sh -c ': >a/supervise/death_tally'");
        w.run("cd a && s6-permafailon 60 1 7 sh -c 'exit 5'");
    });
}
