//! Modes of what the daemons make, and what they make where something is already.

use crate::compare::differ;
use crate::supervision::*;

#[test]
pub fn the_umask_counts_only_for_status_and_tally() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER), ("log/run", "#!/bin/sh\nexec cat\n")]);
        w.start_by("umask 077; exec \"$@\"", "");
        w.pid_of("a");
        w.pid_of("a/log");
        w.layout("a/supervise");
        w.layout("a/event");
        w.layout("a/log/supervise");
        w.layout("a/log/event");
        w.ok("s6-svc -D a");
        w.await_status("a", |status| status.pid == 0);
        w.layout("a/down");
    });
}

#[test]
pub fn the_umask_of_services_is_that_of_svscan() {
    differ(|w| {
        w.service("a", &[("run", "#!/bin/sh\numask >$SAID\nexec sleep 1000\n")]);
        w.start_by("umask 027; exec \"$@\"", "");
        w.heard("umask");
    });
}

#[test]
pub fn without_a_umask_nothing_is_open_to_everybody_that_should_not_be() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER)]);
        w.start_by("umask 0; exec \"$@\"", "");
        w.pid_of("a");
        w.layout("a/supervise");
        w.layout("a/event");
        w.layout(".s6-svscan");
    });
}

#[test]
pub fn links_to_nowhere_get_their_directories() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER)]);
        for name in ["supervise", "event"] {
            std::os::unix::fs::symlink(w.base(name), w.path("a").join(name)).unwrap();
        }
        w.start_by("umask 077; exec \"$@\"", "");
        w.pid_of("a");
        w.layout("../supervise");
        w.layout("../event");
        w.layout("a/supervise");
        w.run("s6-svok a");
        // And they are good for the next supervisor.
        let mut events = w.listen("a");
        w.run("s6-svc -xd a");
        w.until(&mut events, 'x');
        let mut started = false;
        w.eventually("the next", || {
            started = events.rest().contains('u');
            started || w.log().contains("unable to mkdir")
        });
        w.note("the next supervisor can use them", started);
    });
}

#[test]
pub fn an_event_directory_keeps_its_mode() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER)]);
        std::fs::create_dir(w.path("a/event")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o1733);
        std::fs::set_permissions(w.path("a/event"), mode).unwrap();
        w.start();
        w.pid_of("a");
        w.layout("a/event");
    });
}

#[test]
pub fn files_in_place_of_the_directories_keep_the_supervisor_from_starting() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER), ("supervise", "")]);
        w.service("b", &[("run", SLEEPER), ("event", "")]);
        w.service("c", &[("run", SLEEPER), ("supervise/control", "")]);
        w.service("d", &[("run", SLEEPER)]);
        w.start();
        w.pid_of("d");
        w.settle();
        for name in ["a", "b", "c"] {
            w.note(name, w.try_run(&format!("s6-svok {name}")) == 0);
        }
        // What was in the way is removed.
        std::fs::remove_file(w.path("a/supervise")).unwrap();
        w.pid_of("a");
    });
}

#[test]
pub fn what_a_supervisor_left_the_next_one_uses() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        std::fs::write(w.path("a/supervise/status.new"), "rubbish").unwrap();
        std::fs::write(w.path("a/supervise/death_tally"), "rubbish").unwrap();
        let mut events = w.listen("a");
        w.run("s6-svc -xd a");
        w.until(&mut events, 'x');
        w.until(&mut events, 'u');
        w.layout("a/supervise");
    });
}
