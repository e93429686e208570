//! `notify-fd-from-socket`: what a daemon says to a socket is heard by a supervisor that waits for a newline.

use crate::running::*;
use crate::supervision::{PATIENCE, eventually, readable};
use linchpin::sys::Fd;

/// A daemon that tells where its socket is, and stays.
const STAYS: &str = "sh -c 'echo $NOTIFY_SOCKET >socket; exec sleep 1000'";

fn bridge(options: &str, prog: &str) -> Running {
    Stage::new().start(&format!("exec s6-notify-fd-from-socket {options} {prog}"))
}

/// One whose watcher's end is told in `code`.
fn watched(options: &str) -> Running {
    bridge(&format!("-f -3 5 {options}"), &part("waits_for_its_watcher"))
}

/// A daemon whose watcher is known: its only child.
fn with_child(script: &str) -> (Running, i32) {
    let running = Stage::new().start(script);
    running.said("socket");
    let [watcher] = running.children()[..] else { panic!("{:?}", running.children()) };
    (running, watcher)
}

#[test]
fn whoever_says_ready_is_ready_with_a_newline_or_without_and_among_other_things() {
    for message in [
        "READY=1",
        "READY=1\n",
        "READY=1\0",
        "STATUS=up\nREADY=1",
        "STATUS=up\nREADY=1\n",
        "READY=1\nSTATUS=up\nMAINPID=1\n",
        "\n\nREADY=1\n\n",
        "X_UNKNOWN=1\nnonsense\nREADY=1",
    ] {
        let mut running = bridge("-3 5", STAYS);
        running.send(message.as_bytes());
        assert_eq!(running.notified(), "\n", "{message:?}");
        assert!(running.child.try_wait().unwrap().is_none(), "the daemon goes on");
    }
}

#[test]
fn nothing_else_makes_ready_and_several_messages_are_no_more_than_one() {
    let mut running = bridge("-3 5", STAYS);
    let long = [&b"READY=1\n"[..], &[b'x'; 4096]].concat();
    let garbage: Vec<u8> = (0..=255).rev().collect();
    for message in [
        &b""[..],
        b"READ",
        b"Y=1",
        b"READY=",
        b"READY=0",
        b"READY=11",
        b"READY=0\nREADY=1",
        b"ready=1",
        b" READY=1",
        b"NOTREADY=1",
        b"STATUS=READY=1",
        b"RELOADING=1\nSTOPPING=1",
        b"READY=1\0STATUS=a NUL inside",
        &garbage,
        &long,
    ] {
        running.send(message);
        running.barrier();
        assert!(!running.has_notified(), "{:?}", String::from_utf8_lossy(message));
    }
    running.send(b"READY=1");
    assert_eq!(running.notified(), "\n");
    // It may be gone meanwhile.
    let again = send_to(&running.said("socket"), b"READY=1", &[]);
    assert!([0, 111].contains(&again), "{again}");
    assert_eq!(running.content("err"), "");
}

#[test]
fn a_barrier_is_answered_at_once_before_readiness_and_after_it() {
    let running = watched("");
    running.barrier();
    running.barrier();
    assert!(!running.has_notified());
    running.send(b"READY=1");
    running.barrier();
    assert_eq!(running.said("code"), "0", "nothing is left to do after that");
}

#[test]
fn descriptors_that_come_with_a_message_are_closed() {
    let running = watched("");
    let (mut read, mut write) = Fd::pipe().unwrap();
    assert_eq!(send_to(&running.said("socket"), b"FDSTORE=1\nFDNAME=x", &[write; 100]), 0);
    write.close();
    assert!(readable(read, PATIENCE));
    assert!(!running.has_notified());
    read.close();
}

#[test]
fn systemd_notify_is_content() {
    if !std::path::Path::new("/usr/bin/systemd-notify").exists() {
        eprintln!("systemd-notify is not installed: not tested");
        return;
    }
    // It waits for its barrier, which must be answered although readiness is old news then.
    let mut running = bridge("-3 5", "sh -c 'systemd-notify --ready --status=up; echo $? >code; exec sleep 1000'");
    assert_eq!(running.said("code"), "0", "{}", running.content("err"));
    assert_eq!(running.notified(), "\n");
}

