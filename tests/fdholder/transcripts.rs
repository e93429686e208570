//! What clients send, byte for byte, and what they make of every answer: ours and s6's with a store that says what it is
//! told to.

use crate::fake::*;
use crate::store::*;
use linchpin::text::tai::Stamp;
use std::process::Stdio;

/// A run of a client, with a store that says this.
struct Scenario {
    command: &'static [&'static str],
    operands: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    script: Vec<Reply>,
    code: i32,
}

/// What there is to see of it.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    code: Option<i32>,
    out: String,
    err: String,
    sent: Vec<Piece>,
}

fn scenario(command: &'static [&'static str], operands: &'static [&'static str], script: Vec<Reply>) -> Scenario {
    Scenario { command, operands, env: &[], script, code: 0 }
}

impl Scenario {
    fn fails(self) -> Scenario {
        Scenario { code: 1, ..self }
    }

    fn env(self, env: &'static [(&'static str, &'static str)]) -> Scenario {
        Scenario { env, ..self }
    }

    fn run(&self, kind: Kind) -> Seen {
        let fake = Fake::start(self.script.clone());
        let mut command = client(kind, self.command, &fake.path());
        command.args(self.operands).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        let output = command.envs(self.env.iter().copied()).stdin(Stdio::null()).output().expect("s6 is installed");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let err = text(output.stderr).replace(fake.path().to_str().unwrap(), "PATH");
        let mut sent = fake.transcript();
        for (bytes, _) in &mut sent {
            mask(bytes);
        }
        Seen { code: output.status.code(), out: text(output.stdout), err, sent }
    }
}

/// Takes out what depends on the time: of a limit only the first byte is kept, unless it is one that was given.
fn mask(message: &mut [u8]) {
    const GIVEN: &[u8] = &[0x40, 0, 0, 0, 0x7b, 2, 0xaf, 0x5f];
    let operation = message.get(6).copied();
    let mut at = 7;
    while matches!(operation, Some(b'S' | b'.')) && at + 13 < message.len() {
        if !message[at..].starts_with(GIVEN) {
            message[at + 1..at + 12].fill(0);
        }
        at += 12 + 1 + usize::from(message[at + 12]) + 1;
    }
}

const TWO: &[(&str, &str)] = &[
    ("S6_FD#", "2"),
    ("S6_FD_0", "0"),
    ("S6_FDID_0", "x1"),
    ("S6_FD_1", "2"),
    ("S6_FDID_1", "x2"),
    ("S6_FDLIMIT_1", "@400000007b02af5f30b96b92"),
];

fn given(claims: u16, fds: usize, payload: &[u8]) -> Reply {
    Say(message(claims, payload), fds)
}

fn also(claims: u16, fds: usize, payload: &[u8]) -> Reply {
    Also(message(claims, payload), fds)
}

