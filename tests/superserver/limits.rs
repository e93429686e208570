//! How many connections there may be: in all, and of one client.

use crate::beside::Whose::{Ours, Theirs};
use crate::beside::eventually;
use crate::server::*;
use linchpin::sys::Fd;
use rustix::net::{AddressFamily, SocketType};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

#[test]
fn when_all_places_are_taken_clients_wait_and_are_served_later() {
    for place in places() {
        let server = Server::ours(place, &["-c", "2", "cat"]);
        let mut held = [server.connect(), server.connect()];
        for client in &mut held {
            assert_eq!(client.echo("here"), "here");
        }
        let mut third = server.connect();
        third.send("waiting");
        assert_eq!(server.children().len(), 2);
        let [first, mut second] = held;
        assert_eq!(second.echo("still"), "still");
        assert_eq!(first.rest(), "");
        assert_eq!(third.line(), "waiting");
        assert_eq!(second.echo("still"), "still");
    }
}

#[test]
fn a_client_with_too_many_connections_is_let_in_and_closed() {
    for place in places() {
        let mut server = Server::ours(place.clone(), &["-v2", "-c", "9", "-C", "2", "cat"]);
        let mut held = [server.connect(), server.connect()];
        for client in &mut held {
            assert_eq!(client.echo("here"), "here");
        }
        assert!(server.connect().is_refused());
        let line = match place {
            Place::Unix(_) => server.until("deny 0:0 count 2/2: too many connections of this user"),
            Place::Ip(_) => server.until("reject"),
        };
        assert!(line.contains(" count 2/2"), "{line}");
        let [first, _second] = held;
        assert_eq!(first.rest(), "");
        server.until("end pid");
        assert_eq!(server.connect().echo("again"), "again");
    }
}

#[test]
fn addresses_are_clients_of_their_own() {
    let server = Server::ours(v4(), &["-C", "1", "sh", "-c", "echo $TCPREMOTEIP $TCPCONNNUM; cat"]);
    let Place::Ip(address) = server.place else { panic!() };
    let from = |ip: &str| {
        let client = socket(AddressFamily::INET, SocketType::STREAM);
        let fd = Fd(client.as_raw_fd());
        rustix::net::bind(fd, &SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
        rustix::net::connect(fd, &address).unwrap();
        Client::new(client)
    };
    let mut held: Vec<_> = ["127.0.0.1", "127.0.0.2", "127.1.2.3"].map(from).into();
    let said: Vec<_> = held.iter_mut().map(Client::line).collect();
    assert_eq!(said, ["127.0.0.1 1", "127.0.0.2 1", "127.1.2.3 1"]);
    assert!(from("127.0.0.2").is_refused());
}

#[test]
fn users_are_clients_of_their_own_whatever_their_groups() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let server = Server::ours(unix(), &["-C", "1", "sh", "-c", "echo $IPCREMOTEEUID $IPCREMOTEEGID $IPCCONNNUM; cat"]);
    let Place::Unix(path) = &server.place else { panic!() };
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    let _root = {
        let mut client = server.connect();
        assert_eq!(client.line(), "0 0 1");
        client
    };
    // Debian's client, as another user; it tells what it was told and stays until it is let go.
    let client = |uid, gid| {
        let mut command = std::process::Command::new("s6-ipcclient");
        command.arg(path).args(["sh", "-c", "echo told $(head -n1 <&6); read x"]);
        command.uid(uid).gid(gid).current_dir("/");
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let line = |child: &mut std::process::Child| {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
        line
    };
    let mut held = client(4321, 5432);
    assert_eq!(line(&mut held), "told 4321 5432 1\n");
    let mut second = client(4321, 6543);
    assert_eq!(line(&mut second), "told\n");
    for mut child in [held, second] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn connections_of_a_client_are_counted_from_1() {
    for place in places() {
        let server = Server::ours(place, &["sh", "-c", "echo $IPCCONNNUM$TCPCONNNUM; cat"]);
        let mut held: Vec<Client> = Vec::new();
        for number in 1..=3 {
            held.push(server.connect());
            assert_eq!(held.last_mut().unwrap().line(), number.to_string());
        }
        assert_eq!(held.remove(0).rest(), "");
        eventually(|| server.children().len() == 2);
        assert_eq!(server.connect().line(), "3");
    }
}

#[test]
fn the_limits_are_read_as_debians_are() {
    let limits = [
        (&["-c", "0"][..], "status: 0/1"),
        (&["-c", "1"], "status: 0/1"),
        (&["-c", "1000"], "status: 0/1000"),
        (&[], "status: 0/40"),
        (&["-c7", "-C99"], "status: 0/7"),
    ];
    for (options, status) in limits {
        let words: Vec<&str> = [&["-v2"], options, &["cat"]].concat();
        for whose in [Theirs, Ours] {
            let mut server = Server::start(whose, unix(), &words, |_| {});
            assert!(server.until("status").ends_with(status), "{options:?}");
        }
    }
    // Debian's has room for 1000.
    for (asked, got) in [("16384", "16384"), ("16385", "16384"), ("4294967295", "16384")] {
        for place in places() {
            let mut server = Server::ours(place, &["-v2", "-c", asked, "cat"]);
            assert!(server.until("status").ends_with(&format!("status: 0/{got}")), "{asked}");
        }
    }
}

#[test]
fn the_limit_of_one_client_is_at_most_that_of_all_and_0_is_for_nobody() {
    for (options, ours) in [(&["-c2"][..], "2"), (&["-c2", "-C9"], "2"), (&["-c5", "-C3"], "3"), (&["-P", "-C3"], "40")]
    {
        let words: Vec<&str> = [&["-v2"], options, &["cat"]].concat();
        for whose in [Theirs, Ours] {
            let mut server = Server::start(whose, unix(), &words, |_| {});
            let _client = server.connect();
            assert!(server.until("allow").ends_with(&format!("/{ours}")), "{options:?}");
        }
    }
    for place in places() {
        assert!(Server::ours(place, &["-C", "0", "cat"]).connect().is_refused());
    }
}

/// A table of that size is not what few connections cost.
#[test]
fn little_memory_is_used_while_few_are_connected() {
    let resident = |server: &Server| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
    };
    let server = Server::ours(v4(), &["-c", "16384", "cat"]);
    let mut held: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut held {
        assert_eq!(client.echo("x"), "x");
    }
    assert!(resident(&server) < 300, "{} KiB", resident(&server));
}
