//! What is a service: the scan.

use crate::compare::differ;
use crate::supervision::*;

/// Says its name.
const NAMED: &str = "#!/bin/sh\necho $1 >$SAID\nexec sleep 1000\n";

#[test]
pub fn what_is_no_directory_or_hidden_is_no_service() {
    differ(|w| {
        w.service(".hidden", &[("run", NAMED)]);
        std::fs::write(w.path("file"), "").unwrap();
        make_fifo(&w.path("fifo"));
        w.service("last", &[("run", NAMED)]);
        w.start();
        w.heard("service");
        w.settle();
        w.note("supervised", w.path(".hidden/supervise").exists());
        w.run("s6-svok .hidden");
        w.run("s6-svok file");
        let unheard = w.unheard();
        w.note("others", unheard);
    });
}

#[test]
pub fn an_empty_directory_gets_a_supervisor() {
    differ(|w| {
        w.service("a", &[]);
        let mut events = w.listen("a");
        w.start();
        w.until(&mut events, 's');
        w.run("s6-svok a");
    });
}

#[test]
pub fn two_links_to_one_directory_are_one_service() {
    differ(|w| {
        w.service(".real", &[("run", NAMED)]);
        for link in ["one", "two"] {
            std::os::unix::fs::symlink(".real", w.path(link)).unwrap();
        }
        w.start();
        let name = w.hear();
        w.note("its name is one of them", ["one", "two"].contains(&name.as_str()));
        w.settle();
        let unheard = w.unheard();
        w.note("others", unheard);
        for link in ["one", "two"] {
            w.run(&format!("s6-svok {link}"));
        }
        // With one gone it is still there.
        std::fs::remove_file(w.path(&name)).unwrap();
        w.run("s6-svscanctl -an .");
        w.settle();
        w.run("s6-svok .real");
        w.note("up", w.status_of(".real").pid > 0);
    });
}

#[test]
pub fn a_new_name_changes_nothing_until_the_supervisor_starts_anew() {
    differ(|w| {
        w.with(&[("a", &[("run", NAMED)])]);
        w.heard("name");
        let pid = w.pid_of("a");
        std::fs::rename(w.path("a"), w.path("b")).unwrap();
        w.run("s6-svscanctl -an .");
        w.settle();
        w.note("same process", w.status_of("b").pid == pid);
        let mut events = w.listen("b");
        w.run("s6-svc -xd b");
        w.until(&mut events, 'x');
        w.until(&mut events, 'u');
        w.heard("name");
    });
}

#[test]
pub fn what_is_removed_stays_until_it_is_told_to_go() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        let mut events = w.listen("a");
        w.hide("a");
        w.run("s6-svscanctl -n .");
        // Not together with the next order, or it would come after a scan.
        w.drained(".s6-svscan/control");
        w.settle();
        w.note("after -n", events.rest());
        w.run("s6-svok .a");
        w.run("s6-svscanctl -n .");
        w.until(&mut events, 'x');
        w.eventually("the end", || w.try_run("s6-svok .a") == 1);
        w.status(".a");
    });
}

#[test]
pub fn scan_and_kill_in_one_order_whichever_comes_first() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)]), ("b", &[("run", SLEEPER)]), ("c", &[("run", SLEEPER)])]);
        for (name, order) in [("a", "-na"), ("b", "-an"), ("c", "-h")] {
            let mut events = w.listen(name);
            w.hide(name);
            w.run(&format!("s6-svscanctl {order} ."));
            w.until(&mut events, 'x');
        }
    });
}

#[test]
pub fn what_is_put_back_is_supervised_again() {
    differ(|w| {
        w.with(&[("a", &[("run", NAMED)])]);
        w.heard("name");
        let mut events = w.listen("a");
        w.hide("a");
        w.run("s6-svscanctl -an .");
        w.until(&mut events, 'x');
        std::fs::rename(w.path(".a"), w.path("a")).unwrap();
        w.run("s6-svscanctl -a .");
        w.until(&mut events, 'u');
        w.heard("name");
    });
}

