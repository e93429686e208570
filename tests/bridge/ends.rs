//! The shutdown of such an image, and what keys and signals do.

use crate::boots::booted;
use crate::image::{SHELLS, SHUTDOWN, SYSINIT, Shell, image};
use crate::machine::{End, Machine, eventually};
use linchpin::sys::process;

fn order(machine: &Machine) -> Vec<String> {
    std::fs::read_to_string(machine.root("order")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn stop_scripts_run_in_reverse_while_everything_is_up_and_process_1_unmounts() {
    for (shell, command, end) in [
        (Shell::Busybox, "poweroff", End::Down),
        (Shell::Dash, "reboot", End::Reboot),
        (Shell::Busybox, "halt", End::Down),
    ] {
        let world = image(shell, &format!("{SYSINIT}::respawn:/bin/sleep 1000\n{SHUTDOWN}"));
        world.file(
            "etc/init.d/S90looks",
            0o755,
            "#!/bin/sh\n[ $1 = start ] || linchpin svstat -o up /run/service/sleep >>/order\n",
        );
        let mut machine = world.boot();
        booted(&mut machine);
        eventually(|| machine.sh("linchpin svstat -o up /run/service/sleep").stdout == b"true\n");
        // BusyBox's command.
        machine.ask(&format!("/sbin/{command}"));
        machine.log.until(&format!("{command}: first /usr/lib/linchpin/inittab, for 60000 ms at most"));
        machine.log.until("the shutdown script is done");
        machine.log.until("service sleep stopped");
        machine.log.until("syncing and unmounting");
        assert_eq!(machine.end(), end);
        let stops = ["true", "S40second stop", "S01first stop", "after rcK", "init"];
        assert_eq!(order(&machine)[2..], stops, "{shell:?} {command}");
    }
}

#[test]
fn a_mount_that_is_the_products_own_is_taken_down_by_its_line() {
    let table = "::sysinit:/bin/mount -t tmpfs data /var\n\
                 ::shutdown:/bin/umount /var\n::shutdown:/bin/mount -o remount,ro /\n\
                 ::shutdown:/bin/sh -c 'grep -c \" /var \" /proc/mounts >>/order; echo >/still'\n";
    let mut machine = image(Shell::Busybox, table).boot();
    booted(&mut machine);
    assert_eq!(machine.text("grep -c ' /var ' /proc/mounts"), "1\n");
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
    assert_eq!(order(&machine), ["0"]);
    assert!(machine.root("still").exists(), "the root is made read-only by process 1, later");
}

#[test]
fn three_keys_do_what_the_table_says_and_nothing_if_it_says_nothing() {
    for shell in SHELLS {
        let mut machine =
            image(shell, "::sysinit:/bin/true\n::ctrlaltdel:/bin/sh -c 'echo keys >>/order; exec /sbin/reboot'\n")
                .boot();
        booted(&mut machine);
        process::kill(machine.pid() as i32, libc::SIGINT).unwrap();
        machine.log.until("the signal handler is done");
        assert_eq!(machine.end(), End::Reboot);
        assert_eq!(order(&machine), ["keys"]);

        let mut machine = image(shell, "::sysinit:/bin/true\n").boot();
        booted(&mut machine);
        process::kill(machine.pid() as i32, libc::SIGINT).unwrap();
        machine.log.until("the signal handler is done");
        assert!(machine.is_alive());
        assert_eq!(machine.log.with("asked for by"), [""; 0]);
    }
}

#[test]
fn a_hangup_has_the_services_follow_the_table() {
    for shell in SHELLS {
        let (stays, goes, comes) =
            ("null::respawn:/bin/sleep 1001\n", "null::respawn:/bin/cat /dev/zero\n", "null::respawn:/bin/yes\n");
        let mut machine = image(shell, &format!("{stays}{goes}")).boot();
        booted(&mut machine);
        let up = |machine: &mut Machine, name: &str| {
            machine.sh(&format!("linchpin svstat -o up /run/service/{name}")).stdout == b"true\n"
        };
        eventually(|| up(&mut machine, "sleep") && up(&mut machine, "cat"));
        let pid = machine.text("linchpin svstat -o pid /run/service/sleep");
        std::fs::write(machine.path("etc/inittab"), format!("{stays}{comes}")).unwrap();
        machine.text("kill -HUP 1");
        eventually(|| up(&mut machine, "yes"));
        machine.log.until("service cat stopped");
        assert_eq!(machine.text("cd /run/service; ls"), "fdholder\nsleep\nyes\n");
        assert_eq!(machine.text("linchpin svstat -o pid /run/service/sleep"), pid);
    }
}
