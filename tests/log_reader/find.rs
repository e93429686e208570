//! Finding the logs of services by their loggers.

use crate::beside::eventually;
use crate::place::{Place, Ran};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A supervisor, ended with its service when this is dropped.
struct Supervised(Child, std::path::PathBuf);

impl Supervised {
    /// Debian's s6-supervise on a service directory whose `run` is this.
    fn start(dir: &Path, run: &str) -> Supervised {
        std::fs::create_dir_all(dir).unwrap();
        let script = dir.join("run.new");
        std::fs::write(&script, format!("#!/bin/sh\n{run}\n")).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(script, dir.join("run")).unwrap();
        let child = Command::new("s6-supervise").arg(dir).stdin(Stdio::null()).spawn().unwrap();
        Supervised(child, dir.to_owned())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = Command::new("s6-svc").arg("-dx").arg(&self.1).status();
        let _ = self.0.wait();
    }
}

#[test]
fn a_service_is_found_by_its_running_logger() {
    let place = Place::new();
    let (scandir, logs) = (place.path().join("scan"), place.path().join("elsewhere"));
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::create_dir_all(scandir.join(".hidden")).unwrap();
    // Services without input of their own: each has a FIFO that we hold.
    let fed = |service: &str, run: &str| {
        let dir = scandir.join(service);
        std::fs::create_dir_all(&dir).unwrap();
        let fifo = dir.join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let mut feeder = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
        feeder.write_all(b"line\n").unwrap();
        (Supervised::start(&dir, &format!("exec 0<fifo; exec {run}")), feeder)
    };
    let to = logs.display();
    let _web = fed("web/log", &format!("s6-log t {to}/web n3 t {to}/more"));
    // One that is a logger itself, as process 1's is.
    let _catch_all = fed("s6-svscan-log", &format!("s6-log t {to}/all"));
    // One that has a file open that is called so.
    let _other = fed("other", &format!("sleep 1000 5>{to}/current"));
    let ours = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
        command.args(["log", "-s", scandir.to_str().unwrap()]).args(words).env("TZ", "UTC0");
        Ran::of(&mut command)
    };
    let texts = |ran: &Ran| ran.out.lines().map(|line| line[27..].to_owned()).collect::<Vec<_>>();
    // Both of its logdirs have the line, at the same time: it is one.
    eventually(|| texts(&ours(&["web"])) == ["web line"]);
    eventually(|| texts(&ours(&["s6-svscan-log"])) == ["s6-svscan-log line"]);
    eventually(|| {
        let all = ours(&[]).out;
        all.contains(" web           line\n") && all.contains(" s6-svscan-log line\n")
    });
    eventually(|| std::fs::exists(logs.join("current")).unwrap());
    let ran = ours(&["other"]);
    assert_eq!((ran.code, ran.out.as_str()), (100, ""));
    let said = format!(
        "log: warning: no logs of other: no logger of that name runs in {}, and there is neither /run/log/other nor \
         /var/log/other: name the directory (with a slash in it), or with -d the one that it is in\n",
        scandir.display()
    );
    assert_eq!(ran.err, said);
}
