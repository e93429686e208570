//! The clients of supervision, `svc`, `svstat` and `svscanctl`, against the daemons of s6 (Debian's packages `s6` and
//! `execline`): what s6's clients can do with them, ours can.

use linchpin::service::event::{self, Access, Subscription};
use linchpin::service::status;
use linchpin::sys::{Fd, file, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::CString;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs until a signal ends it.
const SLEEPER: &str = "#!/bin/sh\nexec sleep 1000\n";
/// The same, and says at once that it is ready (on descriptor 3).
const READY: &str = "#!/bin/sh\necho >&3\nexec 3>&-\nexec sleep 1000\n";

/// A scan directory of its own with s6-svscan on it. Everything it started is gone when it is dropped.
struct Tree {
    path: PathBuf,
    svscan: Child,
    /// All processes of the tree have it as their standard output: it ends when the last is gone.
    alive: ChildStdout,
}

/// A service to be: its name, its files.
type Service<'a> = (&'a str, &'a [(&'a str, &'a str)]);

impl Tree {
    /// Starts s6-svscan and returns when every service has its supervisor.
    fn new(services: &[Service<'_>]) -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("linchpin-clients-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let mut listeners = Vec::new();
        for (name, files) in services {
            make_service(&path.join(name), files);
            listeners.push(Listener::new(&path.join(name)));
        }
        let mut svscan = Command::new("s6-svscan")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("s6-svscan, of the package s6, is needed for this test");
        let alive = svscan.stdout.take().unwrap();
        let tree = Tree { path, svscan, alive };
        for listener in &mut listeners {
            listener.until(b's');
        }
        tree
    }

    fn service(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Runs one of our commands in the scan directory.
    fn ours(&self, command: &str) -> Output {
        ours(&self.path, command)
    }

    /// Runs one of our commands; answers with its exit code.
    fn code(&self, command: &str) -> i32 {
        self.ours(command).status.code().unwrap()
    }

    /// What one of our commands prints.
    fn text(&self, command: &str) -> String {
        let output = self.ours(command);
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What one of s6's commands prints.
    fn theirs(&self, command: &str) -> String {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).current_dir(&self.path).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn listen(&self, name: &str) -> Listener {
        Listener::new(&self.service(name))
    }

    /// What s6-svstat says in this very moment must be what our svstat says, but for `except`, which ours says too much.
    fn assert_same_status(&self, options: &str, name: &str, except: impl Fn(&str) -> String) {
        let theirs = || self.theirs(&format!("s6-svstat {options} {name}"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (before, own, after) = (theirs(), self.text(&format!("svstat {options} {name}")), theirs());
            let own = except(&own);
            if own == before || own == after {
                return;
            }
            // Seconds may have passed twice between the three.
            assert!(before != after && Instant::now() < deadline, "{options}: {own:?} is not s6's {before:?}");
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = Command::new("s6-svscanctl").arg("-q").arg(&self.path).stderr(Stdio::null()).status();
        if !self.is_over(PATIENCE) {
            // It does not end by itself: first those who would start something again, then the rest.
            let _ = process::kill(-(self.svscan.id() as i32), 9);
            for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
                let Ok(mut dir) = file::open_dir(Fd::CWD, &c_path(&entry.path())) else { continue };
                if let Some(status) = status::read(dir).ok().filter(|status| status.pid > 0) {
                    let _ = process::kill(-status.pid, 9);
                }
                dir.close();
            }
        }
        let _ = self.svscan.wait();
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Tree {
    /// Waits until the last process is gone.
    fn is_over(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while readable(Fd(self.alive.as_raw_fd()), deadline.saturating_duration_since(Instant::now())) {
            if matches!(self.alive.read(&mut [0; 256]), Ok(0) | Err(_)) {
                return true;
            }
        }
        false
    }
}

/// Listens to the events of one service.
struct Listener {
    subscription: Subscription,
    seen: Vec<u8>,
}

impl Listener {
    fn new(service: &Path) -> Listener {
        let mut dir = file::open_dir(Fd::CWD, &c_path(service)).unwrap();
        event::make(dir, c"event", Access::own_group()).unwrap();
        let subscription = Subscription::open(dir, c"event").unwrap();
        dir.close();
        Listener { subscription, seen: Vec::new() }
    }

    /// Waits for this event and forgets those up to it.
    fn until(&mut self, wanted: u8) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.iter().position(|byte| *byte == wanted) {
                self.seen.drain(..=at);
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(readable(self.subscription.fd(), left), "no event {:?}", char::from(wanted));
            let mut buf = [0; 64];
            let n = self.subscription.read(&mut buf).unwrap().unwrap_or(0);
            self.seen.extend_from_slice(&buf[..n]);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.subscription.close();
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// Waits until there is something to read, or the end.
fn readable(fd: Fd, limit: Duration) -> bool {
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)), Ok(n) if n > 0)
}

fn make_service(path: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir(path).unwrap();
    for (name, content) in files {
        std::fs::write(path.join(name), content).unwrap();
        std::fs::set_permissions(path.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn ours(dir: &Path, command: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linchpin")).args(command.split(' ')).current_dir(dir).output().unwrap()
}

/// For what has no event: asks until the answer is yes.
fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Names in a service's fifodir.
fn fifos(service: &Path) -> usize {
    std::fs::read_dir(service.join("event")).unwrap().count()
}

const DOWN: (&str, &str) = ("down", "");
const NOTIFIES: (&str, &str) = ("notification-fd", "3\n");

// svc

#[test]
fn each_signal_letter_reaches_the_service() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    for (letter, signal) in [
        ("a", "SIGALRM"),
        ("b", "SIGABRT"),
        ("q", "SIGQUIT"),
        ("h", "SIGHUP"),
        ("k", "SIGKILL"),
        ("t", "SIGTERM"),
        ("i", "SIGINT"),
        ("1", "SIGUSR1"),
        ("2", "SIGUSR2"),
        ("r", "SIGTERM"),
        ("d", "SIGTERM"),
    ] {
        assert_eq!(tree.code("svc -wu -T 20000 -o a"), 0);
        assert_eq!(tree.code(&format!("svc -wD -T 20000 -{letter} a")), 0);
        assert_eq!(tree.theirs("s6-svstat -o signal a"), format!("{signal}\n"));
    }
}

#[test]
fn a_signal_can_be_given_by_name() {
    let winch = "#!/bin/sh\nsleep 1000 & child=$!\ntrap 'kill $child; exit 28' WINCH\necho >&3\nwait\n";
    let tree = Tree::new(&[("a", &[("run", winch), DOWN, NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 -o a"), 0);
    assert_eq!(tree.code("svc -wD -T 20000 -s winch a"), 0);
    assert_eq!(tree.theirs("s6-svstat -o exitcode a"), "28\n");
    assert_eq!(tree.code("svc -s SEGV a"), 100);
}

#[test]
fn pausing_and_continuing_shows_in_the_status() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)])]);
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    assert_eq!(tree.code("svc -p a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused a") == "true\n");
    assert_eq!(tree.code("svc -c a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused a") == "false\n");
}

#[test]
fn what_is_wanted_can_be_changed_for_now_and_for_good() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    assert_eq!(tree.code("svc -wu -T 20000 -U a"), 0);
    assert!(!tree.service("a").join("down").exists());
    assert_eq!(tree.theirs("s6-svstat -o up,wantedup,normallyup a"), "true true true\n");
    assert_eq!(tree.code("svc -O a"), 0);
    eventually(|| tree.theirs("s6-svstat -o up,wantedup a") == "true false\n");
    assert_eq!(tree.code("svc -wD -T 20000 -D a"), 0);
    assert!(tree.service("a").join("down").exists());
    std::fs::remove_file(tree.service("a").join("down")).unwrap();
    assert_eq!(tree.code("svc -Q a"), 0);
    eventually(|| tree.service("a").join("down").exists());
}

#[test]
fn the_supervisor_exits_on_request() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut events = tree.listen("a");
    assert_eq!(tree.code("svc -x a"), 0);
    events.until(b'x');
}

#[test]
fn several_services_get_the_same_commands() {
    let service: &[(&str, &str)] = &[("run", READY), DOWN, NOTIFIES];
    let tree = Tree::new(&[("a", service), ("b", service), ("c", service)]);
    assert_eq!(tree.code("svc -wU -T 20000 -u a b c"), 0);
    for name in ["a", "b", "c"] {
        assert_eq!(tree.theirs(&format!("s6-svstat -o up,ready {name}")), "true true\n");
    }
    assert_eq!(tree.code("svc -dwD -T 20000 -- a b c"), 0);
    assert_eq!(tree.theirs("s6-svstat -o up c"), "false\n");
}

#[test]
fn one_that_is_not_supervised_does_not_keep_the_others_from_their_commands() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN]), ("b", &[("run", SLEEPER), DOWN])]);
    make_service(&tree.service(".off"), &[]);
    let mut events = tree.listen("b");
    assert_eq!(tree.code("svc -u a .off b"), 102);
    events.until(b'u');
}

