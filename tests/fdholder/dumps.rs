//! Dumps: all that a store holds, got, given and moved by the clients, ours and s6's, between the stores.

use crate::store::*;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output, Stdio};

/// What the environment of a dump says: every identifier's limit, if it has one.
type Limits = BTreeMap<Vec<u8>, Option<String>>;

/// Identifiers, every third with a limit of its own.
fn some(count: usize) -> Limits {
    let limit = |i| (i % 3 == 2).then(|| format!("@400000007b{i:06x}30b96b92"));
    (0..count).map(|i| (format!("id {i}").into_bytes(), limit(i))).collect()
}

/// The environment in which all of them are standard input.
fn environment(dump: &Limits) -> Vec<(String, String)> {
    let mut env = vec![("S6_FD#".to_owned(), dump.len().to_string())];
    for (i, (id, limit)) in dump.iter().enumerate() {
        env.push((format!("S6_FD_{i}"), "0".to_owned()));
        env.push((format!("S6_FDID_{i}"), String::from_utf8(id.clone()).unwrap()));
        env.extend(limit.clone().map(|limit| (format!("S6_FDLIMIT_{i}"), limit)));
    }
    env
}

fn give(kind: Kind, store: &Store, dump: &Limits) -> Output {
    client(kind, &["setdump"], &store.path).envs(environment(dump)).stdin(Stdio::null()).output().unwrap()
}

fn given(kind: Kind, store: &Store, dump: &Limits) {
    let done = give(kind, store, dump);
    assert!(done.status.success() && done.stderr.is_empty(), "{kind:?} {} {done:?}", dump.len());
}

/// Shows a program's environment, and the numbers that are open.
const LOOK: [&str; 3] = ["bash", "-c", "env -0; ls /proc/$$/fd"];

/// What a program sees that is told of a dump, and what else is open there.
fn look(kind: Kind, store: &Store) -> (Limits, BTreeSet<usize>) {
    let got = client(kind, &["getdump"], &store.path).args(LOOK).stdin(Stdio::null()).output().unwrap();
    assert!(got.status.success(), "{kind:?} {got:?}");
    let mut parts: Vec<&[u8]> = got.stdout.split(|byte| *byte == 0).collect();
    let open = String::from_utf8(parts.pop().unwrap().to_vec()).unwrap();
    let mut open = numbers(&open);
    let env: BTreeMap<&[u8], &[u8]> = parts
        .into_iter()
        .map(|part| {
            let at = part.iter().position(|byte| *byte == b'=').unwrap();
            (&part[..at], &part[at + 1..])
        })
        .collect();
    let text = |name: &str| env.get(name.as_bytes()).map(|value| String::from_utf8(value.to_vec()).unwrap());
    let count: usize = text("S6_FD#").unwrap().parse().unwrap();
    let mut seen = Limits::new();
    for i in 0..count {
        let fd: usize = text(&format!("S6_FD_{i}")).unwrap().parse().unwrap();
        assert!(open.remove(&fd), "{kind:?}: {fd} is not open");
        let id = env[format!("S6_FDID_{i}").as_bytes()].to_vec();
        assert!(seen.insert(id, text(&format!("S6_FDLIMIT_{i}"))).is_none());
    }
    assert_eq!(text(&format!("S6_FD_{count}")), None);
    (seen, open)
}

fn numbers(lines: &str) -> BTreeSet<usize> {
    lines.lines().map(|line| line.parse().unwrap()).collect()
}

const BOTH: [Kind; 2] = [Kind::Ours, Kind::S6];

#[test]
fn what_every_client_gives_to_every_store_every_client_gets() {
    let inherited = Command::new("bash").args(["-c", "ls /proc/$$/fd"]).stdin(Stdio::null()).output().unwrap();
    let inherited = numbers(&String::from_utf8(inherited.stdout).unwrap());
    for which in BOTH {
        for giver in BOTH {
            for count in [0, 1, 2, 253] {
                let store = Store::start(which);
                let dump = some(count);
                given(giver, &store, &dump);
                let [ours, s6] = BOTH.map(|getter| look(getter, &store));
                assert_eq!(ours, s6, "{which:?} store, {giver:?} giver, {count}");
                assert_eq!(ours.0, dump, "{which:?} store, {giver:?} giver, {count}");
                assert_eq!(ours.1, inherited, "the connection is not among them");
            }
        }
    }
}

#[test]
fn with_our_store_a_dump_may_have_any_size() {
    for count in [254, 255, 256, 300, 506, 507, 1000] {
        let store = Store::start(Kind::Ours);
        let dump = some(count);
        given(Kind::Ours, &store, &dump);
        assert_eq!(look(Kind::Ours, &store).0, dump);
        // Debian's clients agree with ours about the number of messages only now and then.
        if (256..=506).contains(&count) {
            assert_eq!(look(Kind::S6, &store).0, dump);
        }
    }
}

