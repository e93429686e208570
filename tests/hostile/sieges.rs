//! Each attack, by several clients at a time: an honest client does not wait for longer, services that are killed come back
//! at once, nothing that was held is lost, and no descriptor is left behind.

use crate::attacks::{ALL, Attack, Attacker};
use crate::honest::{Waited, measure};
use crate::world::World;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Attackers at a time: more than there are processors, most of which wait.
const ATTACKERS: usize = 3;

/// Lets clients attack while `meanwhile` runs; answers what that answers, and how much they did.
pub fn under_attack<T>(path: &Path, attack: Attack, meanwhile: impl FnOnce() -> T) -> (T, u64) {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let result = std::thread::scope(|scope| {
        for number in 0..ATTACKERS {
            let (stop, done) = (&stop, &done);
            scope.spawn(move || (attack.1)(&Attacker { path, stop, done, number }));
        }
        // Should something fail here, the others must end, too.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        stop.store(true, Relaxed);
        result
    });
    (result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), done.into_inner())
}

/// The tests: attack after attack on the same process.
fn besiege(attacks: &[Attack]) {
    let world = World::new();
    for attack in attacks {
        let mut all: Vec<Waited> = Vec::new();
        // A busy machine may make anybody wait. Whoever waits every time waits for the store.
        for _ in 0..4 {
            let ((waited, back), done) = under_attack(&world.socket(), *attack, || {
                let waited = measure(&world.socket(), world.svscan.pid(), Duration::from_millis(700));
                (waited, world.kill_services())
            });
            assert!(done > 10, "{}: hardly an attack: {done}", attack.0);
            println!("{}: {done} times; {waited:?}; services back after {back:?}", attack.0);
            world.check();
            all.push(waited);
            if !waited.too_long() {
                break;
            }
        }
        let last = all.last().unwrap();
        assert!(!last.too_long(), "{}: {all:?}", attack.0);
    }
    let log = world.svscan.log();
    assert!(log.lines().count() < 300, "the log was flooded:\n{log}");
}

#[test]
fn nobody_waits_and_nothing_is_lost_whatever_is_sent() {
    besiege(&ALL[..4]);
}

#[test]
fn nobody_waits_and_nothing_is_lost_whoever_is_slow_or_many() {
    besiege(&ALL[4..8]);
}

#[test]
fn nobody_waits_and_nothing_is_lost_whatever_is_named_pinned_or_dumped() {
    besiege(&ALL[8..]);
}