#[test]
fn without_commands_svc_finds_out_whether_somebody_listens() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    make_service(&tree.service(".off"), &[]);
    make_service(&tree.service(".odd"), &[]);
    std::fs::create_dir(tree.service(".odd/supervise")).unwrap();
    assert_eq!(tree.code("svc a"), 0);
    assert_eq!(tree.code("svc .off"), 102);
    assert_eq!(tree.code("svc .odd"), 1);
    assert_eq!(tree.code("svc .none"), 111);
}

#[test]
fn wrong_usage_of_svc_is_100() {
    let dir = std::env::temp_dir();
    for command in ["svc", "svc -Z .", "svc -wx .", "svc -w", "svc -T x .", "svc --up .", "svc -u "] {
        assert_eq!(ours(&dir, command).status.code(), Some(100), "{command}");
    }
    let many = "a".repeat(63);
    assert_eq!(ours(&dir, &format!("svc -{many} .")).status.code(), Some(100));
}

// svc -w

#[test]
fn waiting_for_readiness_waits_for_it() {
    let slow = "#!/bin/sh\nread x < go\necho >&3\nexec 3>&-\nexec sleep 1000\n";
    let tree = Tree::new(&[("a", &[("run", slow), DOWN, NOTIFIES])]);
    let go = tree.service("a").join("go");
    Command::new("mkfifo").arg(&go).status().unwrap();
    assert_eq!(tree.code("svc -wU -T 100 -u a"), 99);
    assert_eq!(tree.theirs("s6-svstat -o up,ready a"), "true false\n");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| tree.code("svc -wU -T 20000 a"));
        // Once the client listens its status is read: let the service become ready then.
        eventually(|| fifos(&tree.service("a")) > 0);
        std::fs::write(&go, "\n").unwrap();
        assert_eq!(waiting.join().unwrap(), 0);
    });
    assert_eq!(tree.theirs("s6-svstat -o up,ready a"), "true true\n");
}

