//! Clients that send what is no request: nothing is run for them, and nothing of theirs is kept.

use crate::beside::*;
use crate::side::*;
use linchpin::sys::Fd;
use proptest::prelude::*;
use std::net::Shutdown;

/// Sends pieces, each with so many descriptors, and then nothing more: what the server answers, whether it ran the
/// program, its exit code, what it said.
fn attack(both: &Beside, whose: Whose, options: &[&str], pieces: &[(&[u8], usize)]) -> (Vec<u8>, bool, i32, String) {
    let words = [options, &["echo", "ran"]].concat();
    let (sudod, output) = (Sudod::start(both, whose, &words, &[("A", "")]), Output::new());
    // One that has heard enough hangs up.
    let _ = pieces.iter().all(|(bytes, fds)| send(&sudod.socket, bytes, &vec![output.end(); *fds]));
    let _ = sudod.socket.shutdown(Shutdown::Write);
    let answers = hear(&sudod.socket, 100);
    let (code, said) = sudod.end();
    // Nobody has its descriptors any more, or this fails.
    (answers, output.all().starts_with("ran"), code, said)
}

/// With a limit that is not reached.
fn refused(pieces: &[(&[u8], usize)]) -> (Vec<u8>, i32, String) {
    let (answers, ran, code, said) = attack(&Beside::new(), Ours, &["-t", "30000"], pieces);
    assert!(!ran, "{pieces:?}");
    (answers, code, said.strip_prefix("s6-sudod: fatal: ").unwrap_or(&said).to_owned())
}

fn says(answers: &[u8], code: i32, said: &str) -> (Vec<u8>, i32, String) {
    (answers.to_vec(), code, format!("{said}\n"))
}

#[test]
fn a_request_runs_and_its_beginning_does_not() {
    let whole = request(&["x"], &["A=1"]);
    let both = Beside::new();
    for whose in BOTH {
        assert_eq!(attack(&both, whose, &[], &[(&whole, 3)]), (vec![0; 5], true, 0, String::new()));
    }
    for at in [1, 5, 6, 7, 21, 36, 37, 38, whole.len() - 1] {
        let gone = says(&[], 111, "the client hung up before its request was whole");
        assert_eq!(refused(&[(&whole[..at], 3)]), gone, "{at}");
        let (head, tail) = whole.split_at(at);
        assert!(attack(&both, Ours, &[], &[(head, 3), (tail, 0)]).1, "{at}");
    }
    assert_eq!(refused(&[]), says(&[], 111, "the client hung up before its request was whole"));
}

