//! What goes wrong around the engine: rubbish in service directories, full and read-only file systems, no descriptors
//! left, floods. It reports, goes on, and never waits.

use crate::scandir::*;
use std::io::Write;

const UP: &str = "#!/bin/sh\necho up $1 >$SAID\nexec sleep 1000\n";

/// Every small file that is read.
const FILES: [&str; 11] = [
    "notification-fd",
    "lock-fd",
    "timeout-kill",
    "timeout-finish",
    "max-death-tally",
    "down-signal",
    "reload-signal",
    "flag-newpidns",
    "flag-timeout-killpg",
    "down",
    "finish",
];

#[test]
fn rubbish_in_a_file_is_reported_and_has_its_default() {
    let garbage = "\u{1}\u{7f}ÿ never a number \n3\n";
    let files: Vec<_> = FILES[..7].iter().map(|name| (*name, garbage)).chain([("run", UP)]).collect();
    let svscan = Svscan::new(&[("a", &files)]);
    assert_eq!(svscan.hear(), "up a");
    svscan.ok("s6-svc -r a");
    assert_eq!(svscan.hear(), "up a");
    assert!(svscan.send("a", b"l")); // Debian's client does not know it
    assert_eq!(svscan.hear(), "up a");
    svscan.ok("s6-svc -wD -T 20000 -d a");
    for name in ["notification-fd", "lock-fd", "timeout-kill", "max-death-tally", "down-signal", "reload-signal"] {
        assert!(svscan.log().contains(&format!("service a: what its {name} says is not valid")), "{name}");
    }
}

#[test]
fn a_directory_or_a_fifo_in_place_of_a_file_keeps_nobody_waiting() {
    for content in ["directory", FIFO] {
        let dir = ScanDir::new(&[("a", &[("run", UP)])]);
        for name in FILES {
            match content {
                "directory" => std::fs::create_dir(dir.path().join("a").join(name)).unwrap(),
                _ => make_fifo(&dir.path().join("a").join(name)),
            }
        }
        let svscan = dir.start("");
        // All of this is done with what is there: `down` exists, the flags are set, `finish` cannot be executed.
        eventually(|| svscan.code("s6-svok a") == 0);
        svscan.settle();
        for name in ["down", "flag-newpidns", "flag-timeout-killpg"] {
            let path = svscan.path("a").join(name);
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        }
        svscan.ok("s6-svc -u a");
        assert_eq!(svscan.hear(), "up a");
        svscan.ok("s6-svc -wD -T 20000 -d a");
        svscan.until_log("service a: cannot run ./finish");
    }
}

#[test]
fn whatever_is_in_the_place_of_its_own_files_keeps_nobody_waiting() {
    for name in
        ["event", "supervise", "supervise/lock", "supervise/control", "supervise/status", "supervise/death_tally"]
    {
        for content in [FIFO, "a file", "a directory"] {
            if (name == "event" || name == "supervise") && content == "a directory" {
                continue;
            }
            let dir = ScanDir::new(&[("a", &[("run", UP)])]);
            let path = dir.path().join("a").join(name);
            match content {
                "a directory" => std::fs::create_dir_all(&path).unwrap(),
                FIFO if name == "supervise/control" => continue,
                _ => {
                    make_service(&dir.path().join("a/new"), &[(name, content)]);
                    let top = name.split('/').next().unwrap();
                    std::fs::rename(dir.path().join("a/new").join(top), dir.path().join("a").join(top)).unwrap();
                }
            }
            let svscan = dir.start("");
            svscan.settle();
            if svscan.log().contains("service a has no supervisor") {
                // As soon as it is out of the way, a scan is enough.
                let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
                eventually(|| {
                    svscan.ok("s6-svscanctl -a .");
                    svscan.code("s6-svok a") == 0
                });
            }
            assert_eq!(svscan.hear(), "up a", "{name} {content}");
        }
    }
}

#[test]
fn a_descriptor_number_that_cannot_be_is_a_start_that_fails() {
    for name in ["notification-fd", "lock-fd"] {
        for number in ["4294967295", "2147483648", "2147483647", "2147483646", "1000000000"] {
            let svscan = Svscan::new(&[("a", &[("run", UP), (name, number)])]);
            svscan.until_log("service a cannot be started: setting up its process: ");
            assert!(!svscan.log().contains("panic"), "{}", svscan.log());
            std::fs::remove_file(svscan.path("a").join(name)).unwrap();
            svscan.ok("s6-svc -u a");
            assert_eq!(svscan.hear(), "up a");
        }
    }
}

