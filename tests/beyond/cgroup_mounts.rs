//! `cgroup` where cgroup v2 is not mounted.

use crate::scandir::*;
use crate::tmp::TempDir;
use std::process::{Command, Stdio};

/// Runs until it is killed, and everything in it with it; `script` is run by process 1 of a pid namespace.
struct World(std::process::Child);

impl World {
    fn new(script: &str, base: &TempDir) -> World {
        let mut command = Command::new("unshare");
        command.args(["-mpf", "--mount-proc", "--kill-child", "sh", "-c", script, env!("CARGO_BIN_EXE_linchpin")]);
        World(command.current_dir(base.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Name of the service: process 1 makes groups that others see, in a place where others may make theirs.
fn name() -> String {
    format!("asks-{}", std::process::id())
}

/// A scan directory with a service that says into the file `said` in which group it is, and whether they are mounted.
fn asking() -> TempDir {
    let base = TempDir::new();
    std::fs::create_dir(base.path().join("scan")).unwrap();
    let run = "#!/bin/sh
exec >../../new
grep ^0:: /proc/self/cgroup
test -e /sys/fs/cgroup/cgroup.procs && echo mounted
mv ../../new ../../said
exec sleep 1000
";
    make_service(&base.path().join("scan").join(name()), &[("run", run), ("cgroup", "")]);
    base
}

fn said(base: &TempDir) -> String {
    let path = base.path().join("said");
    eventually(|| path.exists());
    std::fs::read_to_string(path).unwrap()
}

fn kernel_has_cgroups() -> bool {
    let has = std::fs::read_to_string("/proc/filesystems").unwrap().contains("\tcgroup2\n");
    if !has {
        println!("skipped: the kernel has no cgroups (version 2)");
    }
    has
}

#[test]
fn process_1_mounts_them_when_the_first_service_asks() {
    if !kernel_has_cgroups() {
        return;
    }
    let base = asking();
    let script = "umount -lR /sys && mount -t sysfs none /sys && exec \"$0\" svscan scan 2>log";
    let world = World::new(script, &base);
    let said = said(&base);
    drop(world);
    remove_group();
    let log = std::fs::read_to_string(base.path().join("log")).unwrap();
    let end = format!("/linchpin/{}\nmounted\n", name());
    assert!(said.starts_with("0::/") && said.ends_with(&end) && log.is_empty(), "{said:?}, {log}");
}

/// Removes the group of a world that is gone, where we see it: what was mounted in that world is there too.
fn remove_group() {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        let group = std::path::Path::new(mount).join(own).join("linchpin").join(name());
        eventually(|| !group.exists() || std::fs::remove_dir(&group).is_ok());
        let _ = std::fs::remove_dir(group.parent().unwrap()); // others may be using it
    }
}

#[test]
fn process_1_mounts_nothing_for_those_that_do_not_ask() {
    let base = asking();
    std::fs::remove_file(base.path().join("scan").join(name()).join("cgroup")).unwrap();
    let script = "umount -lR /sys && mount -t sysfs none /sys && exec \"$0\" svscan scan 2>log";
    let _world = World::new(script, &base);
    assert!(!said(&base).contains("mounted"));
}

#[test]
fn where_something_else_is_mounted_the_service_runs_without_and_that_is_said_once() {
    if !kernel_has_cgroups() {
        return; // there is no such place
    }
    let base = asking();
    let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" svscan scan 2>log";
    let _world = World::new(script, &base);
    assert!(!said(&base).contains("mounted"));
    std::fs::remove_file(base.path().join("said")).unwrap();
    // It comes back.
    assert!(Command::new("s6-svc").arg("-k").arg(base.path().join("scan").join(name())).status().unwrap().success());
    assert!(!said(&base).contains("mounted"));
    let log = std::fs::read_to_string(base.path().join("log")).unwrap();
    let why = "runs without a control group of its own: cgroup v2: No such device";
    assert_eq!(log, format!("svscan: warning: service {} {why}\n", name()));
}
