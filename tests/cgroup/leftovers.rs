//! What happens in the cgroup, where the machine has them.

use crate::scandir::*;
use linchpin::sys::{Fd, cgroup, process};
use std::path::PathBuf;

/// The directory of the cgroup that everything here is in; `None`, with a message: the kernel has none of version 2, or
/// whoever runs the tests has taken them away.
pub fn own() -> Option<PathBuf> {
    let own = cgroup::open_own().and_then(|mut own| {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", own.0)).unwrap();
        let probe = format!("linchpin-probe-{}", std::process::id());
        let made = cgroup::make(own, probe.as_bytes()).and_then(|mut made| {
            let writable = cgroup::open_procs(made).map(|mut procs| procs.close());
            cgroup::remove(made)?;
            made.close();
            writable
        });
        own.close();
        made.map(|()| path)
    });
    own.inspect_err(|e| println!("skipped: no cgroups (version 2) that may be written to: {e}")).ok()
}

/// A cgroup of a test's own, below ours. When it is dropped nobody is left in it, and it is gone.
pub struct Group {
    /// As the file `cgroup` says it.
    pub name: String,
    pub path: PathBuf,
}

impl Group {
    /// One that is not there yet, with a name that no other test uses; `None`: there are no cgroups.
    pub fn new(name: &str) -> Option<Group> {
        let name = format!("linchpin-test-{}-{name}", std::process::id());
        own().map(|own| Group { path: own.join(&name), name })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::write(self.path.join("cgroup.kill"), "1");
        eventually(|| {
            let _ = std::fs::remove_dir(self.path.join("below"));
            let _ = std::fs::remove_dir(&self.path);
            !self.path.exists()
        });
    }
}

fn cgroup_of(pid: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
}

