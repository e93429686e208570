//! Many connections, one after the other and at once.

use crate::beside::Whose::Ours;
use crate::beside::eventually;
use crate::server::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Clients at once.
const CROWD: usize = 50;

/// Serves so many connections, of which all are echoed, and never more at once than the limit; nothing is left afterwards.
fn load(place: Place, connections: usize, limit: usize) {
    let limit = limit.to_string();
    let log = crate::tmp::TempDir::new();
    let stderr = std::fs::File::create(log.path().join("log")).unwrap();
    let server = Server::start(Ours, place, &["-v2", "-c", &limit, "-C", &limit, "cat"], |command| {
        command.stderr(stderr);
    });
    assert_eq!(server.connect().echo("first"), "first");
    eventually(|| server.children().is_empty());
    let before = server.descriptors();
    let (next, at) = (AtomicUsize::new(0), server.place.clone());
    std::thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= connections {
                        return;
                    }
                    let mut client = at.connect();
                    client.send(&format!("hello {number}"));
                    assert_eq!(client.rest(), format!("hello {number}\n"));
                }
            });
        }
    });
    eventually(|| server.children().is_empty());
    assert_eq!(server.descriptors(), before);
    let said = std::fs::read_to_string(log.path().join("log")).unwrap();
    let of = |what: &str| said.lines().filter(|line| line.contains(what)).count();
    let begun = if server.place.program() == "ipcserverd" { ": allow " } else { ": accept " };
    assert_eq!((of(begun), of("exitcode 0")), (connections + 1, connections + 1));
    let counts =
        said.lines().filter_map(|line| line.split_once("status: ")?.1.split_once('/')?.0.parse::<usize>().ok());
    let most = counts.max().unwrap();
    assert!(most <= limit.parse().unwrap() && most > 1, "{most} at once of {limit}");
    assert_eq!(of("deny") + of("reject") + of("warning"), 0);
}

#[test]
fn none_of_twenty_thousand_connections_is_lost() {
    load(unix(), 20_000, 20);
}

#[test]
fn none_of_twenty_thousand_connections_is_lost_over_tcp() {
    load(v4(), 20_000, 40);
}

#[test]
fn none_is_lost_over_ipv6() {
    load(v6(), 1000, 50);
}

/// Without lines the server does not look for the ends of children at every turn.
#[test]
fn nothing_is_left_of_a_silent_rush() {
    for place in places() {
        let server = Server::ours(place, &["-v0", "-c", "10", "cat"]);
        assert_eq!(server.connect().echo("first"), "first");
        eventually(|| server.children().is_empty());
        let (before, at) = (server.descriptors(), server.place.clone());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| assert_eq!(at.connect().rest(), "")));
            }
        });
        eventually(|| server.children().is_empty());
        assert_eq!(server.descriptors(), before);
    }
}

#[test]
fn a_client_is_not_refused_for_connections_that_have_ended() {
    for place in places() {
        // Each of them ends before its client sees that; the next one comes at once.
        let mut server = Server::ours(place, &["-v1", "-c", "9", "-C", "3", "sh", "-c", "echo x"]);
        for _ in 0..100 {
            assert_eq!(server.connect().rest(), "x\n");
        }
        assert_eq!(server.stop(libc::SIGTERM), (Some(0), vec![]));
    }
}

#[test]
fn it_ends_in_the_middle_of_load_and_leaves_its_children_to_their_clients() {
    for place in places() {
        let mut server = Server::ours(place, &["-c", "200", "-C", "200", "cat"]);
        let mut held: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut held {
            assert_eq!(client.echo("one"), "one");
        }
        let over = AtomicBool::new(false);
        let count = AtomicUsize::new(0);
        let place = server.place.clone();
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    while !over.load(Relaxed) {
                        // Those that come too late may be refused or reset; the others are served.
                        let connected = match &place {
                            Place::Unix(path) => std::os::unix::net::UnixStream::connect(path).map(Into::into),
                            Place::Ip(address) => std::net::TcpStream::connect(address).map(Into::into),
                        };
                        if let Ok(fd) = connected {
                            let mut client = Client::new(fd);
                            let sent = std::io::Write::write_all(&mut client.0, b"hello\n");
                            let mut all = Vec::new();
                            let _ = client.try_finish();
                            let read = std::io::Read::read_to_end(&mut client.0, &mut all);
                            if sent.is_ok() && read.is_ok() && all == b"hello\n" {
                                count.fetch_add(1, Relaxed);
                            }
                        }
                    }
                });
            }
            eventually(|| count.load(Relaxed) > 100);
            server.kill(libc::SIGTERM);
            assert_eq!(server.wait().code(), Some(0));
            over.store(true, Relaxed);
        });
        for client in &mut held {
            assert_eq!(client.echo("still"), "still");
        }
    }
}
