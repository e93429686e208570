//! The socket binders: what they make of a place, what they hand on, what they refuse.

use crate::compare::{differ, over_tcp};
use crate::stage::{Maker, Proto, Stage};
use linchpin::sys::Fd;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

/// Runs the binder of unix sockets with `true`: how it ended, and what is at the path then.
fn bind(stage: &mut Stage, label: &str, options: &[&str], path: &str) {
    let mut words = options.to_vec();
    words.extend([path, "true"]);
    let end = stage.run("ipcserver-socketbinder", &words);
    let there = match std::fs::symlink_metadata(stage.path(path)) {
        Ok(meta) if meta.file_type().is_socket() => format!("a socket {:o}", meta.mode() & 0o7777),
        Ok(meta) if meta.is_dir() => "a directory".into(),
        Ok(meta) if meta.is_symlink() => "a link".into(),
        Ok(meta) => format!("a file {:o}", meta.mode() & 0o7777),
        Err(_) => "nothing".into(),
    };
    stage.note(label, format!("{end} {there}"));
}

#[test]
fn permissions_are_those_that_were_asked_for() {
    differ(|stage| {
        bind(stage, "default", &[], "s");
        for perms in ["0700", "600", "0", "770", "1777", "0420", "8", "-1", "", "x"] {
            bind(stage, &format!("-a {perms}"), &["-a", perms], "s");
        }
        // Whatever the umask is; it is the next program's again.
        let seen = stage.shell("umask 077; s6-ipcserver-socketbinder -a 0666 t sh -c 'umask; stat -c %a t t.lock'");
        stage.note("umask", seen);
    });
}

#[test]
fn what_is_at_the_path_gives_way_unless_it_is_a_directory() {
    differ(|stage| {
        stage.file("file", "content");
        bind(stage, "a file", &[], "file");
        bind(stage, "a socket", &[], "file");
        std::fs::create_dir(stage.path("dir")).unwrap();
        bind(stage, "a directory", &[], "dir");
        stage.file("target", "content");
        symlink("target", stage.path("link")).unwrap();
        bind(stage, "a link", &[], "link");
        stage.note("what it led to", std::fs::read_to_string(stage.path("target")).unwrap());
        symlink("nowhere", stage.path("dangling")).unwrap();
        bind(stage, "a link to nowhere", &[], "dangling");
        bind(stage, "no directory", &[], "missing/s");
        bind(stage, "below a file", &[], "target/s");
    });
}

#[test]
fn with_a_big_d_nothing_gives_way() {
    differ(|stage| {
        bind(stage, "nothing", &["-D"], "s");
        bind(stage, "a socket", &["-D"], "s");
        stage.note("a lock", stage.path("s.lock").exists());
        stage.file("file", "");
        bind(stage, "a file", &["-D"], "file");
        bind(stage, "the last counts", &["-Dd"], "file");
    });
}

#[test]
fn paths_may_be_107_bytes_long() {
    differ(|stage| {
        std::fs::create_dir(stage.path(&"d".repeat(50))).unwrap();
        for length in [100, 107, 108, 120] {
            let path = format!("{}/{}", "d".repeat(50), "s".repeat(length - 51));
            bind(stage, &format!("{length}"), &[], &path);
        }
        bind(stage, "0", &[], "");
    });
}

