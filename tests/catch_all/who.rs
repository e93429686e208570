//! Whose output it gets, and whose not.

use crate::lines::Lines;
use crate::world::World;
use crate::{CAT, ECHO, logged, say, with_logger};

/// What a descriptor of a service's process is.
const SEE: &str = "exec 3>&1; readlink /proc/self/fd/3 /proc/self/fd/2 >/tmp/$1.new && mv /tmp/$1.new /tmp/$1.seen";

#[test]
fn what_a_service_without_a_logger_says_and_what_the_init_script_says_is_in_its_log() {
    let world = with_logger(CAT).service("web", ECHO).board("[boot]\ninit = '/etc/rc.init'\n").with_console();
    world.file("etc/rc.init", 0o755, "#!/bin/sh\necho the script\necho its error >&2\n");
    let mut machine = world.boot().up();
    logged(&mut machine, "the script");
    logged(&mut machine, "its error");
    say(&mut machine, "web", "both");
    let path = machine.path("tmp/log");
    crate::machine::eventually(|| {
        std::fs::read_to_string(&path).unwrap().lines().filter(|l| *l == "both").count() == 2
    });
    assert_eq!(machine.log.complaints(), Vec::<String>::new());
}

#[test]
fn of_a_service_with_a_logger_of_its_own_it_gets_standard_error_only() {
    let world = with_logger(CAT).service("web", ECHO).service("web/log", "echo own >&2; exec cat >>/tmp/own");
    let mut machine = world.boot().up();
    say(&mut machine, "web", "out");
    assert_eq!(machine.await_line("tmp/own"), "out\n");
    say(&mut machine, "web", "both");
    logged(&mut machine, "both");
    logged(&mut machine, "own");
    assert_eq!(machine.read("tmp/log").lines().filter(|line| ["out", "both"].contains(line)).count(), 1);
}

#[test]
fn its_own_output_goes_to_the_console_and_so_does_that_of_its_finish_script() {
    let run = "echo from the logger; echo its error >&2; [ -e /tmp/again ] && exec cat >>/tmp/log; exit 1";
    let world = with_logger(run).with_console();
    world.file("etc/linchpin/service/s6-svscan-log/finish", 0o755, "#!/bin/sh\necho finish; >/tmp/again\n");
    let mut machine = world.boot().up();
    let mut console = Lines::of(machine.console.take().unwrap());
    for line in ["from the logger", "its error", "finish", "from the logger"] {
        console.until(line);
    }
    machine.supervised("s6-svscan-log");
    assert_eq!(machine.text("cat /tmp/log"), "");
}

#[test]
fn without_a_console_its_own_output_goes_nowhere() {
    let mut machine = with_logger(&format!("{SEE}\n{CAT}")).boot().up();
    assert_eq!(machine.await_line("tmp/s6-svscan-log.seen"), "/dev/null\n/dev/null\n");
    machine.await_line("tmp/reads");
}

#[test]
fn its_pipe_is_held_and_larger_than_others() {
    let mut machine = with_logger(CAT).board("[[socket]]\nname = 'unix:/run/x'\n").boot().up();
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "unix:/run/x\npipe:s6-svscan-log\n");
    let table = machine.text("linchpin sockets");
    let line = table.lines().find(|line| line.starts_with("pipe:s6-svscan-log")).unwrap_or_else(|| panic!("{table}"));
    assert!(line.contains("board config"), "{line}");
    let size = "import fcntl; print(fcntl.fcntl(1, 1032))";
    machine.await_line("tmp/reads");
    let size = machine.sh(&format!("exec >/proc/1/fd/1; python3 -c '{size}'"));
    assert!(size.status.success(), "{size:?}");
    logged(&mut machine, "262144");
}

#[test]
fn one_that_is_down_leaves_everything_as_it_is_without_one() {
    for setup in ["down", "run"] {
        let world = with_logger(CAT).service("web", &format!("{SEE}; exec sleep 1000")).with_console();
        match setup {
            "down" => world.file("etc/linchpin/service/s6-svscan-log/down", 0o644, ""),
            _ => std::fs::remove_file(world.path("etc/linchpin/service/s6-svscan-log/run")).unwrap(),
        }
        let mut machine = world.boot().up();
        assert_eq!(machine.await_line("tmp/web.seen"), "/dev/console\n/dev/console\n", "{setup}");
        assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "", "{setup}");
        machine.ask("linchpin poweroff");
        assert_eq!(machine.end(), crate::machine::End::Down, "{setup}");
    }
}

#[test]
fn a_name_that_is_taken_is_said_and_output_goes_to_the_console() {
    let board = "[[socket]]\nname = 'pipe:s6-svscan-log'\naddress = 'unix:/run/x'\n";
    let world = with_logger("exec sleep 1000").service("web", &format!("{SEE}; exec sleep 1000"));
    let mut machine = world.board(board).with_console().boot();
    machine.log.until("s6-svscan-log gets nothing to log: cannot hold its pipe: Device or resource busy");
    assert_eq!(machine.await_line("tmp/web.seen"), "/dev/console\n/dev/console\n");
}

#[test]
fn a_machine_without_one_has_no_such_pipe() {
    let mut machine = World::new().service("web", "exec sleep 1000").boot().up();
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "");
}
