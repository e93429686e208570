//! `instance-maker`, `instance-create`, `instance-delete`, `instance-control`, `instance-status`, `instance-list`.

use crate::tree::*;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const TEMPLATE: &[(&str, &str)] = &[
    ("run", "#!/bin/sh\necho \"$1\" >name\necho >&3\nexec 3>&-\nexec sleep 1000\n"),
    ("notification-fd", "3\n"),
    ("log/run", "#!/bin/sh\nexec cat\n"),
];

/// A tree with a service `a` that scans `a/instance`, made by hand: under s6's daemons inside and outside, and under ours.
fn trees() -> [Tree; 2] {
    let own = format!("#!/bin/sh\nexec {} svscan -d3 instance\n", env!("CARGO_BIN_EXE_linchpin"));
    let runs = ["#!/bin/sh\nexec s6-svscan -d3 instance\n", &own];
    let mut runs = runs.into_iter();
    [(); 2].map(|()| {
        let run = runs.next().unwrap();
        let tree = Tree::new(&[("a", &[("run", run), DOWN, NOTIFIES])]);
        make_service(&tree.service("a/template"), TEMPLATE);
        for name in ["instance", "instances"] {
            std::fs::create_dir(tree.service("a").join(name)).unwrap();
        }
        assert_eq!(tree.code("svc -wU -T 20000 -u a"), 0);
        tree
    })
}

fn instances(tree: &Tree) -> Vec<String> {
    let text = tree.text("instance-list a");
    let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn an_instance_lives_from_its_creation_to_its_deletion() {
    for tree in trees() {
        assert_eq!(tree.code("instance-create -t 20000 a one"), 0);
        assert_eq!(tree.code("instance-create -t 20000 a two"), 0);
        assert_eq!(instances(&tree), ["one", "two"]);
        assert_eq!(std::fs::read_link(tree.service("a/instance/one")).unwrap(), PathBuf::from("../instances/one"));
        assert_eq!(tree.code("svwait -U -t 20000 a/instance/one a/instance/two"), 0);
        assert_eq!(std::fs::read_to_string(tree.service("a/instances/two/name")).unwrap(), "two\n");
        assert_eq!(tree.code("svok a/instance/one/log"), 0);
        assert_eq!(tree.code("instance-delete -t 20000 a one"), 0);
        assert_eq!(instances(&tree), ["two"]);
        assert!(!tree.service("a/instances/one").exists());
        assert_eq!(tree.code("instance-create -t 20000 a one"), 0);
        for name in ["one", "two"] {
            assert_eq!(tree.code(&format!("instance-delete -t 20000 a {name}")), 0);
        }
        assert_eq!(instances(&tree), [] as [&str; 0]);
        assert_eq!(std::fs::read_dir(tree.service("a/instances")).unwrap().count(), 0);
    }
}

#[test]
fn an_instance_is_controlled_and_looked_at_like_a_service() {
    for tree in trees() {
        assert_eq!(tree.code("instance-create -d -t 20000 a one"), 0);
        assert_eq!(tree.text("instance-status -o up,normallyup a one"), "false true\n");
        assert_eq!(tree.code("instance-control -wU -T 20000 -u a one"), 0);
        assert_eq!(tree.text("instance-status -ur a one"), "true true\n");
        assert_eq!(tree.text("instance-status -p a one"), tree.theirs("s6-instance-status -p a one"));
        assert_eq!(tree.code("instance-control -wD -T 20000 -d a one"), 0);
        assert_eq!(tree.theirs("s6-instance-status -u a one"), "false\n");
        assert_eq!(tree.code("instance-control -wu -T 20 a one"), 99);
        assert_eq!(tree.code("instance-control a two"), 111);
        assert_eq!(tree.code("instance-status a two"), 1);
        assert_eq!(tree.code("instance-delete -t 20000 a one"), 0);
    }
}

#[test]
fn s6s_commands_and_ours_share_their_instances() {
    for tree in trees() {
        tree.theirs("s6-instance-create -t 20000 a theirs");
        assert_eq!(tree.code("instance-create -t 20000 a ours"), 0);
        assert_eq!(instances(&tree), ["ours", "theirs"]);
        assert_eq!(tree.code("instance-delete -t 20000 a theirs"), 0);
        tree.theirs("s6-instance-delete -t 20000 a ours");
        assert_eq!(instances(&tree), [] as [&str; 0]);
    }
}

#[test]
fn what_cannot_be_created_leaves_nothing() {
    for tree in trees() {
        assert_eq!(tree.code("instance-create -t 20000 a one"), 0);
        assert_eq!(tree.code("instance-create -t 20000 a one"), 100);
        assert_eq!(tree.code("svok a/instance/one"), 0);
        for name in ["''", ".x", "'x y'", "x/y"] {
            for command in ["instance-create", "instance-delete", "instance-control", "instance-status"] {
                assert_eq!(tree.shell(&format!("linchpin {command} a {name}")).0, 100, "{command} {name}");
            }
        }
        std::fs::remove_file(tree.service("a/template/run")).unwrap();
        assert_eq!(tree.code("instance-create -t 20000 a two"), 111);
        assert_eq!(instances(&tree), ["one"]);
        assert!(!tree.service("a/instances/two").exists());
        assert_eq!(tree.code("instance-delete -t 20000 a two"), 0);
        assert_eq!(tree.code("instance-delete -t 20000 a one"), 0);
    }
}

#[test]
fn instances_need_a_live_scanner() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[("template/run", SLEEPER), ("instance/file", ""), ("instances/file", "")]);
    assert_eq!(tree.code("instance-create .a one"), 111);
    assert_eq!(tree.code("instance-list .a"), 111);
    std::fs::create_dir(tree.service(".a/instance/.s6-svscan")).unwrap();
    std::fs::write(tree.service(".a/instance/.s6-svscan/lock"), "").unwrap();
    assert_eq!(tree.code("instance-create .a one"), 1);
    assert_eq!(tree.code("instance-list .a"), 1);
    assert!(!tree.service(".a/instances/one").exists());
    assert_eq!(tree.code("instance-list .none"), 111);
}

