//! Letters that are signals.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

/// Says its signals.
const CATCHER: &str = "#!/bin/sh
for s in ALRM ABRT QUIT HUP TERM INT USR1 USR2 WINCH CONT; do trap \"echo $s >\\$SAID\" $s; done
echo up >$SAID
while :; do sleep 1000 & wait $!; kill $! 2>/dev/null; done\n";

#[test]
pub fn each_letter_is_its_signal() {
    differ(|w| {
        w.with(&[("a", &[("run", CATCHER)])]);
        w.heard("it is");
        for letter in "abqhti12ycr".chars() {
            w.run(&format!("s6-svc -{letter} a"));
            w.heard("signal");
        }
        w.status("a");
    });
}

#[test]
pub fn kill_kills_and_the_service_comes_back() {
    differ(|w| {
        w.with(&[("a", &[("run", CATCHER)])]);
        w.heard("it is");
        let mut events = w.listen("a");
        w.run("s6-svc -k a");
        w.until(&mut events, 'u');
        w.heard("it is again");
        w.tally("a");
        w.status("a");
    });
}

#[test]
pub fn signals_to_a_service_that_is_down_are_ignored() {
    differ(|w| {
        w.with(&[("a", &[("run", CATCHER), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -abqhkti12pycr a");
        w.run("s6-svc -u a");
        w.heard("it is");
        w.until(&mut events, 'u');
        w.status("a");
        let rest = w.unheard();
        w.note("more", rest);
    });
}

#[test]
pub fn a_pause_is_in_the_status_and_no_event() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        let pid = w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -p a");
        w.await_status("a", |status| status.flags & PAUSED != 0);
        w.eventually("stopped", || state_of(pid) == 'T');
        w.out("s6-svstat a");
        w.out("s6-svstat -o paused,up a");
        w.run("s6-svc -c a");
        w.await_status("a", |status| status.flags & PAUSED == 0);
        w.eventually("going on", || state_of(pid) == 'S');
        w.note("events", events.rest());
    });
}

#[test]
pub fn d_works_on_a_stopped_service() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        let pid = w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -p a");
        w.eventually("stopped", || state_of(pid) == 'T');
        w.run("s6-svc -wD -T 30000 -d a");
        w.until(&mut events, 'D');
        w.status("a");
    });
}

#[test]
pub fn r_sends_no_cont() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        let pid = w.pid_of("a");
        let mut events = w.listen("a");
        w.send("a", "p");
        w.eventually("stopped", || state_of(pid) == 'T');
        w.send("a", "rO");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
        w.note("still stopped", state_of(pid));
        w.note("events", events.rest());
        w.send("a", "c");
        w.until(&mut events, 'D');
        w.status("a");
    });
}

#[test]
pub fn the_down_signal_is_what_the_file_says_at_that_time() {
    differ(|w| {
        w.with(&[("a", &[("run", CATCHER), ("down-signal", "SIGUSR1\n")])]);
        w.heard("it is");
        for (content, letter) in
            [("SIGUSR1\n", "r"), ("usr2", "r"), ("2\nrest", "r"), ("nonsense\n", "r"), ("", "r"), ("SIGUSR1", "r")]
        {
            std::fs::write(w.path("a/down-signal"), content).unwrap();
            w.run(&format!("s6-svc -{letter} a"));
            w.heard(&format!("{content:?}"));
        }
        w.run("s6-svc -d a");
        let mut heard = [w.hear(), w.hear()];
        heard.sort();
        w.note("d sends", heard.join(" "));
        w.await_status("a", |status| status.flags == 0);
    });
}

#[test]
pub fn core_dumps_count_as_their_signal() {
    differ(|w| {
        let run = "#!/bin/sh\nulimit -c 0\nkill -ABRT $$\n";
        w.with(&[("a", &[("run", run), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -o a");
        w.until(&mut events, 'D');
        w.tally("a");
        w.out("s6-svdt a");
        w.out("s6-svstat -o signal,signum,exitcode a");
    });
}
