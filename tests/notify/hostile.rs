//! Messages that are none, and more of them than anybody needs.

use crate::client::send_to;
use crate::scandir::Svscan;
use crate::service::Talking;
use crate::supervision::*;
use linchpin::sys::{Fd, fd, socket::MAX_FDS};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A pipe of which the test sees when nobody else has the end to write to any more.
struct Witness {
    read: Fd,
    write: Fd,
}

impl Witness {
    fn new() -> Witness {
        let (read, write) = fd::pipe().unwrap();
        Witness { read, write }
    }

    /// Waits until only the test has it.
    fn until_closed(mut self) {
        self.write.close();
        assert!(readable(self.read, PATIENCE), "somebody has it open");
        self.read.close();
    }
}

#[test]
fn a_message_of_the_greatest_length_is_read_and_a_longer_one_is_not() {
    let talking = Talking::new("");
    let web = talking.next();
    let long = |length: usize| format!("READY=1\nX_PAD={}", "x".repeat(length - "READY=1\nX_PAD=".len()));
    web.say(&long(4097));
    talking.until_log("service web sent a message of more than 4096 bytes: ignored");
    assert!(!talking.status("web").ready);
    web.say(&long(4096));
    talking.until_ready("web");
}

#[test]
fn messages_that_are_not_valid_are_ignored_and_what_came_with_them_is_closed() {
    for (message, said) in [
        (&b"READY=1\0STATUS=x"[..], Some("sent a message with a NUL in it: ignored")),
        (b"BARRIER=1\nREADY=1", Some("sent BARRIER=1 together with something else: ignored")),
        (&[0xff; 4096], None),
        (b"", None),
        (b"\n\n\n", None),
        (b"=1\nREADY\nREADY=\nREADY=11\nready=1", None),
    ] {
        let talking = Talking::new("");
        let web = talking.next();
        let before = talking.fds_at_rest(&web);
        let witness = Witness::new();
        web.send(message, &[witness.write; 3]);
        web.barrier();
        witness.until_closed();
        said.into_iter().for_each(|said| talking.until_log(said));
        assert!(!talking.status("web").ready, "{message:?}");
        eventually(|| talking.fds() == before);
    }
}

#[test]
fn descriptors_that_nobody_is_to_store_are_closed_however_many_come() {
    let talking = Talking::new("");
    let web = talking.next();
    let before = talking.fds_at_rest(&web);
    let witness = Witness::new();
    for message in ["READY=1", "STATUS=x", "FDSTOREREMOVE=1\nFDNAME=a", "FDSTORE=0", "X=1"] {
        web.say_with(message, &[witness.write; MAX_FDS]);
    }
    witness.until_closed();
    eventually(|| talking.fds() == before);
    assert!(talking.held().is_empty());
}

#[test]
fn a_thousand_messages_with_descriptors_leave_none_behind() {
    let talking = Talking::new("fdstore-max=8");
    let web = talking.next();
    let before = talking.fds_at_rest(&web);
    let pipes: Vec<_> = (0..12).map(|_| Witness::new()).collect();
    let ends: Vec<_> = pipes.iter().map(|pipe| pipe.write).collect();
    for round in 0..1000 {
        let name = round % 7;
        web.send(format!("FDSTORE=1\nFDNAME=n{name}\nFDPOLL=0").as_bytes(), &ends[..round % 12]);
        web.send(format!("FDSTOREREMOVE=1\nFDNAME=n{}", (name + 3) % 7).as_bytes(), &ends[..1]);
    }
    for name in 0..7 {
        web.say(&format!("FDSTOREREMOVE=1\nFDNAME=n{name}"));
    }
    assert!(talking.held().is_empty());
    pipes.into_iter().for_each(Witness::until_closed);
    eventually(|| talking.fds() == before);
}

#[test]
fn a_flood_keeps_nobody_else_waiting() {
    const OTHER: &[(&str, &str)] = &[("run", SLEEPER), DOWN];
    let talking = Talking::with("", &[], &[("other", OTHER)]);
    let web = talking.next();
    let place = web.env["NOTIFY_SOCKET"].clone();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Some of it by others, with as many descriptors as a message takes.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                send_to(&place, b"FDSTORE=1\nREADY=1", &[Fd(0); MAX_FDS]);
            }
        });
        web.flood("STATUS=x\nWATCHDOG=1\nERRNO=1\nRELOADING=1");
        let begun = Instant::now();
        for _ in 0..10 {
            talking.ok("s6-svc -wu -T 20000 -u other");
            talking.ok("s6-svc -wd -T 20000 -d other");
        }
        let taken = begun.elapsed();
        over.store(true, Ordering::Relaxed);
        // Unhurried it takes 0.1 s.
        assert!(taken < Duration::from_secs(10), "{taken:?}");
    });
    assert!(!talking.status("web").ready);
    let log = talking.log();
    assert!(log.lines().count() < 20, "{}", log.chars().take(500).collect::<String>());
    web.kill(9);
    let web = talking.next();
    web.say("READY=1");
    talking.until_ready("web");
}

#[test]
fn without_a_fd_holder_nothing_is_stored_which_is_said_once() {
    let svscan = Svscan::with_options("", &[]);
    make_service(
        &svscan.base("alone"),
        &[("run", &crate::client::run()), ("notify-socket", "watchdog=60s"), ("notification-fd", "3\n")],
    );
    let meeting = crate::client::Meeting::new(&svscan.base(""));
    let log = svscan.base("alone-log");
    let mut events = Listener::new(&svscan.base("alone"));
    let mut supervise = std::process::Command::new(env!("CARGO_BIN_EXE_linchpin"))
        .args(["supervise", svscan.base("alone").to_str().unwrap()])
        .env("BASE", svscan.base(""))
        .stdin(std::process::Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let process = meeting.next();
    let witness = Witness::new();
    for _ in 0..3 {
        process.say_with("FDSTORE=1", &[witness.write]);
    }
    witness.until_closed();
    process.say("READY=1\nSTATUS=fine");
    events.until(b'U');
    assert!(svscan.base("alone/supervise/notify-status").exists());
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(said.matches("cannot store descriptors: there is no fd-holder here").count(), 1, "{said}");
    linchpin::sys::process::kill(supervise.id() as i32, 15).unwrap();
    assert!(end_of(&mut supervise).unwrap().success());
    assert_eq!(std::fs::read_dir(svscan.base("alone/notify")).unwrap().count(), 0);
}
