//! Daemons that serve one connection, on their standard input and output, behind a super-server that accepts on a held
//! socket: s6's own for unix sockets, a small one of ours for others.

use crate::place::*;
use linchpin::sys::Fd;
use rustix::event::{PollFd, PollFlags, poll};
use std::process::{Command, Stdio};

/// What the super-server below is run as: this program, asked for one "test".
const SERVES: &str = "LINCHPIN_TEST_SERVES";

/// Accepts on its standard input, and runs `sh -c $LINCHPIN_TEST_SERVES` for each connection, one after the other. It
/// looks before it accepts: accept(2) that waits, and is killed, takes who comes before the process has noticed.
#[test]
#[ignore = "the super-server that other tests start"]
fn super_server() {
    let Ok(command) = std::env::var(SERVES) else { return };
    loop {
        poll(&mut [PollFd::new(&Fd(0), PollFlags::IN)], None).unwrap();
        let mut connection = Fd::from_owned(rustix::net::accept(Fd(0)).unwrap());
        // Numbers are all that the shell needs to know.
        connection.set_cloexec(false).unwrap();
        let shell = format!("exec <&{0} >&{0} {0}>&-; {command}", connection.0);
        assert!(connection.0 < 10);
        let _ = Command::new("sh").args(["-c", &shell]).stdin(Stdio::null()).status();
        connection.close();
    }
}

fn both_ways(make: impl Fn() -> Place, command: &str, talk: &Talk) {
    for way in [Way::GivenAs0, Way::RetrievedAs0] {
        make().survives(way, command, talk);
    }
}

/// Behind the super-server of this file, on a TCP socket.
fn on_tcp(prepare: impl Fn(&Place), serve: &str, talk: &Talk) {
    let program = std::env::current_exe().unwrap();
    let how = "--exact connections::super_server --ignored --nocapture --test-threads=1 >/dev/null";
    let command = format!("{SERVES}=\"{serve}\" exec '{}' {how}", program.display());
    let make = || {
        let place = Place::tcp();
        prepare(&place);
        place
    };
    both_ways(make, &command, talk);
}

/// Behind s6-ipcserverd, on a unix socket.
fn on_unix(prepare: impl Fn(&Place), serve: &str, talk: &Talk) {
    let make = || {
        let place = Place::unix();
        prepare(&place);
        place
    };
    both_ways(make, &format!("exec s6-ipcserverd {serve}"), talk);
}

fn nothing(_: &Place) {}

#[test]
fn busybox_httpd_serves_connections() {
    on_tcp(nothing, "exec $ROOT/bin/busybox httpd -i -h www", &Talk::HTTP);
    on_unix(nothing, "$ROOT/bin/busybox httpd -i -h www", &Talk::HTTP);
}

#[test]
fn micro_httpd_serves_connections() {
    on_tcp(nothing, "exec $ROOT/usr/sbin/micro-httpd www", &Talk::HTTP);
    on_unix(nothing, "$ROOT/usr/sbin/micro-httpd www", &Talk::HTTP);
}

#[test]
fn rsync_serves_connections() {
    let talk = Talk { say: b"@RSYNCD: 31.0\n#list\n", hear: "pages          \ta module of the test\n" };
    let conf = "use chroot = no\n[pages]\npath = www\ncomment = a module of the test\n";
    on_tcp(|place| place.file("conf", conf), "exec $ROOT/usr/bin/rsync --daemon --config=conf", &talk);
}

#[test]
fn dropbear_serves_connections() {
    let talk = Talk { say: b"SSH-2.0-test\r\n", hear: "diffie-hellman" };
    let key = |place: &Place| place.run("$ROOT/usr/bin/dropbearkey -t ed25519 -f key");
    on_tcp(key, "exec $ROOT/usr/sbin/dropbear -i -r key", &talk);
}

#[test]
fn sshd_serves_connections() {
    let talk = Talk { say: b"SSH-2.0-test\r\n", hear: "diffie-hellman" };
    // It wants a user and a directory that a machine without it has not got: they are there for it alone.
    let prepare = |place: &Place| {
        place.run("$ROOT/usr/bin/dropbearkey -t ed25519 -f key.dropbear");
        place.run("$ROOT/usr/bin/dropbearconvert dropbear openssh key.dropbear key");
        place
            .run("chmod 600 key; cp /etc/passwd passwd; echo sshd:x:65534:65534::/run/sshd:/usr/sbin/nologin >>passwd");
        place.file("conf", "UsePAM no\nStrictModes no\n");
        place.file(
            "serve",
            "mount --bind passwd /etc/passwd && mount -t tmpfs none /run && mkdir /run/sshd && \
             exec $ROOT/usr/sbin/sshd -i -f conf -h \"$PWD/key\"\n",
        );
    };
    on_tcp(prepare, "exec unshare -m sh serve", &talk);
}