#[test]
fn one_number_for_two_descriptors_is_a_start_that_fails() {
    let svscan = Svscan::new(&[("a", &[("run", UP), ("notification-fd", "5"), ("lock-fd", "5")])]);
    svscan.until_log("service a cannot be started: notification-fd is the same as lock-fd");
    svscan.settle();
}

#[test]
fn the_loss_of_its_directories_is_survived() {
    for lost in ["supervise", "event"] {
        let svscan = Svscan::new(&[("a", &[("run", UP)])]);
        assert_eq!(svscan.hear(), "up a");
        let pid = svscan.pid_of("a");
        std::fs::remove_dir_all(svscan.path("a").join(lost)).unwrap();
        linchpin::sys::process::kill(pid, 9).unwrap();
        assert_eq!(svscan.hear(), "up a");
        svscan.hide("a");
        svscan.ok("s6-svscanctl -an .");
        eventually(|| svscan.children().is_empty());
        svscan.unhide("a");
        svscan.ok("s6-svscanctl -a .");
        assert_eq!(svscan.hear(), "up a");
        svscan.ok("s6-svc -wD -T 20000 -d a");
    }
}

/// Whether this may make mounts; says so if not.
fn may_mount() -> bool {
    let may = std::process::Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: it needs a mount namespace");
    }
    may
}

/// The engine with a service on a small file system of its own, which only it sees.
fn on_small_file_system(run: &str) -> Svscan {
    let dir = ScanDir::new(&[]);
    make_service(&dir.path().join("../a"), &[("run", run)]);
    std::fs::create_dir(dir.path().join("../small")).unwrap();
    std::os::unix::fs::symlink("../small/a", dir.path().join("a")).unwrap();
    let mount = "mount -t tmpfs -o size=64k none $BASE/small && mv $BASE/a $BASE/small/ && exec \"$@\"";
    dir.start_by(&format!("exec unshare -m sh -c '{mount}' sh \"$@\""), "")
}

#[test]
fn a_full_file_system_costs_the_status_and_not_the_service() {
    if !may_mount() {
        return;
    }
    let fills = "#!/bin/sh\ncat /dev/zero >../full 2>/dev/null\necho up >$SAID\nexec sleep 1000\n";
    let svscan = on_small_file_system(fills);
    assert_eq!(svscan.hear(), "up");
    let kill = || svscan.children().iter().for_each(|pid| linchpin::sys::process::kill(*pid, 9).unwrap());
    kill();
    assert_eq!(svscan.hear(), "up");
    svscan.until_log("service a: cannot write its status: No space left on device");
    svscan.until_log("service a: cannot write its death tally: No space left on device");
    // With room again the status and the tally are right again, though nothing happens to the service.
    let inside = format!("/proc/{}/root{}", svscan.pid(), svscan.base("small").display());
    std::fs::write(format!("{inside}/a/new"), "").unwrap();
    std::fs::remove_file(format!("{inside}/full")).unwrap();
    let shown = || svscan.text(&format!("s6-svstat -o pid {inside}/a"));
    eventually(|| shown() == svscan.children()[0].to_string());
    eventually(|| svscan.text(&format!("s6-svdt {inside}/a")).lines().count() == 1);
    svscan.ok(&format!("cp /bin/true {inside}/a/harmless"));
    std::fs::write(format!("{inside}/a/run"), UP).unwrap();
    kill();
    assert_eq!(svscan.hear(), "up a");
    let up = format!("s6-svwait -u -t 20000 {inside}/a");
    svscan.ok(&up);
    assert_eq!(shown(), svscan.children()[0].to_string());
}

#[test]
fn a_service_on_a_read_only_file_system_needs_links_to_elsewhere() {
    if !may_mount() {
        return;
    }
    let dir = ScanDir::new(&[]);
    for name in ["linked", "bare"] {
        make_service(&dir.path().join("..").join(name), &[("run", UP)]);
        std::os::unix::fs::symlink(format!("../small/{name}"), dir.path().join(name)).unwrap();
    }
    std::fs::create_dir(dir.path().join("../small")).unwrap();
    for name in ["supervise", "event"] {
        std::os::unix::fs::symlink(format!("../../linked-{name}"), dir.path().join("../linked").join(name)).unwrap();
    }
    let mount =
        "mount -t tmpfs none $BASE/small && mv $BASE/linked $BASE/bare $BASE/small/ && mount -o remount,ro $BASE/small";
    let mut svscan = dir.start_by(&format!("exec unshare -m sh -c '{mount} && exec \"$@\"' sh \"$@\""), "");
    assert_eq!(svscan.hear(), "up linked");
    svscan.until_log("service bare has no supervisor: unable to make event: Read-only file system; tried again");
    assert!(svscan.base("linked-supervise/status").exists());
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.wait().success());
}

