//! The clients, ours and s6's, with every store: the same exit codes, output and messages.

use crate::store::*;

#[test]
fn every_client_sees_the_same_from_every_store() {
    let long = "x".repeat(255);
    let longer = "x".repeat(256);
    let odd = "a b\"c'\\\n\t\u{1}\u{7}\u{b}\u{1f}\u{7f}\u{e9}";
    let script: [(&[&str], &[&str]); 26] = [
        (&["list"], &[]),
        (&["store"], &["one"]),
        (&["store"], &["one"]),
        (&["store", "-d", "0"], &[&long]),
        (&["store"], &[&longer]),
        (&["store"], &[odd]),
        (&["store", "-d", "77"], &["closed"]),
        (&["store"], &[""]),
        (&["store", "-T", "1"], &["brief"]),
        (&["store", "-T", "3600000"], &["hour"]),
        (&["delete"], &["hour"]),
        (&["retrieve"], &["one", "readlink", "/proc/self/fd/0"]),
        (&["retrieve"], &["one", "sh", "-c", "ls /proc/self/fd | wc -l; exit 7"]),
        (&["retrieve"], &["nope", "true"]),
        (&["retrieve"], &[&longer, "true"]),
        (&["retrieve"], &["one", "/nonexistent"]),
        (&["retrieve"], &["one", "/dev"]),
        (&["retrieve", "-D"], &["one", "true"]),
        (&["retrieve", "-Dt", "5000"], &[odd, "true"]),
        (&["retrieve"], &["one", "true"]),
        (&["retrieve"], &["one"]),
        (&["delete"], &[&long]),
        (&["list", "-t", "1000"], &[]),
        (&["list", "-q"], &[]),
        (&["list", "-t", "x"], &[]),
        (&["store", "-d", "x"], &["one"]),
    ];
    let combinations = [Kind::S6, Kind::Ours].map(|store| [Kind::S6, Kind::Ours].map(|client| (store, client)));
    let mut expected = Vec::new();
    for (which, client) in combinations.as_flattened() {
        let store = Store::start(*which);
        let path = store.path.to_str().unwrap();
        let seen: Vec<_> = script
            .iter()
            .map(|(command, operands)| {
                let (code, out, err) = store.run(*client, command, operands);
                if command[0] == "list" && code == Some(0) {
                    // "brief" is gone, or is not yet.
                    return (code, out.replace("brief\n", ""), err);
                }
                // How a usage is written is each one's own.
                let err = err.split_inclusive(": usage: ").next().unwrap_or_default();
                (code, out, err.replace(path, "PATH"))
            })
            .collect();
        if expected.is_empty() {
            expected = seen;
            continue;
        }
        for ((ours, s6), command) in seen.iter().zip(&expected).zip(script) {
            assert_eq!(ours, s6, "{client:?} client of {which:?} store: {command:x?}");
        }
    }
}

#[test]
fn every_client_tells_that_it_cannot_reach_a_store() {
    let nowhere = std::env::temp_dir().join("linchpin-no-such-socket");
    for command in [&["list"][..], &["delete"], &["store"], &["retrieve"]] {
        let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| {
            let run = client(kind, command, &nowhere).args(["id", "true"]).output().unwrap();
            (run.status.code(), String::from_utf8(run.stderr).unwrap())
        });
        assert_eq!(ours, s6);
        assert_eq!(ours.0, Some(111));
    }
}

#[test]
fn our_client_names_what_it_could_not_delete() {
    let store = Store::start(Kind::Ours);
    let (code, _, err) = store.run(Kind::Ours, &["delete"], &["nope"]);
    assert_eq!(code, Some(1));
    assert_eq!(err, "s6-fdholder-delete: fatal: unable to delete fd for id nope: No such file or directory\n");
}