/// Debian's waits for those that are missing, and does not mind those that are too many.
#[test]
fn other_descriptors_than_three_are_refused() {
    let whole = request(&["x"], &[]);
    for count in [0, 1, 2, 4, 100, 253] {
        assert_eq!(refused(&[(&whole, count)]), says(&[], 100, "client did not send 3 fds"), "{count}");
    }
    for told in [0, 2, 4] {
        let mut wrong = whole.clone();
        wrong[5] = told;
        assert_eq!(refused(&[(&wrong, told.into())]), says(&[], 100, "client did not send 3 fds"));
        for whose in BOTH {
            assert_eq!(attack(&Beside::new(), whose, &[], &[(&wrong, told.into())]).2, 100, "{whose:?} {told}");
        }
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let whole = request(&["x"], &["A=1"]);
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let last = whole.len() - 1;
    let fewer = with(6 + 15 + 7, &[0]);
    for (message, answers, why) in [
        (with(6, b"s6-sudo b"), &[][..], "wrong client banner"),
        (with(6 + 15 + 11, &[9]), &[], "wrong client message"),
        (with(6 + 15 + 8, &[255]), &[], "wrong client message"),
        (with(6 + 15 + 3, &[2]), &[22], "bad arguments or environment from client"),
        (fewer.clone(), &[22], "bad arguments or environment from client"),
        (with(6 + 15, &[255; 8]), &[7], "too many arguments or variables from client"),
        (with(last, b"x"), &[22], "bad arguments or environment from client"),
        (with(last - 2, b":"), &[22], "bad environment from client"),
        (b"\0\0\0\0\0\x03".to_vec(), &[], "wrong client message"),
        (b"\0\0\0\x05\0\x03abcde".to_vec(), &[], "wrong client message"),
        (b"GET / HTTP/1.0\r\n\r\n".to_vec(), &[], "client did not send 3 fds"),
        (
            b"\x10\0\0\0\0\x03".to_vec(),
            &[7],
            "client sent a request of 268435456 bytes, the longest that fits has 262138",
        ),
    ] {
        assert_eq!(refused(&[(&message, 3)]), says(answers, 100, why));
        // Debian's has other codes for some, and does not mind bytes behind those that it counted.
        let (.., ran, code, _) = attack(&Beside::new(), Theirs, &["-t", "30000"], &[(&message, 3)]);
        assert!(ran == (message == fewer) && ran != [100, 111].contains(&code), "{message:?} {code}");
    }
}

#[test]
fn a_client_that_stalls_is_hung_up_on() {
    let whole = request(&["x"], &[]);
    for whose in BOTH {
        for part in [&whole[..0], &whole[..3], &whole[..whole.len() - 1]] {
            let (both, output) = (Beside::new(), Output::new());
            let sudod = Sudod::start(&both, whose, &["-t", "20", "echo", "ran"], &[]);
            assert!(part.is_empty() || send(&sudod.socket, part, &[output.end(); 3]));
            let said = "s6-sudod: fatal: unable to read message from client: Connection timed out\n".to_owned();
            assert_eq!((hear(&sudod.socket, 1), sudod.end()), (vec![], (111, said)), "{whose:?}");
            assert_eq!(output.all(), "");
        }
    }
}

#[test]
fn a_client_that_has_gone_has_nothing_run() {
    let both = Beside::new();
    // It has to hang up while the server is not looking: it is stopped meanwhile.
    let (sudod, output) = (Sudod::start(&both, Ours, &["echo", "ran"], &[]), Output::new());
    let signal = |name: &str| {
        let pid = sudod.pid().to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    };
    signal("STOP");
    let status = format!("/proc/{}/status", sudod.pid());
    eventually(|| std::fs::read_to_string(&status).unwrap().contains("State:\tT"));
    sudod.ask(&["x"], &[], [output.end(); 3]);
    sudod.socket.shutdown(Shutdown::Both).unwrap();
    signal("CONT");
    assert_eq!((sudod.end(), output.all()), ((1, String::new()), String::new()));
}

/// Whether this is a request, by the letter of the protocol.
fn is_whole(bytes: &[u8], fds: usize) -> bool {
    let number = |at: usize| bytes.get(at..at + 4).map(|n| u32::from_be_bytes(n.try_into().unwrap()) as usize);
    let zeros = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == 0).count();
    let check = || {
        let length = number(0)?;
        let payload = bytes.get(6..6 + length)?;
        let [argc, envc, args, env] = [0, 1, 2, 3].map(|n| number(6 + 15 + 4 * n));
        let (argc, envc, args, env) = (argc?, envc?, args?, env?);
        let strings = payload.get(15 + 16..)?;
        let (args, env) = (strings.get(..args)?, strings.get(args..).filter(|rest| rest.len() == env)?);
        let entries = env.split_inclusive(|byte| *byte == 0);
        let fine = fds == 3
            && bytes[4..6] == [0, 3]
            && payload.starts_with(CLIENT)
            && (zeros(args), zeros(env)) == (argc, envc)
            && [args, env].iter().all(|strings| strings.last().is_none_or(|last| *last == 0))
            && entries.into_iter().all(|entry| entry.contains(&b'='));
        fine.then_some(())
    };
    check().is_some()
}

