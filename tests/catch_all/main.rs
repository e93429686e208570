//! The catch-all logger of process 1, in namespaces as in `tests/init`: what nobody else logs goes through one pipe, which
//! outlives the logger and process 1's faults, and a stop ends it last.
//!
//! Needs s6's clients, util-linux, and root or unprivileged user namespaces.
#![cfg(feature = "faults")]

mod ends;
#[allow(dead_code)] // other tests use the rest
#[path = "../init/lines.rs"]
mod lines;
#[allow(dead_code)]
#[path = "../init/machine.rs"]
mod machine;
mod outlives;
#[allow(dead_code)]
#[path = "../init/pty.rs"]
mod pty;
#[allow(dead_code)]
#[path = "../common/tmp.rs"]
mod tmp;
mod who;
#[allow(dead_code)]
#[path = "../init/world.rs"]
mod world;

use crate::machine::Machine;
use crate::world::World;

/// A logger that is up when it has said so in /tmp/reads, and appends to /tmp/log.
pub const CAT: &str = "echo reads >>/tmp/reads\nexec cat >>/tmp/log";

/// A machine with this catch-all logger.
pub fn with_logger(run: &str) -> World {
    let world = World::new().service("s6-svscan-log", run);
    world.file("etc/linchpin/service/s6-svscan-log/sockets", 0o644, "0 pipe:s6-svscan-log\n");
    world
}

/// A service that says each line that is written into /tmp/NAME.in: on standard error, too, if the line is `both`.
pub const ECHO: &str = "[ -p /tmp/$1.in ] || mkfifo /tmp/$1.in\nexec 3<>/tmp/$1.in\necho up >>/tmp/$1.up\n\
    while read -r line <&3; do echo \"$line\"; [ \"$line\" != both ] || echo \"$line\" >&2; done";

/// Has such a service say a line.
pub fn say(machine: &mut Machine, name: &str, line: &str) {
    machine.await_line(&format!("tmp/{name}.up"));
    machine.text(&format!("echo '{line}' >/tmp/{name}.in"));
}

/// Waits until the log has this line.
#[track_caller]
pub fn logged(machine: &mut Machine, line: &str) {
    let path = machine.path("tmp/log");
    crate::machine::eventually(|| std::fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|own| own == line)));
}
