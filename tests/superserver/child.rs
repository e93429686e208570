//! What the program finds that is run for a connection.

use crate::beside::Whose::{self, Ours, Theirs};
use crate::server::*;
use linchpin::sys::Fd;
use rustix::net::{AddressFamily, SocketType};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// What `env` says in a child, sorted, without what the shell adds.
fn environment(server: &Server) -> Vec<String> {
    let all = server.connect().rest();
    let mut all: Vec<_> = all.lines().map(str::to_owned).collect();
    all.retain(|entry| !entry.starts_with("PATH="));
    all.sort();
    all
}

fn ipc(whose: Whose, options: &[&str], change: impl FnOnce(&mut std::process::Command)) -> Vec<String> {
    let words: Vec<&str> = options.iter().chain(&["env"]).copied().collect();
    environment(&Server::start(whose, unix(), &words, change))
}

#[test]
fn the_environment_says_who_the_client_of_a_unix_socket_is() {
    let said = [Theirs, Ours].map(|whose| ipc(whose, &[], |_| {}));
    assert_eq!(said[1], said[0]);
    assert_eq!(said[1], ["IPCCONNNUM=1", "IPCREMOTEEGID=0", "IPCREMOTEEUID=0", "IPCREMOTEPATH=", "PROTO=IPC"]);
}

#[test]
fn inherited_variables_of_the_same_names_are_replaced_or_taken_out() {
    let change = |command: &mut std::process::Command| {
        for name in ["PROTO", "IPCREMOTEEUID", "IPCREMOTEEGID", "IPCREMOTEPATH", "IPCCONNNUM", "OTHER"] {
            command.env(name, "old");
        }
    };
    for options in [&[][..], &["-P"], &["-p"], &["-Pp"]] {
        let said = [Theirs, Ours].map(|whose| ipc(whose, options, change));
        assert_eq!(said[1], said[0], "{options:?}");
        assert!(said[1].contains(&"OTHER=old".to_owned()));
    }
    let said = ipc(Ours, &["-P"], change);
    assert_eq!(said, ["IPCCONNNUM=", "IPCREMOTEPATH=", "OTHER=old", "PROTO=IPC"]);
}

/// Connects a unix socket that has a name of its own.
fn bound(server: &Server, name: &str) -> Client {
    let Place::Unix(path) = &server.place else { panic!() };
    let client = socket(AddressFamily::UNIX, SocketType::STREAM);
    let fd = Fd(client.as_raw_fd());
    rustix::net::bind(fd, &address(name)).unwrap();
    rustix::net::connect(fd, &address(path.to_str().unwrap())).unwrap();
    Client::new(client)
}

#[test]
fn the_path_of_a_client_is_told_however_long_it_is() {
    let line = "printf '%s\\n' \"$IPCREMOTEPATH\"";
    let said = [Theirs, Ours].map(|whose| {
        let server = Server::start(whose, unix(), &["sh", "-c", line], |_| {});
        let dir = server.both.path().into_os_string().into_string().unwrap();
        let name = |length: usize| format!("{dir}/{:x<1$}", "", length - dir.len() - 1);
        let mut said: Vec<String> = Vec::new();
        for name in [name(60), "@abstract".to_owned(), format!("@abstract-{}", "y".repeat(97)), name(107), name(65)] {
            let said_of_it = bound(&server, &name).rest();
            assert_eq!(said_of_it.trim_end(), if name.starts_with('@') { "" } else { &*name });
            said.push(said_of_it.replace(&dir, "DIR"));
        }
        // One whose path takes all the room that there is. Debian's leaves the last byte out.
        let whole = name(108);
        let said_of_it = bound(&server, &whole).rest();
        assert_eq!(said_of_it.trim_end(), if whose == Ours { &*whole } else { &whole[..107] });
        said
    });
    assert_eq!(said[0].iter().map(String::len).max(), said[1].iter().map(String::len).max());
}

#[test]
fn the_environment_says_who_the_client_of_a_tcp_socket_is() {
    for (place, ip) in [(v4(), "127.0.0.1"), (v6(), "::1")] {
        // What a program before it may know better stays.
        let server = Server::start(Ours, place, &["env"], |command| {
            command.env("TCPREMOTEHOST", "stale").env("TCPLOCALIP", "old").env("TCPCONNNUM", "9");
        });
        let Place::Ip(address) = server.place else { panic!() };
        let stream = std::net::TcpStream::connect(address).unwrap();
        let own = stream.local_addr().unwrap().port();
        let mut said: Vec<_> = Client::new(stream.into()).rest().lines().map(str::to_owned).collect();
        said.retain(|entry| !entry.starts_with("PATH="));
        said.sort();
        let expected = [
            "PROTO=TCP".to_owned(),
            "TCPCONNNUM=1".to_owned(),
            format!("TCPLOCALIP={ip}"),
            format!("TCPLOCALPORT={}", address.port()),
            "TCPREMOTEHOST=stale".to_owned(),
            format!("TCPREMOTEIP={ip}"),
            format!("TCPREMOTEPORT={own}"),
        ];
        assert_eq!(said, expected);
    }
}

