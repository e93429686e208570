//! When things happen by themselves: restarts, `timeout-kill`, `timeout-finish`. Only lower bounds, and the difference
//! between "at once" and "a second later", the best of some tries.

use crate::compare::differ;
use crate::listener::Listener;
use crate::supervision::*;
use crate::world::*;
use std::time::{Duration, Instant};

/// Shorter than the second between two starts, longer than anything that is done at once. In nanoseconds, as stamps.
const SOON: u128 = 800_000_000;
const SECOND: u128 = 990_000_000;

const STUBBORN: &str = "#!/bin/sh\ntrap 'echo TERM >$SAID' TERM\necho up >$SAID\nwhile :; do sleep 1000 & wait; done\n";
/// Ends when it is told to.
const HELD: &str = "#!/bin/sh\nuntil read go <go; do :; done\nexit 0\n";

/// After an event `u`: time from the end of finish to this start, as the supervisor noted both.
fn pause_before(w: &World) -> u128 {
    let status = w.status_of("a");
    status.stamp - status.ready_stamp
}

#[test]
pub fn what_dies_at_once_is_started_a_second_later() {
    differ(|w| {
        w.with(&[("a", &[("run", HELD), ("go", FIFO), DOWN])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        events.until('u');
        for _ in 0..2 {
            let first = w.status_of("a").stamp;
            w.push("a/go", "\n");
            events.until('u');
            w.note("a second", w.status_of("a").stamp - first > SECOND);
        }
    });
}

#[test]
pub fn u_does_not_wait_for_the_second_to_pass() {
    differ(|w| {
        w.with(&[("a", &[("run", HELD), ("go", FIFO), DOWN])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        events.until('u');
        for order in ["u", "o"] {
            let again = |w: &mut World, events: &mut Listener| {
                w.push("a/go", "\n");
                events.until('D');
                w.send("a", order);
                events.until('u');
                pause_before(w)
            };
            let best = (0..3).map(|_| again(w, &mut events)).min().unwrap();
            w.note(order, best < SOON);
        }
    });
}

#[test]
pub fn a_service_that_has_been_ready_for_a_second_is_started_at_once() {
    differ(|w| {
        w.with(&[("a", &[("run", READY), NOTIFIES, DOWN])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        events.until('U');
        let again = |w: &mut World, events: &mut Listener| {
            std::thread::sleep(Duration::from_millis(1100));
            w.send("a", "k");
            events.until('u');
            // It may be ready already, which is about as soon.
            let status = w.status_of("a");
            events.until('U');
            status.stamp.saturating_sub(status.ready_stamp)
        };
        let best = (0..2).map(|_| again(w, &mut events)).min().unwrap();
        w.note("at once", best < SOON);
        // It has not been ready for a second now.
        let first = w.status_of("a").stamp;
        w.send("a", "k");
        events.until('u');
        w.note("a second", w.status_of("a").stamp - first > SECOND);
    });
}

#[test]
pub fn a_service_that_has_been_up_for_a_second_but_is_never_ready() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        let mut events = w.listen("a");
        let again = |w: &mut World, events: &mut Listener| {
            std::thread::sleep(Duration::from_millis(1100));
            w.send("a", "k");
            events.until('u');
            pause_before(w)
        };
        let best = (0..2).map(|_| again(w, &mut events)).min().unwrap();
        w.note("at once", best < SOON);
    });
}

#[test]
pub fn the_time_of_finish_and_the_second() {
    differ(|w| {
        let finish = "#!/bin/sh\nsleep 1.2\n";
        w.with(&[("a", &[("run", HELD), ("go", FIFO), ("finish", finish), DOWN])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        events.until('u');
        let again = |w: &mut World, events: &mut Listener| {
            w.push("a/go", "\n");
            events.until('u');
            pause_before(w)
        };
        let best = (0..2).map(|_| again(w, &mut events)).min().unwrap();
        w.note("at once after finish", best < SOON);
    });
}

#[test]
pub fn only_d_arms_the_kill() {
    differ(|w| {
        w.with(&[("a", &[("run", STUBBORN), ("timeout-kill", "300\n")])]);
        w.heard("it is");
        w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -r a");
        w.heard("r");
        w.note("anything after r", events.hears_within(Duration::from_millis(900)));
        let since = Instant::now();
        w.run("s6-svc -d a");
        w.until(&mut events, 'D');
        w.note("not too early", since.elapsed() > Duration::from_millis(290));
        w.out("s6-svstat -o signal,wantedup a");
    });
}

#[test]
pub fn without_timeout_kill_nobody_is_killed() {
    differ(|w| {
        w.with(&[("a", &[("run", STUBBORN)])]);
        w.heard("it is");
        w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -d a");
        w.heard("d");
        w.note("anything", events.hears_within(Duration::from_millis(600)));
        w.status("a");
        w.run("s6-svc -k a");
        w.until(&mut events, 'D');
        w.status("a");
    });
}

#[test]
pub fn a_finish_that_takes_too_long_is_killed() {
    differ(|w| {
        let finish = "#!/bin/sh\ntrap '' TERM\nexec sleep 1000\n";
        w.with(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "300")])]);
        w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -d a");
        w.until(&mut events, 'D');
        let status = w.status_of("a");
        w.note("not too early", status.ready_stamp - status.stamp > 290_000_000);
        w.status("a");
    });
}

#[test]
pub fn a_stopped_finish_is_killed_too() {
    differ(|w| {
        let finish = "#!/bin/sh\nkill -STOP $$\n";
        w.with(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "200")])]);
        w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -d a");
        w.until(&mut events, 'D');
    });
}

/// The machine gets two clocks; only one of them has to do with delays.
#[test]
pub fn a_jump_of_the_wall_clock_moves_no_deadline() {
    use linchpin::service::machine::{self, Event};
    use linchpin::text::tai::Stamp;
    use zerocopy::FromZeros;
    let deadline = |jump: i64| {
        let mut service = linchpin::state::Service::new_zeroed();
        let second = 1_000_000_000;
        let stamp = |at: u64| Stamp { sec: (0x4000_0000_6800_0000u64 + at).wrapping_add_signed(jump), nano: 0 };
        machine::begin(&mut service, true, 50 * second, stamp(50));
        machine::step(&mut service, Event::Timer, 50 * second, stamp(50));
        service.pid = 100;
        machine::step(&mut service, Event::Started, 50 * second, stamp(50));
        machine::step(&mut service, Event::Died(0), 50 * second + 1000, stamp(50 + 3600));
        machine::step(&mut service, Event::NoFinish, 50 * second + 1000, stamp(10));
        service.deadline
    };
    assert_eq!(deadline(0), 51_000_000_000);
    assert_eq!(deadline(86400), deadline(-86400));
}
