//! Calls that fail, one at a time: it is said, tried again when it is time, and nothing is lost or written twice.

use crate::beside::content;
use crate::house::*;
use crate::tmp::TempDir;
use linchpin::logd::dir::{Interpreter, Settings};
use linchpin::sys::inject;

const PROCESSOR: &str = "cat; cat <&4 >&5; echo x >&5";

fn house(dir: &TempDir, processed: bool, durable: bool) -> House {
    let processor = processed.then(|| (Interpreter::Shell, leak(PROCESSOR)));
    let gather_size = u32::from(durable);
    House::open(Settings { processor, gather_size, size: 4096, tolerance: 0, archives: 3, ..settings(dir) })
}

#[test]
fn whatever_fails_once_is_tried_again_after_the_retry_time_and_not_before() {
    let errors: &[(&str, &str)] = &[
        ("log.write", "e5"),
        ("log.write", "e28"),
        ("log.sync", "e5"),
        ("log.rename", "e30"),
        ("log.create", "e24"),
        ("log.mark", "e1"),
        ("log.names", "e5"),
        ("log.link", "e28"),
        ("log.spawn", "e11"),
        ("log.output", "e5"),
        ("log.drop", "e30"),
    ];
    for (processed, durable) in [(false, false), (true, false), (false, true), (true, true)] {
        for (point, error) in errors {
            let dir = TempDir::in_memory();
            let d = dir.path().join("d");
            let mut house = house(&dir, processed, durable);
            inject::configure(format!("{point}:2:{error}").as_bytes(), 0);
            let mut now = 1000 * SECOND;
            let mut waits = 0;
            for number in 0..12 {
                house.say(&format!("{number:01500}"), now);
                while !house.log.is_idle() {
                    match house.log.deadline() {
                        None => house.child_ends(now),
                        Some(at) => {
                            assert_eq!(at, now + 2 * SECOND, "{point} {error}");
                            let before = look(&d);
                            house.flush(at - 1);
                            assert_eq!(look(&d), before);
                            (now, waits) = (at, waits + 1);
                            house.flush(now);
                        }
                    }
                }
            }
            let happens = match *point {
                "log.names" => durable,
                "log.spawn" | "log.output" | "log.drop" => processed,
                _ => true,
            };
            assert_eq!((waits, inject::is_over()), (i32::from(happens), happens), "{point} {processed} {durable}");
            let expected: Vec<String> = (0..12).map(|number| format!("{number:01500}")).collect();
            assert_eq!(lines(&d), expected[3..], "{point}");
            house.finish();
        }
    }
}

#[test]
fn an_archive_that_cannot_be_removed_is_no_obstacle() {
    let dir = TempDir::new();
    let mut house = house(&dir, false, false);
    inject::configure(b"log.trim:1:e30", 0);
    for _ in 0..12 {
        house.say(&"x".repeat(4095), SECOND);
        assert!(house.log.is_idle());
    }
    assert!(inject::is_over());
    assert_eq!(sizes(&dir.path().join("d")), [4096; 3]);
}

#[test]
fn where_there_are_no_second_names_an_archive_is_renamed() {
    let dir = TempDir::new();
    let mut house = house(&dir, false, false);
    inject::configure(b"log.link:1:e1", 0);
    house.say(&"x".repeat(4095), SECOND);
    assert!(inject::is_over() && house.log.is_idle());
    let names = names(&dir.path().join("d"));
    assert_eq!((names.len(), names[1].as_str()), (4, "current"), "{names:?}");
    assert_eq!(look(&dir.path().join("d"))[0].mode, 0o744);
}

#[test]
fn a_name_that_is_taken_is_not_used() {
    let dir = TempDir::new();
    let mut house = house(&dir, false, false);
    inject::configure(b"log.link:1:e17", 0);
    house.say(&"x".repeat(4095), SECOND);
    assert!(inject::is_over() && house.log.is_idle());
    assert_eq!(sizes(&dir.path().join("d")), [4096]);
}

#[test]
fn a_log_that_cannot_be_closed_cleanly_is_tried_again() {
    let dir = TempDir::new();
    let mut house = house(&dir, false, false);
    house.say("x", SECOND);
    inject::configure(b"log.finish:1:e5", 0);
    assert!(!with_report(|report| house.log.finish(report)));
    assert_eq!(mode(&dir.path().join("d/current")), 0o644);
    house.finish();
    assert_eq!(mode(&dir.path().join("d/current")), 0o744);
    house.finish();
    assert_eq!(content(&dir.path().join("d/current")), "x\n");
}
