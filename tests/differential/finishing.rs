//! Death, `finish`, permanent failure.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

/// Waits for a line in `go`.
const HELD: &str = "#!/bin/sh\necho finish $1 $2 $3 >$SAID\nread go <go\n";

#[test]
pub fn while_finish_runs_the_pid_is_its_and_the_service_is_down() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), ("finish", HELD), ("timeout-finish", "0"), ("go", FIFO)])]);
        let run = w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -d a");
        w.until(&mut events, 'd');
        w.heard("arguments");
        w.status("a");
        let pid = w.status_of("a").pid;
        w.note("run is gone, finish is not", !is_alive(run) && is_alive(pid) && pid != run);
        w.out("s6-svstat -o up,wantedup,pid,ready,signal a");
        w.out("s6-svstat a");
        w.push("a/go", "\n");
        w.until(&mut events, 'D');
        w.status("a");
        w.out("s6-svstat a");
    });
}

#[test]
pub fn finish_gets_the_exit_code_or_the_signal() {
    let finish = "#!/bin/sh\necho $# $1 $2 $3 >$SAID\n";
    differ(|w| {
        w.with(&[
            ("a", &[("run", "#!/bin/sh\nexit 7\n"), ("finish", finish), DOWN]),
            ("b", &[("run", "#!/bin/sh\nkill -SEGV $$\n"), ("finish", finish), DOWN]),
        ]);
        for name in ["a", "b"] {
            let mut events = w.listen(name);
            w.run(&format!("s6-svc -o {name}"));
            w.until(&mut events, 'D');
            w.heard("arguments");
            w.status(name);
            w.tally(name);
            w.out(&format!("s6-svstat -o exitcode,signal,signum {name}"));
        }
    });
}

#[test]
pub fn the_last_argument_of_finish_is_the_process_group_of_the_dead() {
    differ(|w| {
        let finish = "#!/bin/sh\necho \"$4\" >$SAID\n";
        w.with(&[("a", &[("run", SLEEPER), ("finish", finish)])]);
        let pid = w.pid_of("a");
        w.send("a", "d");
        let said = w.hear();
        w.note("fourth argument", if said == pid.to_string() { "the group" } else { &said });
    });
}

#[test]
pub fn a_wait_status_survives_the_restart_and_svstat_hides_it() {
    differ(|w| {
        let run = "#!/bin/sh\nif test -e again; then exec sleep 1000; fi\n>again\nexit 3\n";
        w.with(&[("a", &[("run", run), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -u a");
        w.until(&mut events, 'u');
        w.until(&mut events, 'u');
        w.status("a");
        w.out("s6-svstat -o exitcode,signal a");
    });
}

#[test]
pub fn exit_code_125_of_finish_is_a_permanent_failure() {
    let finish = "#!/bin/sh\nread go <go\nexit 125\n";
    differ(|w| {
        let run = "#!/bin/sh\nexit 1\n";
        w.with(&[("a", &[("run", run), ("finish", finish), ("timeout-finish", "0"), ("go", FIFO), DOWN])]);
        std::fs::remove_file(w.path("a/down")).unwrap();
        let mut events = w.listen("a");
        w.run("s6-svc -u a");
        w.until(&mut events, 'd');
        w.push("a/go", "\n");
        let read = events.read_once();
        w.note("in one piece", read);
        w.status("a");
        w.note("down file", w.path("a/down").exists());
        w.out("s6-svstat -o up,wantedup,normallyup a");
        w.run("s6-svc -u a");
        w.until(&mut events, 'd');
        w.push("a/go", "\n");
        w.until(&mut events, 'D');
    });
}

#[test]
pub fn other_exit_codes_of_finish_mean_nothing() {
    differ(|w| {
        let finish = "#!/bin/sh\nexit $(cat code)\n";
        w.with(&[("a", &[("run", SLEEPER), ("finish", finish), ("code", "1")])]);
        w.pid_of("a");
        let mut events = w.listen("a");
        for code in ["0", "1", "124", "126"] {
            std::fs::write(w.path("a/code"), code).unwrap();
            w.run("s6-svc -k a");
            w.until(&mut events, 'u');
            w.status("a");
        }
    });
}

#[test]
pub fn signal_letters_are_ignored_while_finish_runs_and_wishes_are_not() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), ("finish", HELD), ("timeout-finish", "0"), ("go", FIFO)])]);
        w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -t a");
        w.until(&mut events, 'd');
        w.heard("arguments");
        let pid = w.status_of("a").pid;
        w.send("a", "abqhkti12pycrO");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
        w.note("finish is alive", is_alive(pid));
        w.note("events meanwhile", events.rest());
        w.send("a", "u");
        w.await_status("a", |status| status.flags & WANT_UP != 0);
        w.push("a/go", "\n");
        w.until(&mut events, 'u');
        w.send("a", "O");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
    });
}

#[test]
pub fn finish_is_a_session_of_its_own_with_clean_descriptors() {
    let finish = "#!/bin/sh
if [ \"$(cut -d' ' -f5,6 /proc/$$/stat)\" = \"$$ $$\" ]; then echo leads its session and group >$SAID; fi
find /proc/$$/fd -type l -fprintf $BASE/list '%f\\n'
grep '^[0-9]$' $BASE/list | sort | tr '\\n' ' ' >$SAID
echo >$SAID
pwd >$SAID\n";
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), ("finish", finish), NOTIFIES])]);
        w.pid_of("a");
        w.run("s6-svc -d a");
        for what in ["session", "descriptors", "directory"] {
            w.heard(what);
        }
    });
}

#[test]
pub fn a_finish_that_cannot_run_is_as_none() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        std::fs::write(w.path("a/finish"), "#!/bin/sh\n").unwrap();
        w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -d a");
        w.until(&mut events, 'D');
        w.status("a");
    });
}

#[test]
pub fn permafailon_in_finish_counts_the_death_it_follows() {
    let finish = "#!/bin/sh\nexec s6-permafailon 60 2 1-3,SIGTERM echo\n";
    differ(|w| {
        w.with(&[("a", &[("run", "#!/bin/sh\nexit 2\n"), ("finish", finish), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -u a");
        w.until(&mut events, 'O');
        w.until(&mut events, 'D');
        w.status("a");
        w.tally("a");
    });
}

#[test]
pub fn finish_sees_the_tally_with_the_current_death() {
    let finish = "#!/bin/sh\nwc -c <supervise/death_tally >$SAID\n";
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), ("finish", finish)])]);
        w.pid_of("a");
        w.run("s6-svc -d a");
        w.heard("bytes");
    });
}