#[test]
fn without_descriptors_left_it_goes_on_with_what_it_has_and_recovers() {
    let names: Vec<_> = (0..20).map(|n| format!("s{n:02}")).collect();
    let services: Vec<_> = names.iter().map(|name| (name.as_str(), &[("run", UP)][..])).collect();
    let mut svscan = ScanDir::new(&services).start_by("exec prlimit --nofile=40:40 \"$@\"", "");
    let mut up = vec![svscan.hear()];
    eventually(|| svscan.log().contains("Too many open files"));
    let supervised = |name: &String| svscan.code(&format!("s6-svok {name}")) == 0;
    eventually(|| names.iter().filter(|name| supervised(name)).count() >= 8);
    // Those that it has are served.
    let one = up[0][3..].to_owned();
    svscan.ok(&format!("s6-svc -r {one}"));
    while !up[1..].contains(&format!("up {one}")) {
        up.push(svscan.hear());
    }
    // Those that it has not come when others go.
    let (have, have_not): (Vec<_>, Vec<_>) = names.iter().partition(|name| supervised(name));
    assert!(!have_not.is_empty());
    for name in have {
        svscan.hide(name);
    }
    let wanted: Vec<_> = have_not.iter().take(6).map(|name| format!("up {name}")).collect();
    for name in have_not.iter().skip(6) {
        svscan.hide(name);
    }
    eventually(|| {
        svscan.ok("s6-svscanctl -an .");
        have_not.iter().take(6).all(|name| supervised(name))
    });
    while !wanted.iter().all(|line| up.contains(line)) {
        up.push(svscan.hear());
    }
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.wait().success());
    assert!(svscan.until_all_are_gone());
}

#[test]
fn a_service_that_floods_its_readiness_descriptor_is_no_trouble_to_others() {
    let flood = "#!/bin/sh\necho up >$SAID\nexec tr -c '\\n' 'x' </dev/zero >&3\n";
    let svscan = Svscan::new(&[("a", &[("run", flood), NOTIFIES]), ("b", &[("run", SLEEPER)])]);
    assert_eq!(svscan.hear(), "up");
    for _ in 0..5 {
        svscan.settle();
        svscan.ok("s6-svc -wd -T 20000 -d b");
        svscan.ok("s6-svc -wu -T 20000 -u b");
    }
    svscan.ok("s6-svc -wD -T 20000 -d a");
}

#[test]
fn a_client_that_floods_a_control_fifo_is_no_trouble_to_others() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)]), ("b", &[("run", SLEEPER)])]);
    let mut control = std::fs::OpenOptions::new().write(true).open(svscan.path("a/supervise/control")).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                control.write_all(&[b'u'; 1024]).unwrap();
            }
        });
        for _ in 0..5 {
            svscan.ok("s6-svc -wd -T 20000 -d b");
            svscan.ok("s6-svc -wu -T 20000 -u b");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    svscan.ok("s6-svc -wD -T 20000 -d a");
}

#[test]
fn listeners_that_do_not_read_are_told_nothing_and_wait_for_nobody() {
    let svscan = Svscan::new(&[("a", &[("run", READY), NOTIFIES, DOWN])]);
    let _deaf: Vec<_> = (0..10).map(|_| svscan.listen("a")).collect();
    // One whose FIFO is full from the beginning, and one that is gone.
    for entry in std::fs::read_dir(svscan.path("a/event")).unwrap() {
        let mut fifo = std::fs::OpenOptions::new().read(true).write(true).open(entry.unwrap().path()).unwrap();
        let fd = linchpin::sys::Fd(std::os::fd::AsRawFd::as_raw_fd(&fifo));
        fd.set_nonblocking(true).unwrap();
        while fifo.write(&[b'.'; 4096]).is_ok() {}
    }
    let gone = "ftrig1:@4000000060000000000000000:AAAAAA";
    let gone = &gone[..39];
    svscan.ok(&format!("mkfifo a/event/{gone}"));
    for _ in 0..5 {
        svscan.ok("s6-svc -wU -T 20000 -u a");
        svscan.ok("s6-svc -wD -T 20000 -d a");
    }
    assert!(!svscan.path("a/event").join(gone).exists());
}