#[test]
fn waiting_for_the_end_waits_for_finish() {
    let finish = "#!/bin/sh\nread x < go\n";
    let tree = Tree::new(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "0\n")])]);
    Command::new("mkfifo").arg(tree.service("a").join("go")).status().unwrap();
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    assert_eq!(tree.code("svc -wd -T 20000 -d a"), 0);
    assert_eq!(tree.code("svc -wD -T 100 a"), 99);
    std::fs::write(tree.service("a").join("go"), "\n").unwrap();
    assert_eq!(tree.code("svc -wD -T 20000 a"), 0);
    assert_eq!(tree.theirs("s6-svstat -o up,wantedup a"), "false false\n");
}

#[test]
fn waiting_for_a_restart_sees_the_next_process() {
    let service: &[(&str, &str)] = &[("run", READY), NOTIFIES];
    let tree = Tree::new(&[("a", service), ("b", service)]);
    assert_eq!(tree.code("svc -wU -T 20000 a b"), 0);
    let before = tree.theirs("s6-svstat -o pid a");
    assert_eq!(tree.code("svc -wR -T 20000 -r a b"), 0);
    assert_ne!(tree.theirs("s6-svstat -o pid a"), before);
    assert_eq!(tree.theirs("s6-svstat -o ready b"), "true\n");
    let before = tree.theirs("s6-svstat -o pid a");
    assert_eq!(tree.code("svc -wr -T 20000 -k a"), 0);
    assert_ne!(tree.theirs("s6-svstat -o pid a"), before);
}

