//! `notify-socket-from-fd`: a newline that a daemon writes is told to a socket, as sd_notify(3) would.

use crate::running::*;
use crate::supervision::{PATIENCE, c_path, eventually, readable};
use linchpin::sys::message::{self, CONTROL_WORDS, HEADER_WORDS, PART_WORDS, Room, Sender};
use linchpin::sys::{Fd, datagram};
use std::path::Path;

/// Somebody who listens to sd_notify(3) and is told who speaks.
struct Supervisor(Fd);

struct Heard {
    text: String,
    fds: Vec<Fd>,
    sender: Sender,
}

impl Supervisor {
    fn at(path: &Path) -> Supervisor {
        let fd = datagram::at(&c_path(path)).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        Supervisor(fd)
    }

    /// With an abstract name, which is answered as `NOTIFY_SOCKET` has it.
    fn abstract_one() -> (Supervisor, String) {
        let fd = datagram::anywhere().unwrap();
        let mut name = [0; 108];
        let length = datagram::abstract_name(fd, &mut name).unwrap();
        (Supervisor(fd), format!("@{}", std::str::from_utf8(&name[..length]).unwrap()))
    }

    fn hear(&self) -> Heard {
        assert!(readable(self.0, PATIENCE), "nobody says anything");
        let (mut header, mut part) = ([0; HEADER_WORDS], [0; PART_WORDS]);
        let (mut control, mut bytes) = ([0; CONTROL_WORDS], [0; 4096]);
        message::forget(&mut header);
        let mut room = Room { header: &mut header, part: &mut part, control: &mut control };
        let came = room.receive(self.0, &mut bytes).unwrap();
        Heard {
            text: std::str::from_utf8(&bytes[..came.bytes]).unwrap().to_owned(),
            fds: message::descriptors(&came, &control).iter().map(|number| Fd(*number)).collect(),
            sender: message::sender(&came, &control).unwrap(),
        }
    }

    /// Readiness of this process, said by the process itself if so it is claimed, and the barrier, which is answered.
    fn hears_ready(&self, pid: i32) -> Sender {
        let ready = self.hear();
        assert_eq!(ready.text, format!("READY=1\nMAINPID={pid}\n"));
        let mut barrier = self.hear();
        assert_eq!((barrier.text.as_str(), barrier.fds.len()), ("BARRIER=1\n", 1));
        barrier.fds[0].close();
        ready.sender
    }

