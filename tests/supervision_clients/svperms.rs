//! `svperms`, beside s6-svperms.

use crate::tree::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Mode and group of the three places.
fn places(tree: &Tree, name: &str) -> Vec<(u32, u32)> {
    ["supervise", "supervise/control", "event"]
        .iter()
        .map(|place| {
            let meta = std::fs::metadata(tree.service(name).join(place)).unwrap();
            (meta.mode() & 0o7777, meta.gid())
        })
        .collect()
}

#[test]
fn every_option_does_what_s6s_does_and_is_told_the_same() {
    let sleeper: &[(&str, &str)] = &[("run", SLEEPER), DOWN];
    for tree in Tree::both(&[("a", sleeper), ("b", sleeper)]) {
        for options in [
            "-v",
            "-g audio",
            "-G audio",
            "-G :29",
            "-o",
            "-O audio",
            "-e",
            "-E audio",
            "-E :7777",
            "-g :9999",
            "-u",
            "-u -O audio -e",
            "-G audio -u -E :5 -e",
            "-v -G audio -E audio",
            "-uE root",
        ] {
            let ours = tree.text(&format!("svperms {options} a"));
            let theirs = tree.theirs(&format!("s6-svperms {options} b"));
            assert_eq!(ours, theirs.replace("b ", "a "), "{options}");
            assert_eq!(places(&tree, "a"), places(&tree, "b"), "{options}");
            assert_eq!(tree.text("svperms a b"), tree.theirs("s6-svperms a b"), "{options}");
        }
    }
}

#[test]
fn permissions_outside_the_scheme_are_1_and_the_rest_is_told() {
    for (place, mode) in [("supervise", 0o777), ("supervise/control", 0o666), ("event", 0o777)] {
        let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
        std::fs::set_permissions(tree.service("a").join(place), std::fs::Permissions::from_mode(mode)).unwrap();
        let (ours, theirs) = (tree.shell("linchpin svperms a"), tree.shell("s6-svperms a"));
        assert_eq!((ours.0, &ours.1), (1, &theirs.1), "{place}");
        assert!(ours.2.contains(place), "{}", ours.2);
    }
    let tree = Tree::new(&[]);
    assert_eq!(tree.code("svperms .none"), 1);
}

#[test]
fn what_cannot_be_changed_is_111() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[]);
    for command in ["svperms -u .none", "svperms -u .a", "svperms -e .a"] {
        assert_eq!(tree.code(command), 111, "{command}");
    }
}

#[test]
fn wrong_usage_of_svperms_and_unknown_groups_are_100() {
    let dir = std::env::temp_dir();
    for options in ["-x .", "-g", "-g :x .", "-g : .", "-E -1", "-u"] {
        assert_eq!(ours(&dir, &format!("svperms {options}")).status.code(), Some(100), "{options}");
    }
    for command in ["svperms", "svperms -g no-such-group ."] {
        assert_eq!(ours(&dir, command).status.code(), Some(100), "{command}");
    }
}
