//! `notifyoncheck`.

use crate::tree::*;
use linchpin::sys::process;

/// A service that is ready once `data/check` succeeds.
fn run(options: &str) -> String {
    format!("#!/bin/sh\nexec {} notifyoncheck {options} sleep 1000\n", env!("CARGO_BIN_EXE_linchpin"))
}

fn trees(options: &str, check: &str) -> [Tree; 2] {
    Tree::both(&[("a", &[("run", &run(options)), ("data/check", check), DOWN, NOTIFIES])])
}

/// What a service has noted, word by word.
fn noted(tree: &Tree) -> Vec<String> {
    let text = std::fs::read_to_string(tree.service("a").join("noted")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Starts the service and waits until its watcher has come and gone.
fn start_and_let_the_watcher_end(tree: &Tree, enough: impl Fn(&[String]) -> bool) {
    assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
    eventually(|| enough(&noted(tree)) && fifos(&tree.service("a")) == 0);
}

fn is_gone(pid: &str) -> bool {
    let pid: i32 = pid.parse().unwrap();
    assert!(pid > 1);
    process::kill(pid, 0).is_err()
}

const NOTE_AND_FAIL: &str = "#!/bin/sh\necho x >>noted\nexit 1\n";
const NOTE_AND_HANG: &str = "#!/bin/sh\nsleep 1000 &\necho $! >>noted\necho $$ >>noted\nwait\n";

#[test]
fn the_service_is_ready_when_the_check_succeeds() {
    for options in ["-n 0 -w 5", "-d -n 0 -w 5", "-3 3 -n 0 -w 5", "-n 0 -w 5 -c 'test -e go'"] {
        for tree in trees(options, "#!/bin/sh\ntest -e go\n") {
            assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
            assert_eq!(tree.code("svwait -U -t 100 a"), 99);
            std::fs::write(tree.service("a/go"), "").unwrap();
            assert_eq!(tree.code("svwait -U -t 20000 a"), 0, "{options}");
            eventually(|| fifos(&tree.service("a")) == 0);
        }
    }
}

#[test]
fn without_execlineb_a_command_is_the_shells() {
    let run = format!(
        "#!/bin/sh\nPATH=/nonexistent exec {} notifyoncheck -c 'x=1; test $x = 1' /bin/sleep 1000\n",
        env!("CARGO_BIN_EXE_linchpin")
    );
    for tree in Tree::both(&[("a", &[("run", &run), NOTIFIES])]) {
        assert_eq!(tree.code("svwait -U -t 20000 a"), 0);
    }
}

#[test]
fn checks_end_when_the_tries_are_used_up() {
    for tree in trees("-n 3 -w 1", NOTE_AND_FAIL) {
        start_and_let_the_watcher_end(&tree, |noted| noted.len() >= 3);
        assert_eq!(noted(&tree).len(), 3);
        assert_eq!(tree.theirs("s6-svstat -o up,ready a"), "true false\n");
    }
}

#[test]
fn an_overdue_check_is_killed_with_all_it_started() {
    for tree in trees("-n 2 -w 1 -t 300", NOTE_AND_HANG) {
        start_and_let_the_watcher_end(&tree, |noted| noted.len() >= 4);
        for pid in noted(&tree) {
            eventually(|| is_gone(&pid));
        }
        assert_eq!(tree.theirs("s6-svstat -o up,ready a"), "true false\n");
    }
}

#[test]
fn everything_ends_at_the_global_timeout() {
    for tree in trees("-T 300", NOTE_AND_HANG) {
        start_and_let_the_watcher_end(&tree, |noted| noted.len() >= 2);
        for pid in noted(&tree) {
            eventually(|| is_gone(&pid));
        }
    }
}

#[test]
fn checks_end_when_the_service_dies() {
    for options in ["-n 0", "-d -n 0"] {
        for tree in trees(options, NOTE_AND_HANG) {
            assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
            eventually(|| noted(&tree).len() >= 2);
            assert_eq!(tree.code("svc -wD -T 20000 -d a"), 0);
            for pid in noted(&tree) {
                eventually(|| is_gone(&pid));
            }
            eventually(|| fifos(&tree.service("a")) == 0);
        }
    }
}

#[test]
fn a_check_that_cannot_be_run_has_failed() {
    let run = run("-n 2 -w 1");
    for tree in Tree::both(&[("a", &[("run", &run), DOWN, NOTIFIES])]) {
        assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
        eventually(|| fifos(&tree.service("a")) == 0);
        assert_eq!(tree.theirs("s6-svstat -o up,ready a"), "true false\n");
    }
}

#[test]
fn with_d_the_watcher_is_no_child_of_the_service() {
    for (options, children) in [("-n 0 ", 1), ("-d -n 0 ", 0)] {
        for tree in trees(options, NOTE_AND_HANG) {
            assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
            eventually(|| noted(&tree).len() >= 2);
            let pid = tree.theirs("s6-svstat -o pid a");
            let pid = pid.trim();
            let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
            assert_eq!(text.split_whitespace().count(), children, "{options}");
        }
    }
}

#[test]
fn checks_inherit_neither_the_notification_nor_the_blocked_signals() {
    // By the shell itself: what it starts has descriptors of its own making.
    let check = "#!/bin/sh\n{ if test -e /proc/$$/fd/3; then echo leak; else echo none; fi\ngrep SigBlk /proc/self/status\n} \
                 >noted\n";
    for tree in trees("-n 1", check) {
        assert_eq!(tree.code("svc -wU -T 20000 -u a"), 0);
        let noted = noted(&tree);
        assert_eq!(noted, ["none", "SigBlk:", "0000000000000000"]);
    }
}

#[test]
fn where_nobody_supervises_it_is_100_and_without_a_descriptor_111() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN]), ("b", &[("run", SLEEPER), DOWN, NOTIFIES])]);
    make_service(&tree.service(".a"), &[NOTIFIES]);
    assert_eq!(tree.shell("cd .a; linchpin notifyoncheck true 3>/dev/null").0, 100);
    assert_eq!(tree.shell("cd a; linchpin notifyoncheck true 3>/dev/null").0, 111);
    assert_eq!(tree.shell("cd b; exec 3>&-; linchpin notifyoncheck true").0, 111);
    assert_eq!(tree.shell("cd b; linchpin notifyoncheck -3 4294967295 true").0, 111);
    assert_eq!(tree.shell("cd b; linchpin notifyoncheck -n 1 -c true sh -c 'exit 7' 3>/dev/null").0, 7);
    assert_eq!(tree.shell("cd b; linchpin notifyoncheck -n 1 -c true /nonexistent 3>/dev/null").0, 127);
}

#[test]
fn wrong_usage_of_notifyoncheck_is_100() {
    let dir = std::env::temp_dir();
    for options in ["", " -x true", " -n", " -n x true", " -3 -1 true", " -c"] {
        assert_eq!(ours(&dir, &format!("notifyoncheck{options}")).status.code(), Some(100), "{options}");
    }
}
