//! Lines that are gathered in memory, and the age of a log: nothing is written before its time, everything is at it.

use crate::beside::content;
use crate::house::*;
use crate::tmp::TempDir;
use linchpin::logd::dir::{Interpreter, Settings};

fn gather(dir: &TempDir, time: u64, size: u32) -> Settings {
    Settings { gather_time: time, gather_size: size, size: 4096, tolerance: 0, ..settings(dir) }
}

#[test]
fn a_line_waits_for_others_until_its_time_has_come() {
    let dir = TempDir::new();
    let mut house = House::open(gather(&dir, 5 * SECOND, 0));
    let current = dir.path().join("d/current");
    house.say("a", 100 * SECOND);
    house.say("b", 102 * SECOND);
    assert_eq!(house.log.deadline(), Some(105 * SECOND));
    assert!(!house.log.is_idle() && !house.log.lags(104 * SECOND));
    house.flush(105 * SECOND - 1);
    assert_eq!(content(&current), "");
    house.flush(105 * SECOND);
    assert_eq!(content(&current), "a\nb\n");
    assert_eq!((house.log.deadline(), house.log.is_idle()), (None, true));
    // The time counts from the first that waits, not from the last write.
    house.say("c", 106 * SECOND);
    assert_eq!(house.log.deadline(), Some(111 * SECOND));
}

#[test]
fn so_many_bytes_do_not_wait() {
    let dir = TempDir::new();
    let mut house = House::open(gather(&dir, 3600 * SECOND, 10));
    let current = dir.path().join("d/current");
    house.say("12345678", 0); // nine, with the newline
    assert_eq!(content(&current), "");
    house.say("", 1);
    assert_eq!(content(&current), "12345678\n\n");
    assert!(house.log.is_idle());
}

#[test]
fn without_a_size_as_many_bytes_wait_as_are_read_at_once() {
    let dir = TempDir::new();
    let mut house = House::open(Settings { size: 99_999, ..gather(&dir, SECOND, 0) });
    let current = dir.path().join("d/current");
    house.say(&"x".repeat(8189), 0);
    assert_eq!(content(&current).len(), 0);
    house.say("", 0);
    assert_eq!(content(&current).len(), 8191);
}

#[test]
fn archives_are_the_same_as_if_nothing_were_gathered() {
    let dirs = [TempDir::new(), TempDir::new()];
    let mut houses = [House::open(gather(&dirs[0], 9 * SECOND, 1 << 20)), House::open(gather(&dirs[1], 0, 0))];
    for house in &mut houses {
        for number in 0..300 {
            house.push(&format!("{number:0100}"), number);
            if house.log.fills() {
                house.flush(number);
            }
        }
        house.log.hurry();
        house.settle(300);
        house.finish();
    }
    let [gathered, plain] = dirs.each_ref().map(|dir| look(&dir.path().join("d")));
    assert_eq!(gathered, plain);
    assert_eq!(sizes(&dirs[0].path().join("d")), [4141; 7]);
}

#[test]
fn at_the_end_nothing_waits() {
    let dir = TempDir::new();
    let mut house = House::open(gather(&dir, 3600 * SECOND, 0));
    house.say("a", 0);
    house.log.hurry();
    house.flush(1);
    assert!(house.log.is_idle());
    house.say("b", 2);
    assert_eq!(content(&dir.path().join("d/current")), "a\nb\n");
    house.finish();
}

#[test]
fn an_alarm_writes_what_waits_and_rotates() {
    let dir = TempDir::new();
    let mut house = House::open(gather(&dir, 3600 * SECOND, 0));
    house.say("a", 0);
    house.alarm(1);
    house.alarm(1);
    let there = look(&dir.path().join("d"));
    assert_eq!(there[0], found("@.s", 0o744, "a\n"));
    assert_eq!((there.len(), there[1].content.as_str()), (4, ""));
}

/// In s6 lines wait while a processor runs. Those that must not wait for long do not.
#[test]
fn while_a_processor_runs_what_has_been_gathered_is_written_when_its_time_has_come() {
    let dir = TempDir::new();
    let processor = Some((Interpreter::Shell, leak("cat; cat <go >/dev/null")));
    let mut house = House::open(Settings { processor, ..gather(&dir, SECOND, 0) });
    let d = dir.path().join("d");
    linchpin::sys::entry::make_fifo(linchpin::sys::Fd::CWD, leak(d.join("go").to_str().unwrap()), 0o600).unwrap();
    house.say(&"x".repeat(4095), 0);
    assert_eq!((house.log.deadline(), house.log.is_idle()), (None, false));
    house.say("later", SECOND);
    assert_eq!((house.log.deadline(), content(&d.join("current"))), (Some(2 * SECOND), String::new()));
    house.flush(2 * SECOND);
    assert_eq!(content(&d.join("current")), "later\n");
    // As much as fits; what does not waits for the end of the rotation.
    house.say(&"y".repeat(4095), 3 * SECOND);
    house.say("last", 3 * SECOND);
    assert_eq!((house.log.deadline(), content(&d.join("current")).len()), (None, 6 + 4096));
    std::fs::write(d.join("go"), "").unwrap();
    house.child_ends(4 * SECOND);
    assert!(!house.log.is_idle());
    std::fs::write(d.join("go"), "").unwrap();
    house.settle(4 * SECOND);
    assert_eq!(sizes(&d), [4096, 6 + 4096]);
    assert_eq!(content(&d.join("current")), "last\n");
}

#[test]
fn a_log_is_rotated_when_it_is_as_old_as_it_may_be() {
    let dir = TempDir::new();
    let d = dir.path().join("d");
    let start = linchpin::sys::time::boot();
    let mut house = House::open(Settings { age: 10 * SECOND, ..settings(&dir) });
    // An empty one is not, and is no reason to wake up.
    assert_eq!(house.log.deadline(), None);
    house.flush(start + 15 * SECOND);
    assert!(archives(&d).is_empty());
    // A timer of ten seconds would have run down at 10, 20 and 30 (and what it took to open the logdir).
    house.say("a", start + 25 * SECOND);
    let at = house.log.deadline().unwrap();
    assert!((start + 30 * SECOND..start + 35 * SECOND).contains(&at), "{start} {at}");
    house.flush(at - 1);
    assert!(archives(&d).is_empty());
    house.flush(at);
    assert_eq!((sizes(&d), content(&d.join("current"))), (vec![2], String::new()));
    assert_eq!(house.log.deadline(), None);
    // What another rotation has begun is young.
    house.say("b", at + 5 * SECOND);
    house.alarm(at + 6 * SECOND);
    house.say("c", at + 7 * SECOND);
    assert_eq!(house.log.deadline(), Some(at + 16 * SECOND));
}

#[test]
fn what_is_gathered_when_the_log_is_old_is_in_its_archive() {
    let dir = TempDir::new();
    let start = linchpin::sys::time::boot();
    let mut house = House::open(Settings { age: 10 * SECOND, ..gather(&dir, 3600 * SECOND, 0) });
    house.say("a", start);
    let at = house.log.deadline().unwrap();
    assert!(at < start + 20 * SECOND);
    house.flush(at);
    assert_eq!(look(&dir.path().join("d"))[0], found("@.s", 0o744, "a\n"));
    assert!(house.log.is_idle());
}
