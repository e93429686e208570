//! `svlink` and `svunlink`.

use crate::tree::*;
use linchpin::sys::process;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

const LOGGED: &[(&str, &str)] = &[("run", SLEEPER), ("log/run", "#!/bin/sh\nexec cat\n")];
const STOP: i32 = 19;
const CONT: i32 = 18;

fn supervised(tree: &Tree, name: &str) -> bool {
    tree.shell(&format!("s6-svok {name}")).0 == 0
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

/// A tree with a service directory `.d/a` beside the services.
fn tree_with_a(files: &[(&str, &str)]) -> [Tree; 2] {
    Tree::both(&[]).map(|tree| {
        std::fs::create_dir(tree.service(".d")).unwrap();
        make_service(&tree.service(".d/a"), files);
        eventually(|| tree.code("svscanctl .") == 0);
        tree
    })
}

#[test]
fn a_linked_service_and_its_logger_are_supervised_when_svlink_returns() {
    for tree in tree_with_a(LOGGED) {
        assert_eq!(tree.code("svlink -t 20000 . .d/a"), 0);
        assert!(supervised(&tree, "a") && supervised(&tree, "a/log"));
        let target = std::fs::read_link(tree.service("a")).unwrap();
        assert_eq!(target, tree.service(".d/a").canonicalize().unwrap());
        assert_eq!(mode(&tree.service("a/event")), 0o3730);
        assert_eq!(fifos(&tree.service("a")) + fifos(&tree.service("a/log")), 0);
        assert_eq!(tree.code("svwait -u -t 20000 a a/log"), 0);
    }
}

#[test]
fn an_unlinked_service_and_its_logger_are_gone_when_svunlink_returns() {
    for tree in tree_with_a(LOGGED) {
        assert_eq!(tree.code("svlink -t 20000 . .d/a b"), 0);
        assert_eq!(tree.code("svwait -u -t 20000 b b/log"), 0);
        let mut events = tree.listen(".d/a/log");
        assert_eq!(tree.code("svunlink -t 20000 . b"), 0);
        assert!(!tree.service("b").exists());
        events.until(b'x');
        // The lock is held for an instant after the event.
        eventually(|| !supervised(&tree, ".d/a") && !supervised(&tree, ".d/a/log"));
        assert_eq!(fifos(&tree.service(".d/a")), 0);
        assert_eq!(tree.code("svlink -t 20000 . .d/a b"), 0);
        assert!(supervised(&tree, "b"));
    }
}

#[test]
fn svunlink_waits_for_a_service_that_takes_its_time_but_not_beyond_its_timeout() {
    let stubborn = "#!/bin/sh\ntrap '' TERM\necho >&3\nexec 3>&-\nread x <go\n";
    for tree in tree_with_a(&[("run", stubborn), NOTIFIES, ("go", FIFO)]) {
        assert_eq!(tree.code("svlink -t 20000 . .d/a"), 0);
        assert_eq!(tree.code("svwait -U -t 20000 a"), 0);
        let mut events = tree.listen("a");
        let before = Instant::now();
        assert_eq!(tree.code("svunlink -t 300 . a"), 0);
        assert!(before.elapsed() >= Duration::from_millis(300));
        assert!(!events.has(b'x'));
        std::fs::write(tree.service(".d/a/go"), "\n").unwrap();
        events.until(b'x');
        drop(events);
        eventually(|| !supervised(&tree, ".d/a"));
        // Without a timeout it is there when the service is gone.
        assert_eq!(tree.code("svlink -t 20000 . .d/a"), 0);
        assert_eq!(tree.code("svwait -U -t 20000 a"), 0);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| tree.code("svunlink . a"));
            eventually(|| !tree.service("a").exists());
            std::fs::write(tree.service(".d/a/go"), "\n").unwrap();
            assert_eq!(waiting.join().unwrap(), 0);
        });
        eventually(|| !supervised(&tree, ".d/a"));
        assert_eq!(fifos(&tree.service(".d/a")), 0);
    }
}

#[test]
fn with_d_service_and_logger_stay_down_and_neither_keeps_a_down_file() {
    for tree in tree_with_a(LOGGED) {
        assert_eq!(tree.code("svlink -d -t 20000 . .d/a"), 0);
        assert_eq!(tree.theirs("s6-svstat -o up,wantedup,normallyup a"), "false false true\n");
        assert_eq!(tree.theirs("s6-svstat -o up,wantedup,normallyup a/log"), "false false true\n");
    }
}

#[test]
fn with_capital_d_both_keep_their_down_files() {
    for tree in tree_with_a(LOGGED) {
        assert_eq!(tree.code("svlink -D -t 20000 . .d/a"), 0);
        assert_eq!(tree.theirs("s6-svstat -o up,normallyup a"), "false false\n");
        assert_eq!(tree.theirs("s6-svstat -o up,normallyup a/log"), "false false\n");
    }
}