/// Every file and directory below a path, with its mode.
fn layout(path: &Path) -> Vec<(String, u32)> {
    fn walk(top: &Path, path: &Path, into: &mut Vec<(String, u32)>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            into.push((path.strip_prefix(top).unwrap().to_str().unwrap().to_owned(), meta.mode()));
            if meta.is_dir() {
                walk(top, &path, into);
            }
        }
    }
    let mut found = Vec::new();
    walk(path, path, &mut found);
    found.sort();
    found
}

#[test]
fn the_maker_lays_things_out_as_s6s_does() {
    for options in
        ["", "-u root -c 20 ", "-L /tmp/x -l root -t 2 ", "-r svc ", "-r svc/log -L /x ", "-r svc/log/pipe -L /x "]
    {
        let tree = Tree::new(&[]);
        make_service(&tree.service(".t"), TEMPLATE);
        assert_eq!(tree.shell(&format!("s6-instance-maker {options}.t .theirs")).0, 0);
        assert_eq!(tree.shell(&format!("linchpin instance-maker {options}.t .ours")), (0, "".into(), "".into()));
        let (theirs, ours) = (tree.service(".theirs"), tree.service(".ours"));
        assert_eq!(layout(&ours), layout(&theirs), "{options}");
        for (name, _) in layout(&ours)
            .into_iter()
            .filter(|(name, mode)| mode & 0o170_000 == 0o100_000 && !(name == "run" || name.ends_with("/run")))
        {
            let read = |top: &Path| std::fs::read_to_string(top.join(&name)).unwrap();
            assert_eq!(read(&ours).trim_end(), read(&theirs).trim_end(), "{options}{name}");
        }
    }
}

#[test]
fn the_makers_scripts_say_what_was_asked_for() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".t"), &[("run", SLEEPER)]);
    make_service(&tree.service(".l"), TEMPLATE);
    let made = |options: &str| {
        let command = format!("rm -rf .m; linchpin instance-maker {options} .m && cat .m/run .m/log/run 2>/dev/null");
        tree.shell(&command).1
    };
    assert_eq!(made(".t"), "#!/bin/sh\nexec 2>&1\nexec s6-svscan -d3 -- instance\n");
    assert_eq!(
        made("-c 20 -u me .t"),
        "#!/bin/sh\nexec 2>&1\nchown me instance instances || exit 111\n\
                                        exec s6-setuidgid me s6-svscan -d3 -c20 -- instance\n"
    );
    assert_eq!(made("-c 20 .l"), "#!/bin/sh\nexec 2>&1\nexec s6-svscan -d3 -c20 -- instance\n");
    let log = |options: &str| made(&format!("{options} .t")).split_once("#!/bin/sh\nexec s6-").unwrap().1.to_owned();
    let log = |options: &str| log(options).lines().last().unwrap().to_owned();
    assert_eq!(log("-L /a"), "log -bd3 -- t n10 s1000000 /a");
    assert_eq!(log("-l logger -L /a -t 2 -n 3 -s 4 -S 5 -P x"), "setuidgid logger s6-log -bd3 -- T n3 s4 S5 px /a");
    assert_eq!(log("-L /a -t 0"), "log -bd3 -- n10 s1000000 /a");
    assert_eq!(log("-L '/a b' -t 3 -P \"it's \""), "log -bd3 -- t T n10 s1000000 'pit'\\''s ' '/a b'");
}

#[test]
fn what_the_maker_makes_runs() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".t"), TEMPLATE);
    assert_eq!(tree.code("instance-maker .t .a"), 0);
    assert_eq!(tree.code("svlink -t 20000 . .a a"), 0);
    assert_eq!(tree.code("svwait -U -t 20000 a"), 0);
    assert_eq!(tree.code("instance-create -t 20000 a one"), 0);
    assert_eq!(tree.code("instance-control -wU -T 20000 a one"), 0);
    assert_eq!(tree.code("instance-delete -t 20000 a one"), 0);
}

#[test]
fn the_maker_refuses_what_makes_no_sense_and_leaves_nothing() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".t"), TEMPLATE);
    for options in [
        "-L rel .t .m",
        "-t 4 .t .m",
        "-t x .t .m",
        "-r svc/log .t .m",
        "-r '' .t .m",
        "-r a/b/c/d -L /x .t .m",
        "-r /a -L /x .t .m",
        "-r .. .t .m",
        ".t",
        "",
        "-x .t .m",
    ] {
        assert_eq!(tree.shell(&format!("linchpin instance-maker {options}")).0, 100, "{options}");
    }
    assert_eq!(tree.code("instance-maker .none .m"), 111);
    assert!(!tree.service(".m").exists());
    assert_eq!(tree.code("instance-maker .t .t"), 111);
    assert!(tree.service(".t/run").exists());
}

#[test]
fn wrong_usage_of_the_instance_commands_is_100() {
    let dir = std::env::temp_dir();
    for command in [
        "instance-create .",
        "instance-create -x . a",
        "instance-delete .",
        "instance-delete -d . a",
        "instance-list",
        "instance-list -a .",
        "instance-control -u .",
        "instance-control -Z . a",
        "instance-status .",
        "instance-status -o nothing . a",
    ] {
        assert_eq!(ours(&dir, command).status.code(), Some(100), "{command}");
    }
}
