//! What of /etc/inittab is run at the boot, and in which order.

use crate::image::{SHELLS, SHUTDOWN, SYSINIT, Screen, Shell, image, start_script};
use crate::machine::{End, Machine, eventually};

/// Waits until the script has done its work.
pub fn booted(machine: &mut Machine) {
    machine.log.until("the init script is done");
}

fn order(machine: &mut Machine) -> Vec<String> {
    let text = std::fs::read_to_string(machine.root("order")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn an_image_of_buildroots_boots_with_its_start_scripts_and_is_what_it_was() {
    for shell in SHELLS {
        let table = format!("{SYSINIT}# a comment\n\n::respawn:/bin/sleep 1000 # GENERIC_SERIAL\n{SHUTDOWN}");
        let world = image(shell, &table);
        world.file(
            "etc/init.d/S50daemon",
            0o755,
            "#!/bin/sh\nstart-stop-daemon -S -b -m -p /run/d.pid -x /bin/sleep 999\n",
        );
        let mut machine = world.boot();
        booted(&mut machine);
        assert_eq!(order(&mut machine), ["S01first start", "S40second start"], "{shell:?}");
        assert_eq!(machine.text("hostname"), "buildroot\n");
        // Nothing was mounted a second time, above what process 1 has mounted, and what it did not is there.
        let mounts = machine.text("cat /proc/mounts");
        for (place, count) in [("/proc", 1), ("/run", 1), ("/dev/shm", 1), ("/tmp", 1)] {
            let found = mounts.lines().filter(|line| line.split(' ').nth(1) == Some(place)).count();
            assert_eq!(found, count, "{shell:?}: {place} in:\n{mounts}");
        }
        machine.text("kill -0 $(cat /run/d.pid)");
        // The respawn line is a service, without the comment behind it.
        eventually(|| machine.sh("linchpin svstat -o up /run/service/sleep").stdout == b"true\n");
        let pid = machine.text("linchpin svstat -o pid /run/service/sleep").trim().to_owned();
        let is = format!("tr '\\0' ' ' </proc/{pid}/cmdline; readlink /proc/{pid}/cwd");
        eventually(|| machine.text(&is) == "/bin/sleep 1000 /\n");
        assert_eq!(machine.text("linchpin failed"), "");
        let complaints = machine.log.complaints();
        assert!(complaints.is_empty(), "{shell:?}: {complaints:?}");
    }
}

#[test]
fn sysinit_lines_come_before_wait_lines_and_those_before_what_is_started_again() {
    for shell in SHELLS {
        let table = "\
::respawn:/bin/sh -c 'echo respawn >>/order; exec sleep 1000'
::once:/bin/sh -c 'echo once >>/order; exec sleep 1000'
::wait:/bin/sh -c 'sleep 0.1; echo wait >>/order'
::sysinit:/bin/sh -c 'sleep 0.1; echo one >>/order; exit 1'
::sysinit:echo two: 'three  four' >>/order
::restart:/bin/sh -c 'echo restart >>/order'
";
        let mut machine = image(shell, table).boot();
        booted(&mut machine);
        eventually(|| order(&mut machine).len() == 5);
        let mut all = order(&mut machine);
        all[3..].sort();
        assert_eq!(all, ["one", "two: three  four", "wait", "once", "respawn"], "{shell:?}");
    }
}

#[test]
fn what_is_started_again_is_a_service_with_a_name_of_its_own() {
    let table = "\
ttyx::respawn:/bin/sleep 1
null::respawn:/bin/sleep 1001
null::respawn:/bin/sleep 1002
null::respawn:/bin/sleep 1002
/dev/a/b::respawn:-/bin/cat
";
    let mut machine = image(Shell::Busybox, table).boot();
    booted(&mut machine);
    let names = machine.text("cd /run/service; ls");
    assert_eq!(names, "fdholder\nsleep\nsleep-2\ntty-a-b\ntty-ttyx\n");
    eventually(|| machine.sh("linchpin svstat -o up /run/service/sleep-2").stdout == b"true\n");
    let pid = machine.text("linchpin svstat -o pid /run/service/sleep-2").trim().to_owned();
    machine.text(&format!("kill -9 {pid}"));
    eventually(|| {
        let now = machine.text("linchpin svstat -o pid /run/service/sleep-2");
        now.trim() != pid && now.trim() != "-1"
    });
    // There is no such terminal: said, and tried again ever later.
    eventually(|| String::from_utf8(machine.sh("linchpin failed").stdout).unwrap().contains("tty-ttyx: "));
}

#[test]
fn lines_that_are_not_understood_are_said_and_passed_over() {
    let table = "bad line\n::sysinit:\n::boot:/bin/true\n::sysinit:/bin/sh -c 'echo good >>/order'";
    let mut machine = image(Shell::Busybox, table).boot();
    let mut screen = Screen::of(machine.console.take().unwrap());
    for line in ["bad line", "::sysinit:", "::boot:/bin/true"] {
        screen.until(&format!("inittab: not understood, and ignored: {line}"));
    }
    booted(&mut machine);
    assert_eq!(order(&mut machine), ["good"]);
}

#[test]
fn without_an_inittab_busyboxs_defaults_hold() {
    for shell in SHELLS {
        let mut machine = image(shell, "").boot();
        let mut screen = Screen::of(machine.console.take().unwrap());
        booted(&mut machine);
        assert_eq!(order(&mut machine), ["S01first start", "S40second start"]);
        screen.until("Please press Enter to activate this console. ");
        screen.say("\n");
        screen.until("# ");
        screen.say("reboot\n");
        assert_eq!(machine.end(), End::Reboot, "{shell:?}");
    }
}

#[test]
fn what_is_mounted_above_the_services_is_taken_away_again() {
    let table = "::sysinit:/bin/mount -t tmpfs other /run # nobody uses it\n::respawn:/bin/sleep 1000\n";
    // The rule that what is mounted already is not mounted again is for lines that say so.
    let table = table.replace("/bin/mount -t tmpfs other /run", "/bin/sh -c 'mount -t tmpfs other /run'");
    let mut machine = image(Shell::Busybox, &table).boot();
    let mut screen = Screen::of(machine.console.take().unwrap());
    screen.until("inittab: /run: mounted above the services: unmounted again");
    booted(&mut machine);
    assert_eq!(machine.text("ls /run/service/sleep/run; grep -c ' /run ' /proc/mounts"), "/run/service/sleep/run\n1\n");
}

#[test]
fn services_are_seen_even_if_what_is_mounted_above_them_is_in_use() {
    let script = "mount -t tmpfs other /run; exec 5>/run/mine; sleep 1000 & ";
    let table = "::sysinit:/etc/init.d/rcS\n::respawn:/bin/sleep 1000\n";
    let world = image(Shell::Busybox, table);
    world.file("etc/init.d/S99run", 0o755, &format!("#!/bin/sh\n{script}\n"));
    let mut machine = world.boot();
    booted(&mut machine);
    machine.text("ls /run/mine /run/service/sleep/run");
    eventually(|| machine.sh("linchpin svstat -o up /run/service/sleep").stdout == b"true\n");
}

#[test]
fn start_scripts_that_fail_or_print_keep_nothing_from_booting() {
    let world = image(Shell::Busybox, &format!("{SYSINIT}{SHUTDOWN}"));
    world.file("etc/init.d/S10fails", 0o755, "#!/bin/sh\necho Starting fails: FAIL\nexit 1\n");
    world.file("etc/init.d/S99last", 0o755, &start_script("S99last"));
    let mut machine = world.boot();
    let mut screen = Screen::of(machine.console.take().unwrap());
    screen.until("Starting fails: FAIL");
    booted(&mut machine);
    assert_eq!(order(&mut machine).last().unwrap(), "S99last start");
}
