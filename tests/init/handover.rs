//! Process 1 gives services the sockets of the board that their file `sockets` names.

use crate::machine::Machine;
use crate::world::World;
use std::io::{Read, Write};
use std::net::Shutdown;

const BOARD: &str = "[[socket]]\nname = \"unix:/run/echo.sock\"\n";

/// A service that is given what it asks for, and tells of it in `/run/told`.
fn asking(world: World, sockets: &str) -> World {
    let tell = "echo $$ $LISTEN_PID $LISTEN_FDS $LISTEN_FDNAMES >/run/told.new; mv /run/told.new /run/told";
    let world = world.service("echo", &format!("{tell}\nexec s6-ipcserverd cat"));
    world.file("etc/linchpin/service/echo/sockets", 0o644, sockets);
    world
}

/// Calls the service; the answer.
fn echo(machine: &mut Machine, path: &str, text: &str) -> String {
    let mut client = machine.connect(path);
    client.write_all(text.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_service_has_the_boards_socket_from_its_first_start_on_and_is_told_its_own_pid() {
    let world = asking(World::new().board(BOARD), "0 unix:*\nunix:/run/echo.sock name=echo\n");
    let mut machine = world.boot().up();
    for round in ["first", "second"] {
        assert_eq!(echo(&mut machine, "run/echo.sock", round), round);
        let told = machine.text("cat /run/told; rm /run/told");
        let words: Vec<&str> = told.split_whitespace().collect();
        assert_eq!((words[0] == words[1], &words[2..]), (true, &["1", "echo"][..]), "{told}");
        machine.text("s6-svc -wr -T 20000 -k /service/echo");
    }
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "unix:/run/echo.sock\n");
}

#[test]
fn a_service_waits_for_a_socket_that_is_bound_later() {
    let board = "[[socket]]\nname = 'unix:/later/x'\n";
    let world = World::new().board(board).with_setup("ln -s /run/later \"$root/later\"");
    let mut machine = asking(world, "0 unix:/later/x\n").boot().up();
    machine.log.until("service echo waits: its file sockets: nothing is held as unix:/later/x");
    // Nothing but the next attempt tells of it.
    machine.text("mkdir -m 755 /run/later");
    machine.log.until("socket unix:/later/x is bound and held after ");
    assert_eq!(echo(&mut machine, "run/later/x", "at last"), "at last");
}
