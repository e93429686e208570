//! What a child finds: its arguments, session, directory, signals, descriptors and limits.

use crate::scandir::*;

/// Shows something of the process that a script becomes.
fn shows(command: &str) -> String {
    format!("#!/bin/sh\n{command} >$BASE/${{0##*/}}.out\necho done >$SAID\nexec sleep 1000\n")
}

fn out(svscan: &Svscan, name: &str) -> String {
    std::fs::read_to_string(svscan.base(&format!("{name}.out"))).unwrap()
}

/// A service of which run and finish show the same.
fn both(command: &str, start: impl FnOnce(ScanDir) -> Svscan) -> [String; 2] {
    let script = shows(command);
    let svscan = start(ScanDir::new(&[("a", &[("run", &script), ("finish", &script)])]));
    assert_eq!(svscan.hear(), "done");
    svscan.ok("s6-svc -d a");
    assert_eq!(svscan.hear(), "done");
    ["run", "finish"].map(|name| out(&svscan, name))
}

fn plain(dir: ScanDir) -> Svscan {
    dir.start("")
}

/// Descriptors as `ls /proc/self/fd` prints them: the standard ones, `own`, that of the directory which ls reads, and
/// those that our starter did not close.
fn descriptors(own: &[i32]) -> Vec<String> {
    let mut all = vec![0, 1, 2, 3];
    all.extend_from_slice(own);
    all.extend(inherited().iter().filter(|fd| **fd > 3));
    let mut names: Vec<_> = all.iter().map(i32::to_string).collect();
    names.sort();
    names
}

/// Descriptors of this process that its children get.
fn inherited() -> Vec<i32> {
    let fds = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
    let fds: Vec<i32> = fds.map(|name| name.to_str().unwrap().parse().unwrap()).collect();
    let is = |fd: &i32| rustix::io::fcntl_getfd(linchpin::sys::Fd(*fd)).is_ok_and(|flags| flags.is_empty());
    fds.into_iter().filter(is).collect()
}

#[test]
fn run_and_finish_lead_a_session_of_their_own() {
    for fields in both("echo $$ $(cut -d' ' -f 5,6 /proc/$$/stat)", plain) {
        let fields = words(&fields);
        assert!(fields[0] == fields[1] && fields[1] == fields[2], "{fields:?}");
    }
}

#[test]
fn run_and_finish_are_in_the_service_directory() {
    let [run, finish] = both("pwd", plain);
    assert!(run.ends_with("/scan/a\n") && finish == run);
}

#[test]
fn run_and_finish_have_nothing_blocked_or_ignored_whatever_our_starter_did() {
    let hostile = |dir: ScanDir| dir.start_by("trap '' CHLD PIPE HUP TERM INT USR1; exec \"$@\"", "");
    for start in [plain, hostile] {
        for masks in both("grep -E 'Sig(Blk|Ign)' /proc/self/status", start) {
            for line in masks.lines() {
                assert_eq!(words(line)[1], "0000000000000000", "{masks}");
            }
        }
    }
}

#[test]
fn deaths_are_seen_although_our_starter_ignored_sigchld() {
    let dir = ScanDir::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let svscan = dir.start_by("trap '' CHLD; exec \"$@\"", "");
    eventually(|| svscan.code("s6-svok a") == 0);
    eventually(|| svscan.try_status("a").is_some());
    svscan.ok("s6-svc -wu -T 20000 -u a");
    svscan.ok("s6-svc -wD -T 20000 -d a");
}

#[test]
fn run_and_finish_get_no_descriptor_of_ours() {
    for fds in both("ls /proc/self/fd", plain) {
        assert_eq!(words(&fds), descriptors(&[]));
    }
}

#[test]
fn a_readiness_descriptor_is_in_run_and_not_in_finish() {
    let script = shows("ls /proc/self/fd");
    let files: &[(&str, &str)] = &[("run", &script), ("finish", &script), ("notification-fd", "7"), ("lock-fd", "9")];
    let svscan = ScanDir::new(&[("a", files)]).start("");
    svscan.hear();
    svscan.ok("s6-svc -d a");
    svscan.hear();
    assert_eq!(words(&out(&svscan, "run")), descriptors(&[7, 9]));
    assert_eq!(words(&out(&svscan, "finish")), descriptors(&[]));
}

