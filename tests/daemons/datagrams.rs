//! Daemons that take a held socket for datagrams over. None that was sent is lost, whenever the daemon dies.

use crate::place::*;
use crate::scandir::{PATIENCE, Svscan, eventually};
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mount namespace whose /run says that systemd runs, see sd_booted(3): else these daemons do not look for sockets.
struct Booted(Child);

impl Booted {
    fn new() -> Booted {
        let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/system && echo && exec sleep 1000";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let read = std::io::Read::read(process.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        assert_eq!(read, 1, "there is no such namespace");
        Booted(process)
    }

    /// Words before those of a command that runs in it. Its working directory is the root.
    fn enter(&self) -> String {
        format!("nsenter --mount=/proc/{}/ns/mnt", self.0.id())
    }

    /// A path in it, from outside.
    fn path(&self, path: &str) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.0.id())).join(path.trim_start_matches('/'))
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const WAYS: [Way; 2] = [Way::Given, Way::Retrieved];

/// A query for the text of `qNUMBER.board.test`, whose identifier is the number.
fn query(number: u16) -> Vec<u8> {
    let label = format!("q{number}");
    let [high, low] = number.to_be_bytes();
    let header = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8];
    [&header, label.as_bytes(), b"\x05board\x04test\0\0\x10\0\x01"].concat()
}

#[test]
fn unbound_answers_each_query_that_a_held_udp_socket_has_got() {
    for way in WAYS {
        let (place, booted) = (Place::of_datagrams(), Booted::new());
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        place.file(
            "conf",
            &format!(
                "server:\n use-systemd: yes\n interface: 127.0.0.1@{}\n so-reuseport: no\n do-tcp: no\n do-daemonize: no\n \
                 chroot: \"\"\n username: \"\"\n directory: \"\"\n use-syslog: no\n module-config: iterator\n \
                 local-zone: board.test redirect\n local-data: 'board.test TXT \"a text of the test\"'\n\
                 remote-control:\n control-enable: no\n",
                server.local_addr().unwrap().port()
            ),
        );
        let command = format!("exec {} $ROOT/usr/sbin/unbound -d -p -c \"$PWD/conf\"", booted.enter());
        let mut answered = BTreeSet::new();
        place.loses_nothing(
            way,
            &command,
            |svscan| drop(svscan.store("it", server)),
            |number| assert_eq!(client.send(&query(number)).unwrap(), query(number).len()),
            |last| {
                while answered.len() < usize::from(last) {
                    let mut answer = [0; 512];
                    let len = client.recv(&mut answer).expect("every query is answered");
                    let number = u16::from_be_bytes([answer[0], answer[1]]);
                    let text = String::from_utf8_lossy(&answer[..len]);
                    assert!(
                        text.contains(&format!("q{number}\x05board")) && text.contains("a text of the test"),
                        "{text:?}"
                    );
                    assert!(number <= last && answered.insert(number), "{number} was not asked, or is answered twice");
                }
            },
        );
    }
}

/// The only name under which rsyslog takes a socket over; /dev/log is a link to it.
const LOG: &str = "/run/systemd/journal/syslog";

#[test]
fn rsyslogd_writes_each_line_that_a_held_unix_socket_has_got() {
    for way in WAYS {
        let (place, booted) = (Place::of_datagrams(), Booted::new());
        let written = place.path().join("messages");
        place.file(
            "conf",
            &format!(
                "module(load=\"imuxsock\")\nglobal(workDirectory=\"{}\")\n*.* action(type=\"omfile\" file=\"{}\")\n",
                place.path().display(),
                written.display()
            ),
        );
        let modules = format!("$ROOT/usr/lib/{}/rsyslog", multiarch());
        let command =
            format!("exec {} $ROOT/usr/sbin/rsyslogd -n -i NONE -f \"$PWD/conf\" -M {modules}", booted.enter());
        let client = UnixDatagram::unbound().unwrap();
        client.set_write_timeout(Some(PATIENCE)).unwrap();
        let lines = || {
            let text = std::fs::read_to_string(&written).unwrap_or_default();
            text.lines().filter_map(|line| line.split_once("test: line ")?.1.parse().ok()).collect::<Vec<u16>>()
        };
        place.loses_nothing(
            way,
            &command,
            |svscan| bind(svscan, &booted),
            |number| {
                let line = format!("<14>Jan  1 00:00:00 test: line {number}\n");
                client.send_to(line.as_bytes(), booted.path(LOG)).unwrap();
            },
            |last| {
                eventually(|| lines().len() >= usize::from(last));
                assert_eq!(lines(), (1..=last).collect::<Vec<_>>(), "each once, in their order");
            },
        );
    }
}

/// Has a socket held that is bound to [`LOG`] there.
fn bind(svscan: &Svscan, booted: &Booted) {
    std::fs::create_dir(booted.path("/run/systemd/journal")).unwrap();
    let (ours, holder) = (env!("CARGO_BIN_EXE_linchpin"), svscan.path("fdholder/s"));
    svscan.ok(&format!(
        "{} {ours} ipcserver-socketbinder -m -b 0 {LOG} {ours} fdholder-store {} it",
        booted.enter(),
        holder.display()
    ));
}
