//! A thousand services in one scan directory: all of them start, all of them stop, and nothing is left.

#[path = "svscan/scandir.rs"]
#[allow(dead_code)] // other tests use the rest
mod scandir;
#[path = "common/supervision.rs"]
#[allow(dead_code)] // other tests use the rest
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "common/tmp.rs"]
mod tmp;

use scandir::*;
use std::time::{Duration, Instant};

const SERVICES: usize = 1000;
/// A second or two on an idle machine; this is for one that has other things to do.
const LIMIT: Duration = Duration::from_secs(90);

/// Asks until the answer is yes; says how long that took.
fn took(what: &str, begin: Instant, svscan: &Svscan, mut done: impl FnMut() -> bool) {
    while !done() {
        assert!(begin.elapsed() < LIMIT, "{what}: not within {LIMIT:?}; {}", svscan.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("{what}: {:?}", begin.elapsed());
}

fn all_up(svscan: &Svscan, names: &[String]) -> impl FnMut() -> bool {
    let mut waiting: Vec<_> = names.to_vec();
    move || {
        // Every other one says when it is ready.
        let is_up = |name: &String| {
            let ready = name.ends_with(['1', '3', '5', '7', '9']);
            svscan.try_status(name).is_some_and(|status| status.is_up() && (status.ready || !ready))
        };
        waiting.retain(|name| !is_up(name));
        waiting.is_empty()
    }
}

#[test]
fn a_thousand_services_start_and_stop_and_leave_nothing() {
    let names: Vec<_> = (0..SERVICES).map(|n| format!("service-{n:03}")).collect();
    let mut svscan = ScanDir::in_memory(&[]).start("-C 1000");
    svscan.settle();
    let before = svscan.fds();
    for (n, name) in names.iter().enumerate() {
        let files: &[(&str, &str)] = if n % 2 == 0 { &[("run", SLEEPER)] } else { &[("run", READY), NOTIFIES] };
        make_service(&svscan.path(name), files);
    }

    let begin = Instant::now();
    svscan.ok("s6-svscanctl -a .");
    took("all are up", begin, &svscan, all_up(&svscan, &names));
    assert_eq!(svscan.children().len(), SERVICES);
    let all = svscan.fds() - before;
    assert!(all >= SERVICES && all % 2 == 0, "{all} descriptors");

    // Half of them go while the rest stays.
    let (gone, rest) = names.split_at(SERVICES / 2);
    gone.iter().for_each(|name| svscan.hide(name));
    let begin = Instant::now();
    svscan.ok("s6-svscanctl -an .");
    // A child that is dead but not reaped is in this list too.
    took("half of them are stopped", begin, &svscan, || svscan.children().len() == SERVICES / 2);
    took("and have no descriptor left", begin, &svscan, || svscan.fds() == before + all / 2);
    assert!(gone.iter().all(|name| svscan.status(&format!(".{name}")).pid == 0));

    let begin = Instant::now();
    svscan.ok("s6-svscanctl -t .");
    took("the rest is stopped", begin, &svscan, || rest.iter().all(|name| svscan.status(name).pid == 0));
    assert!(svscan.wait().success());
    eprintln!("and svscan has ended: {:?}", begin.elapsed());
    assert!(svscan.until_all_are_gone(), "somebody is left who has our standard output");
}