#[test]
fn a_lock_that_somebody_holds_is_an_error() {
    differ(|stage| {
        let lock = File::options().write(true).create(true).truncate(false).open(stage.path("s.lock")).unwrap();
        rustix::fs::fcntl_lock(Fd(lock.as_raw_fd()), rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        bind(stage, "locked", &[], "s");
        bind(stage, "without locks", &["-D"], "s");
        drop(lock);
        bind(stage, "no longer locked", &[], "s");
    });
}

#[test]
fn a_path_with_a_living_server_is_not_taken_over() {
    differ(|stage| {
        stage.wrapper(&["-q"], &["echo", "first"]);
        let second = stage.run("ipcserver-socketbinder", &["s", "true"]);
        stage.note("a second binder", second);
        let reached = UnixStream::connect(stage.path("s")).map(std::io::read_to_string);
        stage.note("clients reach", reached.map_or("nobody".into(), Result::unwrap));
        stage.finish();
        bind(stage, "after its end", &[], "s");
    });
}

/// What the next program finds at its standard input.
const LOOK: &str = r#"readlink /proc/self/fd/0 | sed 's/[0-9]*//g'; grep flags /proc/$$/fdinfo/0
    inode=$(readlink /proc/$$/fd/0); inode=${inode#socket:[}; inode=${inode%]}
    awk -v inode=$inode '$7 == inode { print $4, $5, $6, $8 }' /proc/net/unix"#;

#[test]
fn the_next_program_gets_the_socket_as_its_input() {
    differ(|stage| {
        let options: &[&[&str]] =
            &[&[], &["-B"], &["-b", "1"], &["-b0"], &["-m", "-b0"], &["-mM"], &["-m"], &["-m", "-b", "3"]];
        for options in options {
            let mut words = options.to_vec();
            words.extend(["p", "sh", "-c", LOOK]);
            let seen = stage.run("ipcserver-socketbinder", &words);
            stage.note(&format!("{options:?}"), seen);
        }
    });
}

#[test]
fn the_other_descriptors_are_left_alone() {
    differ(|stage| {
        stage.file("nine", "content of nine\n");
        let script = "exec 9<nine; s6-ipcserver-socketbinder s \
                      sh -c 'cat <&9; echo out; for fd in /proc/$$/fd/*; do echo ${fd##*/}; done' <&-";
        let seen = stage.shell(script);
        stage.note("list", seen);
    });
}

#[test]
fn words_that_a_binder_refuses() {
    differ(|stage| {
        let lines: &[&[&str]] = &[
            &[],
            &["s"],
            &["-Z", "s", "true"],
            &["-b"],
            &["-b", "x", "s", "true"],
            &["-b", "-1", "s", "true"],
            &["-b", "4294967296", "s", "true"],
            &["--backlog=3", "s", "true"],
            &["--", "s"],
            &["s", "/nonexistent/program"],
            &["s", "/"],
        ];
        for words in lines {
            let end = stage.run("ipcserver-socketbinder", words);
            stage.note(&words.join(" "), end);
        }
    });
}

#[test]
fn the_backlog_is_the_kernels_greatest_unless_told() {
    differ(|stage| {
        // Column Send-Q is the backlog; the kernel cuts it at somaxconn.
        for (label, options) in [("default", ""), ("3", "-b 3"), ("4000000000", "-b 4000000000")] {
            let name = format!("b{label}");
            let look = format!("ss -Hlx src {}/{name} | awk '{{ print $4 }}'", stage.here().display());
            let seen = stage.shell(&format!(
                "s6-ipcserver-socketbinder {options} {}/{name} sh -c \"{}\"",
                stage.here().display(),
                look.replace('$', "\\$")
            ));
            stage.note(label, seen);
        }
    });
}

/// Runs the binder of IP sockets; whether it could, and what the next program sees.
fn bind_ip(stage: &Stage, words: &[&str]) -> String {
    let mut command = stage.command("tcpserver-socketbinder");
    command.args(words).stdin(Stdio::null());
    crate::stage::end_and_output(&mut command)
}

/// The next program's view: flags, and the socket with its port left out if it is not the one that was asked for.
const LOOK_IP: &str = r#"grep flags /proc/$$/fdinfo/0
    inode=$(readlink /proc/$$/fd/0); inode=${inode#socket:[}; inode=${inode%]}
    cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 | \
        awk -v inode=$inode '$10 == inode { sub(":[0-9A-F]*$", "", $2); print $2, $4 }'"#;

#[test]
fn a_tcp_socket_is_the_next_programs_input() {
    over_tcp(|stage| {
        let ip = stage.proto.ip();
        let address = if stage.proto == Proto::Tcp4 { "0100007F" } else { "00000000000000000000000001000000" };
        let cases: &[(&[&str], &str, &str)] = &[
            (&[], "04002", "0A"),
            (&["-B"], "02", "0A"),
            (&["--block"], "02", "0A"),
            (&["-D", "-b", "1"], "04002", "0A"),
            (&["--no-reuse-address", "--backlog=1", "--tcp"], "04002", "0A"),
            (&["-m", "-b0"], "04002", "07"),
            (&["--udp", "--backlog=0"], "04002", "07"),
            (&["--udp", "--backlog=0", "--tcp", "--backlog=5"], "04002", "0A"),
        ];
        for (options, flags, state) in cases {
            let mut words = options.to_vec();
            words.extend([ip, "0", "sh", "-c", LOOK_IP]);
            let seen = bind_ip(stage, &words);
            stage.spec(&format!("{options:?}"), seen, &format!("exit 0: flags:\t{flags}\n{address} {state}"));
        }
        // Not listening: the kernel tells of no such TCP socket there.
        let seen = bind_ip(stage, &["-b0", ip, "0", "sh", "-c", LOOK_IP]);
        stage.note("-b0", seen);
    });
}

#[test]
fn words_that_a_tcp_binder_refuses() {
    over_tcp(|stage| {
        let ip = stage.proto.ip();
        let refused: &[&[&str]] = &[
            &[],
            &[ip],
            &[ip, "0"],
            &[ip, "x", "true"],
            &[ip, "", "true"],
            &[ip, "-1", "true"],
            &[ip, "65536", "true"],
            &["localhost", "0", "true"],
            &["0", "0", "true"],
            &["127.0.0", "0", "true"],
            &["127.0.0.256", "0", "true"],
            &["", "0", "true"],
            &["-Z", ip, "0", "true"],
            &["--unknown", ip, "0", "true"],
            &["--unknown=1", ip, "0", "true"],
            &["-b", "x", ip, "0", "true"],
            &["--backlog=x", ip, "0", "true"],
        ];
        for words in refused {
            let end = bind_ip(stage, words);
            assert_eq!(end, "exit 100: ", "{words:?}: {}", stage.raw_log());
        }
        // What the system refuses.
        let datagrams = bind_ip(stage, &["-m", ip, "0", "true"]);
        assert_eq!(datagrams, "exit 111: ");
        let foreign = if stage.proto == Proto::Tcp4 { "192.0.2.1" } else { "2001:db8::1" };
        assert_eq!(bind_ip(stage, &[foreign, "0", "true"]), "exit 111: ");
        assert_eq!(bind_ip(stage, &[ip, "0", "/nonexistent/program"]), "exit 127: ");
        assert_eq!(bind_ip(stage, &[ip, "0", "/"]), "exit 126: ");
        assert!(stage.raw_log().contains("s6-tcpserver-socketbinder: fatal: unable to bind"), "{}", stage.raw_log());
    });
}

#[test]
fn a_tcp_port_that_somebody_has_is_an_error() {
    over_tcp(|stage| {
        stage.wrapper(&[], &["cat"]);
        let port = stage.port();
        for options in [&[][..], &["-D"]] {
            let mut words = options.to_vec();
            words.extend([stage.proto.ip(), &port, "true"]);
            assert_eq!(bind_ip(stage, &words), "exit 111: ");
        }
        // Its end of a closed connection waits there for a while: -D respects that.
        let client = stage.connect();
        stage.signal(crate::stage::Signal::ABORT);
        stage.end();
        drop(client);
        let again = bind_ip(stage, &[stage.proto.ip(), &port, "true"]);
        assert_eq!(again, "exit 0: ");
    });
}

#[test]
fn a_socket_of_all_ipv6_addresses_takes_no_ipv4() {
    let mut stage = Stage::new(Maker::Linchpin, Proto::Tcp6);
    // Both families have the same port: they are two sockets.
    let script = "s6-tcpserver-socketbinder :: 0 sh -c 'inode=$(readlink /proc/$$/fd/0); inode=${inode#*[}; inode=${inode%]}; \
                  port=$(awk -v inode=$inode \"\\$10 == inode { print \\$2 }\" /proc/net/tcp6); port=$((0x${port#*:})); \
                  exec 9<&0; exec s6-tcpserver-socketbinder 0.0.0.0 $port echo both'";
    assert_eq!(stage.shell(script), "exit 0: both");
    let _ = &mut stage;
}

#[test]
fn an_old_socket_file_without_a_server_gives_way() {
    differ(|stage| {
        drop(UnixListener::bind(stage.path("s")).unwrap());
        bind(stage, "with -D", &["-D"], "s");
        bind(stage, "else", &[], "s");
    });
}
