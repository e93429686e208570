//! Sockets of the board outlive the daemons that serve them.

use crate::machine::Machine;
use crate::world::World;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

const BOARD: &str = "[[socket]]\nname = \"unix:/run/echo.sock\"\n";
/// Gives back what it is sent. The server is s6's.
const ECHO: &str = "exec s6-fdholder-retrieve /service/fdholder/s unix:/run/echo.sock s6-ipcserverd cat";

/// Connects and says something, without waiting for an answer.
fn call(machine: &mut Machine, text: &str) -> UnixStream {
    let mut client = machine.connect("run/echo.sock");
    client.write_all(text.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    client
}

fn answer(mut client: UnixStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn who_connected_before_the_daemon_was_started_is_answered_after() {
    let world = World::new().board(BOARD).service("echo", ECHO);
    world.file("etc/linchpin/service/echo/down", 0o644, "");
    let mut machine = world.boot().up();
    machine.supervised("echo");
    let client = call(&mut machine, "early");
    assert_eq!(machine.log.with("service echo started").len(), 0);
    machine.text("s6-svc -u /service/echo");
    assert_eq!(answer(client), "early");
}

#[test]
fn a_daemon_that_is_killed_again_and_again_loses_nobody_who_waits() {
    let mut machine = World::new().board(BOARD).service("echo", ECHO).boot().up();
    machine.log.until("service echo started");
    for round in 0..3 {
        machine.text("s6-svc -k /service/echo");
        machine.log.until("service echo ended by SIGKILL");
        let texts: Vec<String> = (0..20).map(|i| format!("{round} {i}")).collect();
        let clients: Vec<UnixStream> = texts.iter().map(|text| call(&mut machine, text)).collect();
        let answers: Vec<String> = clients.into_iter().map(answer).collect();
        assert_eq!(answers, texts);
        machine.log.until("service echo started");
    }
}

#[test]
fn the_daemons_end_and_its_services_end_do_not_close_the_socket() {
    let mut machine = World::new().board(BOARD).service("echo", ECHO).boot().up();
    machine.log.until("service echo started");
    machine.text("rm -r /run/service/echo && s6-svscanctl -an /run/service");
    machine.log.until("service echo stopped");
    let client = call(&mut machine, "still");
    machine.text("cp -r /etc/linchpin/service/echo /run/service/ && s6-svscanctl -a /run/service");
    assert_eq!(answer(client), "still");
}

#[test]
fn a_socket_that_a_command_stored_is_held_like_the_boards_own() {
    let mut machine = World::new().boot().up();
    machine.text(
        "s6-ipcserver-socketbinder /run/my.sock s6-fdholder-store /service/fdholder/s unix:/run/my.sock && \
         s6-tcpserver-socketbinder 127.0.0.1 8080 s6-fdholder-store /service/fdholder/s tcp:127.0.0.1:8080",
    );
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "unix:/run/my.sock\ntcp:127.0.0.1:8080\n");
    let client = machine.connect("run/my.sock");
    machine.text("s6-fdholder-retrieve /service/fdholder/s unix:/run/my.sock s6-ipcserverd true >/dev/null 2>&1 &");
    assert_eq!(answer(client), "");
}
