//! Faults at any instruction: a signal that makes the process fail where it is, at random moments under load.

use crate::points::connection;
use crate::store::Store;
use linchpin::sys::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// So many connections are made, with all that a client can ask.
const CONNECTIONS: usize = 40;

#[test]
fn clients_notice_nothing_of_faults_at_any_instruction() {
    let mut seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    if let Some(given) = std::env::var("LINCHPIN_SEED").ok().and_then(|given| given.parse().ok()) {
        seed = given;
    }
    eprintln!("LINCHPIN_SEED={seed}");
    let store = Store::start_to_fail("-");
    let before = crate::points::open_at_rest(&store);
    let (pid, over) = (store.process.id() as i32, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                std::thread::sleep(Duration::from_micros(20_000 + seed % 100_000));
                let _ = process::kill(pid, libc::SIGTRAP);
            }
        });
        let _over = Over(&over);
        for _ in 0..CONNECTIONS {
            connection(&store);
        }
    });
    let faults = store.log().matches("which is survived").count();
    eprintln!("{faults} faults");
    assert!(faults > 5, "{}", store.log());
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while store.descriptors() != before {
        assert!(std::time::Instant::now() < until, "{} instead of {before}: {}", store.descriptors(), store.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the faults, also if the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