fn is_alive(pid: i32) -> bool {
    assert!(pid > 1);
    // A zombie that nobody reaps is as good as gone.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

/// Leaves a process behind in a session of its own, of which it says the pid, and waits.
const ESCAPES: &str = "#!/bin/sh
setsid sh -c 'echo $$ >$SAID; exec sleep 1000 >/dev/null' &
read x <go
";

#[test]
fn run_finish_and_what_they_start_are_in_the_cgroup() {
    let Some(group) = Group::new("in") else { return };
    let name = format!("{}/below", group.name);
    let say = "#!/bin/sh\nsh -c 'grep ^0:: /proc/self/cgroup' >$SAID\nread x <go\n";
    let files: &[(&str, &str)] =
        &[("run", say), ("finish", say), ("timeout-finish", "0"), ("go", FIFO), ("cgroup", &format!("{name}\n"))];
    let svscan = Svscan::new(&[("a", files)]);
    for _ in ["run", "finish", "run again"] {
        assert!(svscan.hear().ends_with(&format!("/{name}")), "{}", svscan.log());
        svscan.push("a/go", "\n");
    }
    assert_eq!(cgroup_of(&svscan.pid().to_string()), cgroup_of("self"), "it stays out of it");
    assert!(!svscan.log().contains("warning"), "{}", svscan.log());
    svscan.ok("s6-svc -d a");
    svscan.hear(); // it is in finish
    svscan.push("a/go", "\n");
    svscan.ok("s6-svc -wD -T 20000 a");
}

#[test]
fn without_a_word_in_the_file_it_has_the_services_name() {
    let Some(own) = own() else { return };
    let service = format!("plain-{}", std::process::id());
    let run = "#!/bin/sh\ngrep ^0:: /proc/self/cgroup >$SAID\nexec sleep 1000\n";
    let mut svscan = Svscan::new(&[(&service, &[("run", run), ("cgroup", ""), ("log/run", run), ("log/cgroup", "")])]);
    let mut heard = [svscan.hear(), svscan.hear()];
    heard.sort();
    assert!(heard[0].ends_with(&format!("/linchpin.log/{service}")), "{heard:?}");
    assert!(heard[1].ends_with(&format!("/linchpin/{service}")), "{heard:?}");
    svscan.ok("s6-svscanctl -q .");
    svscan.wait();
    for above in ["linchpin", "linchpin.log"] {
        assert!(own.join(above).is_dir() && !own.join(above).join(&service).exists());
        let _ = std::fs::remove_dir(own.join(above)); // others may be using it
    }
}

#[test]
fn who_escaped_from_the_process_group_is_killed_when_run_has_died() {
    let Some(group) = Group::new("escape") else { return };
    let svscan = Svscan::new(&[("a", &[("run", ESCAPES), ("go", FIFO), ("cgroup", &group.name)])]);
    let mut before = None;
    for _ in 0..3 {
        let escaped: i32 = svscan.hear().parse().unwrap();
        assert_ne!(before.replace(escaped), Some(escaped));
        svscan.push("a/go", "\n");
        eventually(|| !is_alive(escaped));
    }
}

#[test]
fn a_stop_leaves_neither_processes_nor_cgroups() {
    let Some(group) = Group::new("stop") else { return };
    let mut svscan = Svscan::new(&[("a", &[("run", ESCAPES), ("go", FIFO), ("cgroup", &group.name)])]);
    let escaped: i32 = svscan.hear().parse().unwrap();
    assert!(group.path.is_dir());
    svscan.signal(15);
    assert!(svscan.wait().success());
    assert!(!is_alive(escaped));
    assert!(!group.path.exists());
    assert!(!svscan.log().contains("warning"), "{}", svscan.log());
}

#[test]
fn a_stop_waits_for_a_cgroup_that_is_not_empty_but_not_for_ever() {
    let Some(group) = Group::new("busy") else { return };
    let mut svscan = Svscan::new(&[("a", &[("run", SLEEPER), ("cgroup", &group.name)])]);
    svscan.pid_of("a");
    std::fs::create_dir(group.path.join("below")).unwrap();
    svscan.signal(15);
    assert!(svscan.wait().success());
    assert!(svscan.log().contains("is not empty: left behind"), "{}", svscan.log());
    assert!(group.path.is_dir());
}

#[test]
fn a_supervisor_that_exits_removes_the_cgroup_and_the_next_makes_it_again() {
    let Some(group) = Group::new("exit") else { return };
    let svscan = Svscan::new(&[("a", &[("run", ESCAPES), ("go", FIFO), ("cgroup", &group.name)])]);
    let first: i32 = svscan.hear().parse().unwrap();
    svscan.hide("a");
    svscan.ok("s6-svscanctl -an .");
    eventually(|| !is_alive(first) && !group.path.exists());
    svscan.unhide("a");
    svscan.ok("s6-svscanctl -a .");
    let second: i32 = svscan.hear().parse().unwrap();
    assert!(cgroup_of(&second.to_string()).ends_with(&format!("/{}", group.name)));
}

#[test]
fn a_cgroup_that_somebody_removed_is_made_again() {
    let Some(group) = Group::new("removed") else { return };
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), ("cgroup", &group.name)])]);
    svscan.pid_of("a");
    svscan.ok("s6-svc -wD -T 20000 -d a");
    eventually(|| std::fs::remove_dir(&group.path).is_ok());
    svscan.ok("s6-svc -wu -T 20000 -u a");
    let pid = svscan.pid_of("a");
    assert!(cgroup_of(&pid.to_string()).ends_with(&format!("/{}", group.name)));
}

#[test]
fn a_service_without_the_file_stays_where_the_supervisor_is_and_keeps_what_it_leaves() {
    let svscan = Svscan::new(&[("a", &[("run", ESCAPES), ("go", FIFO)])]);
    let escaped: i32 = svscan.hear().parse().unwrap();
    svscan.ok("s6-svc -wD -T 20000 -d a");
    assert!(is_alive(escaped));
    process::kill(escaped, 9).unwrap();
}

#[test]
fn a_name_that_leads_elsewhere_is_refused_once_and_the_service_runs() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), ("cgroup", "../outside\n")])]);
    let first = svscan.pid_of("a");
    svscan.ok("s6-svc -wr -T 20000 -k a");
    assert_ne!(svscan.pid_of("a"), first);
    let warning = "svscan: warning: service a: what its cgroup says is not valid: it runs without one\n";
    assert_eq!(svscan.log(), warning);
}

#[test]
fn descriptors_do_not_add_up() {
    let Some(group) = Group::new("count") else { return };
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), ("cgroup", &group.name)])]);
    svscan.pid_of("a");
    svscan.settle();
    let before = svscan.fds();
    for _ in 0..5 {
        svscan.ok("s6-svc -wD -T 20000 -d a");
        svscan.ok("s6-svc -wu -T 20000 -u a");
    }
    svscan.settle();
    assert_eq!(svscan.fds(), before);
    assert!(!Fd::NONE.is_open());
}
