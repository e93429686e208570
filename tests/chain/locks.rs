//! setlock: a lock while the program runs.

use crate::beside::*;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

/// A process with the lock on `lock`; it ends when its standard input does.
struct Holder(Child);

impl Holder {
    fn new(both: &Beside, whose: Whose, options: &[&str]) -> Holder {
        Holder::running(both, whose, options, "echo locked; cat >&2")
    }

    /// `script` must say `locked` when it runs.
    fn running(both: &Beside, whose: Whose, options: &[&str], script: &str) -> Holder {
        let mut command = both.command(whose, "setlock");
        command.args(options).args(["lock", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        Holder(child)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn who_does_not_wait_for_a_busy_lock_is_told_1() {
    for (holder, asker) in [(Ours, Ours), (Theirs, Ours), (Ours, Theirs)] {
        let both = Beside::new();
        let holding = Holder::new(&both, holder, &[]);
        assert_eq!(both.run(asker, "setlock", &["-n", "lock", "echo", "x"]), Outcome::code(1), "{holder:?} {asker:?}");
        assert_eq!(both.run(asker, "setlock", &["-rn", "lock", "echo", "x"]), Outcome::code(1));
        holding.end();
        assert_eq!(both.run(asker, "setlock", &["-n", "lock", "echo", "x"]), Outcome::says("x\n"));
    }
}

#[test]
fn shared_locks_keep_only_the_other_kind_out() {
    for (holder, asker) in [(Ours, Ours), (Theirs, Ours), (Ours, Theirs)] {
        let both = Beside::new();
        both.file("lock", "");
        let holding = Holder::new(&both, holder, &["-r"]);
        assert_eq!(both.run(asker, "setlock", &["-rn", "lock", "echo", "x"]), Outcome::says("x\n"));
        assert_eq!(both.run(asker, "setlock", &["-n", "lock", "echo", "x"]), Outcome::code(1));
        assert_eq!(both.run(asker, "setlock", &["-rwn", "lock", "echo", "x"]), Outcome::code(1));
        holding.end();
    }
}

#[test]
fn waiting_ends_with_the_other_one() {
    for options in [&[][..], &["-N"], &["-nN"], &["-t", "60000"], &["-r"], &["-t", "0"]] {
        let both = Beside::new();
        let holding = Holder::new(&both, Theirs, &[]);
        let mut command = both.command(Ours, "setlock");
        let mut waiting = command.args(options).args(["lock", "echo", "x"]).stdout(Stdio::piped()).spawn().unwrap();
        // It sleeps: there is nothing else that it could wait for.
        let stat = format!("/proc/{}/stat", waiting.id());
        eventually(|| content(stat.as_ref()).contains("(s6-setlock) S"));
        assert!(waiting.try_wait().unwrap().is_none(), "{options:?}");
        holding.end();
        let mut out = String::new();
        waiting.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(waiting.wait().unwrap().success());
        assert_eq!(out, "x\n", "{options:?}");
    }
}

#[test]
fn waiting_for_a_limited_time_ends_with_1() {
    let both = Beside::new();
    let holding = Holder::new(&both, Theirs, &[]);
    let before = std::time::Instant::now();
    assert_eq!(both.ours("setlock", &["-t", "150", "lock", "echo", "x"]), Outcome::code(1));
    assert!(before.elapsed() >= std::time::Duration::from_millis(150));
    assert_eq!(both.ours("setlock", &["-t", "20", "lock", "echo", "x"]), Outcome::code(1));
    assert_eq!(both.ours("setlock", &["-r", "-t", "20", "lock", "echo", "x"]), Outcome::code(1));
    holding.end();
}

#[test]
fn the_timer_is_gone_when_the_program_runs() {
    let both = Beside::new();
    let holding = Holder::new(&both, Theirs, &[]);
    let words = ["-t", "60000", "lock", "sh", "-c", "grep -E 'Sig(Blk|Ign|Pnd)' /proc/self/status; exec sleep 0.05"];
    let plain = both.ours("setlock", &["other", "sh", "-c", words[5]]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| both.ours("setlock", &words));
        holding.end();
        assert_eq!(waiting.join().unwrap(), plain);
    });
}

#[test]
fn the_lock_is_the_programs_and_ends_with_it() {
    for whose in [Theirs, Ours] {
        let both = Beside::new();
        // What it leaves behind has the descriptor, but not the lock.
        let script = "sleep 1000 >/dev/null 2>&1 </dev/null & echo $! > left; echo locked; cat >&2";
        let holding = Holder::running(&both, whose, &[], script);
        holding.end();
        assert_eq!(both.run(whose, "setlock", &["-n", "lock", "echo", "free"]), Outcome::says("free\n"), "{whose:?}");
        let left: i32 = content(&both.path().join("left")).trim().parse().unwrap();
        assert!(left > 1);
        linchpin::sys::process::kill(left, 9).unwrap();
    }
}

/// Debian's has no `-d`; s6's later version loses the lock when it moves the descriptor.
#[test]
fn a_lock_can_be_had_as_a_descriptor_and_lasts_as_long_as_that() {
    let both = Beside::new();
    let holding = Holder::running(&both, Ours, &["-d", "9"], "readlink /proc/$$/fd/9 > link; echo locked; cat >&2");
    assert!(content(&both.path().join("link")).ends_with("/lock\n"));
    assert_eq!(both.same("setlock", &["-n", "lock", "echo", "x"]), Outcome::code(1));
    holding.end();
    let holding = Holder::running(&both, Ours, &["-d", "9"], "exec 9>&-; echo locked; cat >&2");
    assert_eq!(both.same("setlock", &["-n", "lock", "echo", "x"]), Outcome::says("x\n"));
    holding.end();
    let holding = Holder::running(&both, Ours, &["-d", "3"], "echo locked; cat >&2");
    assert_eq!(both.same("setlock", &["-n", "lock", "echo", "x"]), Outcome::code(1));
    holding.end();
}

#[test]
fn the_file_is_made_with_the_umasks_mode() {
    use std::os::unix::fs::PermissionsExt;
    for whose in [Theirs, Ours] {
        let both = Beside::new();
        let program = both.command(whose, "setlock").get_program().to_owned();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "umask 027; exec \"$0\" lock true"]).arg(program).current_dir(both.path());
        assert_eq!(outcome(&mut command).code, 0);
        let mode = std::fs::metadata(both.path().join("lock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640, "{whose:?}");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_111() {
    let both = Beside::new();
    assert_eq!(both.same("setlock", &["none/lock", "echo", "x"]), Outcome::code(111));
    assert_eq!(both.same("setlock", &[".", "echo", "x"]), Outcome::code(111));
}

#[test]
fn who_may_only_read_the_file_can_share_the_lock() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let both = Beside::new();
    both.copy("setlock");
    both.file("lock", "");
    std::fs::set_permissions(both.path().join("lock"), std::fs::Permissions::from_mode(0o444)).unwrap();
    for whose in [Theirs, Ours] {
        let run = |options: &str| {
            let mut command = both.command(whose, "setlock");
            outcome(command.args([options, "lock", "echo", "x"]).uid(65534).gid(65534))
        };
        assert_eq!(run("-rn"), Outcome::says("x\n"), "{whose:?}");
        assert_eq!(run("-n"), Outcome::code(111), "{whose:?}");
    }
}

#[test]
fn what_cannot_be_executed_is_126_or_127() {
    let both = Beside::new();
    both.file("plain", "x");
    assert_eq!(both.same("setlock", &["lock", "no-such-program"]), Outcome::code(127));
    assert_eq!(both.same("setlock", &["lock", "./plain"]), Outcome::code(126));
    assert_eq!(both.same("setlock", &["lock"]), Outcome::code(100));
    assert_eq!(both.same("setlock", &["-t", "x", "lock", "true"]), Outcome::code(100));
}
