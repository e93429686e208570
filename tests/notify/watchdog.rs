//! Services that are to say that they are alive, and do not.

use crate::service::Talking;
use crate::supervision::*;
use std::time::Duration;

const SIGABRT: u16 = 6;
const SIGKILL: u16 = 9;
const SIGTERM: i32 = 15;

#[test]
fn a_service_that_does_not_say_that_it_is_alive_is_aborted_and_started_again() {
    let talking = Talking::new("watchdog=200ms");
    let web = talking.next();
    web.send_last(b"READY=1");
    let again = talking.next();
    eventually(|| talking.status("web").pid == again.pid);
    assert_eq!(talking.status("web").wstat & 0x7f, SIGABRT);
    talking.until_log(&format!("service web (pid {}) did not say in time that it is alive: aborted", web.pid));
    assert_eq!(talking.deaths("web").len(), 1);
}

#[test]
fn nobody_waits_for_a_service_that_is_not_ready_yet_but_for_one_that_has_said_it_once() {
    let talking = Talking::new("watchdog=200ms");
    let web = talking.next();
    std::thread::sleep(Duration::from_millis(600));
    assert!(talking.deaths("web").is_empty());
    web.send_last(b"WATCHDOG=1");
    let _again = talking.next();
    eventually(|| talking.deaths("web").len() == 1);
}

#[test]
fn a_service_that_says_it_lives_on() {
    let talking = Talking::new("watchdog=4000");
    let web = talking.next();
    web.say("READY=1");
    let written = std::fs::metadata(talking.path("web/supervise/status")).unwrap().modified().unwrap();
    for _ in 0..60 {
        std::thread::sleep(Duration::from_millis(100));
        web.say("WATCHDOG=1");
    }
    assert_eq!(talking.status("web").pid, web.pid);
    let now = std::fs::metadata(talking.path("web/supervise/status")).unwrap().modified().unwrap();
    assert_eq!(written, now, "nothing is written for it");
    assert!(!talking.path("web/supervise/waiting").exists());
}

#[test]
fn one_that_cannot_be_aborted_is_killed() {
    let talking = Talking::with("watchdog=200ms", &[("timeout-kill", "200")], &[]);
    let web = talking.next();
    web.ignore(SIGABRT.into());
    web.send_last(b"READY=1");
    let again = talking.next();
    eventually(|| talking.status("web").pid == again.pid);
    assert_eq!(talking.status("web").wstat & 0x7f, SIGKILL);
    talking.until_log(&format!("service web (pid {}) did not end in time: killed", web.pid));
}

#[test]
fn a_service_that_says_that_something_is_wrong_with_it_is_aborted_at_once_watchdog_or_not() {
    let talking = Talking::new("");
    let web = talking.next();
    web.send_last(b"WATCHDOG=trigger");
    let again = talking.next();
    eventually(|| talking.status("web").pid == again.pid);
    assert_eq!(talking.status("web").wstat & 0x7f, SIGABRT);
    talking.until_log(&format!("service web (pid {}) says that something is wrong with it: aborted", web.pid));
}

#[test]
fn a_service_may_give_itself_another_time() {
    let talking = Talking::new("watchdog=1h");
    // An hour is no unit: the file is not valid, and there is none.
    talking.until_log("what its notify-socket says is not valid");
    let web = talking.next();
    web.say("READY=1\nWATCHDOG_USEC=0");
    web.say("WATCHDOG=1");
    web.send_last(b"WATCHDOG_USEC=200000");
    let again = talking.next();
    eventually(|| talking.status("web").pid == again.pid);
    assert_eq!(talking.status("web").wstat & 0x7f, SIGABRT);
    assert!(!again.env.contains_key("WATCHDOG_USEC"), "the next has what the file says");
}

#[test]
fn a_service_that_is_on_its_way_down_may_ask_for_time() {
    let talking = Talking::with("", &[("timeout-kill", "20000")], &[]);
    let web = talking.next();
    web.ignore(SIGTERM);
    talking.ok("s6-svc -d web");
    eventually(|| talking.path("web/supervise/waiting").exists());
    let deadline = || {
        let text = std::fs::read_to_string(talking.path("web/supervise/waiting")).unwrap();
        text.trim_end().strip_prefix("kill ").unwrap().parse::<u64>().unwrap()
    };
    let before = deadline();
    web.say("EXTEND_TIMEOUT_USEC=1000");
    assert_eq!(deadline(), before, "it never gets less");
    web.say("EXTEND_TIMEOUT_USEC=3600000000");
    assert!(deadline() > before + 3000 * linchpin::sys::time::SECOND);
    let shown = talking.shown();
    assert!(["60", "59", "58"].iter().any(|left| shown == format!("wanted down; killed in {left} min")), "{shown}");
    web.kill(9);
}
