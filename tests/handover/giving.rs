//! What a service gets: these descriptors and no others, told as daemons expect it, at every start.

use crate::holder::*;
use crate::scandir::*;
use std::fs::File;
use std::os::unix::net::{UnixDatagram, UnixListener};

/// The engine with a service `web` that is down, and the descriptors `a`, `b` and `c` held.
fn with_three(files: &[(&str, &str)]) -> (Svscan, [String; 3]) {
    let mut all = vec![("run", RUN), AT_ONCE, DOWN];
    all.extend(files);
    let svscan = engine(&[("web", &all)]);
    let held = ["a", "b", "c"].map(|id| svscan.store_socket(id));
    (svscan, held)
}

fn up(svscan: &Svscan) -> i32 {
    svscan.ok("s6-svc -u web");
    svscan.sleeping("web")
}

#[test]
fn a_service_has_exactly_the_descriptors_that_its_file_names_in_that_order() {
    let (svscan, [a, _, c]) = with_three(&[("sockets", "# mine\nc\n\na name=http\n")]);
    let pid = up(&svscan);
    has_only(pid, &[&c, &a]);
    assert_eq!(told(pid), listen(pid, "c:http"));
    assert_eq!(svscan.held(), ["a", "b", "c"]);
}

#[test]
fn every_kind_of_descriptor_is_given() {
    let (svscan, _) = with_three(&[("sockets", "unix:stream\nunix:dgram\nfile\npipe\n")]);
    let stream = svscan.store("unix:stream", UnixListener::bind(svscan.base("stream")).unwrap());
    let dgram = svscan.store("unix:dgram", UnixDatagram::bind(svscan.base("dgram")).unwrap());
    let file = svscan.store("file", File::open("/etc/passwd").unwrap());
    let pipe = svscan.store("pipe", std::io::pipe().unwrap().0);
    let pid = up(&svscan);
    has_only(pid, &[&stream, &dgram, &file, &pipe]);
    assert_eq!(told(pid), listen(pid, "unix_stream:unix_dgram:file:pipe"));
}

#[test]
fn in_a_pid_namespace_of_its_own_a_service_finds_the_pid_that_it_has_there() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can make a namespace");
    }
    let (svscan, [a, ..]) = with_three(&[("sockets", "a\n"), ("flag-newpidns", "")]);
    let pid = up(&svscan);
    assert_ne!(pid, 1);
    has_only(pid, &[&a]);
    assert_eq!(told(pid), listen(1, "a"));
}

#[test]
fn fifty_deaths_later_it_is_the_same_socket_and_no_descriptor_is_lost_or_left() {
    let (svscan, [a, b, _]) = with_three(&[("sockets", "a\nb\n")]);
    let mut pid = up(&svscan);
    let before = svscan.settled_fds();
    for _ in 0..50 {
        pid = svscan.next("web", pid);
        has_only(pid, &[&a, &b]);
        assert_eq!(told(pid), listen(pid, "a:b"));
    }
    assert_eq!(svscan.settled_fds(), before);
    assert_eq!(svscan.held(), ["a", "b", "c"]);
}

#[test]
fn a_glob_gives_all_that_match_and_the_file_is_read_at_every_start() {
    let (svscan, [a, b, c]) = with_three(&[("sockets", "[ab]\n")]);
    let first = up(&svscan);
    has_only(first, &[&a, &b]);
    std::fs::write(svscan.path("web/sockets"), "c\n* name=rest\n").unwrap();
    let second = svscan.next("web", first);
    has_only(second, &[&c, &a, &b]);
    assert_eq!(told(second), listen(second, "c:rest:rest"));
    std::fs::remove_file(svscan.path("web/sockets")).unwrap();
    let third = svscan.next("web", second);
    has_only(third, &[]);
    assert_eq!(told(third).len(), 0);
}

#[test]
fn descriptor_0_is_given_in_the_way_of_s6_without_a_word_in_the_environment() {
    let (svscan, [a, b, _]) = with_three(&[("sockets", "0 a\n")]);
    let pid = up(&svscan);
    has_only(pid, &[]);
    assert_eq!((what(pid, 0), told(pid).len()), (a.clone(), 0));
    std::fs::write(svscan.path("web/sockets"), "0 a\nb\n").unwrap();
    let pid = svscan.next("web", pid);
    has_only(pid, &[&b]);
    assert_eq!(what(pid, 0), a);
    assert_eq!(told(pid), listen(pid, "b"));
}

