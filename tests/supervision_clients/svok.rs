//! `svok`.

use crate::tree::*;

#[test]
fn svok_tells_whether_a_service_is_supervised() {
    for tree in Tree::both(&[("a", &[("run", SLEEPER), DOWN])]) {
        make_service(&tree.service(".off"), &[("file", "")]);
        let output = tree.ours("svok a");
        assert_eq!((output.status.code(), &output.stdout[..], &output.stderr[..]), (Some(0), &b""[..], &b""[..]));
        assert_eq!(tree.code("svok .off"), 1);
        assert_eq!(tree.code("svok .none"), 1);
        assert_eq!(tree.code("svok .off/file"), 111);
        let mut events = tree.listen("a");
        assert_eq!(tree.code("svc -x a"), 0);
        events.until(b'x');
        std::fs::rename(tree.service("a"), tree.service(".a")).unwrap();
        eventually(|| tree.code("svok .a") == 1);
    }
}

#[test]
fn wrong_usage_of_svok_is_100() {
    let dir = std::env::temp_dir();
    assert_eq!(ours(&dir, "svok").status.code(), Some(100));
    assert_eq!(ours(&dir, "svok -v .").status.code(), Some(100));
}