/// What is done to a request.
#[derive(Clone, Debug)]
enum Change {
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Append(Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![Just(0u8), Just(b'='), Just(255u8), Just(1u8), any::<u8>()];
    prop_oneof![
        4 => (any::<prop::sample::Index>(), byte).prop_map(|(at, byte)| Change::Byte(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Change::Cut),
        1 => (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..5)).prop_map(|(at, more)| Change::Insert(at, more)),
        1 => prop::collection::vec(any::<u8>(), 1..9).prop_map(Change::Append),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        match change {
            Change::Byte(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Byte(..) => {}
            Change::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Change::Insert(at, more) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Append(more) => bytes.extend(more),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_run_unless_the_request_was_whole(
        args in prop::collection::vec("[a-z]{0,6}", 0..4),
        env in prop::collection::vec("[AB]=[a-z]{0,3}", 0..3),
        changes in prop::collection::vec(change(), 0..3),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        fds in prop_oneof![6 => Just(vec![3]), 1 => prop::collection::vec(0usize..5, 1..4)],
    ) {
        let (args, env): (Vec<_>, Vec<_>) = (args.iter().map(String::as_str).collect(), env.iter().map(String::as_str).collect());
        let bytes = changed(request(&args, &env), &changes);
        let mut ends: Vec<usize> = splits.iter().map(|at| at.index(bytes.len() + 1)).chain([bytes.len()]).collect();
        ends.sort_unstable();
        // Nothing can be sent with no byte.
        ends.retain(|end| *end > 0);
        ends.dedup();
        let mut from = 0;
        let mut pieces: Vec<(&[u8], usize)> = Vec::new();
        for (n, end) in ends.iter().enumerate() {
            pieces.push((&bytes[from..*end], fds.get(n).copied().unwrap_or(0)));
            from = *end;
        }
        // Those that come with what is behind the request are never looked at.
        let length = bytes.get(..4).map_or(usize::MAX, |n| 6 + u32::from_be_bytes(n.try_into().unwrap()) as usize);
        let starts = pieces.iter().scan(0, |at, (piece, fds)| {
            let start = *at;
            *at += piece.len();
            Some((start, *fds))
        });
        let come = starts.filter(|(start, _)| *start < length).map(|(_, fds)| fds).sum();
        let expected = is_whole(&bytes, come);
        let (answers, ran, code, said) = attack(&Beside::new(), Ours, &["-t", "30000"], &pieces);
        prop_assert_eq!(ran, expected, "{:?}", bytes);
        if expected {
            prop_assert_eq!((&answers[..], code, said.as_str()), (&[0; 5][..], 0, ""));
        } else {
            prop_assert!([100, 111].contains(&code) && said.starts_with("s6-sudod: fatal: "), "{code}: {said}");
            prop_assert!(answers.is_empty() || matches!(answers[..], [7 | 22]), "{answers:?}");
        }
    }
}

#[test]
fn many_descriptors_in_a_row_are_all_closed() {
    // Its own limit is 64: it would run out of numbers if it kept them.
    let both = Beside::new();
    let mut command = std::process::Command::new("sh");
    let words = ["-c", "ulimit -n 64; exec \"$@\"", "sh", &path_of(&both, Ours, "sudod"), "-t", "30000", "echo", "ran"];
    command.args(words).current_dir(both.path());
    let (sudod, output) = (Sudod::of(&both, command), Output::new());
    let _ = send(&sudod.socket, &request(&[], &[])[..2], &[output.end(); 200]);
    let (code, said) = sudod.end();
    assert!(code == 100 && said.contains("3 fds"), "{code} {said}");
    assert_eq!(output.all(), "");
}

#[test]
fn descriptors_that_nobody_reads_are_gone_with_the_server() {
    let (both, output) = (Beside::new(), Output::new());
    let sudod = Sudod::start(&both, Ours, &["-t", "30000", "sh", "-c", "read x; echo ran"], &[]);
    let (mut reads, mut go) = Fd::pipe().unwrap();
    sudod.ask(&[], &[], [reads, output.end(), output.end()]);
    for _ in 0..50 {
        assert!(send(&sudod.socket, b"x", &[output.end(); 100]));
    }
    linchpin::sys::file::write_all(go, b"\n").unwrap();
    assert_eq!(hear(&sudod.socket, 5), [0; 5]);
    assert_eq!(sudod.end(), (0, String::new()));
    assert_eq!(output.all(), "ran\n");
    for fd in [&mut reads, &mut go] {
        fd.close();
    }
}