    fn has_heard(&self) -> bool {
        readable(self.0, std::time::Duration::ZERO)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A bridge to a socket in its directory, whose watcher's end is told in `code`.
fn watched(options: &str, writes: Option<&str>) -> (Running, Supervisor) {
    let stage = Stage::new();
    let supervisor = Supervisor::at(&stage.path("here"));
    let script = format!("exec s6-notify-socket-from-fd -f -d 6 {options} {}", part("waits_for_its_watcher"));
    let running = stage.start_with(&script, |command| {
        command.env("NOTIFY_SOCKET", "here").env("FD", "6");
        if let Some(text) = writes {
            command.env("WRITES", text);
        }
    });
    (running, supervisor)
}

/// A bridge to this address; `prog` is a script.
fn bridge(address: &str, options: &str, prog: &str) -> Running {
    let stage = Stage::new();
    std::fs::write(stage.path("prog"), prog).unwrap();
    let script = format!("exec s6-notify-socket-from-fd {options} sh prog");
    stage.start_with(&script, |command| {
        command.env("NOTIFY_SOCKET", address);
    })
}

#[test]
fn a_newline_makes_ready_whatever_comes_with_it() {
    for text in ["\n", "ready\n", "a long line".repeat(200).as_str().to_owned().as_str(), "x\ny\nz"] {
        let text = if text.contains('\n') { text.to_owned() } else { format!("{text}\n") };
        let (running, supervisor) = watched("", Some(&text));
        let sender = supervisor.hears_ready(running.pid());
        assert_eq!(sender.pid as i32, running.pid(), "as root it speaks in the daemon's name");
        assert_eq!(running.said("code"), "0");
        assert!(!supervisor.has_heard(), "it is said once");
    }
}

#[test]
fn fragments_make_a_line() {
    let (supervisor, address) = Supervisor::abstract_one();
    let prog = "printf a >&6; read line <first; printf b >&6; read line <second; echo >&6; exec sleep 1000";
    let stage = Stage::new();
    let gates = ["first", "second"];
    gates.iter().for_each(|gate| crate::supervision::make_fifo(&stage.path(gate)));
    std::fs::write(stage.path("prog"), prog).unwrap();
    let running = stage.start_with("exec s6-notify-socket-from-fd -d 6 sh prog", |command| {
        command.env("NOTIFY_SOCKET", &address);
    });
    for gate in gates {
        // The shell has written a piece before it opens this.
        std::fs::write(running.stage.path(gate), "go\n").unwrap();
    }
    supervisor.hears_ready(running.pid());
}

#[test]
fn an_abstract_address_is_as_good_as_a_path_and_descriptor_1_is_the_default() {
    let (supervisor, address) = Supervisor::abstract_one();
    for (options, script) in [
        ("", "echo ready; exec sleep 1000"),
        ("-d 7", "echo ready >&7; exec sleep 1000"),
        ("--notification-fd=7 --timeout=100000 --no-doublefork", "echo ready >&7; exec sleep 1000"),
        ("-f --doublefork", "echo ready; exec sleep 1000"),
    ] {
        let running = bridge(&address, options, script);
        supervisor.hears_ready(running.pid());
        assert!(!supervisor.has_heard());
    }
    let stage = Stage::new();
    let supervisor = Supervisor::at(&stage.path("here"));
    let path = stage.path("here").to_str().unwrap().to_owned();
    let running = bridge(&path, "", "echo; exec sleep 1000");
    supervisor.hears_ready(running.pid());
}

#[test]
fn it_stays_until_the_message_has_been_heard_but_not_longer_than_it_may() {
    let (running, supervisor) = watched("", Some("\n"));
    let (_ready, mut barrier) = (supervisor.hear(), supervisor.hear());
    assert!(!running.stage.path("code").exists(), "the barrier is not answered");
    barrier.fds[0].close();
    assert_eq!(running.said("code"), "0");
    let (running, supervisor) = watched("-t 200", Some("\n"));
    assert_eq!(running.said("code"), "99");
    let warning = "s6-notify-socket-from-fd: warning: ready, but that was not heard in time\n";
    assert_eq!(running.content("err"), warning);
    drop(supervisor);
}

#[test]
fn a_descriptor_that_is_closed_without_a_newline_says_nothing() {
    for text in ["", "no newline"] {
        let (running, supervisor) = watched("", Some(text));
        assert_eq!(running.said("code"), "1");
        assert!(!supervisor.has_heard());
    }
}

#[test]
fn a_daemon_that_ends_or_cannot_be_executed_leaves_nobody_behind() {
    let (supervisor, address) = Supervisor::abstract_one();
    for (prog, code) in [("true", 0), ("./nope", 127), ("/etc/passwd", 126)] {
        let mut running = Stage::new().start_with(&format!("exec s6-notify-socket-from-fd -d 6 {prog}"), |command| {
            command.env("NOTIFY_SOCKET", &address);
        });
        // The test's own pipe is descriptor 5, which the watcher would keep open if it held what is not its own.
        assert_eq!((running.notified().as_str(), running.code()), ("", code));
        assert!(!supervisor.has_heard());
    }
}

#[test]
fn time_may_be_limited() {
    let (running, supervisor) = watched("-t 20", None);
    assert_eq!(running.said("code"), "99");
    let warning = "s6-notify-socket-from-fd: warning: not ready: there was no newline in time\n";
    assert_eq!(running.content("err"), warning);
    assert!(!supervisor.has_heard());
}

#[test]
fn nobody_to_be_told_is_an_error_of_the_watcher_alone() {
    let (running, supervisor) = watched("", None);
    // Its socket is gone, and the path that led there.
    drop(supervisor);
    drop(running);
    let stage = Stage::new();
    drop(Supervisor::at(&stage.path("here")));
    let script = format!("exec s6-notify-socket-from-fd -f -d 6 {}", part("waits_for_its_watcher"));
    let running = stage.start_with(&script, |command| {
        command.env("NOTIFY_SOCKET", "here").env("FD", "6").env("WRITES", "\n");
    });
    assert_eq!(running.said("code"), "111");
    let message = "s6-notify-socket-from-fd: fatal: unable to send to here: Connection refused\n";
    assert_eq!(running.content("err"), message);
}

#[test]
fn without_a_socket_there_is_nothing_but_the_program() {
    let mut running = Stage::new().start("exec s6-notify-socket-from-fd -f -d 6 sh -c 'ls /proc/$$/fd >fds; echo out'");
    assert_eq!(running.code(), 0);
    assert_eq!(running.content("out"), "out\n");
    assert!(!running.content("fds").lines().any(|fd| fd == "6"));
}

#[test]
fn an_address_that_cannot_be_is_refused_before_the_program_runs() {
    let long = |length: usize| "x".repeat(length);
    let too_long = |address: &str| format!("fatal: unable to send to {address}: File name too long\n");
    let no_address = "fatal: NOTIFY_SOCKET is not the address of a socket\n";
    for (address, code, message) in [
        (long(108), 111, too_long(&long(108))),
        (format!("@{}", long(108)), 111, too_long(&format!("@{}", long(108)))),
        (String::new(), 100, no_address.to_owned()),
        ("@".to_owned(), 100, no_address.to_owned()),
    ] {
        let mut running = bridge(&address, "", "echo ran");
        assert_eq!((running.code(), running.content("out").as_str()), (code, ""), "{address}");
        assert_eq!(running.content("err"), format!("s6-notify-socket-from-fd: {message}"));
    }
    let mut running = bridge(&long(107), "", "true");
    assert_eq!(running.code(), 0);
    let mut running = bridge("/x", "-d 99999999", "true");
    assert_eq!(running.code(), 111);
    let message = "fatal: unable to move the pipe to descriptor 99999999: Bad file descriptor\n";
    assert_eq!(running.content("err"), format!("s6-notify-socket-from-fd: {message}"));
    for options in ["-x", "--foo", "-d x", "--timeout=", "-t -1"] {
        let mut running = bridge("/x", options, "true");
        assert_eq!(running.code(), 100, "{options}");
    }
}

#[test]
fn the_variable_is_the_supervisors_and_not_the_programs_unless_it_is_to_keep_it() {
    let (_supervisor, address) = Supervisor::abstract_one();
    for (options, expected) in
        [("", "none\n"), ("-k", &format!("{address}\n")), ("--keep-environment", &format!("{address}\n"))]
    {
        let mut running = bridge(&address, &format!("-d 6 {options}"), "echo ${NOTIFY_SOCKET-none}");
        assert_eq!(running.code(), 0);
        assert_eq!(running.content("out"), expected);
    }
}

#[test]
fn a_watcher_that_may_not_speak_for_another_speaks_for_itself() {
    let stage = Stage::new();
    let supervisor = Supervisor::at(&stage.path("here"));
    // Its own copy of the binary, for users who may not go where it was built.
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_linchpin")).arg(stage.path("copy")).status();
    assert!(copied.unwrap().success());
    let running = stage.start_with(
        "exec s6-setuidgid 65534:65534 ./copy notify-socket-from-fd -f sh -c 'echo; exec sleep 1000'",
        |command| {
            command.env("NOTIFY_SOCKET", "here");
        },
    );
    let sender = supervisor.hears_ready(running.pid());
    assert_eq!(sender.uid, 65534);
    assert!(sender.pid as i32 != running.pid() && sender.pid > 1, "{sender:?}");
}

#[test]
fn the_watcher_holds_nothing_that_it_does_not_need() {
    let (supervisor, address) = Supervisor::abstract_one();
    let script = "exec 7</dev/null; exec s6-notify-socket-from-fd -f -d 6 sh -c 'echo $$ >pid; exec sleep 1000'";
    let running = Stage::new().start_with(script, |command| {
        command.env("NOTIFY_SOCKET", &address);
    });
    running.said("pid");
    let [watcher] = running.children()[..] else { panic!("{:?}", running.children()) };
    eventually(|| descriptors(watcher).len() == 2);
    let held = descriptors(watcher);
    assert!(held[0].0 == 2 && held[0].1.ends_with("/err") && held[1].1.starts_with("pipe:"), "{held:?}");
    let own = own_memory(watcher);
    println!("{own} KiB are its own");
    assert!(own <= 80, "{own} KiB");
    assert!(!supervisor.has_heard());
    drop(running);
    eventually(|| is_gone(watcher));
}
