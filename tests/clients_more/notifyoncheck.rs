//! notifyoncheck: the program runs, and a process beside it asks until the service is ready. The tests are the
//! supervisor: they hold its lock, tell the death of the service and read the notification.

use crate::beside::*;
use crate::supervision::{PATIENCE, c_path, readable};
use linchpin::service::event::{self, Access};
use linchpin::sys::{Fd, file};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A check that never succeeds.
const NEVER: &str = "#!/bin/sh\necho >> checks\nexit 1\n";
/// A check that runs until it is killed, and so does what it has started.
const STUCK: &str = "#!/bin/sh\nsleep 1000 &\necho $! >> pids\necho $$ >> pids\necho >> checks\nwait\n";

/// A supervised service directory.
struct Service {
    both: Beside,
    dir: Fd,
    lock: Fd,
    /// The supervisor's end of the notification pipe.
    notified: Option<File>,
}

impl Service {
    fn new(check: &str) -> Service {
        let both = Beside::new();
        let path = both.path();
        for dir in ["supervise", "data"] {
            std::fs::create_dir(path.join(dir)).unwrap();
        }
        let dir = file::open_dir(Fd::CWD, &c_path(&path)).unwrap();
        event::make(dir, c"event", Access::own_group()).unwrap();
        let lock = file::lock(dir, c"supervise/lock", 0o644).unwrap();
        both.file("notification-fd", "3\n");
        if !check.is_empty() {
            both.file("data/check", check);
            std::fs::set_permissions(path.join("data/check"), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        crate::supervision::make_fifo(&path.join("notify"));
        let mut options = std::fs::OpenOptions::new();
        let notified = options.read(true).custom_flags(libc::O_NONBLOCK).open(path.join("notify")).unwrap();
        Service { both, dir, lock, notified: Some(notified) }
    }

    /// The service runs `notifyoncheck OPTIONS sleep 1000`, with the notification pipe as descriptor 3.
    fn start(&self, whose: Whose, options: &[&str]) -> Running<'_> {
        let words: Vec<&str> = options.iter().copied().chain(["sleep", "1000"]).collect();
        let daemon = self.command(whose, 3, &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Running { daemon, service: self }
    }

    /// `notifyoncheck WORDS`, with the notification pipe as descriptor `fd`.
    fn command(&self, whose: Whose, fd: i32, words: &[&str]) -> Command {
        let inner = self.both.command(whose, "notifyoncheck");
        let mut command = self.both.command(whose, "notifyoncheck");
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("exec {fd}> notify; exec \"$0\" \"$@\"")).arg(inner.get_program()).args(words);
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(self.both.path()).stdin(Stdio::null());
        std::mem::swap(&mut shell, &mut command);
        command
    }

    /// How the polling ended: whether the service was said to be ready. It has ended when nobody has the pipe any more,
    /// so this shows too that the program does not have it.
    fn is_ready(&self) -> bool {
        let mut notified = self.notified.as_ref().unwrap();
        let (deadline, mut said) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(readable(Fd(notified.as_raw_fd()), left), "the polling goes on and on");
            match notified.read_to_end(&mut said) {
                Ok(_) => break,
                Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
            }
        }
        assert!(matches!(&said[..], b"" | b"\n"), "{said:?}");
        !said.is_empty()
    }

    fn tell(&self, events: &[u8]) {
        event::notify(self.dir, c"event", events).unwrap();
    }

    /// How often the check was started, as far as it has told.
    fn checks(&self) -> usize {
        content(&self.both.path().join("checks")).len()
    }

    fn listeners(&self) -> usize {
        crate::supervision::fifos(&self.both.path())
    }

    /// The processes that checks have told of.
    fn pids(&self) -> Vec<i32> {
        let pids: Vec<i32> = content(&self.both.path().join("pids")).lines().map(|pid| pid.parse().unwrap()).collect();
        assert!(pids.iter().all(|pid| *pid > 1), "{pids:?}");
        pids
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.tell(b"d");
        self.lock.close();
        self.dir.close();
    }
}