#[test]
pub fn what_is_put_back_while_it_ends_is_started_again_after_that() {
    let finish = "#!/bin/sh\necho finish >$SAID\nread go <go\n";
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "0"), ("go", FIFO)])]);
        let mut events = w.listen("a");
        w.hide("a");
        w.run("s6-svscanctl -an .");
        w.heard("there is");
        std::fs::rename(w.path(".a"), w.path("a")).unwrap();
        w.run("s6-svscanctl -a .");
        w.settle();
        w.push("a/go", "\n");
        w.until(&mut events, 'x');
        w.until(&mut events, 'u');
    });
}

#[test]
pub fn a_dangling_link_is_no_obstacle() {
    differ(|w| {
        std::os::unix::fs::symlink("nowhere", w.path("dangling")).unwrap();
        w.service("a", &[("run", NAMED)]);
        w.start();
        w.heard("first");
        std::os::unix::fs::symlink("nowhere", w.path("another")).unwrap();
        w.service("b", &[("run", NAMED)]);
        w.run("s6-svscanctl -a .");
        w.heard("second");
        w.note("link is there", w.path("dangling").symlink_metadata().is_ok());
        // When its target is there, it is a service.
        w.service("nowhere", &[("run", NAMED)]);
        w.run("s6-svscanctl -a .");
        let name = w.hear();
        w.note("third", ["nowhere", "dangling", "another"].contains(&name.as_str()));
    });
}

#[test]
pub fn signals_scan_too() {
    differ(|w| {
        w.start();
        w.service("alarm", &[("run", NAMED)]);
        w.signal("svscan", 14);
        w.heard("after SIGALRM");
        w.send("alarm", "o");
        w.eventually("o", || w.try_status("alarm").is_some_and(|status| status.pid > 0 && status.flags == 0));
        let mut events = w.listen("alarm");
        w.hide("alarm");
        w.service("hup", &[("run", NAMED)]);
        w.signal("svscan", 1);
        w.heard("after SIGHUP");
        w.until(&mut events, 'x');
    });
}

#[test]
pub fn with_a_timeout_it_scans_by_itself() {
    differ(|w| {
        w.start_by("exec \"$@\"", "-t 300");
        w.service("a", &[("run", NAMED)]);
        w.heard("periodic scan");
    });
}

#[test]
pub fn a_second_svscan_is_refused_and_so_is_a_bad_directory() {
    differ(|w| {
        w.start();
        w.daemon_fails("svscan .");
        w.daemon_fails("svscan ./nonexistent");
        w.daemon_fails("svscan -d 2 .");
        w.daemon_fails("svscan -d 77 .");
        w.daemon_fails("svscan -X 1 .");
        w.daemon_fails("svscan -X 77 .");
        w.daemon_fails("svscan -t nonsense .");
        w.daemon_fails("svscan -s .");
        for (name, what) in [("lock", "dir"), ("control", "dir")] {
            w.service(&format!(".{name}"), &[(&format!(".s6-svscan/{name}/x"), what)]);
            w.daemon_fails(&format!("svscan .{name}"));
        }
        w.service(".file", &[(".s6-svscan", "")]);
        w.daemon_fails("svscan .file");
        w.run("s6-svscanctl -a .");
    });
}

#[test]
pub fn the_directory_of_svscan_itself() {
    differ(|w| {
        w.start_by("umask 077; exec \"$@\"", "");
        w.layout(".s6-svscan");
        w.run("s6-svscanctl -z .");
        w.signal("svscan", 15);
        w.end("svscan");
        w.layout(".s6-svscan");
        w.run("s6-svscanctl -z .");
    });
}

#[test]
pub fn one_supervise_directory_has_one_supervisor_and_keeps_its_lock() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER)]);
        w.listen("a");
        w.start();
        w.pid_of("a");
        w.run("s6-svok a");
        // Another service with the same supervise directory: its supervisor opens the lock, and must let go of it.
        w.service("b", &[("run", NAMED)]);
        std::os::unix::fs::symlink("../a/supervise", w.path("b/supervise")).unwrap();
        w.run("s6-svscanctl -a .");
        w.eventually("complaint", || ["lock", "mkdir"].iter().any(|why| w.log().contains(why)));
        w.run("s6-svok a");
        w.run("s6-svc -d a");
        w.await_status("a", |status| status.pid == 0);
        let unheard = w.unheard();
        w.note("the other one", unheard);
    });
}