/// Scenarios of which both see the same.
fn scenarios() -> Vec<Scenario> {
    const PRINT: &str =
        "env | grep -a ^S6_FD | sort; for fd in 0 3 4 5 6; do if [ -e /proc/$$/fd/$fd ]; then echo $fd; fi; done";
    let one = entry(0x40, b"one");
    let two = [entry(0x60, b"unix:a"), entry(0x40, b"tcp:b")].concat();
    let print: &[&str] = &["bash", "-c", PRINT];
    vec![
        // Store.
        scenario(&["store"], &["unix:a"], vec![status(0)]),
        scenario(&["store", "-d", "2"], &["tcp:b"], vec![status(0)]),
        scenario(&["store", "-T", "60000", "-t", "60000"], &["tcp:b"], vec![status(0)]),
        scenario(&["store", "-T60000", "-d1", "--"], &["-id"], vec![status(0)]),
        scenario(&["store"], &["unix:a"], vec![status(16)]).fails(),
        scenario(&["store"], &["unix:a"], vec![status(23)]).fails(),
        scenario(&["store"], &["unix:a"], vec![status(1)]).fails(),
        scenario(&["store"], &["unix:a"], vec![status(12)]).fails(),
        scenario(&["store"], &["unix:a"], vec![status(76)]).fails(),
        scenario(&["store"], &["unix:a"], vec![given(0, 0, &[0, 0])]).fails(),
        scenario(&["store"], &["unix:a"], vec![Say(vec![0, 0, 0], 0), Close]).fails(),
        scenario(&["store"], &["unix:a"], vec![Say(vec![0, 0, 0, 1, 0, 0], 0), Close]).fails(),
        scenario(&["store"], &["unix:a"], vec![Hear, Close]).fails(),
        scenario(&["store", "-t", "200"], &["unix:a"], vec![]).fails(),
        scenario(&["store", "-d", "99"], &["unix:a"], vec![]).fails(),
        // Retrieve.
        scenario(&["retrieve"], &["unix:a", "cat"], vec![given(1, 1, &[0])]),
        scenario(&["retrieve", "-D"], &["unix:a", "cat"], vec![given(1, 1, &[0])]),
        scenario(&["retrieve", "-Dt100000"], &["unix:a", "cat"], vec![given(1, 1, &[0])]),
        scenario(&["retrieve"], &["unix:a", "cat"], vec![status(2)]).fails(),
        scenario(&["retrieve"], &["unix:a", "cat"], vec![status(1)]).fails(),
        scenario(&["retrieve"], &["unix:a", "cat"], vec![status(0)]).fails(),
        scenario(&["retrieve"], &["unix:a", "cat"], vec![Say(vec![0, 0, 0, 1, 0, 1], 1), Close]).fails(),
        scenario(&["retrieve", "-t", "200"], &["unix:a", "cat"], vec![]).fails(),
        // Delete: texts differ, see below.
        scenario(&["delete"], &["unix:a"], vec![status(0)]),
        // List.
        scenario(&["list"], &[], vec![given(0, 0, b"\0\0\0\0\0")]),
        scenario(&["list"], &[], vec![given(0, 0, b"\0\0\0\0\x02unix:a\0tcp:b\0")]),
        scenario(&["list"], &[], vec![given(0, 0, b"\0\0\0\0\x01a b\n\\\x01\x7f\xff\"'\0")]),
        scenario(&["list"], &[], vec![status(1)]).fails(),
        scenario(&["list"], &[], vec![given(0, 0, b"\0\0\0\0\x02one\0")]).fails(),
        scenario(&["list"], &[], vec![given(0, 0, b"\0\0\0\0\x01one\0two\0")]).fails(),
        scenario(&["list"], &[], vec![given(0, 0, b"\0\0\0\0\x01one")]).fails(),
        scenario(&["list"], &[], vec![given(0, 0, b"\0\0\0")]).fails(),
        scenario(&["list"], &[], vec![Say(b"\0\0\0\x09\0\0\0\0\0".to_vec(), 0), Close]).fails(),
        // Getdump.
        scenario(&["getdump"], print, vec![dump_head(0, 0)]),
        scenario(&["getdump"], print, vec![dump_head(1, 2), also(2, 2, &two)]),
        scenario(&["getdump"], print, vec![dump_head(1, 2), also(2, 2, &two)]).env(&[
            ("S6_FD#", "9"),
            ("S6_FDLIMIT_0", "old"),
            ("S6_FDLIMIT_1", "old"),
            ("S6_FDLIMIT_2", "old"),
            ("S6_FD_7", "old"),
            ("S6_FDID_01", "another variable"),
        ]),
        scenario(&["getdump"], &["true"], vec![status(1)]).fails(),
        scenario(&["getdump"], &["true"], vec![status(23)]).fails(),
        scenario(&["getdump"], &["true"], vec![dump_head(2, 2), also(1, 1, &one)]).fails(),
        scenario(&["getdump"], &["true"], vec![dump_head(1, 1), also(1, 1, &one[..16])]).fails(),
        scenario(&["getdump"], &["true"], vec![given(0, 0, &[0, 0, 0, 0, 1])]).fails(),
        scenario(&["getdump"], &["true"], vec![dump_head(1, 1), Close]).fails(),
        scenario(&["getdump", "-t", "200"], &["true"], vec![dump_head(1, 1)]).fails(),
        // Setdump.
        scenario(&["setdump"], &[], vec![]).env(&[("S6_FD#", "0")]),
        scenario(&["setdump"], &[], vec![dump_expected(1), status(0)]).env(TWO),
        scenario(&["setdump"], &[], vec![status(1)]).env(TWO).fails(),
        scenario(&["setdump"], &[], vec![status(23)]).env(TWO).fails(),
        scenario(&["setdump"], &[], vec![dump_expected(1), status(1)]).env(TWO).fails(),
        scenario(&["setdump"], &[], vec![dump_expected(1), status(23)]).env(TWO).fails(),
        scenario(&["setdump"], &[], vec![dump_expected(2), status(0)]).env(TWO).fails(),
        scenario(&["setdump"], &[], vec![dump_expected(0), status(0)]).env(TWO).fails(),
        scenario(&["setdump"], &[], vec![given(0, 0, &[0, 0, 0, 0])]).env(TWO).fails(),
        scenario(&["setdump"], &[], vec![Hear, Close]).env(TWO).fails(),
        scenario(&["setdump"], &[], vec![dump_expected(1), Hear, Close]).env(TWO).fails(),
        scenario(&["setdump", "-t", "200"], &[], vec![dump_expected(1)]).env(TWO).fails(),
    ]
}

