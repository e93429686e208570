//! Readiness, and what a service says of itself; who may speak for it.

use crate::client::{self, send_to};
use crate::scandir::{ScanDir, Svscan};
use crate::service::Talking;
use crate::supervision::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const EMPTY: (&str, &str) = ("notify-socket", "");
const ALL: (&str, &str) = ("notify-socket", "access=all\n");
/// systemd's own client, unmodified.
const SYSTEMDS: &str = "#!/bin/sh\nsystemd-notify --ready --status='6 of 7'\necho said >$SAID\nexec sleep 1000\n";

#[test]
fn a_service_that_says_that_it_is_ready_is_ready_for_all_of_s6s_clients() {
    let talking = Talking::new("");
    let mut events = talking.listen("web");
    let web = talking.next();
    eventually(|| talking.status("web").is_up());
    assert!(!talking.status("web").ready);
    assert_ne!(talking.code("s6-svwait -U -t 10 web"), 0, "it has not said so yet");
    web.say("READY=1");
    events.until(b'U');
    talking.until_ready("web");
    talking.ok("s6-svwait -U -t 30000 web");
    assert!(talking.text("s6-svstat web").contains("ready"));
    // Once is enough.
    web.say("READY=1");
    web.say("READY=1\nSTATUS=again");
    assert!(!events.has(b'U'));
}

#[test]
fn systemds_own_client_is_understood() {
    if Command::new("systemd-notify").arg("--version").output().is_err() {
        return eprintln!("skipped: there is no systemd-notify here");
    }
    for settings in [EMPTY, ALL] {
        let svscan = Svscan::with_options("", &[("web", &[("run", SYSTEMDS), settings])]);
        svscan.ok("s6-svwait -U -t 30000 web");
        assert_eq!(svscan.hear(), "said");
        assert!(!svscan.log().contains("warning"), "{}", svscan.log());
    }
}

#[test]
fn readiness_comes_even_if_it_is_the_last_word() {
    let talking = Talking::new("");
    let mut events = talking.listen("web");
    for _ in 0..10 {
        let web = talking.next();
        web.send(b"READY=1", &[]);
        web.kill(9);
        events.until(b'U');
        events.until(b'd');
    }
}

#[test]
fn who_depends_on_it_waits_until_it_is_ready_unless_it_says_that_it_never_says() {
    const WAITS: &[(&str, &str)] =
        &[("run", "#!/bin/sh\necho >$SAID up\nexec sleep 1000\n"), ("dependencies.d/web", "")];
    let talking = Talking::with("", &[], &[("dependant", WAITS)]);
    let web = talking.next();
    eventually(|| talking.path("dependant/supervise/waiting").exists());
    assert!(std::fs::read_to_string(talking.path("dependant/supervise/waiting")).unwrap().ends_with("not-ready\n"));
    web.say("READY=1");
    assert_eq!(talking.hear(), "up");
    drop((web, talking));
    let talking = Talking::with("ready=no", &[], &[("dependant", WAITS)]);
    assert_eq!(talking.hear(), "up");
}

#[test]
fn svc_waits_for_its_readiness() {
    let talking = Talking::with("", &[DOWN], &[]);
    let mut svc = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    let mut svc = svc.args(["svc", "-uwU", "-T", "30000"]).arg(talking.path("web")).spawn().unwrap();
    let web = talking.next();
    assert!(svc.try_wait().unwrap().is_none());
    web.say("READY=1");
    assert_eq!(end_of(&mut svc).and_then(|status| status.code()), Some(0));
}

#[test]
fn what_it_says_of_itself_is_shown_until_it_is_started_again() {
    let talking = Talking::new("");
    let web = talking.next();
    talking.until_shown("");
    web.say("STATUS=half = done");
    talking.until_shown("\"half = done\"");
    web.say("READY=1\nSTATUS=serving");
    talking.until_shown("\"serving\"");
    web.say("RELOADING=1\nMONOTONIC_USEC=1234");
    talking.until_shown("reloading; \"serving\"");
    web.say("READY=1");
    talking.until_shown("\"serving\"");
    web.say("STOPPING=1\nERRNO=2\nSTATUS=no disk\u{e9}");
    talking.until_shown("stopping; fails: No such file or directory; \"no disk\\xc3\\xa9\"");
    web.say("STATUS=");
    talking.until_shown("stopping; fails: No such file or directory");
    let _web = talking.restart(web);
    talking.until_shown("");
}

