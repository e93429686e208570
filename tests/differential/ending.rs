//! The end of svscan: orders, signals, `finish`, `crash`, handlers of signals.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

/// Files of `.s6-svscan`, executable; the same way as a service.
fn with_scripts(w: &mut World, scripts: &[(&str, &str)], services: &[Service<'_>]) {
    w.service(".s6-svscan", scripts);
    w.with(services);
}

/// A `finish` that says how it was started.
const FINISH: &str = "#!/bin/sh\necho finish $# $0 $$ >$SAID\necho $PWD >$SAID\nexit 3\n";

fn pid_masked(w: &mut World, what: &str, pid: i32) {
    let said = w.hear().replace(&format!(" {pid}"), " same");
    w.note(what, said);
}

#[test]
pub fn every_way_to_stop_stops_everything_and_executes_finish() {
    differ(|w| {
        with_scripts(w, &[("finish", FINISH)], &[]);
        w.service("a", &[("run", SLEEPER)]);
        for how in ["-t", "-i", "-q", "15", "2", "3"] {
            if how != "-t" {
                w.start();
            }
            w.send_svscan("a");
            let mut events = w.listen("a");
            w.pid_of("a");
            let pid = w.daemon_pid("svscan");
            match how.parse() {
                Ok(signal) => w.signal("svscan", signal),
                Err(_) => assert_eq!(w.run(&format!("s6-svscanctl {how} .")), 0),
            }
            let all = events.until('x');
            w.note(how, all.trim_start_matches(['s', 'u']));
            w.end("svscan");
            pid_masked(w, "finish", pid);
            w.heard("directory");
            w.status("a");
            w.run("s6-svok a");
        }
    });
}

#[test]
pub fn without_finish_it_exits_with_0() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.run("s6-svscanctl -t .");
        w.end("svscan");
        w.run("s6-svscanctl -t .");
    });
}

#[test]
pub fn b_and_abort_leave_everything_running() {
    differ(|w| {
        with_scripts(w, &[("finish", FINISH)], &[("a", &[("run", SLEEPER)])]);
        let (pid, service) = (w.daemon_pid("svscan"), w.pid_of("a"));
        w.run("s6-svscanctl -b .");
        w.end("svscan");
        pid_masked(w, "finish", pid);
        w.heard("directory");
        w.note("service lives", is_alive(service));
    });
}

#[test]
pub fn abort_is_as_b() {
    differ(|w| {
        with_scripts(
            w,
            &[("finish", FINISH), ("SIGABRT", "#!/bin/sh\necho diverted >$SAID\n")],
            &[("a", &[("run", SLEEPER)])],
        );
        let (pid, service) = (w.daemon_pid("svscan"), w.pid_of("a"));
        w.signal("svscan", 6);
        w.end("svscan");
        pid_masked(w, "finish", pid);
        w.note("service lives", is_alive(service));
    });
}

#[test]
pub fn tb_tells_everybody_and_waits_for_nobody() {
    let stubborn = "#!/bin/sh\ntrap 'echo TERM >$SAID' TERM\necho up >$SAID\nwhile :; do sleep 1000 & wait; done\n";
    differ(|w| {
        w.with(&[("a", &[("run", stubborn)])]);
        w.heard("it is");
        let service = w.pid_of("a");
        w.run("s6-svscanctl -tb .");
        w.end("svscan");
        w.heard("it got");
        w.note("service lives", is_alive(service));
    });
}

#[test]
pub fn bt_waits() {
    let slow = "#!/bin/sh\ntrap 'echo TERM >$SAID; until read go <go; do :; done; exit 0' TERM\necho up >$SAID
while :; do sleep 1000 & wait; done\n";
    differ(|w| {
        w.with(&[("a", &[("run", slow), ("go", FIFO)])]);
        w.heard("it is");
        let mut events = w.listen("a");
        w.run("s6-svscanctl -bt .");
        w.heard("it got");
        let waits = w.runs("svscan");
        w.note("svscan waits", waits);
        w.push("a/go", "\n");
        w.until(&mut events, 'x');
        w.end("svscan");
    });
}

#[test]
pub fn a_finish_that_cannot_be_executed_is_a_crash() {
    differ(|w| {
        w.start();
        std::fs::write(w.path(".s6-svscan/finish"), "#!/bin/sh\n").unwrap();
        w.run("s6-svscanctl -t .");
        w.end("svscan");
        w.script(&w.path(".s6-svscan/crash"), "#!/bin/sh\necho crash $# $0 >$SAID\nexit 5\n");
        w.start();
        w.run("s6-svscanctl -t .");
        w.heard("there is");
        w.end("svscan");
    });
}

#[test]
pub fn a_script_diverts_a_signal() {
    let names = ["HUP", "INT", "TERM", "QUIT", "USR1", "USR2", "PWR", "WINCH"];
    let numbers = [1, 2, 15, 3, 10, 12, 30, 28];
    let script = "#!/bin/sh\necho $# $0 $WORD >$SAID\npwd >$SAID\ngrep SigBlk /proc/self/status >$SAID\n";
    differ(|w| {
        let files = names.map(|name| format!("SIG{name}"));
        let files: Vec<_> = files.iter().map(|name| (name.as_str(), script)).collect();
        w.service(".s6-svscan", &files);
        w.service("a", &[("run", SLEEPER)]);
        let mut events = w.listen("a");
        w.start_by("WORD=word exec \"$@\"", "");
        events.until('u');
        for number in numbers {
            w.signal("svscan", number);
            for what in ["script", "directory", "mask"] {
                w.heard(what);
            }
        }
        w.note("events", events.rest());
        w.run("s6-svscanctl -t .");
        w.end("svscan");
    });
}

#[test]
pub fn signals_without_a_script_do_what_is_built_in() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        let mut events = w.listen("a");
        for number in [10, 12, 30, 28] {
            w.signal("svscan", number);
        }
        w.settle();
        w.note("events", events.rest());
        w.signal("svscan", 15);
        w.until(&mut events, 'x');
        w.end("svscan");
    });
}

#[test]
pub fn a_script_that_cannot_be_executed_is_as_none() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        std::fs::write(w.path(".s6-svscan/SIGTERM"), "#!/bin/sh\n").unwrap();
        let mut events = w.listen("a");
        w.signal("svscan", 15);
        w.until(&mut events, 'x');
        w.end("svscan");
    });
}

#[test]
pub fn a_script_may_be_put_there_at_any_time() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.script(&w.path(".s6-svscan/SIGTERM"), "#!/bin/sh\necho diverted >$SAID\n");
        w.signal("svscan", 15);
        w.heard("it is");
        std::fs::remove_file(w.path(".s6-svscan/SIGTERM")).unwrap();
        w.signal("svscan", 15);
        w.end("svscan");
    });
}

#[test]
pub fn unknown_bytes_on_the_control_fifo_are_ignored() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.send_svscan("!prs0678");
        w.settle();
        w.run("s6-svok a");
        for letter in ["p", "r", "s", "0", "6", "7", "8"] {
            w.run(&format!("s6-svscanctl -{letter} ."));
        }
        w.run("s6-svscanctl -z .");
        w.run("s6-svscanctl -t .");
        w.end("svscan");
    });
}
