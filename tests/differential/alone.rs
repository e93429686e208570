//! A supervisor of its own (`s6-supervise`) and its signals.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

const HUP: i32 = 1;
const INT: i32 = 2;
const QUIT: i32 = 3;
const KILL: i32 = 9;
const TERM: i32 = 15;

/// Says its pid and that of a child in its group.
const PAIR: &str = "#!/bin/sh\nsleep 1000 &\necho $$ $! >$SAID\nexec sleep 1000\n";
/// Children of a shell without job control ignore SIGINT: this one's do not.
const GROUP: &str = "#!/usr/bin/env python3
import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
child = os.fork()
if child:
    with open(os.environ['SAID'], 'w') as said: said.write('%d %d\\n' % (os.getpid(), child))
signal.pause()\n";
const HELD: &str = "#!/bin/sh\necho finish >$SAID\nread go <go\n";

fn up(w: &mut World, files: &[(&str, &str)]) -> crate::listener::Listener {
    w.service("a", files);
    let mut events = w.listen("a");
    w.supervise("a");
    w.until(&mut events, 'u');
    events
}

#[test]
pub fn term_brings_the_service_down_and_ends() {
    differ(|w| {
        let mut events = up(w, &[("run", SLEEPER)]);
        w.signal("a", TERM);
        w.until(&mut events, 'x');
        w.end("a");
        w.status("a");
        w.run("s6-svok a");
        w.layout("a/supervise");
    });
}

#[test]
pub fn term_while_down_ends_at_once() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER), DOWN]);
        let mut events = w.listen("a");
        w.supervise("a");
        w.signal("a", TERM);
        w.until(&mut events, 'x');
        w.end("a");
        w.note("status there", w.try_status("a").is_some());
    });
}

#[test]
pub fn term_while_finishing_lets_finish_come_to_its_end() {
    differ(|w| {
        let mut events = up(w, &[("run", SLEEPER), ("finish", HELD), ("timeout-finish", "0"), ("go", FIFO)]);
        w.run("s6-svc -t a");
        w.heard("there is");
        w.until(&mut events, 'd');
        w.signal("a", TERM);
        w.signal("a", HUP);
        w.signal("a", TERM);
        w.send("a", "O");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
        w.note("events", events.rest());
        w.push("a/go", "\n");
        w.until(&mut events, 'x');
        w.end("a");
        w.status("a");
    });
}

#[test]
pub fn hup_ends_after_the_next_death() {
    differ(|w| {
        let mut events = up(w, &[("run", SLEEPER)]);
        w.signal("a", HUP);
        w.send("a", "O");
        w.eventually("O", || w.status_of("a").flags & WANT_UP == 0);
        w.send("a", "u");
        w.await_status("a", |status| status.flags & WANT_UP != 0);
        w.note("events", events.rest());
        w.note("runs", w.status_of("a").pid > 0);
        w.run("s6-svc -k a");
        w.until(&mut events, 'x');
        w.end("a");
        w.status("a");
    });
}

#[test]
pub fn quit_leaves_the_service_and_its_status_alone() {
    differ(|w| {
        let mut events = up(w, &[("run", PAIR)]);
        let said = w.hear();
        w.signal("a", QUIT);
        w.until(&mut events, 'x');
        w.end("a");
        let pid = w.status_of("a").pid;
        w.note("lives", is_alive(pid));
        w.note("is the same", said.starts_with(&pid.to_string()));
        w.status("a");
        w.run("s6-svok a");
        w.run("s6-svstat a");
    });
}

#[test]
pub fn int_goes_to_the_group_of_the_service() {
    differ(|w| {
        let mut events = up(w, &[("run", GROUP)]);
        let said = w.hear();
        let pids: Vec<i32> = said.split(' ').map(|pid| pid.parse().unwrap()).collect();
        w.eventually("waiting", || pids.iter().all(|pid| state_of(*pid) == 'S'));
        w.signal("a", INT);
        // Before it exits it may still see the death.
        assert!(["x", "dx", "dDx"].contains(&events.until('x').as_str()));
        w.end("a");
        w.eventually("both die", || !pids.iter().any(|pid| is_alive(*pid)));
    });
}

#[test]
pub fn int_while_down_just_ends() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER), DOWN]);
        let mut events = w.listen("a");
        w.supervise("a");
        w.signal("a", INT);
        w.until(&mut events, 'x');
        w.end("a");
    });
}

#[test]
pub fn a_second_supervisor_is_refused() {
    differ(|w| {
        let mut events = up(w, &[("run", SLEEPER)]);
        w.daemon_fails("supervise a");
        w.daemon_fails("supervise");
        w.daemon_fails("supervise ./nonexistent");
        w.note("events", events.rest());
        w.run("s6-svok a");
    });
}

#[test]
pub fn killing_the_supervisor_leaves_an_orphan_and_the_next_one_starts_a_second_copy() {
    differ(|w| {
        let mut events = up(w, &[("run", SLEEPER)]);
        let first = w.pid_of("a");
        w.signal("a", KILL);
        w.end("a");
        w.run("s6-svok a");
        w.status("a");
        w.run("s6-svc -d a");
        w.supervise("a");
        w.until(&mut events, 'u');
        let second = w.pid_of("a");
        w.note("two copies", first != second && is_alive(first) && is_alive(second));
        w.tally("a");
    });
}

#[test]
pub fn with_a_lock_fd_the_second_copy_waits_for_the_first_to_die() {
    let run = "#!/bin/sh\necho up >$SAID\nexec sleep 1000\n";
    differ(|w| {
        let mut events = up(w, &[("run", run), ("lock-fd", "3\n"), ("supervise/service-lock", "")]);
        let first = w.pid_of("a");
        w.heard("it is");
        w.signal("a", KILL);
        w.end("a");
        w.supervise("a");
        let copies = if w.is_ours() {
            w.eventually("complaint", || w.log().contains("service-lock"));
            w.status_of("a").pid > 0
        } else {
            w.hear() == "up"
        };
        w.note("two copies", copies);
        kill(first, KILL);
        if w.is_ours() {
            assert_eq!(w.hear(), "up");
        }
        w.until(&mut events, 'u');
    });
}

#[test]
pub fn a_supervisor_empties_the_tally_when_it_starts() {
    differ(|w| {
        let mut events = up(w, &[("run", SLEEPER)]);
        w.run("s6-svc -k a");
        w.until(&mut events, 'u');
        w.tally("a");
        w.signal("a", TERM);
        w.until(&mut events, 'x');
        w.end("a");
        w.tally("a");
        w.supervise("a");
        w.until(&mut events, 's');
        w.tally("a");
    });
}