#[test]
fn strangers_are_not_heard_but_the_session_and_descendants_are() {
    let nobody = format!("s6-setuidgid 65534:65534 {}", part("says_something"));
    let daemon = |script: &str| {
        let stage = Stage::new();
        let gate = stage.path("gate");
        crate::supervision::make_fifo(&gate);
        std::fs::write(stage.path("daemon"), format!("echo $NOTIFY_SOCKET >socket\n{script}\nexec sleep 1000"))
            .unwrap();
        stage.start_with("exec setsid s6-notify-fd-from-socket -3 5 sh daemon", |command| {
            command.env("MESSAGE", "READY=1").env("STAYS", gate);
        })
    };
    // Of another user, and neither of the daemon's session nor its descendant.
    let running = daemon("");
    let mut stranger = running.stage.command(&format!("exec setsid -w {nobody}"));
    stranger.env("NOTIFY_SOCKET", running.said("socket")).env("MESSAGE", "READY=1");
    assert!(stranger.stdout(std::process::Stdio::null()).status().unwrap().success());
    running.barrier();
    assert!(!running.has_notified());
    // Of another user, but of the daemon's session: an orphan.
    let mut running = daemon(&format!("(sh -c 'read line <gate; exec {nobody}' &)\necho >made"));
    running.said("made");
    std::fs::write(running.stage.path("gate"), "go\n").unwrap();
    assert_eq!(running.notified(), "\n");
    // Of another user and another session, but the daemon's child.
    let mut running = daemon(&format!("setsid {nobody} &"));
    assert_eq!(running.notified(), "\n");
}

#[test]
fn a_file_is_as_good_as_a_pipe() {
    let running = bridge("-3 6", &format!("{STAYS} 6>file"));
    running.send(b"READY=1");
    eventually(|| running.content("file") == "\n");
}

#[test]
fn time_may_be_limited() {
    let running = watched("-t 20");
    assert_eq!(running.said("code"), "99");
    let expected = "s6-notify-fd-from-socket: warning: not ready: there was no READY=1 in time\n";
    assert_eq!(running.content("err"), expected);
    let mut running = bridge("-3 5 --timeout=20", STAYS);
    assert_eq!(running.notified(), "");
    assert!(running.child.try_wait().unwrap().is_none(), "the daemon goes on");
}

#[test]
fn a_daemon_that_ends_first_leaves_nobody_behind() {
    let mut running = bridge("-3 5", "true");
    assert_eq!((running.notified().as_str(), running.code()), ("", 0));
    let mut running = bridge("-3 5", STAYS);
    running.said("socket");
    running.child.kill().unwrap();
    assert_eq!((running.notified().as_str(), running.code()), ("", 1009));
}

#[test]
fn what_a_daemon_said_before_it_ended_counts() {
    for _ in 0..20 {
        let mut running = bridge("-3 5", &format!("env MESSAGE=READY=1 {}", part("says_something")));
        assert_eq!((running.notified().as_str(), running.code()), ("\n", 0));
    }
}

#[test]
fn a_daemon_that_cannot_be_executed_is_said_and_leaves_nobody_behind() {
    for (prog, code, reason) in
        [("./nope", 127, "No such file or directory"), ("/etc/passwd", 126, "Permission denied")]
    {
        let mut running = bridge("-3 5", prog);
        assert_eq!((running.notified().as_str(), running.code()), ("", code));
        let expected = format!("s6-notify-fd-from-socket: fatal: unable to exec {prog}: {reason}\n");
        assert_eq!(running.content("err"), expected);
    }
}

#[test]
fn the_listener_ends_when_nobody_reads_what_it_would_write() {
    let mut running = watched("");
    running.said("socket");
    running.close_pipe();
    assert_eq!(running.said("code"), "2");
}

#[test]
fn the_descriptor_is_the_one_that_the_supervisor_was_told() {
    let with_file = |content: &str, options: &str| {
        let stage = Stage::new();
        std::fs::write(stage.path("notification-fd"), content).unwrap();
        stage.start(&format!("exec s6-notify-fd-from-socket {options} {STAYS}"))
    };
    for content in ["5", "5\n", "5\nand more"] {
        let mut running = with_file(content, "");
        running.send(b"READY=1");
        assert_eq!(running.notified(), "\n");
    }
    for (content, options, code, message) in [
        ("five\n", "", 100, "./notification-fd does not hold a number"),
        ("", "", 100, "./notification-fd does not hold a number"),
        (" 5", "", 100, "./notification-fd does not hold a number"),
        ("77\n", "", 111, "unable to notify on descriptor 77: Bad file descriptor"),
        ("5", "-3 77", 111, "unable to notify on descriptor 77: Bad file descriptor"),
        ("4294967295", "", 111, "unable to notify on descriptor 2147483647: Bad file descriptor"),
    ] {
        let mut running = with_file(content, options);
        assert_eq!(running.code(), code, "{content:?}");
        assert_eq!(running.content("err"), format!("s6-notify-fd-from-socket: fatal: {message}\n"));
    }
    let mut running = bridge("", STAYS);
    assert_eq!(running.code(), 111);
    let message = "fatal: unable to read ./notification-fd: No such file or directory\n";
    assert_eq!(running.content("err"), format!("s6-notify-fd-from-socket: {message}"));
}

