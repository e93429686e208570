//! tcpserver-access and the IDENT server of the client's machine: its port is fixed, so each test has a network to itself.

use crate::alone::alone;
use crate::beside::*;
use crate::rules::*;
use crate::tcp::tcp;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// What the server does with a query.
enum Server {
    Absent,
    /// Says this after the ports of the query.
    Says(&'static str),
    /// Accepts, and is silent until the client is gone.
    Silent,
}

/// Runs ours for a client of this address, whose machine has such a server.
fn run(server: Server, remote: &str, words: &[&str]) -> Said {
    let both = Beside::new();
    both.file("hosts", "127.0.0.1 localhost\n");
    alone(&both.path().join("hosts"), || {
        let mut command = tcp(&both, remote);
        // Only who never answers is not waited for.
        let timeout = if matches!(server, Server::Silent) { "-t200" } else { "-t30000" };
        command.env("TCPLOCALIP", remote).arg(timeout).args(words).args(["printenv", "TCPREMOTEINFO"]);
        let listener = TcpListener::bind((remote, 113)).unwrap();
        std::thread::scope(|scope| {
            match server {
                Server::Absent => drop(listener),
                Server::Says(answer) => drop(scope.spawn(move || {
                    let (mut client, _) = listener.accept().unwrap();
                    let mut query = String::new();
                    BufReader::new(&client).read_line(&mut query).unwrap();
                    assert_eq!(query, "40000 , 80\r\n");
                    write!(client, "40000, 80 : {answer}\r\n").unwrap();
                })),
                Server::Silent => drop(scope.spawn(move || {
                    let (client, _) = listener.accept().unwrap();
                    let mut query = BufReader::new(client);
                    while query.read_line(&mut String::new()).is_ok_and(|length| length > 0) {}
                })),
            }
            said(&command.output().unwrap())
        })
    })
}

const USER: Server = Server::Says("USERID : UNIX : joe");
const HIDDEN: Server = Server::Says("ERROR : HIDDEN-USER");

fn line(text: &str) -> String {
    format!("s6-tcpserver-access: pid P: {text}\n")
}

#[test]
fn the_ident_server_says_whose_connection_it_is() {
    for remote in ["127.0.0.1", "::1"] {
        assert_eq!(run(USER, remote, &["-v0", "-H", "-r"]), Said { code: 0, out: vec!["joe".into()], err: "".into() });
    }
    // It is asked only if that is wanted: nobody answers here, and the stale variable is gone.
    for options in [&["-v0", "-H"][..], &["-v0", "-H", "-r", "-R"]] {
        assert_eq!(run(Server::Absent, "127.0.0.1", options), Said { code: 1, out: vec![], err: String::new() });
    }
}

#[test]
fn without_w_an_ident_server_that_does_not_say_is_passed_over() {
    let allow = line("info: allow pid P ip 127.0.0.1");
    let refused = line("warning: unable to ask the ident server: Connection refused");
    let hidden = line("warning: ident server replied: identification denied");
    let timeout = line("warning: unable to ask the ident server: Connection timed out");
    for (server, warning) in [(Server::Absent, refused), (HIDDEN, hidden), (Server::Silent, timeout)] {
        // printenv ends with 1 if the variable is not set.
        let err = warning + &allow;
        assert_eq!(run(server, "127.0.0.1", &["-H", "-r", "-v3"]), Said { code: 1, out: vec![], err });
    }
    assert_eq!(run(HIDDEN, "127.0.0.1", &["-H", "-r", "-v2"]).err, allow);
}

#[test]
fn with_w_the_exit_code_says_why_the_ident_server_did_not() {
    let deny = line("info: deny pid P ip 127.0.0.1");
    for (server, code) in [(Server::Absent, 111), (HIDDEN, 2), (Server::Silent, 99), (Server::Says("nonsense"), 111)] {
        let answer = run(server, "127.0.0.1", &["-H", "-r", "-w", "-v2"]);
        assert_eq!(answer, Said { code, out: vec![], err: deny.clone() });
    }
    assert_eq!(run(USER, "127.0.0.1", &["-H", "-r", "-w"]).out, ["joe"]);
}

#[test]
fn who_is_denied_by_address_is_not_asked_for() {
    let both = Beside::new();
    both.file("hosts", "");
    plant(&both.path().join("rules"), &[("ip4/127.0.0.1_32/deny", "")]);
    alone(&both.path().join("hosts"), || {
        let listener = TcpListener::bind(("127.0.0.1", 113)).unwrap();
        let mut command = tcp(&both, "127.0.0.1");
        let answer = said(&command.args(["-r", "-i", "rules", "true"]).output().unwrap());
        assert_eq!(answer, Said { code: 1, out: vec![], err: String::new() });
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    });
}