struct Running<'a> {
    daemon: Child,
    service: &'a Service,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.service.tell(b"d");
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Whether a process is gone, or waits for nothing but its parent.
fn is_gone(pid: i32) -> bool {
    let stat = content(format!("/proc/{pid}/stat").as_ref());
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

#[test]
fn a_check_that_succeeds_makes_the_service_ready() {
    for options in [&[][..], &["-d"], &["-s", "0"], &["-n", "1"], &["-t", "15000", "-T", "15000"]] {
        for whose in [Theirs, Ours] {
            let service = Service::new("#!/bin/sh\nexit 0\n");
            let mut running = service.start(whose, options);
            assert!(service.is_ready(), "{whose:?} {options:?}");
            assert!(running.daemon.try_wait().unwrap().is_none());
        }
    }
}

#[test]
fn a_check_that_fails_is_repeated_until_it_succeeds() {
    for whose in [Theirs, Ours] {
        // (Debian's leaves the check running, with our pipe in its hands.)
        let service = Service::new("#!/bin/sh\nexec 3>&-\necho >> checks\ntest $(wc -l < checks) -eq 5\n");
        let _running = service.start(whose, &["-w", "1"]);
        assert!(service.is_ready(), "{whose:?}");
        assert_eq!(service.checks(), 5);
    }
}

#[test]
fn after_seven_checks_or_as_many_as_asked_for_it_gives_up() {
    for (options, checks) in [(&["-w", "1"][..], 7), (&["-w", "1", "-n", "3"], 3), (&["-n", "1"], 1)] {
        for whose in [Theirs, Ours] {
            let service = Service::new(NEVER);
            let mut running = service.start(whose, options);
            assert!(!service.is_ready(), "{whose:?} {options:?}");
            assert_eq!(service.checks(), checks, "{whose:?} {options:?}");
            assert!(running.daemon.try_wait().unwrap().is_none());
        }
    }
}

/// With Debian's 0 is for ever; with later ones it is none.
#[test]
fn without_a_pause_the_next_check_is_at_once() {
    let service = Service::new(NEVER);
    let _running = service.start(Ours, &["-w", "0", "-n", "20"]);
    assert!(!service.is_ready());
    assert_eq!(service.checks(), 20);
}

#[test]
fn the_limit_for_all_checks_ends_it() {
    for whose in [Theirs, Ours] {
        let service = Service::new(NEVER);
        let before = Instant::now();
        let _running = service.start(whose, &["-T", "300", "-n", "0", "-w", "10"]);
        assert!(!service.is_ready(), "{whose:?}");
        assert!(before.elapsed() >= Duration::from_millis(300));
    }
}

#[test]
fn the_limit_for_all_checks_ends_the_one_that_runs() {
    let service = Service::new(STUCK);
    let _running = service.start(Ours, &["-T", "3000"]);
    assert!(!service.is_ready());
    assert_eq!(service.pids().len(), 2);
    eventually(|| service.pids().iter().all(|pid| is_gone(*pid)));
}

#[test]
fn the_first_check_can_be_put_off() {
    for whose in [Theirs, Ours] {
        let service = Service::new("#!/bin/sh\nexit 0\n");
        let before = Instant::now();
        let _running = service.start(whose, &["-s", "300"]);
        assert!(service.is_ready());
        assert!(before.elapsed() >= Duration::from_millis(300), "{whose:?}");
    }
}

#[test]
fn the_death_of_the_service_ends_the_polling() {
    for whose in [Theirs, Ours] {
        let service = Service::new(NEVER);
        let _running = service.start(whose, &["-n", "0", "-w", "5"]);
        eventually(|| service.checks() >= 3);
        service.tell(b"uUDx");
        let before = service.checks();
        eventually(|| service.checks() > before + 2);
        service.tell(b"dD");
        assert!(!service.is_ready(), "{whose:?}");
    }
}

#[test]
fn the_death_of_the_service_ends_a_check_that_runs() {
    let service = Service::new(STUCK);
    let _running = service.start(Ours, &[]);
    eventually(|| service.checks() == 1);
    service.tell(b"d");
    assert!(!service.is_ready());
    assert_eq!(service.pids().len(), 2);
    eventually(|| service.pids().iter().all(|pid| is_gone(*pid)));
}

/// s6 goes on polling for a supervisor that was killed.
#[test]
fn the_polling_ends_when_the_supervisor_reads_no_more() {
    let mut service = Service::new(NEVER);
    let notified = service.notified.take();
    let _running = service.start(Ours, &["-n", "0", "-w", "5"]);
    eventually(|| service.checks() >= 2);
    assert_eq!(service.listeners(), 1);
    drop(notified);
    eventually(|| service.listeners() == 0);
}

/// As documented; s6 leaves them running.
#[test]
fn overdue_checks_are_killed_with_all_that_they_have_started() {
    let service = Service::new(STUCK);
    let _running = service.start(Ours, &["-t", "1000", "-n", "0", "-w", "1"]);
    eventually(|| service.checks() >= 2);
    let first = service.pids();
    eventually(|| first.iter().take(2).all(|pid| is_gone(*pid)));
    service.tell(b"d");
    assert!(!service.is_ready());
    eventually(|| service.pids().iter().all(|pid| is_gone(*pid)));
}

#[test]
fn an_overdue_check_is_a_failed_one() {
    for whose in [Theirs, Ours] {
        // (Debian's leaves the check running, with our pipe in its hands.)
        let service =
            Service::new("#!/bin/sh\nexec 3>&-\necho >> checks\ntest $(wc -l < checks) -ge 3 || exec sleep 20\n");
        let _running = service.start(whose, &["-t", "1000", "-n", "0", "-w", "1"]);
        assert!(service.is_ready(), "{whose:?}");
        assert!(service.checks() >= 3);
    }
}

#[test]
fn a_check_that_cannot_be_started_is_a_failed_one() {
    for whose in [Theirs, Ours] {
        let service = Service::new("");
        let _running = service.start(whose, &["-n", "3", "-w", "1"]);
        assert!(!service.is_ready(), "{whose:?}");
    }
}

#[test]
fn a_check_that_a_signal_ends_is_a_failed_one() {
    for whose in [Theirs, Ours] {
        let service = Service::new("#!/bin/sh\necho >> checks\nkill -9 $$\n");
        let _running = service.start(whose, &["-n", "2", "-w", "1"]);
        assert!(!service.is_ready(), "{whose:?}");
        assert_eq!(service.checks(), 2);
    }
}

#[test]
fn a_command_line_can_be_the_check() {
    for whose in [Theirs, Ours] {
        let service = Service::new(NEVER);
        let _running = service.start(whose, &["-w", "5", "-n", "0", "-c", "test -e \"really ready\""]);
        eventually(|| service.listeners() == 1);
        service.both.file("really ready", "");
        assert!(service.is_ready(), "{whose:?}");
        assert_eq!(service.checks(), 0);
    }
}

#[test]
fn the_command_line_is_read_by_execlineb_where_there_is_one() {
    let service = Service::new("");
    let path = service.both.path();
    service.both.file("execlineb", "#!/bin/sh\nprintf '%s,' \"$@\" > called\n");
    std::fs::set_permissions(path.join("execlineb"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = service.command(Ours, 3, &["-c", "test a  b", "/bin/true"]);
    assert_eq!(outcome(command.env("PATH", format!("/nonexistent:{}:/bin", path.display()))).code, 0);
    assert!(service.is_ready());
    assert_eq!(content(&path.join("called")), "-Pc,test a  b,");
}

#[test]
fn without_execlineb_the_command_line_is_the_shells() {
    let service = Service::new("");
    service.both.file("plain", "");
    let mut command = service.command(Ours, 3, &["-c", "for x in a b; do test -e plain || exit 1; done", "/bin/true"]);
    // What is not executable is not taken for it.
    service.both.file("execlineb", "");
    assert_eq!(outcome(command.env("PATH", service.both.path())).code, 0);
    assert!(service.is_ready());
}

#[test]
fn the_check_runs_in_the_service_directory_with_its_environment() {
    let service = Service::new("#!/bin/sh\ntest -e data/check && test \"$WORD\" = x && test $0 = ./data/check\n");
    let mut command = service.command(Ours, 3, &["-n", "1", "true"]);
    assert_eq!(outcome(command.env("WORD", "x")).code, 0);
    assert!(service.is_ready());
}

/// Debian's does.
#[test]
fn the_check_does_not_get_the_notification_pipe() {
    let service = Service::new("#!/bin/sh\ntest ! -e /proc/$$/fd/3\n");
    let _running = service.start(Ours, &["-n", "1"]);
    assert!(service.is_ready());
}

#[test]
fn the_check_has_no_signal_blocked() {
    let service = Service::new("#!/bin/sh\ngrep -q '^SigBlk:\t0*$' /proc/self/status\n");
    let _running = service.start(Ours, &["-n", "1"]);
    assert!(service.is_ready());
}

#[test]
fn the_poller_is_a_child_of_the_program_or_with_d_of_nobody() {
    for (options, child) in [(&[][..], true), (&["-d"], false)] {
        for whose in [Theirs, Ours] {
            let service = Service::new("#!/bin/sh\ncut -d' ' -f4 /proc/$PPID/stat > parent\n");
            let running = service.start(whose, options);
            assert!(service.is_ready());
            let parent = content(&service.both.path().join("parent"));
            assert_eq!(parent.trim() == running.daemon.id().to_string(), child, "{whose:?} {options:?}");
        }
    }
}

#[test]
fn the_descriptor_can_be_given() {
    for whose in [Theirs, Ours] {
        let service = Service::new("#!/bin/sh\nexit 0\n");
        std::fs::remove_file(service.both.path().join("notification-fd")).unwrap();
        assert_eq!(outcome(&mut service.command(whose, 7, &["-3", "7", "echo", "x"])), Outcome::says("x\n"));
        assert!(service.is_ready(), "{whose:?}");
    }
}

#[test]
fn options_have_long_names_too() {
    let service = Service::new(NEVER);
    let words = [
        "--doublefork",
        "--notification-fd=7",
        "--initial-sleep=0",
        "--global-timeout=20000",
        "--local-timeout=20000",
        "--waiting-time=1",
        "--tries=2",
        "--check-program=test -e data",
        "echo",
        "x",
    ];
    assert_eq!(outcome(&mut service.command(Ours, 7, &words)), Outcome::says("x\n"));
    assert!(service.is_ready());
    assert_eq!(service.checks(), 0);
}

#[test]
fn no_listener_is_left() {
    for (check, ready) in [("#!/bin/sh\nexit 0\n", true), (NEVER, false)] {
        let service = Service::new(check);
        let _running = service.start(Ours, &["-n", "1"]);
        assert_eq!(service.is_ready(), ready);
        eventually(|| service.listeners() == 0);
    }
}

/// Both, with the notification pipe as descriptor 3.
fn codes(prepare: impl Fn(&Service), words: &[&str]) -> [i32; 2] {
    [Theirs, Ours].map(|whose| {
        let mut service = Service::new("#!/bin/sh\nexit 0\n");
        prepare(&service);
        let code = outcome(&mut service.command(whose, 3, words)).code;
        service.notified = None;
        code
    })
}

#[test]
fn the_exit_code_is_the_programs() {
    assert_eq!(codes(|_| {}, &["sh", "-c", "exit 77"]), [77; 2]);
    assert_eq!(codes(|_| {}, &["/nonexistent/prog"]), [127; 2]);
    assert_eq!(codes(|service| service.both.file("plain", ""), &["./plain"]), [126; 2]);
}

#[test]
fn what_is_not_supervised_is_refused_with_100() {
    let unlock = |service: &Service| {
        std::fs::remove_file(service.both.path().join("supervise/lock")).unwrap();
    };
    assert_eq!(codes(unlock, &["true"]), [100; 2]);
    let free = |service: &Service| {
        unlock(service);
        service.both.file("supervise/lock", "");
    };
    assert_eq!(codes(free, &["true"]), [100; 2]);
}

#[test]
fn a_descriptor_that_is_not_known_or_not_open_is_an_error() {
    let remove = |service: &Service| std::fs::remove_file(service.both.path().join("notification-fd")).unwrap();
    assert_eq!(codes(remove, &["true"]), [111; 2]);
    for (content, code) in [("abc\n", 100), ("", 100), ("99999999999", 100), ("4000000000\n", 111), ("9\n", 111)] {
        assert_eq!(codes(|service| service.both.file("notification-fd", content), &["true"]), [code; 2], "{content:?}");
    }
    for number in ["9", "4000000000"] {
        assert_eq!(codes(|_| {}, &["-3", number, "true"]), [111; 2]);
    }
}

#[test]
fn wrong_usage_of_notifyoncheck_is_100() {
    for words in [&[][..], &["-d"], &["-z", "true"], &["-t", "x", "true"], &["-3", "-1", "true"], &["-n"]] {
        assert_eq!(codes(|_| {}, words), [100; 2], "{words:?}");
    }
    let long = "x".repeat(4096);
    assert_eq!(codes(|_| {}, &["-c", &long, "true"])[1], 100);
}

/// Debian's waits for its helper for ever.
#[test]
fn a_service_without_fifodir_is_111() {
    let service = Service::new("#!/bin/sh\nexit 0\n");
    std::fs::remove_dir(service.both.path().join("event")).unwrap();
    assert_eq!(outcome(&mut service.command(Ours, 3, &["true"])).code, 111);
    std::fs::create_dir(service.both.path().join("event")).unwrap();
}

#[test]
fn a_real_supervisor_is_told() {
    let run = format!("#!/bin/sh\nexec {} notifyoncheck -w 5 -n 0 sleep 1000\n", env!("CARGO_BIN_EXE_linchpin"));
    let files = &[("run", &run[..]), ("data/check", "#!/bin/sh\ntest -e ready\n"), crate::supervision::NOTIFIES];
    let tree = crate::tree::Tree::new(&[("a", files)]);
    let mut events = tree.listen("a");
    // Ours and the poller's.
    eventually(|| crate::supervision::fifos(&tree.service("a")) == 2);
    // The supervisor may be slower than what it has started.
    eventually(|| tree.theirs("s6-svstat -o up,ready a") == "true false\n");
    std::fs::write(tree.service("a").join("ready"), "").unwrap();
    events.until(b'U');
    assert_eq!(tree.theirs("s6-svstat -o up,ready a"), "true true\n");
}
