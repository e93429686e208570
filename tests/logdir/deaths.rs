//! A logger that is killed, at every step there is, and again while it recovers: every line that was written is there, once.

use crate::house::*;
use crate::tmp::TempDir;
use linchpin::logd::dir::{Interpreter, Settings};
use linchpin::sys::inject;
use linchpin::sys::process::{fork_with, wait_for};
use std::collections::BTreeSet;
use std::path::Path;

/// Adds up the lines that it has processed.
const PROCESSOR: &str = "tee count; read n <&4; echo $((${n:-0} + $(wc -l <count))) >&5";

/// What loggers are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Way {
    processed: bool,
    durable: bool,
    /// Archives are trimmed.
    few: bool,
}

fn ways() -> Vec<Way> {
    let bools = [false, true];
    let ways = bools.into_iter().flat_map(|processed| bools.map(|durable| (processed, durable)));
    ways.flat_map(|(processed, durable)| bools.map(|few| Way { processed, durable, few })).collect()
}

/// A logger of the lines from `from` on and before `to`, in a process of its own. Whether it got through.
fn run(dir: &TempDir, way: Way, fault: &str, from: usize, to: usize) -> bool {
    let settings = Settings {
        size: 4096,
        tolerance: 0,
        archives: if way.few { 2 } else { 1000 },
        processor: way.processed.then(|| (Interpreter::Shell, leak(PROCESSOR))),
        gather_size: u32::from(way.durable),
        ..settings(dir)
    };
    let mut work = || {
        inject::configure(fault.as_bytes(), 0);
        let done = std::panic::catch_unwind(|| {
            let mut house = House::open(settings);
            for number in from..to {
                house.say(&line(number), SECOND);
                if number % 7 == 0 {
                    house.settle(SECOND);
                }
            }
            house.settle(SECOND);
            house.finish();
        });
        if done.is_ok() { 0 } else { 101 }
    };
    let death = wait_for(fork_with(&mut work).unwrap()).unwrap();
    assert!(death.wstat == 0 || death.wstat == libc::SIGKILL as u32, "{fault}: {death:?}");
    death.wstat == 0
}

fn line(number: usize) -> String {
    format!("{number:0500}")
}

/// Checks that what is there is one unbroken row of lines from `first` on (or from any, where archives go); answers which
/// line comes next.
fn next_line(dir: &Path, first: Option<usize>, what: &str) -> usize {
    if !dir.exists() {
        return first.unwrap_or(0);
    }
    // A log that was not recovered yet: `processed` and `previous` are the same lines.
    let complete = dir.join("processed").exists() && mode(&dir.join("processed")) & 0o100 != 0;
    let between = if complete { "processed" } else { "previous" };
    let files = archives(dir).into_iter().chain([between.to_owned(), "current".to_owned()]);
    let linked = |name: &str| {
        use std::os::unix::fs::MetadataExt;
        // An archive already, whose other name was not taken away yet.
        !name.starts_with('@') && std::fs::metadata(dir.join(name)).is_ok_and(|about| about.nlink() > 1)
    };
    let text: String = files.filter(|name| !linked(name)).map(|name| crate::beside::content(&dir.join(name))).collect();
    let numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    let first = first.unwrap_or(numbers.first().copied().unwrap_or(0));
    assert!(numbers.iter().copied().eq(first..first + numbers.len()), "{what}: {numbers:?}");
    first + numbers.len()
}

fn unclean(dir: &Path) -> usize {
    if dir.exists() { archives(dir).iter().filter(|name| name.ends_with(".u")).count() } else { 0 }
}

fn points() -> impl Iterator<Item = &'static str> {
    inject::POINTS.iter().flat_map(|group| group.iter().copied()).filter(|name| name.starts_with("log."))
}

#[test]
fn a_logger_that_is_killed_at_any_step_has_lost_nothing_and_doubled_nothing() {
    const LINES: usize = 30;
    let mut reached = BTreeSet::new();
    for way in ways() {
        for point in points() {
            for nth in [1, 3] {
                let dir = TempDir::in_memory();
                let d = dir.path().join("d");
                let fault = format!("{point}:{nth}:kill");
                let what = format!("{fault} {way:?}");
                if run(&dir, way, &fault, 0, LINES) {
                    break; // it does not come there so often
                }
                reached.insert(point);
                let first = (!way.few).then_some(0);
                let next = next_line(&d, first, &what);
                assert!(run(&dir, way, "", next, LINES + 10), "{what}");
                assert_eq!(next_line(&d, first, &what), LINES + 10, "{what}");
                // One of the interrupted rotation; and, where lines are written during one, one of the new log.
                assert!(unclean(&d) <= if way.durable && way.processed { 2 } else { 1 }, "{what}");
                assert_eq!(mode(&d.join("current")), 0o744);
                let left: Vec<String> = names(&d).into_iter().filter(|name| !name.starts_with('@')).collect();
                let expected =
                    ["count", "current", "lock", "state"].into_iter().filter(|name| *name != "count" || way.processed);
                assert!(left.iter().eq(expected), "{what}: {left:?}");
            }
        }
    }
    let never: Vec<_> = points().filter(|point| !reached.contains(point)).collect();
    assert_eq!(never, ["log.previous.removed"], "never reached: this one is for those that recover");
}

#[test]
fn a_logger_that_is_killed_while_it_recovers_has_lost_nothing_either() {
    const LINES: usize = 30;
    let recovering = [
        "log.locked",
        "log.state.removed",
        "log.newstate.removed",
        "log.previous.removed",
        "log.link",
        "log.linked",
        "log.unlinked",
        "log.archived",
        "log.recovered",
        "log.state.made",
        "log.current.made",
        "log.opened",
    ];
    let mut deaths = BTreeSet::new();
    for way in ways().into_iter().filter(|way| !way.few && !way.durable) {
        'points: for first in points() {
            for second in recovering {
                for nth in [1, 2] {
                    let dir = TempDir::in_memory();
                    let d = dir.path().join("d");
                    let what = format!("{first}, {second}:{nth} {way:?}");
                    if run(&dir, way, &format!("{first}:2:kill"), 0, LINES) {
                        continue 'points;
                    }
                    let next = next_line(&d, Some(0), &what);
                    let killed = !run(&dir, way, &format!("{second}:{nth}:kill"), next, next);
                    assert_eq!(next_line(&d, Some(0), &what), next, "{what}");
                    assert!(run(&dir, way, "", next, LINES), "{what}");
                    assert_eq!(next_line(&d, Some(0), &what), LINES, "{what}");
                    assert!(unclean(&d) <= 1 + usize::from(killed), "{what}: {:?}", look(&d));
                    if killed {
                        deaths.insert((first, second));
                    }
                }
            }
        }
    }
    let died_at: BTreeSet<_> = deaths.iter().map(|(_, second)| *second).collect();
    assert_eq!((died_at, deaths.len() > 200), (recovering.into(), true));
}
