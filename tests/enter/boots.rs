//! A boot that is interrupted, at each step of it: it goes on, and nothing is done twice.

use crate::machine::{End, Machine};
use crate::world::World;

const BOARD: &str = r#"
[board]
hostname = "pin"
[fault]
limit = 0
[boot]
init = "/etc/rc.init"
[[mount]]
target = "/mnt"
source = "tmpfs"
type = "tmpfs"
[[mount]]
target = "/mnt/more"
source = "tmpfs"
type = "tmpfs"
[[socket]]
name = "unix:/run/a"
[[socket]]
name = "tcp:127.0.0.1:80"
[[socket]]
name = "unix:/nowhere/else/b"
"#;

fn boot(plan: &str) -> Machine {
    let world = World::new().service("web", "exec sleep 1000").board(BOARD);
    world.file("etc/rc.init", 0o755, "#!/bin/sh\necho run >>/run/init-runs\n");
    world.with_setup(&format!("export LINCHPIN_FAULT_LIMIT=0 LINCHPIN_FAULTS={plan}")).boot()
}

/// What is to be the same, whatever happened on the way.
fn seen(machine: &mut Machine) -> Vec<String> {
    machine.log.until("service web started");
    machine.log.until("the init script is done");
    machine.supervised("web");
    let descriptors = machine.descriptors();
    let what = |line: &String| line.split_once('=').map(|(_, what)| what.to_owned()).unwrap_or_default();
    let kind = |what: String| {
        let path = what.split(':').next().unwrap_or_default();
        path.rsplit_once("/root/").map_or(path, |(_, inside)| inside).to_owned()
    };
    let mut open: Vec<String> = descriptors.iter().map(what).map(kind).collect();
    open.sort();
    let mut seen = vec![
        machine.text("grep -c /mnt /proc/mounts; hostname; readlink /service"),
        machine.text("s6-fdholder-list /service/fdholder/s | sort"),
        machine.read("/run/init-runs"),
        format!("{}", machine.log.with("service web started").len()),
    ];
    seen.extend(open);
    seen
}

fn interrupted_at(points: &[&str]) {
    let mut whole = boot("-");
    let expected = seen(&mut whole);
    assert_eq!(expected[2], "run\n");
    for point in points {
        let mut machine = boot(point);
        assert_eq!(seen(&mut machine), expected, "{point}:\n{}", machine.log.with("").join("\n"));
        let faults = machine.log.with("which is survived").len();
        // Before /dev/kmsg is open nobody hears of it.
        assert!(faults == point.split(',').count() || point.starts_with("boot.arena"), "{point}: {faults}");
        machine.ask("linchpin reboot");
        assert_eq!(machine.end(), End::Reboot, "{point}");
    }
}

#[test]
fn before_and_while_file_systems_are_mounted() {
    interrupted_at(&["boot.arena", "boot.early", "boot.mount", "boot.mount:2", "scandir.dir"]);
}

#[test]
fn while_the_scan_directory_is_prepared() {
    interrupted_at(&["scandir.lock", "scandir.control", "boot.holder", "boot.rights"]);
}

#[test]
fn while_sockets_are_bound() {
    interrupted_at(&["boot.socket", "boot.socket:2", "boot.socket:3", "boot.sockets", "boot.copied"]);
}

#[test]
fn when_the_first_process_is_there() {
    interrupted_at(&["boot.script", "boot.begun", "turn", "turn:2", "turn:3"]);
}

#[test]
fn again_and_again() {
    interrupted_at(&["boot.early,boot.holder,boot.socket:2,boot.copied,boot.script,turn"]);
    interrupted_at(&["boot.script,enter.derived,enter.children,enter.told,boot.begun,enter.checked"]);
}
