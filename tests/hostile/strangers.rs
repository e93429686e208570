//! Clients that may not connect: each is refused at once, and the log says who it was.

use crate::honest::measure;
use crate::world::World;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Somebody who tries to connect all the time.
struct Stranger(Child);

impl Stranger {
    fn new(world: &World) -> Stranger {
        // A copy, because he may not enter the directory that the binary is in.
        let copy = world.svscan.base("client");
        if !copy.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_linchpin"), &copy).unwrap();
        }
        let script = "while :; do \"$1\" fdholder-list \"$2\"; \"$1\" fdholder-store \"$2\" x </dev/null; done";
        let mut run = Command::new("s6-setuidgid");
        run.args(["nobody", "sh", "-c", script, "sh"]).arg(&copy).arg(world.socket());
        Stranger(run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("s6 is installed"))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn strangers_are_refused_and_named_and_nobody_waits_for_them() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let world = World::new();
    for dir in ["", "fdholder"] {
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(world.svscan.path(dir), open).unwrap();
    }
    let strangers = [Stranger::new(&world), Stranger::new(&world)];
    world.svscan.until_log(" uid 65534 is refused: it may not connect");
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(measure(&world.socket(), world.svscan.pid(), Duration::from_millis(700)));
        if !all.last().unwrap().too_long() {
            break;
        }
    }
    assert!(!all.last().unwrap().too_long(), "{all:?}");
    world.kill_services();
    drop(strangers);
    world.check();
    let log = world.svscan.log();
    let line = log.lines().find(|line| line.contains(" is refused")).unwrap();
    let pid = line.split_once("client pid ").and_then(|(_, rest)| rest.split(' ').next()).unwrap();
    assert!(pid.parse::<u32>().is_ok_and(|pid| pid > 1), "{line}");
    assert!(log.lines().count() < 200, "the log was flooded:\n{log}");
}
