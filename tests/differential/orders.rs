//! Letters that change what is wanted.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

#[test]
pub fn what_is_wanted_changes_silently() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.pid_of("a");
        let mut events = w.listen("a");
        for (letter, flag) in [("O", 0), ("u", WANT_UP), ("o", 0), ("u", WANT_UP)] {
            w.run(&format!("s6-svc -{letter} a"));
            w.await_status("a", |status| status.flags & WANT_UP == flag);
        }
        w.note("events", events.rest());
        w.out("s6-svstat a");
        w.run("s6-svc -O a");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
        w.out("s6-svstat a");
        w.run("s6-svc -t a");
        w.until(&mut events, 'D');
        w.status("a");
    });
}

#[test]
pub fn orders_for_good_keep_the_down_file() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -U a");
        w.until(&mut events, 'u');
        w.note("down file", w.path("a/down").exists());
        w.out("s6-svstat -o normallyup,wantedup a");
        w.run("s6-svc -Q a");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
        w.layout("a/down");
        std::fs::write(w.path("a/down"), "some text").unwrap();
        w.run("s6-svc -D a");
        w.until(&mut events, 'D');
        w.layout("a/down");
        w.out("s6-svstat a");
    });
}

#[test]
pub fn once_means_once() {
    differ(|w| {
        w.with(&[("a", &[("run", "#!/bin/sh\nexit 4\n"), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -o a");
        w.until(&mut events, 'D');
        w.status("a");
        w.run("s6-svc -o a");
        w.until(&mut events, 'D');
        w.tally("a");
        w.out("s6-svstat -o up,wantedup,exitcode a");
    });
}

#[test]
pub fn the_bytes_of_one_write_are_obeyed_in_order() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -ud a");
        w.until(&mut events, 'D');
        w.status("a");
        w.run("s6-svc -du a");
        w.until(&mut events, 'u');
        w.status("a");
        w.run("s6-svc -du a");
        w.until(&mut events, 'u');
        w.status("a");
    });
}

#[test]
pub fn unknown_bytes_are_ignored() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let mut events = w.listen("a");
        w.send("a", "zZ!\n\0ju");
        w.until(&mut events, 'u');
        w.status("a");
    });
}

#[test]
pub fn the_down_file_counts_only_when_the_supervisor_starts() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.pid_of("a");
        std::fs::write(w.path("a/down"), "").unwrap();
        let mut events = w.listen("a");
        w.run("s6-svc -k a");
        w.until(&mut events, 'u');
        w.status("a");
        w.out("s6-svstat a");
        w.out("s6-svstat -o normallyup a");
    });
}

#[test]
pub fn x_while_up_waits_for_the_next_death_and_means_it() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.pid_of("a");
        w.hide("a");
        w.run("s6-svscanctl -a .");
        w.settle();
        let mut events = w.listen(".a");
        w.run("s6-svc -xu .a");
        w.send(".a", "O");
        w.eventually("O", || w.status_of(".a").flags & WANT_UP == 0);
        w.send(".a", "u");
        w.eventually("u", || w.status_of(".a").flags & WANT_UP != 0);
        w.note("events", events.rest());
        w.run("s6-svok .a");
        w.run("s6-svc -t .a");
        w.until(&mut events, 'x');
        w.eventually("the end", || w.try_run("s6-svok .a") == 1);
        w.status(".a");
    });
}

#[test]
pub fn x_makes_room_for_the_next_supervisor() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -x a");
        w.run("s6-svc -d a");
        w.until(&mut events, 'x');
        w.until(&mut events, 'u');
        w.status("a");
        w.tally("a");
    });
}

#[test]
pub fn x_while_down_is_obeyed_at_once() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -dx a");
        w.until(&mut events, 'x');
        w.until(&mut events, 's');
        w.run("s6-svc -u a");
        w.until(&mut events, 'u');
    });
}

#[test]
pub fn x_while_finishing_waits_for_the_end_of_finish() {
    let finish = "#!/bin/sh\necho finish >$SAID\nread go <go\n";
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "0"), ("go", FIFO)])]);
        w.pid_of("a");
        w.hide("a");
        w.run("s6-svscanctl -a .");
        w.settle();
        let mut events = w.listen(".a");
        w.run("s6-svc -t .a");
        w.heard("there is");
        w.run("s6-svc -xO .a");
        w.await_status(".a", |status| status.flags & WANT_UP == 0);
        w.note("events", events.rest());
        w.push(".a/go", "\n");
        w.until(&mut events, 'x');
        w.status(".a");
    });
}
