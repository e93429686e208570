//! One fault at each point at which supervision can be interrupted, in a life in which everything happens.

use crate::world::World;
use linchpin::sys::inject::{KINDS, POINTS};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The group of supervision.
const SUPERVISION: usize = 1;

/// Points that are passed only when something was interrupted before.
const SECOND: &[&str] = &["redo.put_back", "pick_up"];
/// Points that only process 1 passes.
const ELSEWHERE: &[&str] =
    &["job.fork.before", "job.fork.after", "script.asked", "script.started", "script.ended", "script.over"];

/// What is open when nothing was interrupted.
fn undisturbed() -> &'static BTreeMap<String, usize> {
    static OPEN: OnceLock<BTreeMap<String, usize>> = OnceLock::new();
    OPEN.get_or_init(|| {
        let mut world = World::new("");
        world.live();
        world.check();
        let open = world.open();
        world.stop();
        assert_eq!(world.faults(), 0);
        open
    })
}

/// Lives with this said of faults; so many must come to pass.
fn live_with(faults: &str, count: usize) {
    eprintln!("LINCHPIN_FAULTS={faults}");
    let mut world = World::new(faults);
    world.live();
    world.check();
    assert_eq!(world.open(), *undisturbed(), "what is open: {}", world.svscan.log());
    world.stop();
    assert!(world.faults() >= count, "{} faults: {}", world.faults(), world.svscan.log());
}

/// Every point whose name begins so, at each of these passages, each in another way. A point may not be passed so often.
fn interrupted_at(prefix: &str, passages: &[usize]) {
    let all = POINTS[SUPERVISION].iter().enumerate();
    let points: Vec<_> = all.filter(|(_, name)| name.starts_with(prefix) && !ELSEWHERE.contains(name)).collect();
    assert!(!points.is_empty());
    for (number, name) in points {
        for (at, nth) in passages.iter().enumerate() {
            let kind = KINDS[(number + at) % KINDS.len()].0;
            if SECOND.contains(name) {
                live_with(&format!("drive.done:{nth},{name}:1:{kind}"), 2);
            } else {
                live_with(&format!("{name}:{nth}:{kind}"), usize::from(*nth == 1));
            }
        }
    }
}

macro_rules! points {
    ($($test:ident: $prefix:literal,)*) => {
        /// Prefixes that a test has.
        const PREFIXES: &[&str] = &[$($prefix),*];
        $(#[test]
        fn $test() {
            interrupted_at($prefix, &[1, 2, 5]);
        })*
    };
}

points! {
    an_event_that_is_interrupted_is_done_again: "drive.",
    what_is_done_again_may_be_interrupted_too: "redo.",
    looking_at_the_records_on_entry_may_be_interrupted_too: "pick_up",
    a_start_that_is_interrupted_happens_once: "start.",
    a_child_that_was_begun_is_neither_lost_nor_begun_twice: "spawn.",
    a_ready_service_stays_so: "readiness.",
    a_death_is_taken_once: "death.",
    a_job_is_started_once: "job.",
    what_was_read_is_acted_on: "inbox.",
    what_the_world_is_owed_it_is_told: "news.",
    what_a_service_waits_for_is_shown_only_while_it_waits: "waiting.",
    a_record_that_was_being_made_is_made: "create.",
    a_service_and_its_logger_are_joined_or_not: "join.",
    a_record_that_was_to_go_goes: "release.",
    a_supervisor_that_was_about_to_begin_begins: "supervise.",
    a_supervisor_that_could_not_open_all_opens_it_again: "begin.",
    a_supervisor_that_was_over_is_followed_by_another: "gone.",
    a_scan_that_is_interrupted_is_done_again: "scan.",
    a_new_name_is_that_of_both: "rename.",
    a_stop_goes_on: "stop.",
    the_order_of_a_stop_is_found_again: "order.",
}

#[test]
fn every_point_has_a_test() {
    for name in POINTS[SUPERVISION] {
        let tested = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        assert!(tested || ELSEWHERE.contains(name), "{name}");
    }
}
