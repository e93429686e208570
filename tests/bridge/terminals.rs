//! Logins and shells on terminals.

use crate::boots::booted;
use crate::image::{SHELLS, Screen, Shell, image};
use crate::machine::{End, eventually};

#[test]
fn a_getty_asks_for_a_login_and_comes_back_after_it() {
    for shell in SHELLS {
        let world = image(
            shell,
            "::sysinit:/bin/hostname -F /etc/hostname\nconsole::respawn:/sbin/getty -L console 0 vt100 # GENERIC_SERIAL\n",
        );
        world.file("etc/passwd", 0o644, "root::0:0:root:/root:/bin/sh\n");
        let mut machine = world.boot();
        let mut screen = Screen::of(machine.console.take().unwrap());
        for _ in 0..2 {
            screen.until("buildroot login: ");
            screen.say("root\n");
            screen.until("# ");
            // It has a controlling terminal.
            screen.say("echo here >/dev/tty && exit\n");
            screen.until("here\r\n");
        }
        screen.until("buildroot login: ");
        screen.say("root\n");
        screen.until("# ");
        screen.say("poweroff\n");
        assert_eq!(machine.end(), End::Down);
        assert_eq!(machine.log.with("did not end in time"), [""; 0], "{shell:?}");
    }
}

#[test]
fn a_shell_on_the_console_waits_for_enter_and_is_a_login_shell_with_a_terminal() {
    for shell in SHELLS {
        let world = image(shell, "::askfirst:-/bin/sh\n");
        world.file("etc/profile", 0o644, "PROFILE=read\n");
        let mut machine = world.boot();
        let mut screen = Screen::of(machine.console.take().unwrap());
        screen.until("Please press Enter to activate this console. ");
        screen.say("\n");
        screen.until("# ");
        screen.say("echo profile $PROFILE here >/dev/tty; pwd; umask\n");
        screen.until("profile read here\r\n/\r\n0022\r\n");
        screen.say("exit\n");
        screen.until("Please press Enter to activate this console. ");
        // It is an ordinary service, which is told to go, and shells do not end by SIGTERM.
        screen.say("\n");
        screen.until("# ");
        booted(&mut machine);
        assert_eq!(machine.sh("linchpin svc -wD -T 20000 -d /run/service/sh").status.code(), Some(0), "{shell:?}");
    }
}

#[test]
fn a_terminal_of_its_own_is_the_one_that_is_named() {
    let table = "pts0::respawn:/bin/sh -c 'echo says >/dev/tty; readlink /proc/self/fd/0 >/tmp/in; exec sleep 1000'\n";
    let (ours, path) = crate::pty::open();
    let node = format!("path={}; : >\"$root/dev/pts0\"; mount --bind \"$path\" \"$root/dev/pts0\"", path.display());
    let world = image(Shell::Busybox, table).with_setup(&node);
    if crate::world::is_root() {
        std::os::unix::fs::chown(&path, Some(100_000), Some(100_000)).unwrap();
    }
    let mut machine = world.boot();
    let mut screen = Screen::of(ours);
    screen.until("says\r\n");
    assert_eq!(machine.await_line("tmp/in"), "/dev/pts0\n");
    eventually(|| machine.sh("linchpin svstat -o up /run/service/tty-pts0").stdout == b"true\n");
}
