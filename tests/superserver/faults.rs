//! What goes wrong: nothing left of something, programs that cannot be executed, clients that are gone, other servers of the
//! same socket.

use crate::beside::Whose::{Ours, Theirs};
use crate::beside::{Beside, eventually};
use crate::server::*;
use std::os::unix::process::CommandExt;
use std::time::Duration;

/// Sets a soft limit of another process.
fn limit(pid: i32, resource: rustix::process::Resource, value: Option<u64>) {
    use rustix::process::*;
    let pid = Pid::from_raw(pid);
    let now = getrlimit(resource);
    prlimit(pid, resource, Rlimit { current: value.or(now.maximum), maximum: now.maximum }).unwrap();
}

/// How often it was switched to and from.
fn switches(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
    counts.map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum()
}

/// Clock ticks that it used.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn without_descriptors_it_says_so_once_does_not_spin_and_serves_later() {
    for place in places() {
        let mut server = Server::ours(place, &["-v2", "cat"]);
        let mut first = server.connect();
        assert_eq!(first.echo("one"), "one");
        server.until("status: 1/");
        limit(server.pid(), rustix::process::Resource::Nofile, Some(0));
        let mut second = server.connect();
        second.send("two");
        server.until("warning: unable to accept: Too many open files");
        let before = (ticks(server.pid()), switches(server.pid()));
        // Some time, in which it has more than one reason to try.
        assert_eq!(first.echo("still"), "still");
        std::thread::sleep(Duration::from_millis(1500));
        let after = (ticks(server.pid()), switches(server.pid()));
        assert!(after.0 - before.0 < 30 && after.1 - before.1 < 200, "{before:?} {after:?}");
        server.kill(libc::SIGHUP);
        assert!(server.line().contains("received SIGHUP"), "said more than once");
        assert_eq!(first.line(), "");
        server.until("status: 0/");
        limit(server.pid(), rustix::process::Resource::Nofile, None);
        assert_eq!(second.line(), "two");
    }
}

#[test]
fn with_few_descriptors_it_works() {
    let server = Server::start(Ours, unix(), &["cat"], |command| {
        let few = || {
            limit(0, rustix::process::Resource::Nofile, Some(12));
            Ok(())
        };
        before(command, few);
    });
    let mut held: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for client in &mut held {
        assert_eq!(client.echo("x"), "x");
    }
}

/// A user of its own, who may have two processes: the server, and one child.
#[test]
fn without_processes_the_client_waits_and_others_are_served() {
    let both = Beside::new();
    both.copy("ipcserverd");
    let (listener, place) = Place::Unix(both.path().join("socket")).listen();
    let user = 1_000_000 + std::process::id();
    let mut server = Server::with(both, Ours, listener, place, &["-v1", "cat"], |command| {
        let few = || {
            limit(0, rustix::process::Resource::Nproc, Some(2));
            Ok(())
        };
        command.uid(user).gid(user);
        before(command, few);
    });
    let mut first = server.connect();
    assert_eq!(first.echo("one"), "one");
    let mut second = server.connect();
    second.send("two");
    server.until("warning: unable to fork: Resource temporarily unavailable");
    let before = ticks(server.pid());
    let mut third = server.connect();
    third.send("three");
    assert_eq!(first.echo("still"), "still");
    std::thread::sleep(Duration::from_millis(700));
    assert!(ticks(server.pid()) - before < 20, "it spins");
    assert_eq!(first.rest(), "");
    assert_eq!(second.line(), "two");
    assert_eq!(second.rest(), "");
    assert_eq!(third.line(), "three");
    // Each of them failed at first; it was said once.
    let (code, said) = server.stop(libc::SIGQUIT);
    assert_eq!((code, said.len()), (Some(0), 1), "{said:?}");
}