#[test]
fn our_client_gives_debians_store_more_than_its_own_clients_can() {
    for count in [254, 255, 300, 507, 1000] {
        let store = Store::start(Kind::S6);
        given(Kind::Ours, &store, &some(count));
        let (code, out, _) = store.run(Kind::Ours, &["list"], &[]);
        assert_eq!((code, out.lines().count()), (Some(0), count));
    }
}

#[test]
fn identifiers_of_255_bytes_fill_a_message_of_68_kilobytes() {
    let dump: Limits = (0..253).map(|i| (format!("{i:x>255}").into_bytes(), None)).collect();
    for which in BOTH {
        let store = Store::start(which);
        for _ in 0..5 {
            given(Kind::Ours, &store, &dump);
        }
        // Debian's fdholder-getdump overflows its stack.
        assert_eq!(look(Kind::Ours, &store).0, dump, "{which:?}");
    }
}

#[test]
fn a_dump_goes_from_every_store_to_every_store_by_a_chain_and_by_a_transfer() {
    let dump = some(7);
    for from in BOTH {
        for by in BOTH {
            let source = Store::start(from);
            given(by, &source, &dump);
            for to in BOTH {
                let [chained, transferred] = [Store::start(to), Store::start(to)];
                let setdump = client(by, &["setdump"], &chained.path);
                let chain = client(by, &["getdump"], &source.path)
                    .arg(setdump.get_program())
                    .args(setdump.get_args())
                    .output()
                    .unwrap();
                let transfer = client(by, &["transferdump"], &source.path).arg(&transferred.path).output().unwrap();
                for (done, store) in [(chain, &chained), (transfer, &transferred)] {
                    assert!(done.status.success() && done.stderr.is_empty(), "{from:?} {by:?} {to:?} {done:?}");
                    assert_eq!(look(Kind::Ours, store).0, dump, "{from:?} {by:?} {to:?}");
                }
            }
            assert_eq!(look(Kind::Ours, &source).0, dump, "the source keeps it");
        }
    }
}

#[test]
fn a_dump_replaces_what_is_held_and_adds_the_rest() {
    let limit = |text: &str| Some(text.to_owned());
    let first = Limits::from([(b"a".to_vec(), None), (b"b".to_vec(), limit("@400000007b00000100000001"))]);
    let second = Limits::from([(b"b".to_vec(), None), (b"c".to_vec(), limit("@400000007b00000200000002"))]);
    for which in BOTH {
        let store = Store::start(which);
        given(Kind::Ours, &store, &first);
        given(Kind::Ours, &store, &second);
        let expected: Limits = first.clone().into_iter().chain(second.clone()).collect();
        assert_eq!(look(Kind::Ours, &store).0, expected, "{which:?}");
    }
}

/// How a client ended, and what it said; the socket is `PATH`.
fn ending(output: &Output, store: &Store) -> (Option<i32>, String) {
    let err = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code(), err.replace(store.path.to_str().unwrap(), "PATH"))
}

#[test]
fn an_environment_that_is_no_dump_is_refused_before_anything_is_sent() {
    let store = Store::start(Kind::S6);
    let good = [("S6_FD#", "1"), ("S6_FD_0", "0"), ("S6_FDID_0", "x")];
    let with = |changes: &[(&'static str, &'static str)]| {
        let mut env = BTreeMap::from(good);
        env.extend(changes.iter().copied());
        env
    };
    let without = |name| {
        let mut env = BTreeMap::from(good);
        env.remove(name);
        env
    };
    let long = &*"x".repeat(256).leak();
    for env in [
        without("S6_FD#"),
        without("S6_FD_0"),
        without("S6_FDID_0"),
        with(&[("S6_FD#", "")]),
        with(&[("S6_FD#", "x")]),
        with(&[("S6_FD#", "-1")]),
        with(&[("S6_FD#", "4294967296")]),
        with(&[("S6_FD#", "2")]),
        with(&[("S6_FD#", "2"), ("S6_FD_1", "0")]),
        with(&[("S6_FD#", "2"), ("S6_FD_1", "x"), ("S6_FDID_1", "y")]),
        with(&[("S6_FD#", "2"), ("S6_FD_01", "0"), ("S6_FDID_1", "y")]),
        with(&[("S6_FD_0", "")]),
        with(&[("S6_FD_0", "1 ")]),
        with(&[("S6_FDID_0", "")]),
        with(&[("S6_FDID_0", long)]),
        with(&[("S6_FDLIMIT_0", "")]),
        with(&[("S6_FDLIMIT_0", "400000006b098bdd2bfa5d34")]),
        with(&[("S6_FDLIMIT_0", "@400000006b098bdd2bfa5d3")]),
    ] {
        let [ours, s6] = BOTH.map(|kind| {
            let run = client(kind, &["setdump"], &store.path).envs(&env).stdin(Stdio::null()).output().unwrap();
            ending(&run, &store)
        });
        assert_eq!(ours, s6, "{env:?}");
        assert_eq!(ours.0, Some(100), "{env:?}");
    }
    assert_eq!(store.run(Kind::S6, &["list"], &[]).1, "");
}

