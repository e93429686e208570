//! Both bridges under supervisors that are real: our own, and Debian's s6-supervise.

use crate::running::part;
use crate::scandir::Svscan;
use crate::supervision::{NOTIFIES, end_of, make_service};
use crate::tmp::TempDir;
use std::process::{Child, Command, Stdio};

/// Waits, as a user would, until a service says that it is ready.
const WAITS: [&str; 4] = ["s6-svwait", "-U", "-t", "30000"];

fn wait_until_ready(service: &std::path::Path) {
    let status = Command::new(WAITS[0]).args(&WAITS[1..]).arg(service).status().unwrap();
    assert!(status.success(), "it did not become ready");
}

fn bin() -> TempDir {
    let dir = TempDir::new();
    for name in ["s6-notify-fd-from-socket", "s6-notify-socket-from-fd"] {
        dir.command(name);
    }
    dir
}

/// A daemon that speaks sd_notify, then stays.
fn daemon(bin: &TempDir) -> String {
    let bridge = bin.path().join("s6-notify-fd-from-socket");
    let says = part("says_something");
    format!(
        "#!/bin/sh\nMESSAGE=READY=1 STAYS=$PWD/run; export MESSAGE STAYS\nexec {} {says} >/dev/null\n",
        bridge.display()
    )
}

#[test]
fn a_daemon_that_speaks_sd_notify_is_ready_under_our_engine() {
    let bin = bin();
    let svscan = Svscan::new(&[("daemon", &[("run", &daemon(&bin)), NOTIFIES])]);
    wait_until_ready(&svscan.path("daemon"));
    let pid = svscan.pid_of("daemon");
    let name = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_eq!(name, std::env::current_exe().unwrap(), "the service is the daemon itself");
}

/// s6-supervise, or ours of that name, on a service.
struct Supervised {
    dir: TempDir,
    child: Child,
}

impl Supervised {
    fn new(supervise: &str, run: &str, files: &[(&str, &str)]) -> Supervised {
        let dir = TempDir::new();
        make_service(&dir.path().join("service"), &[&[("run", run)], files].concat());
        let mut command = Command::new(supervise);
        command.arg("service").current_dir(dir.path()).stdin(Stdio::null());
        let child = command.spawn().unwrap();
        let supervised = Supervised { dir, child };
        // Until it is at work there is nothing to wait for.
        crate::supervision::eventually(|| {
            let service = supervised.dir.path().join("service");
            Command::new("s6-svok").arg(service).status().unwrap().success()
        });
        supervised
    }

    fn service(&self) -> std::path::PathBuf {
        self.dir.path().join("service")
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = Command::new("s6-svc").arg("-xd").arg(self.service()).status();
        if end_of(&mut self.child).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[test]
fn a_daemon_that_speaks_sd_notify_is_ready_under_debians_s6_supervise_and_our_own() {
    let bin = bin();
    let own = bin.command("s6-supervise");
    for supervise in ["/usr/bin/s6-supervise", own.to_str().unwrap()] {
        let supervised = Supervised::new(supervise, &daemon(&bin), &[NOTIFIES]);
        wait_until_ready(&supervised.service());
    }
}

#[test]
fn a_daemon_that_writes_a_newline_is_ready_for_a_supervisor_that_hears_its_main_process_only() {
    let bin = bin();
    let bridge = bin.path().join("s6-notify-socket-from-fd");
    let run = format!("#!/bin/sh\nexec {} -d 7 sh -c 'echo >&7; exec sleep 1000'\n", bridge.display());
    for access in ["", "access=all"] {
        let svscan = Svscan::new(&[("daemon", &[("run", &run), ("notify-socket", access)])]);
        wait_until_ready(&svscan.path("daemon"));
    }
}

#[test]
fn one_bridge_crosses_the_other() {
    let bin = bin();
    let [to_fd, to_socket] = ["s6-notify-fd-from-socket", "s6-notify-socket-from-fd"]
        .map(|name| bin.path().join(name).display().to_string());
    let run = format!("#!/bin/sh\nexec {to_fd} {to_socket} -d 7 sh -c 'echo >&7; exec sleep 1000'\n");
    let supervised = Supervised::new("/usr/bin/s6-supervise", &run, &[NOTIFIES]);
    wait_until_ready(&supervised.service());
}
