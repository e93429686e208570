//! `cgroup`: a service in a control group of its own. Where there is no cgroup v2, or we may not use it, services run
//! without, and that is what is tested.

use crate::scandir::*;
use linchpin::sys::process;
use std::path::{Path, PathBuf};

/// Leaves a process behind that is in a session of its own, and waits.
const LEAVES: &str = "#!/bin/sh
setsid sh -c 'echo $$ >$SAID; exec sleep 1000' >/dev/null 2>&1 &
read x <go
";
const ASKS: (&str, &str) = ("cgroup", "");

/// The group of cgroup v2 that we are in, if we may make others in it.
fn own_group() -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let usual = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let is_v2 = |at: &&str| mounts.lines().any(|line| line.split(' ').nth(1) == Some(at) && line.contains(" cgroup2 "));
    let group = Path::new(usual.into_iter().find(is_v2)?).join(own);
    let probe = group.join(format!("linchpin-test-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir(&probe).ok()?;
    std::fs::remove_dir(&probe).unwrap();
    Some(group)
}

fn group_of(pid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
}

fn is_alive(pid: i32) -> bool {
    // A zombie that nobody reaps is as good as gone.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

fn number(text: &str) -> i32 {
    let pid = text.parse().unwrap();
    assert!(pid > 1);
    pid
}

/// The service without a group of its own.
fn runs_without(files: &[(&str, &str)]) {
    let svscan = Svscan::new(&[("a", files), ("b", files)]);
    for left in [svscan.hear(), svscan.hear()] {
        process::kill(number(&left), 9).unwrap();
    }
    assert_eq!(svscan.log().matches("without a control group of its own").count(), 1);
}

#[test]
fn a_service_has_a_group_of_its_own_and_nothing_of_it_outlives_its_run() {
    let files: &[(&str, &str)] = &[("run", LEAVES), ("go", FIFO), ASKS];
    let Some(own) = own_group() else { return runs_without(files) };
    let mut svscan = Svscan::new(&[("a", files)]);
    let base = own.join(format!("linchpin-{}", svscan.pid()));
    for _ in 0..2 {
        let left = number(&svscan.hear());
        for pid in [left, svscan.pid_of("a")] {
            assert!(group_of(pid).ends_with(&format!("/linchpin-{}/a", svscan.pid())), "{}", group_of(pid));
        }
        svscan.push("a/go", "\n");
        eventually(|| !is_alive(left));
    }
    let left = number(&svscan.hear());
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
    assert!(!is_alive(left));
    assert!(!base.exists(), "{}", svscan.log());
}

#[test]
fn its_finish_is_in_the_group_and_its_logger_in_another() {
    let tells = "#!/bin/sh\ngrep ^0:: /proc/self/cgroup >$SAID\n";
    let run = "#!/bin/sh\ngrep ^0:: /proc/self/cgroup >$SAID\nexec sleep 1000\n";
    let files: &[(&str, &str)] =
        &[("run", run), ("finish", tells), ASKS, ("log/run", "#!/bin/sh\nexec cat\n"), ("log/cgroup", "")];
    let Some(_) = own_group() else { return };
    let mut svscan = Svscan::new(&[("a", files)]);
    let of_run = svscan.hear();
    assert!(of_run.ends_with("/a"), "{of_run}");
    assert!(group_of(svscan.pid_of("a/log")).ends_with("/.log.a"));
    svscan.ok("s6-svc -wD -T 20000 -d a");
    assert_eq!(svscan.hear(), of_run);
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
}

#[test]
fn the_group_goes_with_the_service_and_comes_back_with_it() {
    let Some(own) = own_group() else { return };
    let run = "#!/bin/sh\necho up >$SAID\nexec sleep 1000\n";
    let mut svscan = Svscan::new(&[("a", &[("run", run), ASKS])]);
    assert_eq!(svscan.hear(), "up");
    let group = own.join(format!("linchpin-{}/a", svscan.pid()));
    assert!(group.exists());
    svscan.hide("a");
    svscan.ok("s6-svscanctl -an .");
    eventually(|| !group.exists());
    svscan.unhide("a");
    svscan.ok("s6-svscanctl -a .");
    assert_eq!(svscan.hear(), "up");
    assert!(group.exists());
    // Somebody removes it behind our back.
    svscan.ok("s6-svc -wD -T 20000 -d a");
    eventually(|| std::fs::remove_dir(&group).is_ok());
    svscan.ok("s6-svc -u a");
    assert_eq!(svscan.hear(), "up");
    assert!(group.exists());
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
    assert!(!group.parent().unwrap().exists());
}

#[test]
fn a_stop_waits_for_a_group_that_is_not_empty_but_not_for_ever() {
    let Some(own) = own_group() else { return };
    let mut svscan = Svscan::new(&[("a", &[("run", SLEEPER), ASKS])]);
    let group = own.join(format!("linchpin-{}/a", svscan.pid()));
    svscan.pid_of("a");
    std::fs::create_dir(group.join("below")).unwrap();
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
    svscan.until_log("service a: cannot remove its control group: Device or resource busy");
    for dir in [&group.join("below"), &group, group.parent().unwrap()] {
        std::fs::remove_dir(dir).unwrap();
    }
}

#[test]
fn descriptors_do_not_add_up_with_restarts() {
    let Some(_) = own_group() else { return };
    let mut svscan = Svscan::new(&[("a", &[("run", SLEEPER), ASKS])]);
    svscan.pid_of("a");
    svscan.settle();
    let before = svscan.fds();
    for _ in 0..5 {
        svscan.ok("s6-svc -wD -T 20000 -d a");
        svscan.ok("s6-svc -wu -T 20000 -u a");
    }
    svscan.settle();
    assert_eq!(svscan.fds(), before);
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
}
