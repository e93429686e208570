//! s6-tcpclient and names: /etc/hosts is all that is asked.

use crate::alone::alone;
use crate::beside::Beside;
use crate::tcpclient::{client, port};
use crate::{Seen, seen};
use std::net::TcpListener;

const HOSTS: &str = "\
# 127.0.0.99 board
127.0.0.1\tlocalhost here   # the first name counts
::1 localhost ip6
127.0.0.7 board.example board
127.0.0.8 board
::1 later
";

fn variables(done: &Seen) -> Vec<&str> {
    let mut all: Vec<_> =
        done.out.lines().filter(|line| line.contains("HOST=") || line.contains("REMOTEIP=")).collect();
    all.sort_unstable();
    all
}

/// Runs with [`HOSTS`] as /etc/hosts.
fn with_hosts(body: impl FnOnce(&Beside) + Send) {
    let both = Beside::new();
    both.file("hosts", HOSTS);
    alone(&both.path().join("hosts"), || body(&both));
}

#[test]
fn a_name_is_its_addresses_and_both_ends_have_names() {
    with_hosts(|both| {
        let listener = TcpListener::bind("127.0.0.8:0").unwrap();
        let done = seen(&mut client(both, &["-v", "BOARD", &port(&listener), "env"]));
        assert_eq!(done.err, format!("s6-tcpclient: info: connected to 127.0.0.8 port {}\n", port(&listener)));
        // Its own end is 127.0.0.1: the kernel's choice.
        assert_eq!(variables(&done), ["TCPLOCALHOST=localhost", "TCPREMOTEHOST=board", "TCPREMOTEIP=127.0.0.8"]);
        let done = seen(&mut client(both, &["-l", "me", "-i127.0.0.9", "127.0.0.8", &port(&listener), "env"]));
        assert_eq!(variables(&done), ["TCPLOCALHOST=me", "TCPREMOTEHOST=board", "TCPREMOTEIP=127.0.0.8"]);
        let mut command = client(both, &["-i127.0.0.9", "127.0.0.8", &port(&listener), "env"]);
        let done = seen(command.env("TCPLOCALHOST", "stale"));
        assert_eq!(variables(&done), ["TCPREMOTEHOST=board", "TCPREMOTEIP=127.0.0.8"]);
        let done = seen(&mut client(both, &["-hH", "127.0.0.8", &port(&listener), "env"]));
        assert_eq!(variables(&done), ["TCPREMOTEIP=127.0.0.8"]);
    });
}

#[test]
fn a_name_may_have_addresses_of_both_families() {
    with_hosts(|both| {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let old = TcpListener::bind(("127.0.0.1", listener.local_addr().unwrap().port())).unwrap();
        let met = |options: &[&str], host: &str| {
            let done = seen(client(both, options).args([host, &port(&listener), "env"]));
            done.out.lines().find_map(|line| line.strip_prefix("TCPREMOTEIP=").map(str::to_owned)).unwrap_or(done.err)
        };
        assert_eq!(met(&[], "localhost"), "127.0.0.1");
        assert_eq!(met(&["-n"], "localhost"), "127.0.0.1");
        assert_eq!(met(&["-4"], "localhost"), "127.0.0.1");
        assert_eq!(met(&["-6"], "localhost"), "::1");
        assert_eq!(met(&["-4", "-6"], "localhost"), "::1");
        assert_eq!(met(&[], "later"), "::1");
        assert_eq!(met(&["-4"], "later"), "s6-tcpclient: fatal: no IPv4 address for later\n");
        // This machine: IPv6 first.
        for host in ["", "0"] {
            assert_eq!(met(&[], host), "::1");
            assert_eq!(met(&["-H"], host), "::1");
            assert_eq!(met(&["-4"], host), "127.0.0.1");
        }
        drop(old);
        assert_eq!(met(&[], "localhost"), "::1");
    });
}

#[test]
fn a_name_that_is_not_there_is_told_with_the_place() {
    with_hosts(|both| {
        for name in ["nobody", "board.", "127.0.0.1,board", "127.0.0.99x"] {
            let done = seen(&mut client(both, &["-hn", name, "1", "true"]));
            let text = format!(
                "s6-tcpclient: fatal: unable to resolve {name}: /etc/hosts has no such name, and nothing else is asked\n"
            );
            assert_eq!((done.code, done.err), (111, text));
        }
    });
}
