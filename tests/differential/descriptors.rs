//! Standard descriptors, inherited ones, `-X` and the catch-all logger, pid namespaces.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

/// Says what its descriptors are.
const LIST: &str = "#!/bin/sh
find /proc/$$/fd -fprintf $BASE/list-$$ '%f %l\\n'
grep '^[0-9] ' $BASE/list-$$ | sort | tr '\\n' ' ' >$SAID
echo >$SAID
exec sleep 1000\n";

#[test]
pub fn closed_standard_descriptors_become_the_null_device() {
    differ(|w| {
        w.service("a", &[("run", LIST)]);
        w.start_by("exec \"$@\" <&- >&- 2>&-", "");
        w.heard("descriptors");
    });
}

#[test]
pub fn standard_descriptors_are_those_of_svscan() {
    differ(|w| {
        w.service("a", &[("run", LIST)]);
        w.start_by("exec \"$@\" </dev/zero >$BASE/o 2>$BASE/e", "");
        w.heard("descriptors");
    });
}

#[test]
pub fn other_descriptors_are_inherited() {
    differ(|w| {
        w.service("a", &[("run", LIST)]);
        w.start_by("exec \"$@\" 6</dev/zero", "");
        w.heard("descriptors");
    });
}

#[test]
pub fn notification_and_lock_on_one_descriptor_start_nothing() {
    differ(|w| {
        w.service("a", &[("run", LIST), ("lock-fd", "3"), ("supervise/service-lock", ""), NOTIFIES]);
        let mut events = w.listen("a");
        w.start();
        w.until(&mut events, 's');
        w.send("a", "uO");
        w.eventually("O", || w.status_of("a").flags & WANT_UP == 0);
        w.note("events", events.rest());
        w.note("pid", w.status_of("a").pid);
    });
}

#[test]
pub fn readiness_on_descriptor_0() {
    differ(|w| {
        let run = "#!/bin/sh\necho >&0\nexec sleep 1000\n";
        w.with(&[("a", &[("run", run), ("notification-fd", "0"), DOWN])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        w.until(&mut events, 'U');
    });
}

#[test]
pub fn readiness_on_a_descriptor_that_nobody_can_have() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER), ("notification-fd", "1000000000")]);
        let mut events = w.listen("a");
        w.start();
        w.until(&mut events, 's');
        w.send("a", "uO");
        w.await_status("a", |status| status.flags == READY_FLAG);
        w.note("events", events.rest());
    });
}

/// A catch-all logger, that says what it reads, with a FIFO; and what starts svscan with its output there.
const CATCH_ALL: &[(&str, &str)] = &[
    ("fifo", FIFO),
    (
        "run",
        "#!/bin/sh\necho to the console >&2\nexec <fifo >/dev/null\necho up >$SAID\nwhile read line; do echo got $line >$SAID; done\necho end >$SAID\n",
    ),
];
const REDIRECT: &str = "exec 5>$BASE/console; exec 4<>s6-svscan-log/fifo >s6-svscan-log/fifo 2>&1 4<&-; exec \"$@\"";

#[test]
pub fn the_catch_all_logger_gets_what_has_no_logger_and_ends_with_its_input() {
    let speaker = "#!/bin/sh\nuntil read line <in; do :; done\necho one: $line\necho two: $line >&2\nexec sleep 1000\n";
    differ(|w| {
        w.service("s6-svscan-log", CATCH_ALL);
        w.service(".s6-svscan", &[("finish", "#!/bin/sh\necho finish\necho finish >&2\n")]);
        w.service("a", &[("run", speaker), ("in", FIFO)]);
        w.start_by(REDIRECT, "-X 5");
        w.heard("logger");
        w.push("a/in", "word\n");
        let mut said = Vec::new();
        // svscan may write there too.
        while said.len() < 2 {
            let line = w.hear();
            if line.contains("word") {
                said.push(line);
            }
        }
        w.note("logged", said.join(", "));
        w.run("s6-svscanctl -t .");
        w.end("svscan");
        let mut last = w.hear();
        while last != "end" {
            assert!(last.starts_with("got"), "{last}");
            last = w.hear();
        }
        w.note("last", last);
        let console = std::fs::read_to_string(w.base("console")).unwrap();
        let lines: Vec<_> = console.lines().filter(|line| !line.contains("svscan")).collect();
        w.note("console", lines.join(", "));
    });
}