#[test]
fn what_it_said_last_is_shown_when_it_is_down() {
    let talking = Talking::new("");
    let web = talking.next();
    web.send(b"ERRNO=28\nSTATUS=the disk is full", &[]);
    talking.ok("s6-svc -wd -dk web");
    talking.until_shown("fails: No space left on device; \"the disk is full\"");
}

#[test]
fn a_long_status_is_cut_at_a_character() {
    let talking = Talking::new("");
    let web = talking.next();
    let long = format!("a{}", "\u{e9}".repeat(300));
    web.say(&format!("STATUS={long}"));
    let shown = std::fs::read_to_string(talking.path("web/supervise/notify-status")).unwrap();
    let status = shown.strip_prefix("status ").unwrap().strip_suffix('\n').unwrap();
    assert!(long.starts_with(status) && (170..180).contains(&status.len()), "{}: {status}", status.len());
}

#[test]
fn another_main_process_is_not_believed_in() {
    let talking = Talking::new("");
    let web = talking.next();
    web.say(&format!("MAINPID={}\nREADY=1", web.pid));
    assert!(!talking.log().contains("main process"));
    web.say(&format!("MAINPID={}", std::process::id()));
    talking.until_log(&format!("service web says that its main process is {}", std::process::id()));
    assert_eq!(talking.status("web").pid, web.pid);
}

#[test]
fn the_environment_tells_of_the_socket_and_of_nothing_that_is_not_there() {
    let talking = Talking::new("watchdog=90s fdstore-max=7\naccess=main\n");
    let web = talking.next();
    assert_eq!(web.env["WATCHDOG_USEC"], "90000000");
    assert_eq!(web.env["WATCHDOG_PID"], web.pid.to_string());
    assert_eq!(web.env["FDSTORE"], "7");
    assert_eq!(talking.sockets(), [Path::new(&web.env["NOTIFY_SOCKET"])]);
    std::fs::write(talking.path("web/notify-socket"), "fdstore-max=0").unwrap();
    let web = talking.restart(web);
    let told = |name: &str| web.env.contains_key(name);
    assert!(told("NOTIFY_SOCKET") && !told("FDSTORE") && !told("WATCHDOG_USEC") && !told("WATCHDOG_PID"));
    assert!(!told("LISTEN_FDS") && !told("LISTEN_FDNAMES") && !told("LISTEN_PID"));
}

#[test]
fn a_mistake_in_the_file_is_said_and_the_service_runs() {
    let talking = Talking::new("acess=all");
    let web = talking.next();
    web.say("READY=1");
    talking.until_log("service web: what its notify-socket says is not valid");
    talking.until_ready("web");
}

#[test]
fn the_socket_cannot_be_listed_and_is_gone_with_the_file_or_the_supervisor() {
    let talking = Talking::new("");
    let web = talking.next();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&talking.path("web/notify")), 0o711);
    assert_eq!(mode(&talking.sockets()[0]), 0o666);
    let name = talking.sockets()[0].file_name().unwrap().to_str().unwrap().to_owned();
    assert!(!std::fs::read_to_string("/proc/net/unix").unwrap().contains(&name), "everybody may read that");
    let socket = web.env["NOTIFY_SOCKET"].clone();
    let web = talking.restart(web);
    assert_eq!(web.env["NOTIFY_SOCKET"], socket, "it stays over restarts");
    std::fs::remove_file(talking.path("web/notify-socket")).unwrap();
    let web = talking.restart(web);
    assert_eq!(web.env.get("NOTIFY_SOCKET"), None);
    assert!(talking.sockets().is_empty());
    std::fs::write(talking.path("web/notify-socket"), "").unwrap();
    let web = talking.restart(web);
    assert_eq!(talking.sockets(), [Path::new(&web.env["NOTIFY_SOCKET"])]);
    let mut events = talking.listen("web");
    talking.ok("s6-svc -xk web");
    events.until(b'x');
    // There may be another supervisor already, with another socket.
    eventually(|| !Path::new(&web.env["NOTIFY_SOCKET"]).exists());
}