#[test]
fn a_restart_that_nobody_asked_for_times_out() {
    let tree = Tree::new(&[("a", &[("run", READY), NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 a"), 0);
    assert_eq!(tree.code("svc -wR -T 50 a"), 99);
    assert_eq!(tree.code("svc -wd -T 50 a"), 99);
}

#[test]
fn what_is_so_already_is_not_waited_for() {
    let tree = Tree::new(&[("a", &[("run", READY), NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 a"), 0);
    assert_eq!(tree.code("svc -wU -u a"), 0);
    assert_eq!(tree.code("svc -wu a"), 0);
}

#[test]
fn without_a_notification_fd_readiness_is_not_waited_for() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let output = tree.ours("svc -wU -T 20000 -u a");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("warning"));
}

#[test]
fn a_service_that_fails_for_good_is_counted_and_the_others_are_waited_for() {
    let failing: &[(&str, &str)] =
        &[("run", "#!/bin/sh\nexit 1\n"), ("finish", "#!/bin/sh\nexit 125\n"), DOWN, NOTIFIES];
    let tree = Tree::new(&[("a", failing), ("b", &[("run", READY), DOWN, NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 -u a b"), 1);
    assert_eq!(tree.theirs("s6-svstat -o up,ready b"), "true true\n");
    assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
}

#[test]
fn who_is_not_supervised_is_not_waited_for() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut events = tree.listen("a");
    assert_eq!(tree.code("svc -x a"), 0);
    events.until(b'x');
    std::fs::rename(tree.service("a"), tree.service(".a")).unwrap();
    eventually(|| tree.code("svc .a") == 102);
    assert_eq!(tree.code("svc -wu -u .a"), 102);
}

#[test]
fn no_transition_is_missed_however_fast_it_is() {
    let tree = Tree::new(&[("a", &[("run", READY), DOWN, NOTIFIES])]);
    for _ in 0..60 {
        assert_eq!(tree.code("svc -wU -T 20000 -u a"), 0);
        assert_eq!(tree.code("svc -wD -T 20000 -d a"), 0);
    }
}

#[test]
fn waiting_leaves_no_fifo_behind() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    assert_eq!(tree.code("svc -wu -T 10 a"), 99);
    assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
    assert_eq!(tree.code("svc -wd -T 10 a"), 99);
    assert_eq!(fifos(&tree.service("a")), 0);
}

#[test]
fn waiting_makes_a_missing_fifodir_whatever_the_umask() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[]);
    let command = format!("umask 077; exec {} svc -wu .a", env!("CARGO_BIN_EXE_linchpin"));
    let code = Command::new("sh").args(["-c", &command]).current_dir(&tree.path).status().unwrap().code();
    assert_eq!(code, Some(111), "there is no status to be read");
    let mode = std::fs::metadata(tree.service(".a/event")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o3730);
}

// svstat

/// Our line without the process group, which the s6 of Debian does not tell yet.
fn without_pgid(line: &str) -> String {
    match line.split_once(" pgid ") {
        Some((before, after)) => format!("{before}{}", &after[after.find(')').unwrap()..]),
        None => line.to_owned(),
    }
}

/// All that s6-svstat can tell.
fn assert_same_in_every_field(tree: &Tree, name: &str) {
    let fields =
        "up,wantedup,normallyup,ready,paused,pid,exitcode,signal,signum,updownsince,readysince,updownfor,readyfor";
    tree.assert_same_status(&format!("-o {fields}"), name, str::to_owned);
    for field in fields.split(',') {
        tree.assert_same_status(&format!("-o {field}"), name, str::to_owned);
    }
    tree.assert_same_status("-uwNrpest", name, str::to_owned);
    tree.assert_same_status("-t -o ready,pid -n -w", name, str::to_owned);
    tree.assert_same_status("-n", name, without_pgid);
    tree.assert_same_status("--", name, without_pgid);
}

#[test]
fn a_service_looks_the_same_to_both_svstats_in_all_its_states() {
    let finish = "#!/bin/sh\ntest -e go || exit 0\nread x < go\n";
    let files: &[(&str, &str)] = &[("run", READY), ("finish", finish), ("timeout-finish", "0\n"), DOWN, NOTIFIES];
    let tree = Tree::new(&[("a", files)]);
    // Down since the beginning; up and ready; up though not wanted; paused.
    assert_same_in_every_field(&tree, "a");
    assert_eq!(tree.code("svc -wU -T 20000 -u a"), 0);
    assert_same_in_every_field(&tree, "a");
    assert_eq!(tree.code("svc -O a"), 0);
    eventually(|| tree.theirs("s6-svstat -o wantedup a") == "false\n");
    assert_same_in_every_field(&tree, "a");
    assert_eq!(tree.code("svc -p a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused a") == "true\n");
    assert_same_in_every_field(&tree, "a");
    // In finish; after it.
    let go = tree.service("a").join("go");
    Command::new("mkfifo").arg(&go).status().unwrap();
    assert_eq!(tree.code("svc -wd -T 20000 -k a"), 0);
    assert_same_in_every_field(&tree, "a");
    std::fs::write(&go, "\n").unwrap();
    assert_eq!(tree.code("svc -wD -T 20000 a"), 0);
    assert_same_in_every_field(&tree, "a");
}

#[test]
fn a_service_that_is_not_ready_looks_the_same_to_both() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), NOTIFIES])]);
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    assert_same_in_every_field(&tree, "a");
}

