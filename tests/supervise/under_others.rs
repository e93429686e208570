//! `supervise` where others expect s6-supervise, or anything of the kind: under Debian's s6-svscan, which starts
//! `/usr/bin/s6-supervise`, and under a plain shell.

use crate::supervision::*;
use crate::tmp::TempDir;
use std::process::{Child, Command, Stdio};

/// Debian's s6-svscan on a scan directory, in a mount namespace in which its s6-supervise is ours.
struct Svscan {
    base: TempDir,
    child: Child,
}

impl Svscan {
    fn new(services: &[Service<'_>]) -> Svscan {
        let base = TempDir::new();
        let scan = base.path().join("scan");
        std::fs::create_dir(&scan).unwrap();
        for (name, files) in services {
            make_service(&scan.join(name), files);
        }
        let mut listeners: Vec<_> = services.iter().map(|(name, _)| Listener::new(&scan.join(name))).collect();
        let script = "mount --bind \"$1\" /usr/bin/s6-supervise && exec s6-svscan \"$2\"";
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_linchpin")])
            .arg(&scan)
            .env("BASE", base.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        listeners.iter_mut().for_each(|listener| listener.until(b's'));
        Svscan { base, child }
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn ok(&self, command: &str) {
        let mut words = command.split(' ');
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).current_dir(self.base.path().join("scan")).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
    }

    /// Pids of the supervisors, checked to be ours.
    fn supervisors(&self) -> Vec<i32> {
        let list = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid()));
        let list = list.unwrap_or_default(); // it may have ended
        let own = std::fs::metadata(env!("CARGO_BIN_EXE_linchpin")).unwrap();
        let is_ours = |pid: &i32| {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ino() == own.ino())
        };
        list.split_whitespace().map(|pid| pid.parse().unwrap()).filter(is_ours).collect()
    }
}

impl Drop for Svscan {
    fn drop(&mut self) {
        let supervisors = self.supervisors();
        if self.child.try_wait().unwrap().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for pid in supervisors.into_iter().filter(|pid| *pid > 1) {
            let _ = linchpin::sys::process::kill(pid, 9);
        }
        kill_services(self.base.path());
    }
}

#[test]
fn under_debians_s6_svscan_services_run_and_log_and_stop() {
    const TALKER: &str = "#!/bin/sh\necho hello\necho >&3\nexec 3>&-\nexec sleep 1000\n";
    let mut svscan = Svscan::new(&[
        ("plain", &[("run", READY), NOTIFIES]),
        ("logged", &[("run", TALKER), NOTIFIES, ("log/run", "#!/bin/sh\nexec cat >>$BASE/logged\n")]),
    ]);
    svscan.ok("s6-svwait -U -t 20000 plain logged");
    svscan.ok("s6-svwait -u -t 20000 logged/log");
    assert_eq!(svscan.supervisors().len(), 3);
    svscan.ok("s6-svc -wR -T 20000 -r logged");
    // The logger reads to the end: its supervisor is told by SIGHUP, and lets go of the pipe.
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.child.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(svscan.base.path().join("logged")).unwrap(), "hello\nhello\n");
}

#[test]
fn under_debians_s6_svscan_a_supervisor_that_was_killed_has_a_successor() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), ("lock-fd", "3\n")])]);
    svscan.ok("s6-svwait -u -t 20000 a");
    let mut events = Listener::new(&svscan.base.path().join("scan/a"));
    let supervisors = svscan.supervisors();
    assert!(supervisors.len() == 1 && supervisors[0] > 1);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", supervisors[0])).unwrap();
    let left_over: i32 = children.trim().parse().unwrap();
    linchpin::sys::process::kill(supervisors[0], 9).unwrap();
    events.until(b's');
    svscan.ok("s6-svok a");
    assert!(left_over > 1);
    linchpin::sys::process::kill(left_over, 9).unwrap();
    // It held the service lock; now the second copy starts.
    events.until(b'u');
}

#[test]
fn a_shell_can_be_its_parent() {
    let base = TempDir::new();
    make_service(&base.path().join("a"), &[("run", SLEEPER)]);
    make_fifo(&base.path().join("go"));
    let mut events = Listener::new(&base.path().join("a"));
    let script = "\"$1\" supervise a & pid=$!; read line <go; kill $pid; wait $pid";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_linchpin")]);
    let mut child = shell.current_dir(base.path()).stdin(Stdio::null()).spawn().unwrap();
    events.until(b'u');
    std::fs::write(base.path().join("go"), "\n").unwrap();
    assert!(child.wait().unwrap().success());
    events.until(b'x');
}
