//! Where cgroups are not mounted.

use crate::leftovers::Group;
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

/// A scan directory with a service that says into the file `said` in which cgroup it is, and whether there is one.
fn asking(name: &str) -> TempDir {
    let base = TempDir::new();
    std::fs::create_dir(base.path().join("scan")).unwrap();
    let run = "#!/bin/sh
exec >../../new
grep ^0:: /proc/self/cgroup
test -e /sys/fs/cgroup/cgroup.procs && echo mounted
mv ../../new ../../said
exec sleep 1000
";
    let name = format!("linchpin-test-{}-{name}", std::process::id());
    make_service(&base.path().join("scan/a"), &[("run", run), ("cgroup", &name)]);
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
    // What process 1 mounts is what we may have mounted too.
    let _group = Group::new("mounts");
    let base = asking("mounts");
    let script = "umount -lR /sys && mount -t sysfs none /sys && exec \"$0\" svscan scan 2>log";
    let world = World::new(script, &base);
    let said = said(&base);
    drop(world);
    let log = std::fs::read_to_string(base.path().join("log")).unwrap();
    let name = format!("/linchpin-test-{}-mounts\nmounted\n", std::process::id());
    assert!(said.starts_with("0::/") && said.ends_with(&name) && log.is_empty(), "{said:?}, {log}");
}

#[test]
fn process_1_mounts_nothing_for_those_that_do_not_ask() {
    let base = asking("none");
    std::fs::remove_file(base.path().join("scan/a/cgroup")).unwrap();
    let script = "umount -lR /sys && mount -t sysfs none /sys && exec \"$0\" svscan scan 2>log";
    let _world = World::new(script, &base);
    assert!(!said(&base).contains("mounted"));
}

#[test]
fn where_something_else_is_mounted_the_service_runs_without_and_that_is_said_once() {
    let base = asking("taken");
    let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$0\" svscan scan 2>log";
    let _world = World::new(script, &base);
    assert!(!said(&base).contains("mounted"));
    std::fs::remove_file(base.path().join("said")).unwrap();
    // It comes back.
    assert!(Command::new("s6-svc").arg("-k").arg(base.path().join("scan/a")).status().unwrap().success());
    assert!(!said(&base).contains("mounted"));
    let log = std::fs::read_to_string(base.path().join("log")).unwrap();
    assert_eq!(log, "svscan: warning: service a: no cgroups (version 2) here: it runs without one\n");
}
