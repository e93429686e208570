//! `restart-delay`: back-off between starts.

use crate::scandir::*;

/// Ends at once.
const CRASHES: &str = "#!/bin/sh\necho up >$SAID\nexit 1\n";

/// Waits for so many deaths, and answers the seconds between them.
fn gaps(svscan: &Svscan, name: &str, deaths: usize) -> Vec<f64> {
    eventually(|| svscan.deaths(name).len() >= deaths);
    svscan.deaths(name)[..deaths].windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect()
}

#[test]
fn a_service_that_does_not_last_is_started_after_a_longer_delay_each_time() {
    let files: &[(&str, &str)] = &[("run", CRASHES), ("restart-delay", "200ms\n1000000s\n")];
    let svscan = Svscan::new(&[("a", files)]);
    let gaps = gaps(&svscan, "a", 5);
    // 0.2, 0.4, 0.8 and 1.6 s from start to start; the first death may have come late.
    assert!(gaps.iter().sum::<f64>() >= 2.0, "{gaps:?}");
}

#[test]
fn an_order_to_start_does_not_wait_for_the_delay() {
    let files: &[(&str, &str)] = &[("run", CRASHES), ("restart-delay", "1000000s 2000000s 100%")];
    let svscan = Svscan::new(&[("a", files)]);
    for deaths in 1..4 {
        assert_eq!(svscan.hear(), "up");
        eventually(|| svscan.deaths("a").len() == deaths);
        svscan.ok("s6-svc -u a");
    }
    // Nor does an order to stop.
    assert_eq!(svscan.hear(), "up");
    svscan.ok("s6-svc -wD -T 20000 -d a");
}

#[test]
fn a_service_that_lasted_comes_back_at_once() {
    let up = "#!/bin/sh\necho up >$SAID\nexec sleep 1000\n";
    let files: &[(&str, &str)] = &[("run", up), ("restart-delay", "50ms 1000000s")];
    let svscan = Svscan::new(&[("a", files)]);
    for _ in 0..4 {
        assert_eq!(svscan.hear(), "up");
        std::thread::sleep(std::time::Duration::from_millis(60));
        svscan.ok("s6-svc -r a");
    }
    assert_eq!(svscan.hear(), "up");
}

#[test]
fn a_file_that_makes_no_sense_is_reported_and_the_delay_is_a_second() {
    let files: &[(&str, &str)] = &[("run", CRASHES), ("restart-delay", "soon")];
    let svscan = Svscan::new(&[("a", files)]);
    let gaps = gaps(&svscan, "a", 3);
    assert!(gaps.iter().sum::<f64>() >= 1.0, "{gaps:?}");
    assert!(svscan.log().contains("service a: what its restart-delay says is not valid"));
}

#[test]
fn a_file_that_appears_while_the_service_runs_counts_from_its_next_death() {
    let up = "#!/bin/sh\necho up >$SAID\nread x <go\n";
    let svscan = Svscan::new(&[("a", &[("run", up), ("go", FIFO)])]);
    assert_eq!(svscan.hear(), "up");
    std::fs::write(svscan.path("a/restart-delay"), "1000000s").unwrap();
    svscan.push("a/go", "\n");
    eventually(|| svscan.deaths("a").len() == 1);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(svscan.status("a").pid, 0);
}