#[test]
fn both_clients_send_the_same_and_take_every_answer_alike() {
    for scenario in scenarios() {
        let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| scenario.run(kind));
        assert_eq!(ours, s6, "{:?} {:?} {:x?}", scenario.command, scenario.operands, scenario.script);
        assert_eq!(ours.code, Some(scenario.code), "{ours:x?}");
    }
}

#[test]
fn delete_sends_the_same_and_names_the_identifier() {
    for (errno, text) in [(1, "Operation not permitted"), (2, "No such file or directory")] {
        let scenario = scenario(&["delete"], &["unix:a"], vec![status(errno)]);
        let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| scenario.run(kind));
        assert_eq!((ours.code, &ours.sent), (Some(1), &s6.sent));
        assert_eq!(ours.err, format!("s6-fdholder-delete: fatal: unable to delete fd for id unix:a: {text}\n"));
        // Debian's is of the version that names the socket.
        assert_eq!(ours.err.replace("id unix:a:", "id PATH:"), s6.err);
    }
}

#[test]
fn every_client_that_is_refused_says_so() {
    for (command, operands, what) in [
        (&["store"][..], &["id"][..], "store fd"),
        (&["retrieve"], &["id", "true"], "retrieve fd for id id"),
        (&["delete"], &["id"], "delete fd for id id"),
        (&["list"], &[], "get fd list"),
        (&["getdump"], &["true"], "get dump"),
        (&["setdump"], &[], "set dump"),
    ] {
        let scenario = scenario(command, operands, vec![Close]).env(TWO);
        for kind in [Kind::Ours, Kind::S6] {
            let seen = scenario.run(kind);
            assert_eq!((seen.code, seen.out.as_str()), (Some(1), ""), "{kind:?} {seen:?}");
            // It depends on whether the request was sent when the connection ended.
            let reasons = ["Broken pipe", "Connection reset by peer"];
            let texts =
                reasons.map(|reason| format!("s6-fdholder-{}: fatal: unable to {what}: {reason}\n", command[0]));
            let err = if kind == Kind::S6 { seen.err.replace("id PATH", "id id") } else { seen.err };
            assert!(texts.contains(&err), "{kind:?} {err}");
        }
    }
}

