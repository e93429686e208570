//! A `run` that cannot be executed.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

/// `break_it` makes a `run` that cannot be executed. No event, no death, no finish; and when it is made good, `u`.
fn cannot_be_executed(w: &mut World, break_it: impl Fn(&World)) {
    let finish = "#!/bin/sh\necho finish >$SAID\n";
    w.service("a", &[("finish", finish)]);
    break_it(w);
    let mut events = w.listen("a");
    w.start();
    w.until(&mut events, 's');
    for _ in 0..3 {
        w.send("a", "u");
    }
    w.send("a", "O");
    w.eventually("O", || w.status_of("a").flags & WANT_UP == 0);
    w.note("events", events.rest());
    let status = w.status_of("a");
    w.note("pid", status.pid);
    w.note("wstat", status.wstat);
    w.tally("a");
    let unheard = w.unheard();
    w.note("said", unheard);
    let _ = std::fs::remove_file(w.path("a/run"));
    w.script(&w.path("a/run"), SLEEPER);
    w.send("a", "u");
    w.until(&mut events, 'u');
    w.status("a");
    let unheard = w.unheard();
    w.note("said", unheard);
}

#[test]
pub fn a_missing_run_is_no_death() {
    differ(|w| cannot_be_executed(w, |_| {}));
}

#[test]
pub fn a_run_that_is_not_executable_is_no_death() {
    differ(|w| cannot_be_executed(w, |w| std::fs::write(w.path("a/run"), SLEEPER).unwrap()));
}

#[test]
pub fn a_run_without_an_interpreter_is_not_given_to_the_shell() {
    differ(|w| cannot_be_executed(w, |w| w.script(&w.path("a/run"), "echo shell >$SAID\nexec sleep 1000\n")));
}

#[test]
pub fn a_run_with_a_missing_interpreter_is_no_death() {
    differ(|w| cannot_be_executed(w, |w| w.script(&w.path("a/run"), "#!/nonexistent/interpreter\n")));
}

#[test]
pub fn a_directory_is_no_run() {
    differ(|w| {
        w.service("a", &[("run/x", "")]);
        let mut events = w.listen("a");
        w.start();
        w.until(&mut events, 's');
        w.send("a", "uO");
        w.eventually("O", || w.status_of("a").flags & WANT_UP == 0);
        w.note("events", events.rest());
        w.run("s6-svok a");
    });
}

#[test]
pub fn a_service_that_loses_its_run_stays_down() {
    differ(|w| {
        w.with(&[("a", &[("run", "#!/bin/sh\necho up >$SAID\nexec sleep 1000\n")])]);
        w.heard("it is");
        std::fs::remove_file(w.path("a/run")).unwrap();
        let mut events = w.listen("a");
        w.run("s6-svc -k a");
        w.until(&mut events, 'D');
        w.send("a", "uuO");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
        w.note("events", events.rest());
        w.tally("a");
    });
}