#[test]
fn a_service_that_exits_looks_the_same_to_both() {
    let tree = Tree::new(&[("a", &[("run", "#!/bin/sh\nexit 7\n"), DOWN])]);
    let mut events = tree.listen("a");
    assert_eq!(tree.code("svc -o a"), 0);
    events.until(b'D');
    assert_same_in_every_field(&tree, "a");
    assert_eq!(tree.text("svstat -e a"), "7\n");
}

#[test]
fn the_process_group_is_the_pid() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)])]);
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    let pid = tree.theirs("s6-svstat -o pid a");
    let pid = pid.trim();
    assert_eq!(tree.text("svstat -o pgid a"), format!("{pid}\n"));
    assert_eq!(tree.text("svstat -pg a"), format!("{pid} {pid}\n"));
    assert!(tree.text("svstat a").starts_with(&format!("up (pid {pid} pgid {pid}) ")));
}

#[test]
fn svstat_answers_1_when_nobody_supervises() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    make_service(&tree.service(".off"), &[("file", "")]);
    for name in [".none", ".off"] {
        let output = tree.ours(&format!("svstat {name}"));
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]));
    }
    assert_eq!(tree.code("svstat .off/file"), 111);
}

#[test]
fn wrong_usage_of_svstat_is_100() {
    let dir = std::env::temp_dir();
    let many = "-o up,up,up,up,up,up,up,up,up,up,up,up,up,up,up,up,up";
    for options in ["-Z", "-o u", "-o up,,pid", "-o pidx", "--up", many] {
        assert_eq!(ours(&dir, &format!("svstat {options} .")).status.code(), Some(100), "{options}");
    }
    assert_eq!(ours(&dir, "svstat").status.code(), Some(100));
}

#[test]
fn both_names_of_a_command_work_as_links_too() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    for name in ["svstat", "s6-svstat"] {
        let link = tree.path.join(format!(".{name}"));
        std::fs::create_dir(&link).unwrap();
        symlink(env!("CARGO_BIN_EXE_linchpin"), link.join(name)).unwrap();
        let output = Command::new(link.join(name)).args(["-u", "a"]).current_dir(&tree.path).output().unwrap();
        assert_eq!(output.stdout, b"false\n");
    }
}

// svscanctl

#[test]
fn a_scan_finds_new_services_and_a_nuke_ends_those_that_are_gone() {
    let tree = Tree::new(&[]);
    make_service(&tree.service("new"), &[("run", SLEEPER), DOWN]);
    let mut events = tree.listen("new");
    eventually(|| tree.code("svscanctl .") == 0);
    assert_eq!(tree.code("svscanctl -a ."), 0);
    events.until(b's');
    std::fs::rename(tree.service("new"), tree.service(".new")).unwrap();
    assert_eq!(tree.code("svscanctl -an ."), 0);
    events.until(b'x');
}

#[test]
fn a_rescan_does_both() {
    let tree = Tree::new(&[("old", &[("run", SLEEPER)])]);
    make_service(&tree.service("new"), &[("run", SLEEPER), DOWN]);
    let (mut old, mut new) = (tree.listen("old"), tree.listen("new"));
    std::fs::rename(tree.service("old"), tree.service(".old")).unwrap();
    assert_eq!(tree.code("svscanctl -h ."), 0);
    new.until(b's');
    old.until(b'x');
}

#[test]
fn each_way_to_leave_ends_the_scanner() {
    for letter in ["t", "i", "q"] {
        let mut tree = Tree::new(&[("a", &[("run", SLEEPER)])]);
        let mut events = tree.listen("a");
        assert_eq!(tree.code(&format!("svscanctl -{letter} .")), 0);
        events.until(b'x');
        assert!(tree.svscan.wait().unwrap().success());
        assert_eq!(tree.code("svscanctl ."), 100);
    }
}

#[test]
fn svscanctl_tells_what_is_wrong() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    assert_eq!(tree.code("svscanctl -z ."), 0);
    assert_eq!(tree.code("svscanctl a"), 100);
    assert_eq!(tree.code("svscanctl .none"), 111);
    for historical in ["p", "r", "s", "0", "6", "7", "8"] {
        assert_eq!(tree.code(&format!("svscanctl -{historical} .")), 100);
    }
    assert_eq!(tree.code("svscanctl"), 100);
}