#[test]
fn the_fifodirs_are_public_on_request_and_changed_only_by_force() {
    for tree in tree_with_a(LOGGED) {
        std::fs::create_dir(tree.service(".d/a/event")).unwrap();
        let odd = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(tree.service(".d/a/event"), odd).unwrap();
        assert_eq!(tree.code("svlink -P -t 20000 . .d/a"), 0);
        assert_eq!((mode(&tree.service("a/event")), mode(&tree.service("a/log/event"))), (0o700, 0o1733));
        assert_eq!(tree.code("svunlink -t 20000 . a"), 0);
        eventually(|| !supervised(&tree, ".d/a") && !supervised(&tree, ".d/a/log"));
        assert_eq!(tree.code("svlink -fP -t 20000 . .d/a"), 0);
        assert_eq!((mode(&tree.service("a/event")), mode(&tree.service("a/log/event"))), (0o1733, 0o1733));
    }
}

#[test]
fn a_scanner_that_does_not_answer_in_time_is_99_and_nothing_is_left() {
    for tree in tree_with_a(LOGGED) {
        let pid = tree.svscan.id() as i32;
        assert!(pid > 1);
        process::kill(pid, STOP).unwrap();
        let codes = ["", "-d ", "-D "].map(|options| tree.code(&format!("svlink {options}-t 50 . .d/a")));
        process::kill(pid, CONT).unwrap();
        assert_eq!(codes, [99; 3]);
        assert!(std::fs::symlink_metadata(tree.service("a")).is_err());
        assert!(!tree.service(".d/a/down").exists() && !tree.service(".d/a/log/down").exists());
        // The scanner has been told both to scan and to end what is gone.
        eventually(|| !supervised(&tree, ".d/a") && !supervised(&tree, ".d/a/log"));
    }
}

#[test]
fn a_service_that_is_supervised_already_is_only_linked() {
    for tree in tree_with_a(LOGGED) {
        assert_eq!(tree.code("svlink -t 20000 . .d/a"), 0);
        for name in ["a", "b"] {
            let output = tree.ours(&format!("svlink -d -t 50 . .d/a {name}"));
            assert_eq!(output.status.code(), Some(0));
            assert!(String::from_utf8(output.stderr).unwrap().contains("already running"));
            assert!(!tree.service("a/down").exists());
        }
        assert!(tree.service("b").exists());
    }
}

#[test]
fn what_is_no_service_directory_is_100() {
    let tree = Tree::new(&[("real", &[("run", SLEEPER), DOWN])]);
    std::fs::create_dir(tree.service(".d")).unwrap();
    for (name, files) in [("a", &[("run", SLEEPER)][..]), ("b", LOGGED), ("c", &[("run", SLEEPER), ("log", "")])] {
        make_service(&tree.service(&format!(".d/{name}")), files);
    }
    for file in [".d/a/run", ".d/b/log/run"] {
        std::fs::set_permissions(tree.service(file), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    make_service(&tree.service(".d/d"), &[]);
    for (name, code) in [("a", 100), ("b", 100), ("c", 100), ("d", 111), ("none", 111)] {
        assert_eq!(tree.code(&format!("svlink -t 2000 . .d/{name}")), code, "{name}");
        assert_eq!(tree.shell(&format!("s6-svlink -t 2000 . .d/{name}")).0, code, "{name}");
        assert!(!tree.service(name).exists());
    }
}

#[test]
fn a_name_that_is_taken_is_111_and_stays_as_it_was() {
    let tree = Tree::new(&[("real", &[("run", SLEEPER), DOWN])]);
    make_service(&tree.service(".a"), &[("run", SLEEPER)]);
    assert_eq!(tree.code("svlink -d -t 2000 . .a real"), 111);
    assert!(tree.service("real/run").exists());
    assert!(!tree.service(".a/down").exists());
}

#[test]
fn names_that_no_service_can_have_are_100() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    for name in ["''", ".x", "/x", "x/y"] {
        assert_eq!(tree.shell(&format!("linchpin svlink . a {name}")).0, 100, "{name}");
        assert_eq!(tree.shell(&format!("linchpin svunlink . {name}")).0, 100, "{name}");
    }
    assert_eq!(tree.code("svlink . /"), 100);
    assert_eq!(tree.code("svlink . ."), 100);
}

#[test]
fn svlink_needs_a_live_scanner() {
    let tree = Tree::new(&[]);
    std::fs::create_dir_all(tree.service(".off/.s6-svscan")).unwrap();
    make_service(&tree.service(".a"), &[("run", SLEEPER)]);
    assert_eq!(tree.code("svlink .off .a a"), 111);
    std::fs::write(tree.service(".off/.s6-svscan/lock"), "").unwrap();
    assert_eq!(tree.code("svlink .off .a a"), 1);
    assert_eq!(tree.code("svlink .none .a a"), 111);
}

#[test]
fn svunlink_is_content_with_what_is_not_there() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    for command in ["svunlink . ghost", "svunlink .none a", "svunlink a ghost"] {
        assert_eq!(tree.code(command), 0, "{command}");
    }
    // A real directory cannot be unlinked: it goes on.
    assert_eq!(tree.code("svunlink -t 50 . a"), 0);
    assert_eq!(tree.code("svunlink -X . a"), 0);
    assert!(supervised(&tree, "a"));
}

#[test]
fn wrong_usage_of_svlink_and_svunlink_is_100() {
    let dir = std::env::temp_dir();
    for command in
        ["svlink", "svlink .", "svlink -x . a", "svlink -t x . a", "svunlink", "svunlink .", "svunlink -d . a"]
    {
        assert_eq!(ours(&dir, command).status.code(), Some(100), "{command}");
    }
}