/// Debian's starts a child, which says so; its later version does as ours.
#[test]
fn a_program_that_cannot_be_executed_is_a_warning_and_no_connection() {
    let reasons = [
        ("no-such-program", "No such file or directory"),
        ("/", "Permission denied"),
        ("./socket", "Permission denied"),
        ("./empty/x", "No such file or directory"),
    ];
    for place in places() {
        for (name, reason) in reasons.iter().filter(|(name, _)| place == unix() || *name != "./socket") {
            let mut server = Server::ours(place.clone(), &["-v2", name]);
            for _ in 0..3 {
                assert!(server.connect().is_refused());
                server.until(&format!("warning: unable to spawn {name}: {reason}"));
            }
            let (code, said) = server.stop(libc::SIGTERM);
            assert_eq!((code, said.len()), (Some(0), 7), "{said:?}");
        }
    }
    let mut server = Server::ours(unix(), &["-v0", "no-such-program"]);
    assert!(server.connect().is_refused());
    assert_eq!(server.stop(libc::SIGTERM), (Some(0), vec![]));
    let mut theirs = Server::start(Theirs, unix(), &["-v2", "no-such-program"], |_| {});
    assert!(theirs.connect().is_refused());
    theirs.until("exitcode 127");
}

#[test]
fn a_client_that_resets_before_it_is_served_is_no_trouble() {
    for place in places() {
        let mut server = Server::ours(place, &["-v1", "-c", "1", "cat"]);
        let mut first = server.connect();
        assert_eq!(first.echo("one"), "one");
        for _ in 0..5 {
            server.connect().reset();
        }
        let mut last = server.connect();
        last.send("last");
        assert_eq!(first.rest(), "");
        assert_eq!(last.line(), "last");
        assert_eq!(last.rest(), "");
        server.kill(libc::SIGTERM);
        // cat complains about connections that are reset, which is none of the server's business.
        let (status, said) = server.end();
        assert_eq!(status.code(), Some(0));
        assert!(said.iter().all(|line| line.starts_with("cat:")), "{said:?}");
    }
}

#[test]
fn a_blocking_socket_that_another_server_shares_does_not_make_it_deaf() {
    for place in places() {
        let both = Beside::new();
        let place = if place == unix() { Place::Unix(both.path().join("socket")) } else { place };
        let (listener, place) = place.listen();
        let other = listener.try_clone().unwrap();
        let mut servers = [
            Server::with(both, Ours, listener, place.clone(), &["true"], |_| {}),
            Server::with(Beside::new(), Ours, other, place.clone(), &["true"], |_| {}),
        ];
        for _ in 0..50 {
            assert_eq!(place.connect().rest(), "");
        }
        for server in &mut servers {
            assert_eq!(server.stop(libc::SIGTERM), (Some(0), vec![]));
        }
    }
}

#[test]
fn a_child_that_never_ends_takes_one_place_and_no_more() {
    for place in places() {
        let server =
            Server::ours(place, &["-c", "2", "sh", "-c", "read x; test $x = stay && exec sleep 1000; echo $x"]);
        let mut stays = server.connect();
        stays.send("stay");
        for i in 0..20 {
            assert_eq!(server.connect().echo(&i.to_string()), i.to_string());
        }
        eventually(|| server.children().len() == 1);
    }
}

#[test]
fn children_that_others_left_to_it_are_reaped() {
    use std::process::Stdio;
    // A shell that becomes the server has a child already.
    let both = Beside::new();
    let (listener, place) = Place::Unix(both.path().join("socket")).listen();
    let mut server = both.command(Ours, "ipcserverd");
    let program = server.get_program().to_owned();
    server = std::process::Command::new("sh");
    server.args(["-c", "sleep 0.1 & exec \"$0\" cat"]).arg(program).current_dir(both.path());
    let mut child = server.stdin(listener).stdout(Stdio::null()).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let mut client = place.connect();
    assert_eq!(client.echo("hello"), "hello");
    eventually(|| std::fs::read_to_string(&children).unwrap().split_whitespace().count() == 1);
    assert_eq!(client.rest(), "");
    eventually(|| std::fs::read_to_string(&children).unwrap().is_empty());
    linchpin::sys::process::kill(child.id() as i32, libc::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
