//! `svscanctl`.

use crate::tree::*;

#[test]
fn a_scan_finds_new_services_and_a_nuke_ends_those_that_are_gone() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".new"), &[("run", SLEEPER), DOWN]);
    let mut events = tree.listen(".new");
    std::fs::rename(tree.service(".new"), tree.service("new")).unwrap();
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
    make_service(&tree.service(".new"), &[("run", SLEEPER), DOWN]);
    let (mut old, mut new) = (tree.listen("old"), tree.listen(".new"));
    std::fs::rename(tree.service(".new"), tree.service("new")).unwrap();
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