#[test]
fn the_local_address_is_that_of_the_listening_socket_and_ipv4_in_ipv6_is_ipv4() {
    for (listen, connect, local) in
        [("0.0.0.0:0", "127.0.0.1", "0.0.0.0"), ("[::]:0", "127.0.0.1", "::"), ("[::]:0", "::1", "::")]
    {
        let server = Server::ours(Place::Ip(listen.parse().unwrap()), &["env"]);
        let Place::Ip(address) = server.place else { panic!() };
        let to = Place::Ip(std::net::SocketAddr::new(connect.parse().unwrap(), address.port()));
        let said = to.connect().rest();
        for line in [format!("TCPLOCALIP={local}"), format!("TCPREMOTEIP={connect}")] {
            assert!(said.lines().any(|said| said == line), "{line} in {said}");
        }
    }
}

/// What a child has: flags and kinds of its descriptors, and signals.
const LOOK: &str = "for fd in 0 1 2; do
  echo $fd $(stat -Lc %F /proc/$$/fd/$fd) $(sed -n s/flags://p /proc/$$/fdinfo/$fd)
done
test \"$(readlink /proc/$$/fd/0)\" = \"$(readlink /proc/$$/fd/1)\" && echo same
ls /proc/$$/fd
grep -E '^Sig(Blk|Ign)' /proc/self/status";

#[test]
fn a_child_has_the_connection_twice_and_no_signal_blocked() {
    let with = |whose, place| {
        // Descriptor 9 is inherited; signals are blocked, and ignored, by somebody above.
        let server = Server::start(whose, place, &["sh", "-c", LOOK], |command| {
            let null = std::fs::File::open("/dev/null").unwrap();
            before(command, move || {
                Fd(null.as_raw_fd()).place(9).unwrap();
                [libc::SIGPIPE, libc::SIGUSR2].into_iter().for_each(ignore);
                linchpin::sys::signal::SignalSet::ALL.block();
                Ok(())
            });
        });
        server.connect().rest()
    };
    let theirs = with(Theirs, unix());
    for place in places() {
        let said = with(Ours, place);
        let of = |what: &str| said.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {said}"));
        assert!(said.contains("same"), "{said}");
        assert_eq!((of("0 socket"), of("1 socket")), ("0 socket 02", "1 socket 02"), "blocking, inherited");
        let mask = |of: &str| u64::from_str_radix(of.split_whitespace().last().unwrap(), 16).unwrap();
        assert_eq!(mask(of("SigBlk")), 0);
        assert_eq!(mask(of("SigIgn")) >> (libc::SIGPIPE - 1) & 1, 0);
        assert_eq!(mask(of("SigIgn")) >> (libc::SIGUSR2 - 1) & 1, 1);
        assert!(said.contains("\n9\n"), "{said}");
        assert_eq!(said, theirs);
    }
}

#[test]
fn connections_of_a_seqpacket_socket_are_served() {
    let both = crate::beside::Beside::new();
    let path = both.path().join("packets");
    let [listener, client] = [(); 2].map(|()| socket(AddressFamily::UNIX, SocketType::SEQPACKET));
    let address = address(path.to_str().unwrap());
    let fd = Fd(listener.as_raw_fd());
    rustix::net::bind(fd, &address).unwrap();
    rustix::net::listen(fd, 5).unwrap();
    let _server = Server::with(both, Ours, listener, Place::Unix(path), &["cat"], |_| {});
    rustix::net::connect(Fd(client.as_raw_fd()), &address).unwrap();
    let mut client = Client::new(client);
    let mut message = [0; 64];
    for length in [1, 30, 64] {
        client.0.write_all(&[b'x'; 64][..length]).unwrap();
        assert_eq!(client.0.read(&mut message).unwrap(), length, "a message stays one");
    }
}

#[test]
fn a_socket_without_a_file_is_served() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("linchpin-superserver-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    let listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let listener = std::os::fd::OwnedFd::from(listener);
    let _server =
        Server::with(crate::beside::Beside::new(), Ours, listener, Place::Unix(PathBuf::new()), &["cat"], |_| {});
    let mut client = Client::new(UnixStream::connect_addr(&address).unwrap().into());
    assert_eq!(client.echo("hello"), "hello");
}

#[test]
fn a_program_is_looked_for_in_path_and_found_again_where_it_was_moved_to() {
    let server = Server::start(Ours, unix(), &["-v0", "greet"], |command| {
        command.env("PATH", "missing:a:b:/usr/bin:/bin");
    });
    let at = |dir: &str| server.both.path().join(dir).join("greet");
    for dir in ["a", "b"] {
        std::fs::create_dir(server.both.path().join(dir)).unwrap();
    }
    // Written by somebody who has ended: no thread's child can have it open, which would keep it from being executed.
    let script = |dir: &str| {
        let line = "printf '#!/bin/sh\\necho from %s\\n' $0 > $0.new; chmod 755 $0.new; mv $0.new $0/greet";
        let mut shell = std::process::Command::new("sh");
        assert!(shell.args(["-c", line, dir]).current_dir(server.both.path()).status().unwrap().success());
    };
    assert!(server.connect().is_refused());
    script("b");
    assert_eq!(server.connect().rest(), "from b\n");
    assert_eq!(server.connect().rest(), "from b\n");
    script("a");
    std::fs::remove_file(at("b")).unwrap();
    assert_eq!(server.connect().rest(), "from a\n");
}