#[test]
fn the_environment_of_a_dump_is_understood_by_s6() {
    let (svscan, [a, b, _]) = with_three(&[]);
    let other = S6Holder::start();
    // The service gives what it has got to s6's own fd-holder.
    let run = format!("#!/bin/execlineb -P\nforeground {{ s6-fdholder-setdump {} }}\nsleep 1000\n", other.socket());
    std::fs::write(svscan.path("web/run"), run).unwrap();
    std::fs::write(svscan.path("web/sockets"), "s6\na\nb\n").unwrap();
    let pid = up(&svscan);
    has_only(pid, &[&a, &b]);
    let s6 = told(pid).into_iter().filter(|(name, _)| name.starts_with("S6")).collect::<Vec<_>>();
    let expected = [("S6_FD#", "2"), ("S6_FDID_0", "a"), ("S6_FDID_1", "b"), ("S6_FD_0", "3"), ("S6_FD_1", "4")];
    assert_eq!(s6, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(other.held(), ["a", "b"]);
}

#[test]
fn lock_and_readiness_come_beside_them() {
    let files: &[(&str, &str)] = &[("sockets", "a\nb\n"), ("notification-fd", "5\n"), ("lock-fd", "7\n")];
    let (svscan, [a, b, _]) = with_three(files);
    let pid = up(&svscan);
    let numbers = |all: &[(i32, String)]| all.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    eventually(|| numbers(&descriptors(pid)) == [3, 4, 5, 7]);
    let all = descriptors(pid);
    assert_eq!(all[..2], from_3(&[&a, &b]));
    assert!(all[2].1.starts_with("pipe:") && all[3].1.ends_with("/web/supervise/service-lock"), "{all:?}");
}

#[test]
fn as_many_as_there_is_room_for_are_given() {
    let (svscan, _) = with_three(&[("sockets", "x*\n")]);
    let many: Vec<String> = (0..linchpin::limits::HANDED).map(|n| svscan.store_socket(&format!("x{n:03}"))).collect();
    let before = svscan.settled_fds();
    let pid = up(&svscan);
    has_only(pid, &many.iter().collect::<Vec<_>>());
    assert_eq!(told(pid)["LISTEN_FDS"], linchpin::limits::HANDED.to_string());
    let pid = svscan.next("web", pid);
    has_only(pid, &many.iter().collect::<Vec<_>>());
    assert_eq!(svscan.settled_fds(), before);
    svscan.store_socket("x-one-more");
    std::fs::write(svscan.path("web/sockets"), "x*\n").unwrap();
    linchpin::sys::process::kill(pid, 9).unwrap();
    svscan.until_log(
        "service web cannot be started: its file sockets: more than 128 descriptors; tried again every 60 s",
    );
}

#[test]
fn finish_gets_nothing_of_it() {
    let finish = "#!/bin/sh\n{ env | grep -c LISTEN_; ls /proc/self/fd | wc -l; } >fds.new\nmv fds.new fds\n";
    let (svscan, _) = with_three(&[("sockets", "a\n0 b\n"), ("finish", finish)]);
    let pid = up(&svscan);
    svscan.next("web", pid);
    eventually(|| svscan.path("web/fds").exists());
    // 0, 1, 2 and the directory that is listed.
    assert_eq!(words(&std::fs::read_to_string(svscan.path("web/fds")).unwrap()), ["0", "4"]);
}

#[test]
fn what_the_engine_was_told_of_its_own_descriptors_no_service_hears() {
    let script = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=mine LISTEN_PIDFDID=5 LISTENER=x; exec \"$@\"";
    let svscan = ScanDir::new(&[("web", &[("run", RUN)])]).start_by(script, "");
    let pid = svscan.sleeping("web");
    assert_eq!(told(pid).len(), 0);
    assert!(String::from_utf8(environ(pid)).unwrap().contains("LISTENER=x"));
}

#[test]
fn a_logger_has_its_own_and_reads_its_log_still() {
    let log = "#!/bin/sh\nread line\necho $line $LISTEN_FDNAMES >$SAID\nexec sleep 1000\n";
    let svscan = engine(&[(
        "web",
        &[("run", "#!/bin/sh\necho hello\nexec sleep 1000\n"), ("log/run", log), ("log/sockets", "a\n")],
    )]);
    svscan.store_socket("a");
    assert_eq!(svscan.hear(), "hello a");
}

#[test]
fn the_table_of_what_is_held_tells_who_was_given_it_and_how_often() {
    let (svscan, _) = with_three(&[("sockets", "a\n0 b\n")]);
    let first = up(&svscan);
    let second = svscan.next("web", first);
    let table = svscan.text(&format!("{} sockets --json fdholder/s", env!("CARGO_BIN_EXE_linchpin")));
    let given = format!("\"retrieved_times\":2,\"retrieved_by_pid\":{second},");
    let never = "\"retrieved_times\":0,\"retrieved_by_pid\":null,".to_owned();
    let expected = [("a", &given), ("b", &given), ("c", &never)];
    assert_eq!(table.lines().count(), expected.len(), "{table}");
    for (row, (name, told)) in table.lines().zip(expected) {
        assert!(row.starts_with(&format!("{{\"name\":\"{name}\",")) && row.contains(told), "{row}");
    }
}