#[test]
fn a_logged_service_gets_its_end_of_its_own_pipe_only() {
    let shows = |fd: i32, name: &str, then: &str| {
        let link = format!("exec 4<&{fd}\nreadlink /proc/$$/fd/4 >$BASE/{name}.out\nexec 4<&-");
        format!("#!/bin/sh\n{link}\nls /proc/self/fd >>$BASE/{name}.out\necho done >$SAID\nexec {then}\n")
    };
    let (script, logger) = (shows(1, "run", "sleep 1000"), shows(0, "log", "cat"));
    let svscan = ScanDir::new(&[
        ("a", &[("run", &script), ("log/run", &logger)]),
        ("b", &[("run", SLEEPER), ("log/run", "#!/bin/sh\nexec cat\n")]),
    ])
    .start("");
    svscan.hear();
    svscan.hear();
    let (run, log) = (out(&svscan, "run"), out(&svscan, "log"));
    assert!(run.starts_with("pipe:["), "{run}");
    assert_eq!(words(&run), words(&log));
    assert_eq!(words(&run)[1..], descriptors(&[]));
}

#[test]
fn the_limit_of_descriptors_is_given_back_as_it_was() {
    let limited = |dir: ScanDir| dir.start_by("exec prlimit --nofile=100:3000 \"$@\"", "");
    for limits in both("prlimit --nofile --raw --noheadings -o SOFT,HARD", limited) {
        assert_eq!(limits, "100 3000\n");
    }
}

#[test]
fn the_environment_is_passed_on_untouched() {
    let started = |dir: ScanDir| dir.start_by("exec env -i BASE=\"$BASE\" SAID=\"$SAID\" A=1 \"$@\"", "");
    for environment in both("tr '\\0' '\\n' </proc/$PPID/environ | sort >$BASE/engine; env | sort", started) {
        let names: Vec<_> = environment.lines().map(|line| line.split('=').next().unwrap()).collect();
        // PWD is the shell's own.
        assert_eq!(names, ["A", "BASE", "PWD", "SAID"]);
    }
}

#[test]
fn run_is_executed_as_s6_executes_it() {
    let dir = ScanDir::new(&[("a", &[("notification-fd", "3")])]);
    // A program that keeps its arguments: cat opens the file of the service's name, a FIFO.
    std::os::unix::fs::symlink("/bin/cat", dir.path().join("a/run")).unwrap();
    make_fifo(&dir.path().join("a/a"));
    let svscan = dir.start("");
    let pid = svscan.pid_of("a");
    // While the kernel is still executing it there is none.
    let cmdline = || std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    eventually(|| !cmdline().is_empty());
    assert_eq!(cmdline(), b"./run\0a\0");
}

#[test]
fn a_service_with_a_lock_descriptor_does_not_run_twice() {
    let run = "#!/bin/sh\necho $$ >$SAID\nexec sleep 1000\n";
    let svscan = Svscan::new(&[("a", &[("run", run), ("lock-fd", "3")])]);
    let first: i32 = svscan.hear().parse().unwrap();
    // Somebody takes over the service while its old process lives on: as the lock is the process's, nothing is started.
    let held = svscan.path("a/supervise/service-lock");
    let holder = format!("s6-setlock -n {} true", held.display());
    assert_ne!(svscan.code(&holder), 0);
    linchpin::sys::process::kill(first, 9).unwrap();
    assert_ne!(svscan.hear(), first.to_string());
}

#[test]
fn a_lock_that_somebody_else_holds_is_waited_for() {
    let run = "#!/bin/sh\necho up >$SAID\nexec sleep 1000\n";
    let svscan = Svscan::new(&[("a", &[("run", run), ("lock-fd", "3"), DOWN])]);
    let lock = svscan.path("a/supervise/service-lock");
    let mut holder = std::process::Command::new("s6-setlock")
        .args([lock.to_str().unwrap(), "sh", "-c", "echo held; exec sleep 1000"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read(holder.stdout.as_mut().unwrap(), &mut [0; 8]).unwrap();
    svscan.ok("s6-svc -u a");
    svscan.until_log("service a cannot be started: supervise/service-lock");
    assert_eq!(svscan.status("a").pid, 0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(svscan.hear(), "up");
}