#[test]
pub fn q_terminates_the_catch_all_logger_too() {
    differ(|w| {
        w.service("s6-svscan-log", CATCH_ALL);
        w.start_by(REDIRECT, "-X 5");
        w.heard("logger");
        w.run("s6-svscanctl -q .");
        w.end("svscan");
        // It may have seen the end of its input first.
        w.note("logger's pid", w.status_of("s6-svscan-log").pid);
    });
}

#[test]
pub fn only_the_catch_all_logger_has_the_console() {
    differ(|w| {
        w.service("s6-svscan-log", &[("run", "#!/bin/sh\nreadlink /proc/$$/fd/2 >$SAID\nexec sleep 1000\n")]);
        w.start_by("exec 5>$BASE/console; exec \"$@\" >$BASE/o 2>$BASE/e", "-X 5");
        w.heard("the logger's");
        w.service("a", &[("run", LIST)]);
        w.run("s6-svscanctl -a .");
        w.heard("another's");
    });
}

/// svscan as process 1 of a pid namespace.
const NAMESPACE: &str = "exec unshare --pid --fork --kill-child --mount-proc \"$@\"";

#[test]
pub fn process_1_reaps_what_it_did_not_start() {
    let run = "#!/bin/sh
for i in 1 2 3 4 5; do (sleep 0.05 & ) ; done
left=; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
sleep 0.1\nif ! pgrep -x sleep >/dev/null && ! grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; then left=nobody; break; fi\ndone
echo ${left:-zombies} >$SAID
exec sleep 1000\n";
    differ(|w| {
        w.service("a", &[("run", run)]);
        let mut events = w.listen("a");
        w.start_by(NAMESPACE, "");
        w.until(&mut events, 'u');
        w.heard("left");
        w.note("events", events.rest());
    });
}

#[test]
pub fn process_1_executes_finish_as_process_1() {
    differ(|w| {
        w.service(".s6-svscan", &[("finish", "#!/bin/sh\necho $$ $# $PWD >$SAID\nexit 7\n")]);
        w.service("a", &[("run", SLEEPER)]);
        let mut events = w.listen("a");
        w.start_by(NAMESPACE, "");
        w.until(&mut events, 'u');
        w.run("s6-svscanctl -t .");
        w.until(&mut events, 'x');
        w.heard("finish");
        w.end("svscan");
    });
}

#[test]
pub fn in_a_pid_namespace_of_its_own_a_service_is_process_1() {
    let run = "#!/bin/sh\necho $$ >$SAID\nexec sleep 1000\n";
    differ(|w| {
        w.with(&[("a", &[("run", run), ("flag-newpidns", "")])]);
        let pid = w.hear();
        w.note("process 1", pid == "1");
        if w.is_ours() {
            // The kernel keeps signals without a handler from a process 1.
            let mut events = w.listen("a");
            w.ok("s6-svc -d a");
            w.await_status("a", |status| status.flags & WANT_UP == 0);
            assert!(!events.hears_within(std::time::Duration::from_millis(300)));
            w.ok("s6-svc -k a");
            events.until('D');
        } else {
            w.ok("s6-svc -O a");
            w.await_status("a", |status| status.flags & WANT_UP == 0);
        }
    });
}

#[test]
pub fn the_death_of_another_child_is_not_that_of_the_service() {
    differ(|w| {
        w.service(".s6-svscan", &[("SIGUSR1", "#!/bin/sh\necho handler >$SAID\nexit 1\n")]);
        w.with(&[("a", &[("run", SLEEPER)])]);
        let mut events = w.listen("a");
        for _ in 0..5 {
            w.signal("svscan", 10);
            w.heard("there is");
        }
        w.settle();
        w.note("events", events.rest());
        w.status("a");
    });
}