#[test]
fn long_options_mean_the_same_and_others_are_wrong() {
    let mut running = bridge("--no-doublefork --notification-fd=5 --timeout=100000 --", STAYS);
    running.said("socket");
    assert_eq!(running.children().len(), 1);
    running.send(b"READY=1");
    assert_eq!(running.notified(), "\n");
    let mut running = bridge("-f -3 5 --doublefork", STAYS);
    running.said("socket");
    assert_eq!(running.children().len(), 0);
    running.send(b"READY=1");
    assert_eq!(running.notified(), "\n");
    for options in ["-x true", "--foo true", "--timeout=x true", "-3 -1 true", "-3 4294967296 true", "-3", "-3 5", ""] {
        let mut running = bridge(options, "");
        assert_eq!(running.code(), 100, "{options}");
        let usage =
            "s6-notify-fd-from-socket: usage: s6-notify-fd-from-socket [ -3 fd ] [ -t timeout ] [ -f ] prog...\n";
        assert_eq!(running.content("err"), usage);
    }
}

#[test]
fn the_daemon_gets_its_socket_and_nothing_else_of_the_bridge() {
    let script = "export WATCHDOG_USEC=1 WATCHDOG_PID=$$ FDSTORE=7 NOTIFY_SOCKET=/old
        exec s6-notify-fd-from-socket -3 5 sh -c 'env >env; echo $NOTIFY_SOCKET >socket; exec sleep 1000'";
    let running = Stage::new().start(script);
    let socket = running.said("socket");
    assert!(socket.starts_with('@') && socket.len() == 6, "{socket}");
    let env = running.said("env");
    assert!(env.contains(&format!("NOTIFY_SOCKET={socket}\n")), "{env}");
    for gone in ["WATCHDOG", "FDSTORE", "/old"] {
        assert!(!env.contains(gone), "{env}");
    }
    let names = |pid| descriptors(pid).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    eventually(|| std::fs::read_link(format!("/proc/{}/exe", running.pid())).is_ok_and(|exe| exe.ends_with("sleep")));
    let own = names(running.pid());
    for kind in ["socket:", "pidfd", "eventpoll"] {
        assert!(!own.iter().any(|name| name.contains(kind)), "{own:?}");
    }
    assert!(!descriptors(running.pid()).iter().any(|(number, _)| *number == 5));
}

#[test]
fn the_listener_holds_nothing_that_it_does_not_need() {
    let script = format!("exec 7</dev/null 8>>out; exec s6-notify-fd-from-socket -f -3 5 {STAYS}");
    let (running, watcher) = with_child(&script);
    eventually(|| descriptors(watcher).iter().any(|(_, name)| name.contains("eventpoll")));
    let held = descriptors(watcher);
    let kinds = ["/err", "socket:", "pipe:", "pidfd", "eventpoll"];
    assert_eq!(held.len(), kinds.len(), "{held:?}");
    for kind in kinds {
        assert_eq!(held.iter().filter(|(_, name)| name.contains(kind)).count(), 1, "{kind}: {held:?}");
    }
    let own = own_memory(watcher);
    println!("{own} KiB are its own");
    assert!(own <= 80, "{own} KiB");
    drop(running);
    eventually(|| is_gone(watcher));
}

#[test]
fn a_pipeline_ends_when_the_daemon_lets_go_of_it() {
    // The daemon closes both and lives on; its listener has no time limit.
    let stage = Stage::new();
    let script = "exec 5>notified
        s6-notify-fd-from-socket -3 5 sh -c 'echo begun; echo $NOTIFY_SOCKET >socket; echo $$ >pid; \
            exec sleep 1000 >/dev/null 2>&1' 2>&1 | { cat; echo end; } >shown";
    let mut shell = stage.command(script).spawn().unwrap();
    eventually(|| std::fs::read_to_string(stage.path("shown")).is_ok_and(|shown| shown == "begun\nend\n"));
    let read = |name: &str| std::fs::read_to_string(stage.path(name)).unwrap().trim_end().to_owned();
    let pid = read("pid").parse().unwrap();
    assert!(!is_gone(pid), "the daemon goes on");
    assert_eq!(send_to(&read("socket"), b"READY=1", &[]), 0, "and so does its listener");
    eventually(|| std::fs::read_to_string(stage.path("notified")).unwrap() == "\n");
    linchpin::sys::process::kill(pid, 9).unwrap();
    shell.wait().unwrap();
}

#[test]
fn a_socket_that_is_flooded_is_listened_to_all_the_same() {
    let mut running = bridge("-3 5", STAYS);
    let place = running.said("socket");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flood = {
        let (stop, place) = (stop.clone(), place.clone());
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                send_to(&place, b"STATUS=working", &[]);
            }
        })
    };
    running.send(b"READY=1");
    assert_eq!(running.notified(), "\n");
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    flood.join().unwrap();
}
