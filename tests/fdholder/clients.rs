//! The clients, ours and s6's, with every store: the same exit codes, output and messages.

use crate::store::*;
use crate::tmp::TempDir;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

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

/// Every client, with operands that are right.
const CLIENTS: [(&[&str], &[&str]); 7] = [
    (&["list"], &[]),
    (&["delete"], &["id"]),
    (&["store"], &["id"]),
    (&["retrieve"], &["id", "true"]),
    (&["getdump"], &["true"]),
    (&["setdump"], &[]),
    (&["transferdump"], &["/nonexistent"]),
];

fn seen(kind: Kind, command: &[&str], path: &Path, operands: &[&str]) -> (Option<i32>, String, String) {
    let mut run = client(kind, command, path);
    let run = run.args(operands).env("S6_FD#", "0").stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (run.status.code(), text(run.stdout), text(run.stderr))
}

#[test]
fn every_client_tells_why_it_cannot_reach_a_store() {
    let dir = TempDir::new();
    let [file, nobody] = ["file", "nobody"].map(|name| dir.path().join(name));
    std::fs::write(&file, "").unwrap();
    drop(UnixListener::bind(&nobody).unwrap());
    let below = file.join("s");
    for (path, reason) in [
        (dir.path().join("nowhere"), "No such file or directory"),
        (dir.path().to_owned(), "Connection refused"),
        (file, "Connection refused"),
        (nobody, "Connection refused"),
        (below, "Not a directory"),
    ] {
        for (command, operands) in CLIENTS {
            let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| seen(kind, command, &path, operands));
            assert_eq!(ours, s6);
            assert_eq!(ours.0, Some(111));
            assert!(ours.2.ends_with(&format!("at {}: {reason}\n", path.display())), "{}", ours.2);
        }
    }
}

#[test]
fn a_path_that_no_socket_can_have_is_told_by_what_is_wrong_with_it() {
    let path = Path::new("/tmp").join("x".repeat(110));
    for (command, operands) in CLIENTS {
        let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| seen(kind, command, &path, operands));
        assert_eq!(ours.0, Some(111));
        assert_eq!(ours.2.replace("File name too long", "Protocol error"), s6.2);
    }
}

#[test]
fn a_transfer_names_the_store_that_cannot_be_reached() {
    let store = Store::start(Kind::Ours);
    let nowhere = Path::new("/nonexistent");
    let path = store.path.to_str().unwrap();
    for kind in [Kind::Ours, Kind::S6] {
        for (from, to, which) in [(&*store.path, "/nonexistent", "destination"), (nowhere, path, "source")] {
            let err = format!(
                "s6-fdholder-transferdump: fatal: unable to connect to a {which} fd-holder daemon at /nonexistent: \
                 No such file or directory\n"
            );
            assert_eq!(seen(kind, &["transferdump"], from, &[to]), (Some(111), String::new(), err), "{kind:?}");
        }
    }
}

#[test]
fn every_client_refuses_wrong_words() {
    let path = Path::new("/nonexistent");
    let mut wrong = Vec::new();
    for (command, operands) in CLIENTS {
        for option in ["-t", "-tx", "-t-1", "-t4294967296", "-q", "--long"] {
            wrong.push(([command, &[option]].concat(), operands.to_vec()));
        }
        if let Some((_, fewer)) = operands.split_last() {
            wrong.push((command.to_vec(), fewer.to_vec()));
        }
    }
    for command in [
        &["store", "-d"][..],
        &["store", "-dx"],
        &["store", "-d-1"],
        &["store", "-Tx"],
        &["list", "-D"],
        &["delete", "-D"],
        &["transferdump", "-t5:6:7"],
        &["transferdump", "-t5:x"],
        &["transferdump", "-t5: "],
    ] {
        wrong.push((command.to_vec(), vec!["id"]));
    }
    for (command, operands) in wrong {
        let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| seen(kind, &command, path, &operands));
        let usage = format!("s6-fdholder-{}: usage: s6-fdholder-{} [", command[0], command[0]);
        for (code, out, err) in [ours, s6] {
            assert_eq!((code, out.as_str()), (Some(100), ""), "{command:?} {operands:?} {err}");
            assert!(err.starts_with(&usage), "{command:?} {operands:?} {err}");
        }
    }
}

#[test]
fn our_client_names_what_it_could_not_delete() {
    let store = Store::start(Kind::Ours);
    let (code, _, err) = store.run(Kind::Ours, &["delete"], &["nope"]);
    assert_eq!(code, Some(1));
    assert_eq!(err, "s6-fdholder-delete: fatal: unable to delete fd for id nope: No such file or directory\n");
}