#[test]
fn sockets_that_an_earlier_supervisor_left_are_removed() {
    let dir = ScanDir::new(&[("web", &[("run", &client::run()), EMPTY])]);
    let left = dir.path().join("web/notify");
    std::fs::create_dir(&left).unwrap();
    drop(std::os::unix::net::UnixDatagram::bind(left.join("stale")).unwrap());
    std::fs::write(left.join("precious"), "").unwrap();
    let talking = Talking::start(dir);
    let web = talking.next();
    web.say("READY=1");
    let mut there = talking.sockets();
    there.sort_by_key(|path| path.file_name() != Some("precious".as_ref()));
    assert_eq!(there, [left.join("precious"), web.env["NOTIFY_SOCKET"].clone().into()]);
}

#[test]
fn a_path_that_is_too_long_or_cannot_be_made_is_replaced_by_an_abstract_name() {
    let long = "n".repeat(90);
    let run = client::run();
    let dir = ScanDir::new(&[(&long, &[("run", &run), EMPTY]), ("web", &[("run", &run), EMPTY, ("notify", "a file")])]);
    let talking = Talking::start(dir);
    for _ in 0..2 {
        let process = talking.next();
        assert!(process.env["NOTIFY_SOCKET"].starts_with('@'), "{:?}", process.env);
        process.say("READY=1");
        drop(process); // it ends, and comes again: there are two, in any order
    }
    talking.until_log("its notification socket has an abstract name, none in notify/: File name too long");
    talking.until_log("its notification socket has an abstract name, none in notify/: Not a directory");
    let mut there = std::fs::read_dir(talking.path(&long).join("notify")).unwrap();
    assert!(there.next().is_none(), "what was begun is undone");
}

#[test]
fn a_service_directory_that_has_moved_has_another_socket_path_at_the_next_start() {
    let talking = Talking::new("");
    let web = talking.next();
    std::fs::rename(talking.path("web"), talking.path("new")).unwrap();
    talking.ok("s6-svscanctl -a .");
    let web = talking.restart(web);
    assert!(web.env["NOTIFY_SOCKET"].contains("/new/notify/"), "{:?}", web.env);
    web.say("READY=1");
    talking.until_ready("new");
}

#[test]
fn a_service_that_is_not_root_may_speak() {
    let talking = Talking::with("", &[("run", &client::run_through("s6-applyuidgid -u 65534 -g 65534 -G ''"))], &[]);
    let web = talking.next();
    web.say("READY=1");
    talking.until_ready("web");
}

#[test]
fn others_do_not_speak_for_it_whoever_they_are() {
    for settings in ["", "access=all"] {
        let talking = Talking::new(settings);
        let web = talking.next();
        let before = talking.fds_at_rest(&web);
        let (read, mut write) = linchpin::sys::fd::pipe().unwrap();
        assert_eq!(send_to(&web.env["NOTIFY_SOCKET"], b"READY=1\nSTATUS=mine\nFDSTORE=1", &[write]), 0);
        talking
            .until_log(&format!("service web does not let pid {} (uid 0) speak for it: ignored", std::process::id()));
        write.close();
        assert!(readable(read, PATIENCE), "what came with it is closed");
        assert!(!talking.status("web").ready);
        assert_eq!((talking.shown().as_str(), talking.held().len()), ("", 0));
        eventually(|| talking.fds() == before); // the list's client may be on its way out
        let mut read = read;
        read.close();
    }
}

#[test]
fn its_children_speak_for_it_if_it_lets_them() {
    let child = format!("{} --exact --ignored --nocapture said::says_that_it_is_ready >/dev/null", client::program());
    let run = format!("#!/bin/sh\nsh -c 'setsid {child}; :'\necho said >$SAID\nexec sleep 1000\n");
    for (settings, ready) in [(ALL, true), (EMPTY, false)] {
        let svscan = Svscan::with_options("", &[("web", &[("run", &run), settings])]);
        assert_eq!(svscan.hear(), "said");
        if ready {
            svscan.ok("s6-svwait -U -t 30000 web");
        } else {
            svscan.until_log("speak for it: ignored");
        }
        assert_eq!(svscan.status("web").ready, ready);
    }
}

/// No test: a child of a service, in a session of its own, which says once that the service is ready.
#[test]
#[ignore = "tests of notifications execute it"]
fn says_that_it_is_ready() {
    if let Ok(place) = std::env::var("NOTIFY_SOCKET") {
        assert_eq!(send_to(&place, b"READY=1", &[]), 0);
        // It is looked at while it is there.
        let (read, mut write) = linchpin::sys::fd::pipe().unwrap();
        assert_eq!(send_to(&place, b"BARRIER=1", &[write]), 0);
        write.close();
        assert!(readable(read, PATIENCE));
    }
}
