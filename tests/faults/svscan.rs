//! `svscan` that is not process 1.

use crate::scandir::*;
use crate::{FIRST_SIGNAL, SAID, SIGNALS};
use std::process::Command;

const BACK: &str = "back after a fault";

fn count(svscan: &Svscan, text: &str) -> usize {
    svscan.log().matches(text).count()
}

/// Sends a signal, and waits until the engine is back.
fn send(svscan: &Svscan, signal: i32) {
    let before = count(svscan, BACK);
    svscan.signal(signal);
    eventually(|| count(svscan, BACK) == before + 1);
}

#[test]
fn it_survives_every_way_in_which_code_fails_and_says_what_and_where() {
    let svscan = Svscan::new(&[("web", &[("run", SLEEPER)])]);
    let (pid, fds) = (svscan.pid_of("web"), svscan.fds());
    for (signal, said) in (FIRST_SIGNAL..).zip(SAID) {
        let before = svscan.log().len();
        send(&svscan, signal);
        let log = svscan.log().split_off(before);
        assert!(log.contains(said), "{said}: {log}");
    }
    assert_eq!((svscan.pid_of("web"), svscan.fds()), (pid, fds));
    svscan.ok("s6-svc -wr -r web");
    assert_ne!(svscan.pid_of("web"), pid);
}

#[test]
fn it_survives_every_signal_that_says_so_and_names_the_sender() {
    let svscan = Svscan::new(&[("web", &[("run", SLEEPER)])]);
    let (pid, fds) = (svscan.pid_of("web"), svscan.fds());
    for (signal, name) in SIGNALS {
        let before = svscan.log().len();
        send(&svscan, signal);
        let said = format!("{name} was sent by pid {}, uid ", std::process::id());
        let log = svscan.log().split_off(before);
        assert!(log.contains(&said), "{said}: {log}");
    }
    assert_eq!((svscan.pid_of("web"), svscan.fds()), (pid, fds));
}

/// Blocks of memory that its arena has.
fn blocks(svscan: &Svscan) -> u64 {
    let open = std::fs::read_dir(format!("/proc/{}/fd", svscan.pid())).unwrap().flatten().map(|entry| entry.path());
    let is_it = |path: &std::path::PathBuf| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:linchpin"))
    };
    std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(open.into_iter().find(is_it).unwrap()).unwrap())
}

#[test]
fn no_fault_takes_memory_that_the_ones_before_did_not() {
    let files = [("run", SLEEPER), ("log/run", "#!/bin/sh\nexec cat >/dev/null\n")];
    let names: Vec<String> = (0..9).map(|i| format!("web{i}")).collect();
    let services: Vec<(&str, &[(&str, &str)])> = names.iter().map(|name| (name.as_str(), &files[..])).collect();
    let svscan = Svscan::new(&services);
    (0..3).for_each(|_| send(&svscan, FIRST_SIGNAL));
    let before = blocks(&svscan);
    (0..20).for_each(|_| send(&svscan, FIRST_SIGNAL));
    assert_eq!(blocks(&svscan), before);
}

#[test]
fn its_name_and_its_arguments_stay_what_they_were() {
    let svscan = Svscan::new(&[]);
    let about = |file: &str| std::fs::read(format!("/proc/{}/{file}", svscan.pid())).unwrap();
    let (name, arguments) = (about("comm"), about("cmdline"));
    send(&svscan, libc::SIGSEGV);
    assert_eq!((about("comm"), about("cmdline")), (name, arguments));
}

#[test]
fn children_find_nothing_of_it_in_their_environment() {
    let svscan =
        Svscan::new(&[("web", &[("run", "#!/bin/sh\nenv | grep -c LINCHPIN_[SHR] >$SAID\nexec sleep 1000\n")])]);
    assert_eq!(svscan.hear(), "0");
    send(&svscan, libc::SIGSEGV);
    svscan.ok("s6-svc -r web");
    assert_eq!(svscan.hear(), "0");
}

#[test]
fn a_second_signal_does_not_wait_for_the_loop() {
    let svscan = Svscan::new(&[]);
    svscan.signal(libc::SIGSTOP);
    svscan.signal(libc::SIGBUS);
    svscan.signal(libc::SIGSEGV);
    svscan.signal(libc::SIGCONT);
    svscan.until_log(BACK);
    let log = svscan.log();
    let told = log.lines().filter(|line| line.contains("was sent by")).collect::<Vec<_>>();
    assert!(matches!(told[..], [line] if line.contains(", at instruction 0x")), "{log}");
}

#[test]
fn many_of_them_at_any_moment_change_nothing() {
    let svscan = Svscan::new(&[("web", &[("run", SLEEPER)]), ("db", &[("run", SLEEPER)])]);
    let (web, db) = (svscan.pid_of("web"), svscan.pid_of("db"));
    for (round, _) in SIGNALS.iter().cycle().take(200).enumerate() {
        svscan.signal(SIGNALS[round % SIGNALS.len()].0);
        if round % 3 == 0 {
            std::thread::sleep(std::time::Duration::from_micros(round as u64 * 20));
        }
    }
    svscan.settle();
    assert_eq!((svscan.pid_of("web"), svscan.pid_of("db")), (web, db));
}

#[test]
fn children_start_with_no_signal_blocked_ignored_or_handled() {
    let svscan = Svscan::new(&[("web", &[("run", SLEEPER)])]);
    let pid = svscan.pid_of("web");
    eventually(|| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    for set in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
}

#[test]
fn supervise_survives_too() {
    let dir = crate::tmp::TempDir::new();
    make_service(&dir.path().join("web"), &[("run", SLEEPER)]);
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_linchpin"))
        .args(["supervise", "web"])
        .current_dir(dir.path())
        .stderr(log)
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(dir.path().join("log")).unwrap();
    let status = || {
        let mut web = linchpin::sys::file::open_dir(linchpin::sys::Fd::CWD, &c_path(&dir.path().join("web"))).unwrap();
        let status = linchpin::service::status::read(web).ok();
        web.close();
        status.map_or(0, |status| status.pid)
    };
    eventually(|| status() > 0);
    let pid = status();
    for (round, signal) in [FIRST_SIGNAL, libc::SIGSEGV, libc::SIGTRAP].into_iter().enumerate() {
        linchpin::sys::process::kill(child.id() as i32, signal).unwrap();
        eventually(|| said().matches("which is survived").count() == round + 1 || child.try_wait().unwrap().is_some());
        // It obeys orders, that is, it is back.
        let sent = || Command::new("s6-svc").args(["-c", "web"]).current_dir(dir.path()).status().unwrap().success();
        eventually(sent);
        assert_eq!(status(), pid, "{}", said());
    }
    let ended = Command::new("s6-svc").args(["-wD", "-xd", "web"]).current_dir(dir.path()).status().unwrap();
    assert!(ended.success(), "{}", said());
    assert!(child.wait().unwrap().success(), "{}", said());
}