#[test]
fn our_clients_do_not_believe_what_s6s_do() {
    let one = entry(0x40, b"one");
    let two = [one.clone(), entry(0x60, b"two")].concat();
    for (command, operands, script) in [
        // Two entries for one descriptor; one instead of two.
        (&["getdump"][..], &["true"][..], vec![dump_head(1, 1), also(1, 1, &two)]),
        (&["getdump"], &["true"], vec![dump_head(1, 2), also(1, 1, &one)]),
        // s6's clients wait here for what cannot come.
        (&["getdump"], &["true"], vec![dump_head(1, 2), also(2, 1, &two)]),
        (&["retrieve"], &["id", "true"], vec![given(1, 0, &[0])]),
        (&["store"], &["id"], vec![given(1, 0, &[0])]),
        (&["store"], &["id"], vec![given(0, 1, &[0])]),
        (&["list"], &[], vec![given(1, 1, b"\0\0\0\0\0")]),
    ] {
        let seen = scenario(command, operands, script.clone()).run(Kind::Ours);
        assert_eq!(seen.code, Some(1), "{command:?} {script:x?}");
        assert!(seen.err.ends_with(": Protocol error\n"), "{command:?} {script:x?} {}", seen.err);
    }
}

#[test]
fn a_lifetime_is_added_to_now() {
    for (words, lifetime) in [(&["store", "-T", "60000"][..], 60_000), (&["store", "-T", "1"], 1)] {
        for kind in [Kind::Ours, Kind::S6] {
            let fake = Fake::start(vec![status(0)]);
            let before = Stamp::now();
            assert!(client(kind, words, &fake.path()).arg("id").stdin(Stdio::null()).status().unwrap().success());
            let after = Stamp::now();
            let sent = fake.transcript();
            let limit = Stamp::from_bytes(sent[0].0[7..].first_chunk().unwrap());
            let [first, last] = [before, after].map(|stamp| stamp.plus(lifetime * 1_000_000));
            // s6 takes half a microsecond more.
            assert!(first <= limit && limit <= last.plus(1000), "{kind:?} {first:?} {limit:?} {last:?}");
        }
    }
}

#[test]
fn a_transfer_gets_all_from_the_one_and_gives_it_to_the_other() {
    let entries = [entry(0x40, b"unix:a"), entry(0x40, b"tcp:b")].concat();
    let full = || vec![dump_head(1, 2), also(2, 2, &entries)];
    let empty = || vec![dump_head(0, 0)];
    let taking = || vec![dump_expected(1), status(0)];
    let good = |from: Vec<Reply>, to: Vec<Reply>| (from, to, 0);
    let bad = |from: Vec<Reply>, to: Vec<Reply>| (from, to, 1);
    for (from, to, code) in [
        good(full(), taking()),
        good(empty(), vec![]),
        bad(vec![status(1)], vec![]),
        bad(vec![Hear, Close], vec![]),
        bad(full(), vec![status(1)]),
        bad(full(), vec![status(23)]),
        bad(full(), vec![dump_expected(1), status(1)]),
        bad(full(), vec![Hear, Close]),
    ] {
        let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| {
            let stores = [from.clone(), to.clone()].map(Fake::start);
            let command = &["transferdump", "-t", "60000:60000"];
            let run = client(kind, command, &stores[0].path()).arg(stores[1].path()).output().unwrap();
            (run.status.code(), String::from_utf8(run.stderr).unwrap(), stores.map(Fake::transcript))
        });
        assert_eq!(ours, s6, "{from:x?} {to:x?}");
        assert_eq!(ours.0, Some(code));
    }
}

#[test]
fn each_of_the_two_times_of_a_transfer_is_for_one_store() {
    let entries = entry(0x40, b"id");
    let full = || vec![dump_head(1, 1), also(1, 1, &entries)];
    for (time, from, to, text) in [
        ("200", vec![], vec![], "get dump"),
        ("200:", vec![], vec![], "get dump"),
        (":200", full(), vec![], "set dump"),
        ("60000:200", full(), vec![dump_expected(1)], "set dump"),
    ] {
        for kind in [Kind::Ours, Kind::S6] {
            let stores = [from.clone(), to.clone()].map(Fake::start);
            let command = &["transferdump", "-t", time];
            let run = client(kind, command, &stores[0].path()).arg(stores[1].path()).output().unwrap();
            for store in stores {
                store.transcript();
            }
            let expected = format!("s6-fdholder-transferdump: fatal: unable to {text}: Connection timed out\n");
            assert_eq!((run.status.code(), String::from_utf8(run.stderr).unwrap()), (Some(1), expected), "{kind:?}");
        }
    }
}
