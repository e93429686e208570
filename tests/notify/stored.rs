//! Descriptors that a service stores, and finds again.

use crate::client::{self, Process};
use crate::scandir::ScanDir;
use crate::service::Talking;
use crate::supervision::*;
use linchpin::sys::{Fd, fd, file};
use rustix::fd::AsRawFd as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

/// A pipe with something in it: the end to read from.
fn pipe_with(text: &str) -> (Fd, Fd) {
    let (read, write) = fd::pipe().unwrap();
    file::write_all(write, text.as_bytes()).unwrap();
    (read, write)
}

fn inode(fd: Fd) -> (u64, u64) {
    file::identity(fd).unwrap()
}

fn read(fd: Fd) -> String {
    let mut buf = [0; 64];
    assert!(readable(fd, PATIENCE));
    let n = file::read_some(fd, &mut buf).unwrap();
    String::from_utf8(buf[..n].to_vec()).unwrap()
}

/// Stores what the test has made, and closes the test's own.
fn store(web: &Process, words: &str, mut fd: Fd) {
    web.say_with(&format!("FDSTORE=1\n{words}"), &[fd]);
    fd.close();
}

fn close(mut fd: Fd) {
    fd.close();
}

#[test]
fn a_connection_lives_through_fifty_deaths_of_its_server() {
    let talking = Talking::with("", &[("restart-delay", "10ms")], &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut web = talking.next();
    assert!(web.listened.is_empty());
    web.accept_and_store(Fd(listener.as_raw_fd()), "conn");
    let mut seen = None;
    for round in 0..50 {
        web = talking.restart(web);
        assert_eq!(web.names(), ["conn"]);
        assert_eq!(web.env["LISTEN_FDS"], "1");
        assert_eq!(web.env["LISTEN_PID"], web.pid.to_string());
        assert_eq!(*seen.get_or_insert(inode(web.listened("conn"))), inode(web.listened("conn")));
        client.write_all(format!("question {round}").as_bytes()).unwrap();
        web.echo(0);
        let expected = format!("{} question {round}", web.pid);
        let mut answer = vec![0; expected.len()];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
    assert_eq!(talking.held(), ["fdstore:web:conn"]);
}

#[test]
fn what_comes_in_several_messages_or_in_one_is_there_at_the_next_start_with_its_names() {
    let talking = Talking::new("");
    let web = talking.next();
    let pipes: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(pipe_with).into();
    store(&web, "FDNAME=one", pipes[0].0);
    store(&web, "", pipes[1].0);
    store(&web, "FDNAME=not:valid", pipes[2].0);
    web.say_with("FDNAME=two words#2\nFDSTORE=1\nREADY=1", &[pipes[3].0, pipes[4].0]);
    store(&web, "FDNAME=one", pipes[5].0);
    [pipes[3].0, pipes[4].0].into_iter().for_each(close);
    talking.until_ready("web");
    let web = talking.restart(web);
    let mut found: Vec<_> =
        web.names().into_iter().zip(&web.listened).map(|(n, fd)| (n, read(Fd(fd.as_raw_fd())))).collect();
    found.sort();
    let expected =
        [("one", "a"), ("one", "f"), ("stored", "b"), ("stored", "c"), ("two words#2", "d"), ("two words#2", "e")];
    assert_eq!(found, expected.map(|(name, text)| (name, text.to_owned())));
    pipes.iter().for_each(|pipe| close(pipe.1));
}

#[test]
fn the_same_open_file_is_stored_once_however_often_it_comes() {
    let talking = Talking::new("");
    let web = talking.next();
    let (first, write) = pipe_with("");
    let again = first.duplicate(0).unwrap();
    web.say_with("FDSTORE=1\nFDNAME=a", &[first, again, first]);
    web.say_with("FDSTORE=1\nFDNAME=b", &[again]);
    // One of the same inode that was opened by itself is another one.
    let [null, other] = [(); 2].map(|()| file::open(Fd::CWD, c"/dev/null", rustix::fs::OFlags::RDONLY, 0).unwrap());
    web.say_with("FDSTORE=1\nFDNAME=null", &[null, null, other]);
    assert_eq!(talking.held(), ["fdstore:web:a", "fdstore:web:null", "fdstore:web:null#2"]);
    [first, again, write, null, other].into_iter().for_each(close);
}

#[test]
fn a_name_is_removed_with_all_that_it_stands_for_and_it_is_closed() {
    let talking = Talking::new("");
    let web = talking.next();
    let before = talking.fds_at_rest(&web);
    let pipes: Vec<_> = (0..4).map(|_| pipe_with("")).collect();
    // The reading ends are the test's: it sees when the last writer is gone.
    web.say_with("FDSTORE=1\nFDNAME=a\nFDPOLL=0", &[pipes[0].1, pipes[1].1]);
    web.say_with("FDSTORE=1\nFDNAME=b\nFDPOLL=0", &[pipes[2].1]);
    web.say_with("FDSTORE=1\nFDNAME=a#7\nFDPOLL=0", &[pipes[3].1]);
    pipes.iter().for_each(|pipe| close(pipe.1));
    assert_eq!(talking.held().len(), 4);
    web.say("FDSTOREREMOVE=1\nFDNAME=a");
    assert_eq!(talking.held(), ["fdstore:web:a#7#1", "fdstore:web:b"]);
    assert!(pipes[..2].iter().all(|pipe| read(pipe.0).is_empty()));
    assert!(!readable(pipes[2].0, std::time::Duration::ZERO));
    web.say("FDSTOREREMOVE=1");
    talking.until_log("does not say with FDNAME= which descriptor to remove");
    web.say("FDSTOREREMOVE=1\nFDNAME=nothing");
    web.say("FDSTOREREMOVE=1\nFDNAME=b");
    web.say("FDSTOREREMOVE=1\nFDNAME=a#7");
    assert!(talking.held().is_empty());
    eventually(|| talking.fds() == before);
    pipes.iter().for_each(|pipe| close(pipe.0));
}

#[test]
fn no_more_are_stored_than_the_service_may_have() {
    let talking = Talking::new("fdstore-max=3");
    let web = talking.next();
    let before = talking.fds_at_rest(&web);
    let pipes: Vec<_> = (0..5).map(|_| pipe_with("")).collect();
    let ends: Vec<_> = pipes.iter().map(|pipe| pipe.0).collect();
    web.say_with("FDSTORE=1", &ends);
    talking.until_log("service web has stored 3 descriptors, and may store no more");
    assert_eq!(talking.held().len(), 3);
    eventually(|| talking.fds() == before + 3);
    web.say("FDSTOREREMOVE=1\nFDNAME=stored");
    web.say_with("FDSTORE=1\nFDNAME=again", &ends[3..]);
    assert_eq!(talking.held(), ["fdstore:web:again", "fdstore:web:again#2"]);
    pipes.iter().for_each(|pipe| [pipe.0, pipe.1].into_iter().for_each(close));
}

#[test]
fn whoever_has_hung_up_is_let_go_of_unless_that_is_not_wanted() {
    let talking = Talking::new("");
    let web = talking.next();
    let (polled, unpolled, gone, file) = (
        pipe_with(""),
        pipe_with(""),
        pipe_with(""),
        file::open(Fd::CWD, c"/proc/self/exe", rustix::fs::OFlags::RDONLY, 0),
    );
    store(&web, "FDNAME=polled", polled.0);
    store(&web, "FDNAME=unpolled\nFDPOLL=0", unpolled.0);
    store(&web, "FDNAME=file", file.unwrap());
    assert_eq!(talking.held().len(), 3);
    close(polled.1);
    close(unpolled.1);
    eventually(|| talking.held() == ["fdstore:web:file", "fdstore:web:unpolled"]);
    // One that has hung up before it comes, and that the service has open itself.
    close(gone.1);
    store(&web, "FDNAME=gone", gone.0);
    eventually(|| talking.held() == ["fdstore:web:file", "fdstore:web:unpolled"]);
    let cpu = talking.cpu();
    for _ in 0..20 {
        web.say("STATUS=x");
    }
    assert!(talking.cpu() < cpu + std::time::Duration::from_secs(2), "it is not told of it for ever");
}

#[test]
fn a_client_of_the_fd_holder_may_take_what_a_service_has_stored_and_nothing_is_heard_of_it_after_that() {
    let talking = Talking::new("");
    let web = talking.next();
    let before = talking.fds_at_rest(&web);
    let (read, write) = pipe_with("held");
    store(&web, "FDNAME=a", read);
    assert_eq!(talking.text("s6-fdholder-retrieve fdholder/s fdstore:web:a head -c 4"), "held");
    talking.ok("s6-fdholder-delete fdholder/s fdstore:web:a");
    close(write);
    eventually(|| talking.fds() == before);
    web.say("READY=1");
    talking.until_ready("web");
    assert!(talking.held().is_empty());
}

#[test]
fn they_are_kept_while_the_service_is_down_and_while_its_supervisor_is_replaced_and_closed_when_it_goes_for_good() {
    let talking = Talking::new("");
    let web = talking.next();
    let (read, write) = pipe_with("");
    store(&web, "FDNAME=a\nFDPOLL=0", write);
    talking.ok("s6-svc -wd -dk web");
    drop(web);
    talking.ok("s6-svc -u web");
    let web = talking.next();
    assert_eq!(web.names(), ["a"]);
    let mut events = talking.listen("web");
    talking.ok("s6-svc -xk web");
    drop(web);
    events.until(b'x');
    events.until(b's');
    let web = talking.next();
    assert_eq!(web.names(), ["a"]);
    drop(web.listened);
    talking.hide("web");
    assert!(!readable(read, std::time::Duration::ZERO));
    talking.ok("s6-svscanctl -an .");
    assert!(readable(read, PATIENCE), "the last writer is gone");
    assert!(talking.held().is_empty());
    close(read);
}

#[test]
fn they_come_after_those_that_the_file_sockets_asks_for() {
    let talking = Talking::with("", &[("sockets", "unix:one name=first\n-unix:none\n"), DOWN], &[]);
    let (read, write) = pipe_with("");
    let socket = talking.path("fdholder/s").to_str().unwrap().to_owned();
    let stored = std::process::Command::new("sh")
        .args(["-c", "s6-fdholder-store -- \"$1\" unix:one </dev/null", "sh", &socket])
        .status()
        .unwrap();
    assert!(stored.success());
    talking.ok("s6-svc -u web");
    let web = talking.next();
    assert_eq!(web.names(), ["first"]);
    store(&web, "FDNAME=second", read);
    let web = talking.restart(web);
    assert_eq!(web.names(), ["first", "second"]);
    close(write);
}

#[test]
fn a_service_with_a_long_name_of_its_own_may_have_short_names_only() {
    let name = "n".repeat(200);
    let talking = Talking::start(ScanDir::new(&[(&name, &[("run", &client::run()), ("notify-socket", "")])]));
    let web = talking.next();
    let (read, write) = pipe_with("");
    web.say_with(&format!("FDSTORE=1\nFDNAME={}", "f".repeat(60)), &[read]);
    talking.until_log("that name is too long with its own");
    web.say_with("FDSTORE=1\nFDNAME=short", &[read]);
    assert_eq!(talking.held(), [format!("fdstore:{name}:short")]);
    [read, write].into_iter().for_each(close);
}