#[test]
fn our_client_refuses_what_makes_s6s_crash_or_send_another_descriptor() {
    let store = Store::start(Kind::Ours);
    for (env, err) in [
        (&[("S6_FD#", "1"), ("S6_FD_0", "4294967295"), ("S6_FDID_0", "x")][..], "invalid $S6_FD_0"),
        (&[("S6_FD#", "4294967295"), ("S6_FD_0", "0"), ("S6_FDID_0", "x")], "S6_FD_1 not set"),
        (
            &[
                ("S6_FD#", "1"),
                ("S6_FD_0", "0"),
                ("S6_FDID_0", "x"),
                ("S6_FDLIMIT_0", "@400000007b098bdd3b9aca00"), // a billion nanoseconds
            ],
            "invalid $S6_FDLIMIT_0",
        ),
    ] {
        let env = env.iter().copied();
        let run = client(Kind::Ours, &["setdump"], &store.path).envs(env).stdin(Stdio::null()).output().unwrap();
        assert_eq!(ending(&run, &store), (Some(100), format!("s6-fdholder-setdump: fatal: {err}\n")));
    }
    assert_eq!(store.run(Kind::S6, &["list"], &[]).1, "");
}

#[test]
fn a_descriptor_that_is_not_open_cannot_be_given() {
    let store = Store::start(Kind::Ours);
    let env = [("S6_FD#", "1"), ("S6_FD_0", "99"), ("S6_FDID_0", "x")];
    let [ours, s6] = BOTH.map(|kind| {
        let run = client(kind, &["setdump"], &store.path).envs(env).stdin(Stdio::null()).output().unwrap();
        ending(&run, &store)
    });
    assert_eq!(ours, s6);
    assert_eq!(ours.0, Some(1));
}

#[test]
fn more_than_the_store_has_room_for_is_refused_whole() {
    let full = |store: &Store, count| {
        let outcomes = BOTH.map(|kind| ending(&give(kind, store, &some(count)), store));
        for outcome in outcomes {
            let err = "s6-fdholder-setdump: fatal: unable to set dump: Too many open files in system\n";
            assert_eq!(outcome, (Some(1), err.to_owned()));
        }
        assert_eq!(store.run(Kind::Ours, &["list"], &[]).1, "");
    };
    full(&Store::start_with(Kind::S6, &["-n", "2"], &RIGHTS), 3);
    full(&Store::start(Kind::Ours), linchpin::limits::HELD + 1);
}

#[test]
fn whoever_may_not_get_or_give_all_is_told() {
    let store = Store::start_with(Kind::S6, &[], &["STORE_REGEX", "RETRIEVE_REGEX", "LIST"]);
    let other = Store::start(Kind::Ours);
    given(Kind::Ours, &other, &some(1));
    let runs = |kind| {
        let get = client(kind, &["getdump"], &store.path).arg("true").output().unwrap();
        let from = client(kind, &["transferdump"], &store.path).arg(&other.path).output().unwrap();
        let to = client(kind, &["transferdump"], &other.path).arg(&store.path).output().unwrap();
        [get, give(kind, &store, &some(1)), from, to].map(|run| ending(&run, &store))
    };
    let ours = runs(Kind::Ours);
    assert_eq!(ours, runs(Kind::S6));
    assert!(ours.iter().all(|(code, err)| *code == Some(1) && err.ends_with(": Operation not permitted\n")));
}

#[test]
fn a_client_that_may_not_have_so_many_descriptors_says_so_and_the_store_keeps_them() {
    let store = Store::start(Kind::Ours);
    let dump = some(60);
    given(Kind::Ours, &store, &dump);
    let inner = client(Kind::Ours, &["getdump"], &store.path);
    let mut limited = Command::new("prlimit");
    let run = limited.arg("--nofile=40").arg(inner.get_program()).args(inner.get_args()).arg("true").output().unwrap();
    let err = "s6-fdholder-getdump: fatal: unable to get dump: Too many open files\n";
    assert_eq!(ending(&run, &store), (Some(1), err.to_owned()));
    assert_eq!(look(Kind::Ours, &store).0, dump);
}

#[test]
fn a_dump_is_got_without_standard_descriptors_too() {
    let store = Store::start(Kind::Ours);
    given(Kind::Ours, &store, &some(2));
    let inner = client(Kind::Ours, &["getdump"], &store.path);
    let program = "exec 2>&- <&-; exec \"$@\"";
    let look = "echo $S6_FD_0 $S6_FD_1; for fd in $S6_FD_0 $S6_FD_1; do readlink /proc/self/fd/$fd; done";
    let run = Command::new("sh")
        .args(["-c", program, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .args(["sh", "-c", look])
        .output()
        .unwrap();
    let out = String::from_utf8(run.stdout).unwrap();
    let mut lines = out.lines();
    let numbers: Vec<&str> = lines.next().unwrap().split(' ').collect();
    assert_ne!(numbers[0], numbers[1]);
    assert_eq!(lines.collect::<Vec<_>>(), ["/dev/null", "/dev/null"]);
}
